"""A small llama: the architecture that mlx-lm calls ``llama``, tensor for tensor, without mlx-lm.

Parameter names and ``config.json`` are those of Hugging Face's LlamaForCausalLM, so ``mlx_lm.load`` opens what is saved
here and computes the same logits. Nothing in this module may be compiled, because ``mx.compile`` on the CPU calls a C++
compiler at run time. That rules out ``nn.silu`` and the like, which are compiled inside mlx.
"""

# mypy: allow-untyped-calls
# mlx.nn is only partly typed.

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.normalization import RMSNorm
from mlx.utils import tree_flatten

from stepdown.errors import LoadFailed, in_one_line

_EPSILON = 1e-5
_ROPE_BASE = 10_000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that define a net, as ``config.json`` holds them.

    Attributes:
        vocab: Rows of the embedding.
        width: Size of the hidden state.
        layers: Transformer blocks.
        heads: Query heads.
        kv_heads: Key and value heads; fewer than ``heads`` shares them between queries.
        ffn: Hidden size of the feed-forward blocks.
        window: Longest sequence, in tokens.
        eos: Token that ends a reply.
        tied: Whether the embedding is also the output matrix.
    """

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    window: int
    eos: int
    tied: bool = True

    @classmethod
    def parse(cls, text: bytes | str) -> Self:
        """Read a ``config.json``.

        Raises:
            LoadFailed: Not JSON, another architecture, or a size is missing or senseless.
        """
        try:
            config = json.loads(text)
            if config["model_type"] != "llama":
                raise LoadFailed(f"config.json describes a {config['model_type']!r} model, not a llama.")
            shape = cls(tied=config["tie_word_embeddings"], **{name: int(config[key]) for name, key in _KEYS.items()})
        except (ValueError, KeyError, TypeError) as error:
            raise LoadFailed(f"config.json is not a llama's configuration ({in_one_line(error)}).") from error
        if min(shape.width, shape.layers, shape.heads, shape.kv_heads) < 1 or not shape._divides():
            raise LoadFailed("config.json gives sizes that no net can have.")
        return shape

    def _divides(self) -> bool:
        """Heads share the width, queries share keys evenly, and rotary positions turn pairs."""
        return self.width % (2 * self.heads) == 0 and self.heads % self.kv_heads == 0

    def to_json(self) -> str:
        """Return the text of ``config.json``."""
        config: dict[str, Any] = {key: getattr(self, name) for name, key in _KEYS.items()}
        config |= {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "rms_norm_eps": _EPSILON,
            "rope_theta": _ROPE_BASE,
            "tie_word_embeddings": self.tied,
            "torch_dtype": "float32",
        }
        return json.dumps(config, indent=2, sort_keys=True) + "\n"


_KEYS: Mapping[str, str] = {
    "vocab": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "ffn": "intermediate_size",
    "window": "max_position_embeddings",
    "eos": "eos_token_id",
}


Mask = mx.array | str | None
"""What may be attended to: ``causal``, everything (None), or booleans (batch or 1, 1, queries, keys)."""


class Cache:
    """Keys and values that one layer has already computed.

    Attributes:
        keys: (batch, kv_heads, length, head size), or None before the first tokens.
        values: Same shape.
    """

    __slots__ = ("keys", "values")

    def __init__(self) -> None:
        self.keys: mx.array | None = None
        self.values: mx.array | None = None

    def extend(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append the newest keys and values and return all of them."""
        if self.keys is not None and self.values is not None:
            keys = mx.concatenate([self.keys, keys], axis=2)
            values = mx.concatenate([self.values, values], axis=2)
        self.keys, self.values = keys, values
        return keys, values


