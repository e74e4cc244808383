"""What soft actor-critic keeps, publishes and records."""

from typing import NamedTuple

import jax

from softrl.agents.descent import Trained
from softrl.agents.noise import NoiseState
from softrl.agents.prior import LogPrior
from softrl.agents.sac.actions import ActionKind
from softrl.agents.sac.config import SACConfig
from softrl.running_statistics import Statistics
from softrl.types import EnvSpec, Network, PyTree, Spec


class SACState(NamedTuple):
    """All that learns. `target` holds the critics' parameters, or the value network's where there is one.

    value: `()` without a value network. temperature: params is log α `[]`. statistics: of observations.
    """

    policy: Trained
    critic: Trained
    value: Trained | tuple[()]
    target: PyTree
    temperature: Trained
    statistics: Statistics


class SACCarry(NamedTuple):
    """What N environments carry from step to step. noise: of exploration that is not white. returns: nothing yet."""

    noise: NoiseState
    returns: tuple[()] = ()


class SACInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]`.

    entropy: −E[log π], nats. q: mean of the reduced ensemble at the policy's actions. *_grad_norm: before clipping.
    Policy entries are NaN where a delay left the policy alone.
    """

    critic_loss: jax.Array
    value_loss: jax.Array
    policy_loss: jax.Array
    temperature: jax.Array
    entropy: jax.Array
    q: jax.Array
    critic_grad_norm: jax.Array
    policy_grad_norm: jax.Array


class Parts(NamedTuple):
    """The static pieces that an update is made of. base: nats by which the prior's measure shifts an entropy."""

    config: SACConfig
    spec: Spec | EnvSpec
    kind: ActionKind
    value: Network
    log_prior: LogPrior
    base: float
