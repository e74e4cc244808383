"""What soft Q-learning keeps, publishes and records."""

from typing import NamedTuple

import jax

from softrl.agents.descent import Trained
from softrl.agents.soft_q.actions import ActionKind
from softrl.agents.soft_q.config import SoftQConfig
from softrl.running_statistics import Statistics
from softrl.types import EnvSpec, PyTree, Spec


class SoftQState(NamedTuple):
    """All that learns. target: the critics' parameters, later.

    sampler: `()` of discrete actions. temperature: α `[]` of the last update, which the policy of a critic must know.
    statistics: of observations.
    """

    critic: Trained
    sampler: Trained | tuple[()]
    target: PyTree
    temperature: jax.Array
    statistics: Statistics


class SoftQInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]`.

    v, q, entropy: of the Boltzmann policy at the states that follow, by the target critics; v = q + α entropy.
    stein_norm, policy_grad_norm: of the sampler; 0 of discrete actions. *_grad_norm: before clipping.
    """

    v: jax.Array
    q: jax.Array
    entropy: jax.Array
    critic_loss: jax.Array
    stein_norm: jax.Array
    critic_grad_norm: jax.Array
    policy_grad_norm: jax.Array


class Parts(NamedTuple):
    """The static pieces that an update is made of."""

    config: SoftQConfig
    spec: Spec | EnvSpec
    kind: ActionKind