class Attention(Module):
    """Causal self-attention with rotary positions; queries may share keys and values."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        size = shape.width // shape.heads
        self.heads, self.kv_heads, self.size = shape.heads, shape.kv_heads, size
        self.q_proj = Linear(shape.width, shape.heads * size, bias=False)
        self.k_proj = Linear(shape.width, shape.kv_heads * size, bias=False)
        self.v_proj = Linear(shape.width, shape.kv_heads * size, bias=False)
        self.o_proj = Linear(shape.heads * size, shape.width, bias=False)

    def __call__(self, x: mx.array, mask: Mask, offset: mx.array | int, cache: Cache, last: int) -> mx.array:
        """Attend from the last columns of (batch, length, width) to all of them and to what the cache holds."""
        queries = self._turn(self._split(self.q_proj(x), self.heads), offset)[:, :, -last:]
        keys = self._turn(self._split(self.k_proj(x), self.kv_heads), offset)
        keys, values = cache.extend(keys, self._split(self.v_proj(x), self.kv_heads))
        out = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=self.size**-0.5, mask=mask)
        return self.o_proj(out.transpose(0, 2, 1, 3).flatten(2))

    def _split(self, x: mx.array, heads: int) -> mx.array:
        """(batch, length, heads * size) to (batch, heads, length, size)."""
        return x.reshape(*x.shape[:2], heads, self.size).transpose(0, 2, 1, 3)

    def _turn(self, x: mx.array, offset: mx.array | int) -> mx.array:
        return mx.fast.rope(x, self.size, traditional=False, base=_ROPE_BASE, scale=1.0, offset=offset)


class MLP(Module):
    """SwiGLU feed-forward (Shazeer 2020, https://arxiv.org/abs/2002.05202)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = Linear(shape.width, shape.ffn, bias=False)
        self.up_proj = Linear(shape.width, shape.ffn, bias=False)
        self.down_proj = Linear(shape.ffn, shape.width, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        """Map (…, width) to (…, width)."""
        gate = self.gate_proj(x)
        return self.down_proj(gate * mx.sigmoid(gate) * self.up_proj(x))


class Block(Module):
    """Attention and feed-forward, each behind a norm and added back."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = MLP(shape)
        self.input_layernorm = RMSNorm(shape.width, eps=_EPSILON)
        self.post_attention_layernorm = RMSNorm(shape.width, eps=_EPSILON)

    def __call__(self, x: mx.array, mask: Mask, offset: mx.array | int, cache: Cache, last: int) -> mx.array:
        """Map (batch, length, width) to the last columns of the same."""
        x = x[:, -last:] + self.self_attn(self.input_layernorm(x), mask, offset, cache, last)
        return x + self.mlp(self.post_attention_layernorm(x))


class Trunk(Module):
    """Everything below the output matrix; its attribute names are the prefix ``model.`` of the tensors."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = Embedding(shape.vocab, shape.width)
        self.layers = [Block(shape) for _ in range(shape.layers)]
        self.norm = RMSNorm(shape.width, eps=_EPSILON)


class Llama(Module):
    """The whole net: tokens in, logits out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Trunk(shape)
        self.tied = shape.tied
        if not shape.tied:
            self.lm_head = Linear(shape.width, shape.vocab, bias=False)

    def hidden(
        self,
        tokens: mx.array,
        mask: Mask = "causal",
        offset: mx.array | int = 0,
        caches: Sequence[Cache] | None = None,
        last: int | None = None,
    ) -> mx.array:
        """Return the last hidden states, (batch, length or ``last``, width).

        Args:
            tokens: (batch, length), whole numbers below the vocabulary's size.
            mask: What may be attended to.
            offset: Position of the first token, one for all or one per row.
            caches: One per layer, extended in place; None computes without memory.
            last: How many final columns are wanted; None wants all. The last block computes no others, which in a net
                of one or two blocks saves half of the work or more.
        """
        length = tokens.shape[1]
        last = length if last is None else last
        x = self.model.embed_tokens(tokens)
        *lower, top = zip(self.model.layers, caches or [Cache() for _ in self.model.layers], strict=True)
        for layer, cache in lower:
            x = layer(x, mask, offset, cache, length)
        layer, cache = top
        x = layer(x, mask[..., -last:, :] if isinstance(mask, mx.array) else mask, offset, cache, last)
        normed: mx.array = self.model.norm(x)
        return normed

    def logits(self, hidden: mx.array) -> mx.array:
        """Map hidden states (…, width) to scores over the vocabulary (…, vocab)."""
        scores: mx.array = self.model.embed_tokens.as_linear(hidden) if self.tied else self.lm_head(hidden)
        return scores

    def tensors(self) -> dict[str, mx.array]:
        """Return every parameter under its name in the file."""
        return cast("dict[str, mx.array]", dict(tree_flatten(self.parameters())))


def causal(gaps: mx.array, length: int) -> mx.array:
    """Return a causal mask for rows that are filled up on the left, (rows, 1, length, length).

    Args:
        gaps: Columns of filling at the start of each row, (rows,).
        length: Columns in all.
    """
    columns = mx.arange(length)
    own = (columns <= columns[:, None]) & (columns >= gaps[:, None])[:, None, None]
    # Filling sees itself, because a softmax over nothing is NaN, and NaN times zero is still NaN.
    return own | (columns == columns[:, None])
