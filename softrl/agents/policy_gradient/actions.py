"""What the policy gradient must know of a kind of actions: how probable one is, and how to draw one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl import networks
from softrl.agents.actor import policy_layers
from softrl.agents.observations import size
from softrl.agents.policy_gradient.config import PolicyGradientConfig
from softrl.distributions import categorical, tanh_gaussian
from softrl.types import Discrete, EnvSpec, Network, Spec

LARGEST = 1.0 - 1e-6
"""Of a continuous action, as far as its probability counts: tanh⁻¹ is 7.25 here and infinite at 1, to which float32
rounds tanh u from u = 9 on. Beyond it a close neighbour's probability stands for the action's, before an update and
after it alike, so that ratio and gradient are that neighbour's, and exact for it."""


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: network from observations to a distribution. taken: `(action [B, ...])` -> what `log_prob` asks about.
    log_prob: `(distribution, taken) -> [B]`, in nats. sample: `(key, distribution) -> action`. mode: `(distribution) ->
    action`.
    """

    policy: Network
    taken: Callable[[jax.Array], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array]
    sample: Callable[[jax.Array, Any], jax.Array]
    mode: Callable[[Any], jax.Array]


def kind_of(config: PolicyGradientConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    layers, obs_size = policy_layers(config, spec.action), size(spec.obs, spec.actor_obs)
    if isinstance(spec.action, Discrete):
        policy = networks.categorical_policy(layers, obs_size)
        sample = lambda key, dist: categorical.sample(key, dist)[0]
        return ActionKind(policy, lambda action: action, categorical.log_prob, sample, categorical.mode)
    bounds = {name: getattr(config, name) for name in ("log_std_min", "log_std_max", "log_std_map")}
    return ActionKind(
        policy=networks.policy(layers, obs_size, **bounds),
        taken=lambda action: jnp.arctanh(jnp.clip(action, -LARGEST, LARGEST)),
        log_prob=tanh_gaussian.log_prob,
        sample=lambda key, dist: tanh_gaussian.sample(key, dist)[0],
        mode=tanh_gaussian.mode,
    )
