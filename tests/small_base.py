"""A pretrained base of a few thousand weights: a llama with a byte-level tokenizer and a chat template, as a GGUF file."""

import json
import subprocess
import sys
from pathlib import Path

MAKE = """
import json, sys
import mlx.core as mx

out, changes = sys.argv[1], json.loads(sys.argv[2])
hidden, ffn, heads, kv, layers = 64, 96, 4, 2, 2
marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
from tokenizers import pre_tokenizers
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
tokens = [*marks, *alphabet, "\\u0120a", "th"]
mx.random.seed(3)
shapes = {"token_embd.weight": (len(tokens), hidden), "output_norm.weight": (hidden,)}
for n in range(layers):
    shapes |= {
        f"blk.{n}.attn_q.weight": (hidden, hidden), f"blk.{n}.attn_k.weight": (hidden // heads * kv, hidden),
        f"blk.{n}.attn_v.weight": (hidden // heads * kv, hidden), f"blk.{n}.attn_output.weight": (hidden, hidden),
        f"blk.{n}.ffn_gate.weight": (ffn, hidden), f"blk.{n}.ffn_up.weight": (ffn, hidden),
        f"blk.{n}.ffn_down.weight": (hidden, ffn), f"blk.{n}.attn_norm.weight": (hidden,),
        f"blk.{n}.ffn_norm.weight": (hidden,),
    }
tensors = {name: mx.random.normal(shape) * 0.1 for name, shape in shapes.items()}
tensors["token_embd.weight"] = tensors["token_embd.weight"] * changes.pop("loud", 1.0)
for name in changes.pop("without", []):
    del tensors[name]
for name in changes.pop("nan", []):
    tensors[name] = tensors[name] * float("nan")
if "extra" in changes:
    tensors[changes.pop("extra")] = mx.zeros((4,))
template = "{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content }}<|im_end|>\\n{% endfor %}<|im_start|>assistant\\n"
u = lambda number: mx.array(number, dtype=mx.uint32)
metadata = {
    "general.architecture": "llama", "llama.block_count": u(layers), "llama.embedding_length": u(hidden),
    "llama.feed_forward_length": u(ffn), "llama.attention.head_count": u(heads), "llama.attention.head_count_kv": u(kv),
    "llama.attention.layer_norm_rms_epsilon": mx.array(1e-5), "llama.context_length": u(512),
    "llama.rope.freq_base": mx.array(100000.0), "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": ["\\u0120 a", "t h"],
    "tokenizer.ggml.token_type": mx.array([3] * 3 + [1] * (len(tokens) - 3), dtype=mx.int32),
    "tokenizer.ggml.bos_token_id": u(1), "tokenizer.ggml.eos_token_id": u(2), "tokenizer.chat_template": template,
}
for key, value in changes.items():
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
mx.save_gguf(out, tensors, metadata)
"""


def make_gguf(path: Path, **changes: object) -> Path:
    """Write the file, with changes to its metadata; in a process of its own, because a suite forks."""
    subprocess.run([sys.executable, "-c", MAKE, str(path), json.dumps(changes)], check=True)
    return path
