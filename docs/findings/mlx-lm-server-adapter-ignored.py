# /// script
# requires-python = ">=3.11"
# dependencies = ["mlx-lm==0.32.2", "mlx[cpu]==0.32.4"]
# ///
"""An adapter that a request names without a model is ignored without a word. Exits 0 where that is so, 1 where it is not."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.models.llama import Model, ModelArgs
from mlx_lm.tuner.utils import linear_to_lora_layers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

LORA = {"rank": 4, "scale": 20.0, "dropout": 0.0}
TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}<|assistant|>"


def make(room: Path) -> None:
    """Write a base of a few thousand weights, and an adapter of it that changes its answers."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4}
    config = {"model_type": "llama", "rms_norm_eps": 1e-5, "vocab_size": 259, "num_key_value_heads": 2, **shape}
    mx.random.seed(3)
    model = Model(ModelArgs.from_dict(config | {"tie_word_embeddings": True}))
    base, adapter = room / "base", room / "adapter"
    base.mkdir()
    adapter.mkdir()
    (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    mx.save_safetensors(str(base / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"})
    marks = ["<|end|>", "<|user|>", "<|assistant|>"]
    letters = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(base / "tokenizer.json"))
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "chat_template": TEMPLATE}
    (base / "tokenizer_config.json").write_text(json.dumps(words))
    model.freeze()
    linear_to_lora_layers(model, 2, LORA)
    mx.random.seed(97)
    changes = {name: mx.random.normal(each.shape) for name, each in tree_flatten(model.trainable_parameters())}
    mx.save_safetensors(str(adapter / "adapters.safetensors"), changes)
    settings = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": LORA}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))


def ask(port: int, **fields: str) -> str:
    """Return the text of a greedy answer."""
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 6, "temperature": 0, **fields}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def wait(port: int) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit("the server did not start")


with tempfile.TemporaryDirectory() as directory:
    room, port = Path(directory), free_port()
    make(room)
    base, adapter = str(room / "base"), str(room / "adapter")
    command = [sys.executable, "-m", "mlx_lm.server", "--model", base, "--port", str(port)]
    environment = os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            wait(port)
            plain, named = ask(port), ask(port, model=base, adapters=adapter)
            unnamed = ask(port, adapters=adapter)
        finally:
            server.kill()
print(f"no adapter: {plain!r}; base and adapter named: {named!r}; the adapter alone named: {unnamed!r}")
sys.exit(0 if named != plain == unnamed else 1)
