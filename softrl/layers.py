"""A network as data: a tuple of layers, from which flax builds, and which NumPy and ONNX interpret.

Imports nothing, so that whoever acts needs neither JAX nor flax to know what to compute.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Dense(NamedTuple):
    """`[..., I] -> [..., size]`: x W + b, of parameters `kernel` `[I, size]` and `bias` `[size]`.

    scale: initial weights are truncated normal with variance scale / I; biases begin at zero.
    """

    size: int
    scale: float = 1.0


class LayerNorm(NamedTuple):
    """(x − mean) / √(variance + epsilon) over the last axis, times `scale`, plus `bias`, parameters `[H]` both."""

    epsilon: float = 1e-6


class Activation(NamedTuple):
    """A nonlinearity: relu, silu, elu, tanh, or gelu (the approximation by a tanh)."""

    name: str


Layer = Dense | LayerNorm | Activation
Layers = tuple[Layer, ...]

_KINDS = {kind.__name__: kind for kind in (Dense, LayerNorm, Activation)}


class Normalizer(NamedTuple):
    """How observations are normalised: (x − mean) / √(variance + epsilon), clipped to ± clip."""

    epsilon: float = 1e-6
    clip: float = 10.0


NORMALIZER = Normalizer()
"""How softrl's own agents normalise."""


def perceptron(
    widths: Sequence[int], out: int, *, activation: str = "relu", layer_norm: bool = False, head_scale: float = 1.0
) -> Layers:
    """Hidden layers of these widths, then a dense head.

    Args: `out`: size of the head; `head_scale`: of its initial weights; `layer_norm`: LayerNorm before each activation,
      which keeps soft Q estimates of unseen actions bounded (Ball et al. 2023, arXiv:2302.02948).
    """
    norm = (LayerNorm(),) if layer_norm else ()
    hidden = [layer for width in widths for layer in (Dense(width), *norm, Activation(activation))]
    return (*hidden, Dense(out, head_scale))


def named(layers: Layers) -> list[tuple[str, Layer]]:
    """Each layer with its parameters' name, as flax counts: `Dense_0`, `LayerNorm_0`, `Activation_0`, `Dense_1`, …"""
    kinds = [type(layer).__name__ for layer in layers]
    return [(f"{kind}_{kinds[:i].count(kind)}", layers[i]) for i, kind in enumerate(kinds)]


def shapes(layers: Layers, size: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of every parameter by name, such as `Dense_0/kernel`, and the size of what leaves.

    Args: `size`: of what enters.
    """
    known: dict[str, tuple[int, ...]] = {}
    for name, layer in named(layers):
        if isinstance(layer, Dense):
            known |= {f"{name}/kernel": (size, layer.size), f"{name}/bias": (layer.size,)}
            size = layer.size
        elif isinstance(layer, LayerNorm):
            known |= {f"{name}/scale": (size,), f"{name}/bias": (size,)}
    return known, size


def to_json(layers: Layers) -> list[list[Any]]:
    """Plain lists: each layer's kind and fields."""
    return [[type(layer).__name__, *layer] for layer in layers]


def from_json(data: list[list[Any]]) -> Layers:
    """The layers that `to_json` wrote. Raises: KeyError, TypeError or ValueError for kinds or fields that are not."""
    return tuple(_KINDS[kind](*fields) for kind, *fields in data)
