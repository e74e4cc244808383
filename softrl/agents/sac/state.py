"""What soft actor-critic keeps, publishes and records."""

from typing import NamedTuple

import jax

from softrl.agents.descent import Trained
from softrl.agents.noise import NoiseState
from softrl.agents.prior import LogPrior
from softrl.agents.returns import ReturnStatistics
from softrl.agents.sac.actions import ActionKind
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.critic import Belief
from softrl.layers import Layers
from softrl.running_statistics import Statistics
from softrl.types import EnvSpec, Network, PyTree, Spec


class SACState(NamedTuple):
    """All that learns. `target` holds the critics' parameters, or the value network's where there is one; `()` without
    target network.

    value: `()` without a value network. temperature: params is log α `[]`, α in units of scaled reward. statistics: of
    observations. returns: of discounted returns, `()` where rewards are not scaled by them.
    """

    policy: Trained
    critic: Trained
    value: Trained | tuple[()]
    target: PyTree
    temperature: Trained
    statistics: Statistics
    returns: ReturnStatistics | tuple[()] = ()


class SACCarry(NamedTuple):
    """What N environments carry from step to step. noise: of exploration that is not white, else `()`. returns: `[N]`
    discounted returns so far, where rewards are scaled by returns, else `()`."""

    noise: NoiseState | tuple[()]
    returns: jax.Array | tuple[()]


class SACInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]`.

    entropy: −E[log π], nats. q: mean of the reduced ensemble at the policy's actions. *_grad_norm: before clipping.
    outside: mass of a categorical target beyond its atoms. reward_divisor: what rewards are divided by, 1 where returns
    do not scale them; temperature and q are multiplied by it. Policy entries are NaN where a delay left it alone.
    """

    critic_loss: jax.Array
    value_loss: jax.Array
    policy_loss: jax.Array
    temperature: jax.Array
    entropy: jax.Array
    q: jax.Array
    critic_grad_norm: jax.Array
    policy_grad_norm: jax.Array
    outside: jax.Array
    reward_divisor: jax.Array


class Stacks(NamedTuple):
    """The networks as data."""

    policy: Layers
    critic: Layers
    value: Layers


class Parts(NamedTuple):
    """The static pieces that an update is made of. belief: what critics believe of a return. base: nats by which the
    prior's measure shifts an entropy."""

    config: SACConfig
    spec: Spec | EnvSpec
    kind: ActionKind
    belief: Belief
    layers: Stacks
    value: Network
    log_prior: LogPrior
    base: float
