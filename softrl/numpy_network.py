"""A policy's network in NumPy alone: what acts where there is no XLA to wait for, on the host and on robots."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

_GELU = math.sqrt(2.0 / math.pi)

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu": lambda x: 0.5 * x * (1.0 + np.tanh(_GELU * (x + 0.044715 * x * x * x))),
    "tanh": np.tanh,
}
"""By the names of `SACConfig.activation`; GELU is flax's, by a tanh."""


class Layer(NamedTuple):
    """A dense layer: kernel `[I, H]`, bias `[H]`; scale and shift `[H]` where LayerNorm follows it."""

    kernel: np.ndarray
    bias: np.ndarray
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None


def normalized(x: np.ndarray, mean: np.ndarray, variance: np.ndarray, *, epsilon: float, clip: float) -> np.ndarray:
    """(x − mean) / √(variance + epsilon), clipped to ± clip."""
    return np.clip((x - mean) / np.sqrt(variance + np.float32(epsilon)), -clip, clip)


def perceptron(
    x: np.ndarray, hidden: Iterable[Layer], head: Layer, *, activation: str, layer_norm_epsilon: float
) -> np.ndarray:
    """The head's output, of observations `x` `[B, O]` that went through the hidden layers."""
    for layer in hidden:
        x = x @ layer.kernel + layer.bias
        if layer.scale is not None:
            x = x - x.mean(axis=-1, keepdims=True)
            x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(layer_norm_epsilon))
            x = x * layer.scale + layer.shift
        x = ACTIVATIONS[activation](x)
    return x @ head.kernel + head.bias


def tanh_gaussian(out: np.ndarray, noise: np.ndarray | None, *, log_std_min: float, log_std_max: float) -> np.ndarray:
    """Actions in (−1, 1): the mode, or a draw.

    Args: `out`: `[B, 2 A]`, mean and raw log standard deviation, which a tanh squashes into its range; `noise`:
      standard normal `[B, A]`; None: the mode.
    """
    actions = out.shape[-1] // 2
    mean, raw = out[..., :actions], out[..., actions:]  # np.split takes ten times as long
    if noise is not None:
        half, middle = 0.5 * (log_std_max - log_std_min), 0.5 * (log_std_max + log_std_min)
        mean = mean + np.exp(middle + half * np.tanh(raw)) * noise
    return np.tanh(mean)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp would overflow, with a warning
