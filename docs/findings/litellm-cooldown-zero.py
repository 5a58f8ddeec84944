# /// script
# requires-python = ">=3.11"
# dependencies = ["litellm==1.110.2"]
# ///
"""With `cooldown_time=0` a deployment that failed is left out all the same. Exits 0 where that is so, 1 where it is not."""

import json
import logging
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # Or it asks the internet for prices.
import litellm

ASKED: list[str] = []


class Server(BaseHTTPRequestHandler):
    """Answers for `large`, and fails for `small`."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer."""
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        ASKED.append(model)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "42"}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }
        content = json.dumps(body if model == "large" else {"error": {"message": "down"}}).encode()
        self.send_response(200 if model == "large" else 500)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


logging.disable(logging.CRITICAL)
server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
settings = {"api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "none"}
router = litellm.Router(
    model_list=[
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", **settings}} for name in ("small", "large")
    ],
    fallbacks=[{"small": ["large"]}],
    num_retries=0,
    allowed_fails=2,
    cooldown_time=0,
)
tried = []
for _ in range(5):
    ASKED.clear()
    router.completion("small", [{"role": "user", "content": "6 x 7"}])
    tried.append("small" in ASKED)
print("was `small` asked:", *("yes" if each else "no" for each in tried))
sys.exit(0 if not all(tried) else 1)
