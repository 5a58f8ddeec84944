# /// script
# requires-python = ">=3.11"
# dependencies = ["litellm==1.110.2"]
# ///
"""A callback that raises, or names its parameters in its own way, fails without a word. Exits 0 where that is so."""

import logging
import os
import sys
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from litellm.integrations.custom_logger import CustomLogger

seen: list[str] = []
words: list[str] = []


class Words(logging.Handler):
    """Keeps what is logged as a warning or worse."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        words.append(record.getMessage())


class OwnNames(CustomLogger):
    """Has the parameters in the right order, under other names."""

    def log_success_event(self, request, response, start, end) -> None:
        """Note a call."""
        seen.append("own names")


class Raising(CustomLogger):
    """Has no room left on its disk."""

    def log_success_event(self, kwargs, response_obj, start_time, end_time) -> None:
        """Note a call, and fail."""
        seen.append("raising")
        raise OSError("no space left")


class Last(CustomLogger):
    """Is the last one, and does well."""

    def log_success_event(self, kwargs, response_obj, start_time, end_time) -> None:
        """Note a call."""
        seen.append("last")


for name in (None, "LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
    logging.getLogger(name).addHandler(Words(logging.WARNING))
litellm.callbacks = [OwnNames(), Raising(), Last()]
text = (
    litellm.completion("openai/any", [{"role": "user", "content": "?"}], mock_response="yes").choices[0].message.content
)
until = time.monotonic() + 20
while "last" not in seen and time.monotonic() < until:
    time.sleep(0.01)
print(f"answer {text!r}; noted by {seen}; warnings: {words}")
sys.exit(0 if (text, seen, words) == ("yes", ["raising", "last"], []) else 1)
