"""A GGUF file of the llama family as a directory that mlx-lm opens: tensors, configuration, tokenizer and chat template.

Rotary positions are "traditional" there: whoever wrote the file permuted the rows of queries and keys for them
(https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py). Quantized blocks of 32 are mlx's own packing as
`mx.load` returns them (https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.load.html).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from stepdown.errors import InvalidValue, in_one_line
from stepdown.local.tensors import write

_Loaded = tuple[dict[str, mx.array], dict[str, Any]]

MAGIC = b"GGUF"
GROUP = 32
CONTROL = 3
"""The token type of marks that are no text."""

_BLOCK = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def convert(file: Path, out: Path) -> None:
    """Write what a GGUF file holds into an empty directory.

    Raises:
        InvalidValue: It is no GGUF, or of a kind that is not understood.
    """
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise InvalidValue(f"{file.name} is no GGUF file.")
    try:
        tensors, metadata = cast("_Loaded", mx.load(str(file), format="gguf", return_metadata=True))
    except (RuntimeError, ValueError) as error:
        raise InvalidValue(f"{file.name} cannot be read as GGUF ({in_one_line(error)}).") from error
    weights = {_renamed(name): tensor for name, tensor in tensors.items()}
    config = configuration(metadata, weights)
    tokenizer, settings = tokenizer_of(metadata)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    write(out / "model.safetensors", weights)


def configuration(metadata: Mapping[str, Any], weights: Mapping[str, mx.array]) -> dict[str, Any]:
    """Return the `config.json` of what a file's metadata describes.

    Raises:
        InvalidValue: It is of another architecture, stretches its positions, or leaves something out.
    """
    if (architecture := metadata.get("general.architecture")) != "llama":
        raise InvalidValue(f"The file holds the architecture {architecture!r}, and only llama is understood.")
    if metadata.get("llama.rope.scaling.type", "none") != "none":
        raise InvalidValue("The file stretches its positions (rope scaling), which is not understood.")
    heads = _number(metadata, "llama.attention.head_count")
    hidden = _number(metadata, "llama.embedding_length")
    if "model.embed_tokens.weight" not in weights:
        raise InvalidValue("The file has no token embeddings.")
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": int(hidden),
        "num_hidden_layers": int(_number(metadata, "llama.block_count")),
        "intermediate_size": int(_number(metadata, "llama.feed_forward_length")),
        "num_attention_heads": int(heads),
        "num_key_value_heads": int(_number(metadata, "llama.attention.head_count_kv", heads)),
        "head_dim": int(_number(metadata, "llama.attention.key_length", hidden / heads)),
        "rms_norm_eps": float(f"{_number(metadata, 'llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": _number(metadata, "llama.rope.freq_base", 10000.0),
        "rope_traditional": True,
        "max_position_embeddings": int(_number(metadata, "llama.context_length")),
        "vocab_size": int(weights["model.embed_tokens.weight"].shape[0]),
        "tie_word_embeddings": "lm_head.weight" not in weights,
        "eos_token_id": int(_number(metadata, "tokenizer.ggml.eos_token_id")),
    }
    if quantization := _quantization(weights):
        config["quantization"] = quantization
    return config


def _quantization(weights: Mapping[str, mx.array]) -> dict[str, Any]:
    """Return how weights are packed: the most common width for all, and the layers that are packed otherwise."""
    packed = {name.removesuffix(".scales"): scales for name, scales in weights.items() if name.endswith(".scales")}
    # 32-bit words per row over groups of 32 per row: so many bits has each number.
    bits = {name: weights[f"{name}.weight"].shape[-1] // scales.shape[-1] for name, scales in packed.items()}
    if not bits:
        return {}
    ((usual, _),) = Counter(bits.values()).most_common(1)
    others = {name: {"group_size": GROUP, "bits": width} for name, width in bits.items() if width != usual}
    return {"group_size": GROUP, "bits": usual, **others}


def tokenizer_of(metadata: Mapping[str, Any]) -> tuple[Tokenizer, dict[str, Any]]:
    """Return the tokenizer of a file's metadata, and its settings with the chat template.

    Raises:
        InvalidValue: There is none, it is of another kind, or it has no chat template.
    """
    tokens, merges = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.merges")
    if not tokens or not merges:
        raise InvalidValue("The file holds no tokenizer that merges pairs; nothing can be asked of it.")
    kind = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default"))
    if kind not in {("gpt2", "smollm"), ("gpt2", "default"), ("gpt2", "gpt-2")}:
        raise InvalidValue(f"The file's tokenizer is {' '.join(map(str, kind))}, which is not understood.")
    if not (template := metadata.get("tokenizer.chat_template")):
        raise InvalidValue("The file has no chat template; nobody could say how its model was asked.")
    tokenizer = Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate(tokens)},
            merges=[tuple(pair.split(" ")) for pair in merges],
        )
    )
    pieces = [pre_tokenizers.Digits(individual_digits=True)] if kind[1] == "smollm" else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*pieces, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    types = [int(number) for number in metadata["tokenizer.ggml.token_type"].tolist()]
    marks = [token for token, each in zip(tokens, types, strict=True) if each == CONTROL]
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    end = tokens[int(_number(metadata, "tokenizer.ggml.eos_token_id"))]
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": end,
        "model_max_length": int(_number(metadata, "llama.context_length")),
        "clean_up_tokenization_spaces": False,
        "chat_template": template,
    }
    if "tokenizer.ggml.bos_token_id" in metadata:
        settings["bos_token"] = tokens[int(_number(metadata, "tokenizer.ggml.bos_token_id"))]
    return tokenizer, settings


def _renamed(name: str) -> str:
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|scales|biases)", name):
        number, part, leaf = match.groups()
        if part in _BLOCK:
            return f"model.layers.{number}.{_BLOCK[part]}.{leaf}"
    stem, _, leaf = name.rpartition(".")
    if stem not in _OUTSIDE:
        raise InvalidValue(f"The file holds a tensor {name}, which no plain llama has.")
    return f"{_OUTSIDE[stem]}.{leaf}"


def _number(metadata: Mapping[str, Any], key: str, default: float | None = None) -> float:
    number = metadata.get(key, default)
    if number is None:
        raise InvalidValue(f"The file does not say its {key}.")
    try:
        return float(cast("float", number.item()) if isinstance(number, mx.array) else number)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"The file's {key} is no number.") from error
