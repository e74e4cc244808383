"""What acts, for algorithms whose config has the fields of `Style`: the policy's network as data, and it in NumPy."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import jax

from softrl import networks
from softrl.agents.observations import size
from softrl.agents.policy import Policy, in_numpy, widths
from softrl.config import Was
from softrl.distributions import categorical, tanh_gaussian
from softrl.errors import ConfigError
from softrl.layers import Layers, perceptron, residual
from softrl.numpy_network import Categorical, Head, TanhGaussian
from softrl.numpy_policy import NumpyPolicy
from softrl.types import Action, Discrete, EnvSpec, Network, Spec

LAYER_NORM = Was("layer_norm", ((True, "layer"), (False, "none")))
"""What older versions called a config's `norm`."""


class Hidden(Protocol):
    """What is read of an algorithm's config of every network's hidden layers."""

    width: int
    depth: int
    activation: str
    norm: str
    residual: bool


class Style(Hidden, Protocol):
    """What is read of an algorithm's config of its policy."""

    policy_widths: str
    normalize_obs: bool
    log_std_min: float
    log_std_max: float
    log_std_map: str


def layers(style: Hidden, spelled: str, out: int, *, head_scale: float = 1.0) -> Layers:
    """Of a network that ends in `out` numbers. Args: `spelled`: see `softrl.agents.policy.widths`."""
    hidden = widths(spelled, style.width, style.depth)
    form: dict[str, Any] = {"activation": style.activation, "norm": style.norm, "head_scale": head_scale}
    if style.residual:
        return residual(hidden[0] if hidden else style.width, len(hidden), out, **form)
    return perceptron(hidden, out, **form)


def policy_layers(style: Style, action: Action) -> Layers:
    """The policy's; a small head starts every action near zero, every raw log std too, and all of n actions alike."""
    out = action.n if isinstance(action, Discrete) else 2 * action.size
    return layers(style, style.policy_widths, out, head_scale=0.01)


class Drawn(NamedTuple):
    """A policy's actions. network: from observations to a distribution. sample: `(key, distribution) -> action`. mode:
    `(distribution) -> action`."""

    network: Network
    sample: Callable[[jax.Array, Any], jax.Array]
    mode: Callable[[Any], jax.Array]


def drawn(style: Style, spec: Spec | EnvSpec, *, precision: str = "float32") -> Drawn:
    """The policy of a robot's actions: categorical over n, or a tanh-Gaussian."""
    obs_size, known = size(spec.obs, spec.actor_obs), policy_layers(style, spec.action)
    if isinstance(spec.action, Discrete):
        network, kind = networks.categorical_policy(known, obs_size, precision=precision), categorical
    else:
        bounds = {name: getattr(style, name) for name in ("log_std_min", "log_std_max", "log_std_map")}
        network, kind = networks.policy(known, obs_size, precision=precision, **bounds), tanh_gaussian
    return Drawn(network, lambda key, dist: kind.sample(key, dist)[0], kind.mode)


def head(style: Style, action: Action) -> Head:
    """How the policy network's output becomes actions."""
    if isinstance(action, Discrete):
        return Categorical(action.n)
    return TanhGaussian(action.size, style.log_std_min, style.log_std_max, style.log_std_map)


def actor(style: Style, spec: Spec | EnvSpec, policy: Policy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, see `softrl.agents.policy.in_numpy`."""
    network, out = _static(style, spec.action)
    return in_numpy(policy, spec, network, out, normalize=style.normalize_obs, version=version)


@lru_cache(maxsize=8)
def _static(style: Style, action: Action) -> tuple[Layers, Head]:
    """What does not change while a policy learns."""
    return policy_layers(style, action), head(style, action)


def require_networks(style: Style, *spelled: str) -> None:
    """Raises: ConfigError where bounds are none, or a field of these names spells no widths, or unequal ones for
    residual blocks."""
    low, high = style.log_std_min, style.log_std_max
    if low >= high:
        raise ConfigError(f"log_std_min {low:g} must be below log_std_max {high:g}")
    require_widths(style, *spelled)
    for name in spelled if style.residual else ():
        if len(set(widths(given := getattr(style, name), 0, 0))) > 1:
            raise ConfigError(
                f"{name} must be equal with residual blocks, which add up; got {given!r}: make them equal, or leave "
                "residual out"
            )


def require_widths(config: Any, *spelled: str) -> None:
    """Raises: ConfigError where a field of these names spells no widths."""
    for name in spelled:
        if not re.fullmatch(r"|[1-9]\d*( *, *[1-9]\d*)*", given := getattr(config, name)):
            raise ConfigError(f"{name} must be whole numbers from 1 with commas between them, got {given!r}")
