"""Whisper's decoder in JAX, with the weights of a CTranslate2 model (`ct2_weights`), so that training has gradients.

Forward only, whole sequences, no cache, float32. Layers and names are those of CTranslate2's WhisperSpec;
the architecture is Whisper's (arXiv 2212.04356): layer norm first, cross attention without a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

HEAD_WIDTH = 64
"""the same in every Whisper model"""

Array: TypeAlias = Any
Weights: TypeAlias = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Decoder:
    layers: int
    heads: int

    @classmethod
    def of(cls, weights: Weights) -> Decoder:
        layers = {name.split("/")[1] for name in weights if name.startswith("decoder/layer_")}
        width = weights["decoder/embeddings/weight"].shape[1]
        return cls(sum(name != "layer_norm" for name in layers), width // HEAD_WIDTH)

    def logits(self, weights: Weights, tokens: Array, memory: Array) -> Array:
        """Tokens [batch, t] and encoder states [batch, s, d_model] -> logits [batch, t, words]."""
        embeddings = weights["decoder/embeddings/weight"]
        count = tokens.shape[1]
        x = embeddings[tokens] + weights["decoder/position_encodings/encodings"][:count]
        future = jnp.where(jnp.tril(jnp.ones((count, count))) > 0, 0.0, -1e9)
        for layer in range(self.layers):
            name = f"decoder/layer_{layer}"
            own = _norm(weights, f"{name}/self_attention/layer_norm", x)
            query, key, value = jnp.split(_linear(weights, f"{name}/self_attention/linear_0", own), 3, -1)
            heard = self._attend(query, key, value, future)
            x = x + _linear(weights, f"{name}/self_attention/linear_1", heard)
            query = _linear(weights, f"{name}/attention/linear_0", _norm(weights, f"{name}/attention/layer_norm", x))
            key, value = jnp.split(_linear(weights, f"{name}/attention/linear_1", memory), 2, -1)
            x = x + _linear(weights, f"{name}/attention/linear_2", self._attend(query, key, value, 0.0))
            inner = _linear(weights, f"{name}/ffn/linear_0", _norm(weights, f"{name}/ffn/layer_norm", x))
            x = x + _linear(weights, f"{name}/ffn/linear_1", jax.nn.gelu(inner, approximate=False))
        return _norm(weights, "decoder/layer_norm", x) @ embeddings.T

    def _attend(self, query: Array, key: Array, value: Array, bias: Array) -> Array:
        query, key, value = (x.reshape(*x.shape[:-1], self.heads, HEAD_WIDTH) for x in (query, key, value))
        scores = jnp.einsum("bthd,bshd->bhts", query, key) / HEAD_WIDTH**0.5 + bias
        heard = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores, -1), value)
        return heard.reshape(*heard.shape[:2], -1)


def _norm(weights: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[name + "/gamma"] + weights[name + "/beta"]


def _linear(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[name + "/weight"].T + weights[name + "/bias"]
