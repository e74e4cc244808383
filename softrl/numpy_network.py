"""A policy's network and head in NumPy alone: what acts where there is no XLA to wait for, on hosts and on robots."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from softrl.layers import Activation, BatchNorm, BatchRenorm, Dense, Layer, LayerNorm, Layers, Residual, RMSNorm, named

Step = Callable[[np.ndarray], np.ndarray]

_erf = np.vectorize(math.erf, otypes=[np.float32])

_GELU = math.sqrt(2.0 / math.pi)

ACTIVATIONS: dict[str, Step] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu": lambda x: 0.5 * x * (1.0 + np.tanh(_GELU * (x + 0.044715 * x * x * x))),
    "tanh": np.tanh,
}
"""By the names of `softrl.layers.Activation`."""

_MAPS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "tanh": lambda raw, low, high: 0.5 * (high + low) + 0.5 * (high - low) * np.tanh(raw),
    "clip": np.clip,
}
"""How a raw number gets within two bounds."""


class Scalar(NamedTuple):
    """The layers end in one number, a reward say, `[B, 1]`; what it "acts" is that number, `[B]`."""

    @property
    def outputs(self) -> int:
        """How many numbers the layers end in."""
        return 1

    @property
    def noise_inputs(self) -> int:
        """How many numbers of noise the layers take beside the observations."""
        return 0

    def act(self, out: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """The number, `[B]`."""
        return out[..., 0]

    def noise(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """None, `[*lead, 0]`: nothing is drawn."""
        return np.zeros((*lead, 0), np.float32)

    def explore(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Zeros, `[*lead]`."""
        return np.zeros(lead, np.float32)


