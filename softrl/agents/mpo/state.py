"""What maximum a posteriori policy optimisation keeps and records."""

from typing import NamedTuple

import jax

from softrl.agents.descent import Trained
from softrl.agents.mpo.config import MPOConfig
from softrl.running_statistics import Statistics
from softrl.types import EnvSpec, Network, PyTree, Spec


class Targets(NamedTuple):
    """Parameters as they were at the last copy: of the old policy, which is asked for actions, and of the critics."""

    policy: PyTree
    critic: PyTree


class MPOState(NamedTuple):
    """All that learns.

    temperature: params is log η `[]`. multipliers: params is `Decoupled` log λ, `[A]` leaves. statistics: of
    observations.
    """

    policy: Trained
    critic: Trained
    target: Targets
    temperature: Trained
    multipliers: Trained
    statistics: Statistics


class MPOInfo(NamedTuple):
    """What may be thrown away after an update; scalars `[]`, those of trust regions means over action dimensions.

    entropy: −E[log π̄(a|s)] of the old policy's actions, nats. q: of these actions. kl_weights: of the E-step's weights
    from equal ones. *_grad_norm: before clipping.
    """

    entropy: jax.Array
    temperature: jax.Array
    q: jax.Array
    kl_weights: jax.Array
    kl_mean: jax.Array
    kl_std: jax.Array
    multiplier_mean: jax.Array
    multiplier_std: jax.Array
    critic_loss: jax.Array
    policy_loss: jax.Array
    critic_grad_norm: jax.Array
    policy_grad_norm: jax.Array


class Parts(NamedTuple):
    """The static pieces that an update is made of."""

    config: MPOConfig
    spec: Spec | EnvSpec
    policy: Network
    critic: Network
