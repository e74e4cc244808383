"""What the policy gradient keeps and records."""

from typing import NamedTuple

import jax

from softrl.agents.descent import Trained
from softrl.agents.policy_gradient.actions import ActionKind
from softrl.agents.policy_gradient.config import PolicyGradientConfig
from softrl.agents.prior import LogPrior
from softrl.running_statistics import Statistics
from softrl.types import EnvSpec, Network, Spec


class PolicyGradientState(NamedTuple):
    """All that learns.

    value: soft, V(s). temperature: params is log α `[]`. statistics: of observations, at every step. acting: those by
    which the policy acts and learns, as they were when the rollout began: what acted is known at its end.
    """

    policy: Trained
    value: Trained
    temperature: Trained
    statistics: Statistics
    acting: Statistics


class PolicyGradientInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]`, of all minibatches the means.

    entropy: of the policy that acted, nats. kl: to it, E[ρ − 1 − log ρ] with ρ = π/π_old, nats. *_grad_norm: before
    clipping.
    """

    entropy: jax.Array
    temperature: jax.Array
    policy_loss: jax.Array
    value_loss: jax.Array
    kl: jax.Array
    clip_fraction: jax.Array
    explained_variance: jax.Array
    policy_grad_norm: jax.Array
    value_grad_norm: jax.Array


class Parts(NamedTuple):
    """The static pieces that an update is made of.

    log_prior: None for plain entropy. base: nats by which the prior's measure shifts an entropy.
    """

    config: PolicyGradientConfig
    spec: Spec | EnvSpec
    kind: ActionKind
    value: Network
    log_prior: LogPrior | None
    base: float