class TanhGaussian(NamedTuple):
    """The layers end in mean and raw log standard deviation, `[B, 2 A]`, of a Gaussian before a tanh; A is `size`.

    map: how the raw number gets within log_std_min and log_std_max, `tanh` or `clip`.
    """

    size: int
    log_std_min: float
    log_std_max: float
    map: str = "tanh"

    @property
    def outputs(self) -> int:
        """How many numbers the layers end in."""
        return 2 * self.size

    @property
    def noise_inputs(self) -> int:
        """How many numbers of noise the layers take beside the observations."""
        return 0

    def act(self, out: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Actions in (−1, 1) `[B, A]`: the mode, or with `noise` `[B, A]` a draw."""
        mean, raw = out[..., : self.size], out[..., self.size :]  # np.split takes ten times as long
        if noise is not None:
            mean = mean + np.exp(_MAPS[self.map](raw, self.log_std_min, self.log_std_max)) * noise
        return np.tanh(mean)

    def noise(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Standard normal, `[*lead, A]`."""
        return rng.standard_normal((*lead, self.size), np.float32)

    def of_normal(self, normal: np.ndarray) -> np.ndarray:
        """Noise that standard normal numbers stand for: themselves."""
        return normal

    def explore(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Actions uniform on (−1, 1), `[*lead, A]`."""
        return rng.uniform(-1.0, 1.0, (*lead, self.size)).astype(np.float32)

    def uniform_of(self, normal: np.ndarray) -> np.ndarray:
        """The uniform actions that standard normal numbers stand for: 2 Φ(ε) − 1 = erf(ε / √2)."""
        return _erf(normal * math.sqrt(0.5))


class Categorical(NamedTuple):
    """The layers end in the logits `[B, n]` of n actions."""

    n: int

    @property
    def outputs(self) -> int:
        """How many numbers the layers end in."""
        return self.n

    @property
    def noise_inputs(self) -> int:
        """How many numbers of noise the layers take beside the observations."""
        return 0

    def act(self, out: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Actions `[B]` int32: the mode, or with `noise` `[B, n]` a draw."""
        return np.argmax(out if noise is None else out + noise, axis=-1).astype(np.int32)

    def noise(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Gumbel, `[*lead, n]`: the largest sum of logit and noise is at each action as often as it is probable."""
        return rng.gumbel(size=(*lead, self.n)).astype(np.float32)

    def of_normal(self, normal: np.ndarray) -> np.ndarray:
        """Noise that standard normal numbers `[..., 2 n]` stand for, as `softrl.distributions.categorical.transform`
        has it."""
        return -np.log(0.5 * (normal[..., : self.n] ** 2 + normal[..., self.n :] ** 2))

    def explore(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Any of n, `[*lead]` int32."""
        return rng.integers(0, self.n, lead).astype(np.int32)

    def uniform_of(self, normal: np.ndarray) -> np.ndarray:
        """The actions, any of n alike, that standard normal numbers `[..., 2 n]` stand for."""
        return self.of_normal(normal).argmax(-1).astype(np.int32)


class Sampler(NamedTuple):
    """The layers take observations and noise ξ, `[B, O + A]`, and end in f `[B, A]`: the action is tanh(ξ + f); A is
    `size`."""

    size: int

    @property
    def outputs(self) -> int:
        """How many numbers the layers end in."""
        return self.size

    @property
    def noise_inputs(self) -> int:
        """How many numbers of noise the layers take beside the observations."""
        return self.size

    def act(self, out: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Actions in (−1, 1) `[B, A]`, of the noise `[B, A]` that the layers took; None: of zeros, the mode."""
        return np.tanh(out if noise is None else out + noise)

    def noise(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Standard normal, `[*lead, A]`."""
        return rng.standard_normal((*lead, self.size), np.float32)

    def explore(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Actions uniform on (−1, 1), `[*lead, A]`."""
        return rng.uniform(-1.0, 1.0, (*lead, self.size)).astype(np.float32)


Head = TanhGaussian | Categorical | Sampler | Scalar
"""How the layers' output becomes actions."""


def steps(layers: Layers, arrays: Mapping[str, np.ndarray], prefix: str = "") -> list[Step]:
    """The layers as functions `[B, I] -> [B, O]`, their arrays from `arrays`, named as `layers.shapes` says."""
    return [make(arrays) for make in _makers(layers, prefix)]


@lru_cache(maxsize=64)
def _makers(layers: Layers, prefix: str) -> tuple[Callable[[Mapping[str, np.ndarray]], Step], ...]:
    """What makes each layer's function of the arrays: a host that acts by a new policy every step asks for no more."""
    return tuple(_maker(layer, f"{prefix}{name}/") for name, layer in named(layers))


def _maker(layer: Layer, prefix: str) -> Callable[[Mapping[str, np.ndarray]], Step]:
    of = lambda make, *parts: partial(_made, make, tuple(f"{prefix}{part}" for part in parts))
    match layer:
        case Dense():
            return of(partial(partial, _dense), "kernel", "bias")
        case LayerNorm(epsilon):
            return of(partial(partial, _layer_norm, np.float32(epsilon)), "scale", "bias")
        case RMSNorm(epsilon):
            return of(partial(partial, _rms_norm, np.float32(epsilon)), "scale")
        case BatchNorm(_, epsilon) | BatchRenorm(_, epsilon):
            return of(partial(_batch_norm, np.float32(epsilon)), "scale", "bias", "mean", "var")
        case Residual(inner):
            return lambda arrays: partial(_residual, steps(inner, arrays, prefix))
        case Activation(kind):
            return lambda arrays: ACTIVATIONS[kind]


def _made(make: Callable[..., Step], names: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> Step:
    return make(*(arrays[name] for name in names))


def run(steps: list[Step], x: np.ndarray) -> np.ndarray:
    """One step after the other."""
    for step in steps:
        x = step(x)
    return x


def _dense(kernel: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x @ kernel + bias


def _layer_norm(epsilon: np.float32, scale: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + epsilon)
    return x * scale + bias


def _rms_norm(epsilon: np.float32, scale: np.ndarray, x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + epsilon) * scale


def _batch_norm(epsilon: np.float32, scale: np.ndarray, bias: np.ndarray, mean: np.ndarray, var: np.ndarray) -> Step:
    """By running statistics, so the slope is known beforehand."""
    return partial(_scaled, mean, scale / np.sqrt(var + epsilon), bias)


def _scaled(mean: np.ndarray, slope: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x - mean) * slope + bias


def _residual(inner: list[Step], x: np.ndarray) -> np.ndarray:
    return x + run(inner, x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp would overflow, with a warning
