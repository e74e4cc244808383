"""What the policy gradient must know of a kind of actions: how to draw one, and how probable one is."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from softrl.agents.actor import Drawn, drawn
from softrl.agents.policy_gradient.config import PolicyGradientConfig
from softrl.distributions import categorical, tanh_gaussian
from softrl.types import Discrete, EnvSpec, Spec


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: what draws them. log_prob: `(distribution, action [B, ...]) -> [B]`, in nats.
    """

    policy: Drawn
    log_prob: Callable[[Any, jax.Array], jax.Array]


def kind_of(config: PolicyGradientConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    policy = drawn(config, spec)
    if isinstance(spec.action, Discrete):
        return ActionKind(policy, categorical.log_prob)
    # float32 cannot tell actions at ±1 apart: they are one, of the probability of all that lies there, before an
    # update and after it alike, so that ratio and gradient are exact for it.
    return ActionKind(policy, partial(tanh_gaussian.log_prob_of_action, margin=1.0 - tanh_gaussian.LARGEST))
