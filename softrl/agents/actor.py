"""What acts, for algorithms whose config has the fields of `Style`: the policy's network as data, and it in NumPy."""

import re
from typing import Protocol

from softrl.agents.policy import Policy, in_numpy, widths
from softrl.errors import ConfigError
from softrl.layers import Layers, perceptron
from softrl.numpy_network import Categorical, Head, TanhGaussian
from softrl.numpy_policy import NumpyPolicy
from softrl.types import Action, Discrete, EnvSpec, Spec


class Style(Protocol):
    """What is read of an algorithm's config."""

    width: int
    depth: int
    policy_widths: str
    activation: str
    layer_norm: bool
    normalize_obs: bool
    log_std_min: float
    log_std_max: float
    log_std_map: str


def layers(style: Style, spelled: str, out: int, *, head_scale: float = 1.0) -> Layers:
    """Of a network that ends in `out` numbers. Args: `spelled`: see `softrl.agents.policy.widths`."""
    hidden = widths(spelled, style.width, style.depth)
    return perceptron(hidden, out, head_scale=head_scale, activation=style.activation, layer_norm=style.layer_norm)


def policy_layers(style: Style, action: Action) -> Layers:
    """The policy's; a small head starts every action near zero, every raw log std too, and all of n actions alike."""
    out = action.n if isinstance(action, Discrete) else 2 * action.size
    return layers(style, style.policy_widths, out, head_scale=0.01)


def head(style: Style, action: Action) -> Head:
    """How the policy network's output becomes actions."""
    if isinstance(action, Discrete):
        return Categorical(action.n)
    return TanhGaussian(action.size, style.log_std_min, style.log_std_max, style.log_std_map)


def actor(style: Style, spec: Spec | EnvSpec, policy: Policy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, see `softrl.agents.policy.in_numpy`."""
    network, out = policy_layers(style, spec.action), head(style, spec.action)
    return in_numpy(policy, spec, network, out, normalize=style.normalize_obs, version=version)


def require_networks(style: Style, *spelled: str) -> None:
    """Raises: ConfigError where bounds are none, or a field of these names spells no widths."""
    low, high = style.log_std_min, style.log_std_max
    if low >= high:
        raise ConfigError(f"log_std_min {low:g} must be below log_std_max {high:g}")
    for name in spelled:
        if not re.fullmatch(r"|[1-9]\d*( *, *[1-9]\d*)*", given := getattr(style, name)):
            raise ConfigError(f"{name} must be whole numbers from 1 with commas between them, got {given!r}")
