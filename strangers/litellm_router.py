"""litellm's Router: two deployments, a fallback, and a cooldown after the third failure of the first one.

The deployments are real servers of the loopback that keep a log of their own; history is what its callbacks were called with,
and who served is what `Router.completion` gave back.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from stepdown_machine.least import Asked, Least, Tried

REQUIREMENTS = ("litellm==1.110.2",)
SHOWS: dict[str, str] = {}
GIVEN_UP = ("reasons, as a router states none; and time, which is real here, so that nothing moves a clock",)

# Prices are of no interest here, and fetched over the network at import unless this is set.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


class Deployments(ThreadingHTTPServer):
    """Both deployments on one port, told apart by the model that is asked for; each does as its mood says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.moods = {"cheap": "calm", "dear": "calm"}
        self.calls: list[Tried] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


class _Request(BaseHTTPRequestHandler):
    server: Deployments

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is `Deployments.calls`."""

    def do_POST(self) -> None:
        """Answer, or fail, and note it."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model, log = body["model"], self.server.calls
        bad, name = self.server.moods[model] == "error", f"call-{len(log)}"
        text = "" if bad else f"{model} answers {body['messages'][0]['content']}"
        log.append(Tried(name, model, "error" if bad else None, text))
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        good = {
            "id": name,
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [message],
            "usage": usage,
        }
        reply = json.dumps({"error": {"message": f"{name} is down"}} if bad else good).encode()
        self.send_response(500 if bad else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


@cache
def callbacks() -> list[Tried]:
    """Let litellm's callbacks note every call, once for all examples. They are called by keyword."""
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    seen = list[Tried]()

    class Callbacks(CustomLogger):
        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
            seen.append(Tried(response_obj.id, kwargs["model"], None, response_obj.choices[0].message.content))

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:  # noqa: ARG002
            (name,) = re.findall(r"call-\d+", str(kwargs["exception"]))[:1]
            seen.append(Tried(name, kwargs["model"], "error"))

    litellm.callbacks = [Callbacks()]
    return seen


class LitellmRouter(Least):
    """A fresh Router before two fresh deployments. It states no reason; time is real, so nothing here moves a clock."""

    knows = frozenset(("local-cooldown",))
    words: ClassVar[dict[str, str]] = {"cheap": "local", "dear": "frontier"}
    failures = outages = ("error",)
    states = frozenset()

    def __init__(self) -> None:
        import litellm

        logging.disable(logging.CRITICAL)
        self.servers, self.rows, self.seen = Deployments(), list[Asked](), callbacks()
        at = f"http://127.0.0.1:{self.servers.server_port}/v1"
        where = {name: {"model": f"openai/{name}", "api_base": at, "api_key": "none"} for name in ("cheap", "dear")}
        models = [
            {"model_name": name, "litellm_params": each, "model_info": {"id": name}} for name, each in where.items()
        ]
        # The third failure within a minute cools a deployment, for longer than an example lasts.
        self.router = litellm.Router(
            model_list=models, fallbacks=[{"cheap": ["dear"]}], num_retries=0, allowed_fails=2, cooldown_time=600
        )

    def ask(self, _role: str, text: str) -> None:
        """Ask the cheap group; who served is what the reply says of itself."""
        calls, before, until = len(self.servers.calls), len(self.seen), time.monotonic() + 5
        try:
            reply = self.router.completion("cheap", [{"role": "user", "content": text}])
        except Exception:
            served, said = None, ""
        else:
            served, said = reply.model, reply.choices[0].message.content
        # Those of a success come from a thread of litellm's own, a moment later.
        while len(self.seen) - before < len(self.servers.calls) - calls and time.monotonic() < until:
            time.sleep(0.001)
        self.rows.append(Asked(tuple(self.seen[before:]), served, said))

    def mend(self, local: str, frontier: str) -> None:
        """Break the servers."""
        self.servers.moods = {"cheap": local, "dear": frontier}

    def history(self) -> list[Asked]:
        """Return what the callbacks noted, and what was given back."""
        return self.rows

    def log(self) -> list[Tried]:
        """Return what the servers noted."""
        return self.servers.calls

    def close(self) -> None:
        """Stop the servers."""
        self.servers.shutdown()
        self.servers.server_close()


CAMPAIGNS = {"cooldown": LitellmRouter}
