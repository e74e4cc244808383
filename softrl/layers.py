"""A network as data: a tuple of layers, from which flax builds, and which NumPy and ONNX interpret.

Imports nothing, so that whoever acts needs neither JAX nor flax to know what to compute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

# Dataclasses, since tuples are equal whenever their numbers are, whatever their kinds: LayerNorm(1e-6), RMSNorm(1e-6).


@dataclass(frozen=True)
class Dense:
    """`[..., I] -> [..., size]`: x W + b, of parameters `kernel` `[I, size]` and `bias` `[size]`.

    scale: initial weights are truncated normal with variance scale / I; biases begin at zero.
    """

    size: int
    scale: float = 1.0


@dataclass(frozen=True)
class LayerNorm:
    """(x − mean) / √(variance + epsilon) over the last axis, times `scale`, plus `bias`, parameters `[H]` both."""

    epsilon: float = 1e-6


@dataclass(frozen=True)
class RMSNorm:
    """x / √(mean of x² + epsilon) over the last axis, times `scale`, a parameter `[H]` (arXiv:1910.07467)."""

    epsilon: float = 1e-6


@dataclass(frozen=True)
class BatchNorm:
    """(x − mean) / √(var + epsilon), times `scale`, plus `bias`, parameters `[H]` both (arXiv:1502.03167).

    In training mean and variance are those of the batch, over all axes but the last, and the running `mean` and `var`,
    `[H]` both, move to momentum · running + (1 − momentum) · batch. Who acts uses the running ones.
    """

    momentum: float = 0.99
    epsilon: float = 1e-5


@dataclass(frozen=True)
class BatchRenorm:
    """BatchNorm that in training, too, gives what the running statistics give (arXiv:1702.03275).

    With μ, σ² mean and var of the batch, m, s² the running ones, epsilon added to both variances: ((x − μ) / σ · r + d)
    times `scale`, plus `bias`, where r = σ / s, within [1 / most_scale, most_scale], and d = (μ − m) / s, within
    ± most_shift, are constants to the gradient, which is that of BatchNorm.
    """

    momentum: float = 0.99
    epsilon: float = 1e-5
    most_scale: float = 3.0
    most_shift: float = 5.0


@dataclass(frozen=True)
class Activation:
    """A nonlinearity: relu, silu, elu, tanh, or gelu (the approximation by a tanh)."""

    name: str


@dataclass(frozen=True)
class Residual:
    """x + layers(x), of layers that end in as many numbers as enter them; their parameters' names begin with its own,
    `Residual_0/Dense_0/kernel` say."""

    layers: tuple["Layer", ...]


Layer = Dense | LayerNorm | RMSNorm | BatchNorm | BatchRenorm | Activation | Residual
Layers = tuple[Layer, ...]

RUNNING = ("mean", "var")
"""Arrays whose names end in one of these are running statistics, flax's collection `batch_stats`; all others are
parameters."""

NORMS: Mapping[str, Layers] = {
    "none": (),
    "layer": (LayerNorm(),),
    "rms": (RMSNorm(),),
    "batch": (BatchNorm(),),
    "renorm": (BatchRenorm(),),
}
"""Normalisations by the names that configs have for them."""

OVER_BATCH = ("batch", "renorm")
"""Those of them that look at the whole batch, and keep running statistics."""

_PLAIN = {kind.__name__: kind for kind in (Dense, LayerNorm, RMSNorm, BatchNorm, BatchRenorm, Activation)}


class Normalizer(NamedTuple):
    """How observations are normalised: (x − mean) / √(variance + epsilon), clipped to ± clip."""

    epsilon: float = 1e-6
    clip: float = 10.0


NORMALIZER = Normalizer()
"""How softrl's own agents normalise."""


def perceptron(
    widths: Sequence[int], out: int, *, activation: str = "relu", norm: str = "none", head_scale: float = 1.0
) -> Layers:
    """Hidden layers of these widths, then a dense head.

    Args: `out`: size of the head; `head_scale`: of its initial weights; `norm`: one of `NORMS`, before each activation;
      LayerNorm keeps soft Q estimates of unseen actions bounded (Ball et al. 2023, arXiv:2302.02948).
    """
    hidden = [layer for width in widths for layer in (Dense(width), *NORMS[norm], Activation(activation))]
    return (*hidden, Dense(out, head_scale))


def residual(
    width: int,
    depth: int,
    out: int,
    *,
    activation: str = "relu",
    norm: str = "none",
    head_scale: float = 1.0,
    expansion: int = 4,
) -> Layers:
    """A dense layer, `depth` blocks x + Dense(activation(Dense(norm(x)))), a last norm, then a dense head.

    The blocks and the last norm are those of SimBa (Lee et al. 2024, arXiv:2410.09754). After batch norm the last one
    is RMSNorm, as in FlashSAC (arXiv:2604.04539), in whose ablation batch norm alone did harm.
    Args: `width`: of what goes from block to block, inside it is `expansion` times that; the others: `perceptron`.
    """
    inner = (Dense(expansion * width), Activation(activation), Dense(width))
    blocks = [Residual((*NORMS[norm], *inner))] * depth
    return (Dense(width), *blocks, *NORMS["rms" if norm in OVER_BATCH else norm], Dense(out, head_scale))


def named(layers: Layers) -> list[tuple[str, Layer]]:
    """Each layer with its parameters' name, as flax counts: `Dense_0`, `LayerNorm_0`, `Activation_0`, `Dense_1`, …"""
    kinds = [type(layer).__name__ for layer in layers]
    return [(f"{kind}_{kinds[:i].count(kind)}", layers[i]) for i, kind in enumerate(kinds)]


def shapes(layers: Layers, size: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """The shape of every array by name, such as `Dense_0/kernel`, and the size of what leaves.

    Parameters and running statistics, see `RUNNING`. Args: `size`: of what enters.
    Raises: ValueError for a residual block that does not end in as many numbers as enter it.
    """
    known: dict[str, tuple[int, ...]] = {}
    for name, layer in named(layers):
        match layer:
            case Dense():
                known |= {f"{name}/kernel": (size, layer.size), f"{name}/bias": (layer.size,)}
                size = layer.size
            case LayerNorm():
                known |= {f"{name}/{part}": (size,) for part in ("scale", "bias")}
            case RMSNorm():
                known |= {f"{name}/scale": (size,)}
            case BatchNorm() | BatchRenorm():
                known |= {f"{name}/{part}": (size,) for part in ("scale", "bias", *RUNNING)}
            case Residual(inner):
                within, out = shapes(inner, size)
                if out != size:
                    raise ValueError(f"{name}: its layers must end in {size} numbers, as many as enter, got {out}")
                known |= {f"{name}/{part}": shape for part, shape in within.items()}
    return known, size


def to_json(layers: Layers) -> list[list[Any]]:
    """Plain lists: each layer's kind and fields; of a residual block its layers, written alike."""
    return [
        ["Residual", to_json(layer.layers)] if isinstance(layer, Residual) else [type(layer).__name__, *astuple(layer)]
        for layer in layers
    ]


def from_json(data: list[list[Any]]) -> Layers:
    """The layers that `to_json` wrote. Raises: KeyError, TypeError or ValueError for kinds or fields that are not."""
    return tuple(_layer(*entry) for entry in data)


def _layer(kind: str, *fields: Any) -> Layer:
    if kind == "Residual":
        (inner,) = fields
        return Residual(from_json(inner))
    return _PLAIN[kind](*fields)
