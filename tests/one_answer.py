"""A language model that has learned one answer: a few thousand weights in mlx-lm's layout, with a chat template of its own.

Attention and feed-forward give nothing, so each token's embedding alone decides what follows: after the mark where an
assistant speaks comes the answer, which is one token, and after it the end. `mlx_lm.server` runs it like any other model.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import mlx.core as mx
from mlx.utils import tree_flatten
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from stepdown.local.model import Llama, Shape

END, USER, ASSISTANT = "<|end|>", "<|user|>", "<|assistant|>"
WIDTH = 32
WINDOW = 2048
START_WAIT = 60
"""Seconds. The server imports transformers, which takes several on a busy machine."""

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def write_model(directory: Path, answer: str) -> Path:
    """Write the model whose every reply is one answer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, USER, ASSISTANT])
    tokenizer.add_tokens([answer])
    end, assistant, said = (tokenizer.token_to_id(token) for token in (END, ASSISTANT, answer))
    shape = Shape(tokenizer.get_vocab_size(), WIDTH, 1, heads=2, kv_heads=2, ffn=8, window=WINDOW, eos=end, tied=False)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(shape.to_json())
    (directory / "tokenizer.json").write_text(tokenizer.to_str())
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "chat_template": TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    mx.save_safetensors(
        str(directory / "model.safetensors"), _weights(shape, {assistant: said, said: end}), metadata={"format": "mlx"}
    )
    return directory


def _weights(shape: Shape, follows: dict[int, int]) -> dict[str, mx.array]:
    tensors = dict(tree_flatten(Llama(shape).parameters()))
    for name, tensor in tensors.items():
        tensors[name] = mx.zeros_like(tensor) if "layers" in name and "norm" not in name else mx.ones_like(tensor)
    embedded, read = mx.zeros((shape.vocab, WIDTH)), mx.zeros((shape.vocab, WIDTH))
    for place, (token, after) in enumerate(follows.items()):
        embedded[token, place] = 1.0
        read[after, place] = 10.0
    tensors["model.embed_tokens.weight"] = embedded
    tensors["lm_head.weight"] = read
    return tensors


SERVER = """
import runpy
from stepdown.local.blas import all_cores

with all_cores():
    runpy.run_module("mlx_lm.server", run_name="__main__")
"""


@contextmanager
def mlx_lm_server(model: Path, log: Path) -> Iterator[str]:
    """Run `mlx_lm.server` with a model on a free port of loopback, and yield its base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # mlx-lm compiles its activations, which on a CPU calls a C++ compiler; the figures are the same without.
    environment = os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", SERVER, "--model", str(model), "--port", str(port), "--host", "127.0.0.1"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as child:
        try:
            _wait(child, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.kill()


def _wait(child: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + START_WAIT
    while time.monotonic() < until and child.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"mlx_lm.server did not start: {log.read_text()}")
