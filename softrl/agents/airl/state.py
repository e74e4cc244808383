"""What adversarial inverse reinforcement learning keeps, publishes and records."""

from typing import NamedTuple

import jax

from softrl.agents.airl.reward import RewardNetworks
from softrl.agents.descent import Trained
from softrl.agents.policy import Policy
from softrl.agents.sac.actions import ActionKind
from softrl.agents.sac.state import SACInfo, SACState
from softrl.algorithm import Agent
from softrl.types import EnvSpec, PyTree, Spec


class AIRLState(NamedTuple):
    """All that learns. actor_critic: soft actor-critic's, observations' statistics among it. reward: g and h, params is
    `Shaped`. after: the mean of h after a step; `()` where shaping is sampled."""

    actor_critic: SACState
    reward: Trained
    after: Trained | tuple[()]


class AIRLPolicy(NamedTuple):
    """Enough to act, and the reward that was learned with it. reward: parameters of g, measured against the end's."""

    actor: Policy
    reward: PyTree


AIRLInfo = NamedTuple(
    "AIRLInfo",
    [(name, jax.Array) for name in ("discriminator_loss", "told_apart", "learned_reward", *SACInfo._fields)],
)
"""What may be thrown away after an update; scalars `[]`. Those of soft actor-critic are in nats here."""


class Parts(NamedTuple):
    """The static pieces that an update is made of. kind: of the robot's actions."""

    spec: Spec | EnvSpec
    actor_critic: Agent
    kind: ActionKind
    nets: RewardNetworks
