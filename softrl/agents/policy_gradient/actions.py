"""What the policy gradient must know of a kind of actions: how to draw one, and how probable one is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from softrl.agents.actor import Drawn, drawn
from softrl.agents.policy_gradient.config import PolicyGradientConfig
from softrl.distributions import categorical, tanh_gaussian
from softrl.types import Discrete, EnvSpec, Spec


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: what draws them. taken: `(action [B, ...])` -> what `log_prob` asks about. log_prob: `(distribution, taken)
    -> [B]`, in nats.
    """

    policy: Drawn
    taken: Callable[[jax.Array], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array]


def kind_of(config: PolicyGradientConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    policy = drawn(config, spec)
    if isinstance(spec.action, Discrete):
        return ActionKind(policy, lambda action: action, categorical.log_prob)
    # Near ±1 a close neighbour's probability stands for the action's, before an update and after it alike, so that
    # ratio and gradient are that neighbour's, and exact for it.
    return ActionKind(policy, tanh_gaussian.inverse, tanh_gaussian.log_prob)
