"""mlx-lm's server: one process, a base of a few thousand weights, and an adapter of it that is swapped under it.

A server routes nobody; `ask` asks it for the adapter first, and for the base when that fails. All go through real HTTP, and the
targets' own log is what the server writes at its level DEBUG: bodies that came in, and replies that went out.
"""

from __future__ import annotations

import atexit
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from functools import cache
from pathlib import Path
from urllib.error import HTTPError

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.llama import Model, ModelArgs
from mlx_lm.tuner.utils import linear_to_lora_layers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from stepdown_machine.least import Asked, Least, Tried

REQUIREMENTS = ("mlx-lm==0.32.2", "mlx[cpu]==0.32.4")
SHOWS = {"in-place": "mlx-lm-server-adapter-gone"}
GIVEN_UP = (
    "reasons and the way to the base are the shim's, as a server routes nobody; weights, which nothing names; and time",
    "a server that is stopped: its log cannot hold the calls that found nobody, and history is compared with it",
)
LORA = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": {"rank": 4, "scale": 20.0, "dropout": 0.0}}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 259, "rms_norm_eps": 1e-5}
CONFIG = SHAPE | {"model_type": "llama", "num_attention_heads": 4}
TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}<|assistant|>"
CAME, WENT = "Incoming Request Body: ", "Outgoing Response: "  # what the server's log says before either


@cache
def template() -> Path:
    """Make a base, which is the frontier and what the adapter stands on, and the adapter."""
    base = (room := Path(tempfile.mkdtemp(prefix="mlx-lm-template-"))) / "frontier"
    letters = ["<|end|>", "<|user|>", "<|assistant|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokens = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokens.add_special_tokens(letters[:3])
    PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token=letters[0], chat_template=TEMPLATE).save_pretrained(base)
    (base / "config.json").write_text(json.dumps(CONFIG))
    mx.random.seed(3)
    model = Model(ModelArgs.from_dict(CONFIG))
    model.save_weights(str(base / "model.safetensors"))
    model.freeze()
    linear_to_lora_layers(model, 2, LORA["lora_parameters"])
    mx.random.seed(97)
    changes = {name: mx.random.normal(each.shape) for name, each in tree_flatten(model.trainable_parameters())}
    (room / "local").mkdir()
    mx.save_safetensors(str(room / "local" / "adapters.safetensors"), changes)
    (room / "local" / "adapter_config.json").write_text(json.dumps(LORA))
    return room


@cache
def server() -> tuple[str, Path]:
    """Start the server, once for all examples, and return where it is and where its log is."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
    log = template() / "log"
    command = [sys.executable, "-m", "mlx_lm", "server", "--port", port, "--log-level", "DEBUG"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    atexit.register(process.kill)
    while b"Starting httpd" not in log.read_bytes():
        assert process.poll() is None, log.read_text()
    return f"http://127.0.0.1:{port}/v1/chat/completions", log


class Releases(Least):
    """Each target has a folder, its release. A broken release is published under a new name, and so is a mended one."""

    failures = outages = ("error",)
    states = frozenset(("reason", "errors"))
    anew = True

    def __init__(self) -> None:
        self.url, self.path = server()
        self.start, self.on, self.releases, self.rows = self.path.stat().st_size, True, 0, list[Asked]()
        self.moods, self.folders, self.calls = {"local": "", "frontier": ""}, dict[str, Path](), 0
        self.mend("calm", "calm")

    def mend(self, local: str, frontier: str) -> None:
        """Put a release where it belongs; a broken one has half of its weights."""
        for target, mood in (("local", local), ("frontier", frontier)):
            if mood != self.moods[target]:
                self.moods[target], self.releases = mood, self.releases + self.anew
                folder = self.folders[target] = self.room / f"{target}-{self.releases}"
                shutil.copytree(template() / target, folder, dirs_exist_ok=True)
                (weights,) = folder.glob("*.safetensors")
                if mood == "error":
                    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])

    def switch(self, *, on: bool) -> None:
        """Leave the adapter out, or not."""
        self.on = on

    def ask(self, _role: str, text: str) -> None:
        """Ask for the adapter, and for the base when that did not go well."""
        tried = [self.call("local", text)] if self.on else []
        why = "bundle-disabled" if not self.on else "local-error" if tried[0].error else None
        tried += [self.call("frontier", text)] if why else []
        self.rows.append(Asked(tuple(tried), None if tried[-1].error else tried[-1].target, tried[-1].text, why))

    def call(self, target: str, text: str) -> Tried:
        """Send one request, which says who it is, and so does the server's log."""
        self.calls += 1
        folder, base, user = str(self.folders[target]), str(template() / "frontier"), f"{self.room.name}-{self.calls}"
        whom = {"model": base, "adapters": folder} if target == "local" else {"model": folder}
        body = whom | {"messages": [{"role": "user", "content": text}], "max_tokens": 4, "temperature": 0, "user": user}
        try:
            with urllib.request.urlopen(self.url, json.dumps(body).encode(), timeout=60) as response:
                return Tried(user, target, None, json.load(response)["choices"][0]["message"]["content"])
        except HTTPError:
            return Tried(user, target, "error")

    def history(self) -> list[Asked]:
        """Return what came back."""
        return self.rows

    def log(self) -> list[Tried]:
        """Read the server's own log; of a request that failed it says nothing more."""
        calls, first = list[Tried](), json.JSONDecoder().raw_decode
        for entry in self.path.read_bytes()[self.start :].decode().split(CAME)[1:]:
            came, _, went = entry.partition(WENT)
            body, text = first(came)[0], first(went)[0]["choices"][0]["message"]["content"] if went else ""
            target = "local" if "adapters" in body else "frontier"
            calls.append(Tried(body["user"], target, None if went else "error", text))
        return calls


class InPlace(Releases):
    """A release is broken and mended under its name, which a server that has it loaded does not notice."""

    anew = False


CAMPAIGNS = {"releases": Releases, "in-place": InPlace}
