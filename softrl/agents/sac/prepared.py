"""A batch as the losses of soft actor-critic see it: normalised, selected, rewards scaled."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import running_statistics
from softrl.agents.observations import joined
from softrl.agents.sac.config import SACHypers
from softrl.agents.sac.state import Parts, SACState
from softrl.types import Batch, PyTree


class Seen(NamedTuple):
    """Observations as the networks see them, and as the environment gave them, for the action prior."""

    actor: jax.Array
    critic: jax.Array
    given: PyTree


class Prepared(NamedTuple):
    """A batch as the losses see it.

    between: the B (n − 1) observations after the first of n-step windows; between_discount: `[B, n − 1]` γⁱ, 0 beyond a
    window's end. Nothing is between where windows are of one step, or entropies do not count.
    """

    obs: Seen
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_obs: Seen
    weight: jax.Array
    between: Seen | tuple[()]
    between_discount: jax.Array


def prepared(parts: Parts, state: SACState, batch: Batch, hypers: SACHypers, divisor: jax.Array | float) -> Prepared:
    """Args: `divisor`: `[]`, what rewards are divided by, beside their multiplication by `reward_scale`."""
    between, between_discount = (), jnp.zeros((len(batch.reward), 0))
    if parts.config.n_step_entropy and batch.window != ():
        rest = jax.tree.map(lambda o: o[:, 1:].reshape(-1, *o.shape[2:]), batch.window.obs)
        between, between_discount = _seen(parts, state, rest), batch.window.discount[:, 1:]
    return Prepared(
        obs=_seen(parts, state, batch.obs),
        action=batch.action,
        reward=hypers.reward_scale * batch.reward / divisor,
        discount=batch.discount,
        next_obs=_seen(parts, state, batch.next_obs),
        weight=batch.weight,
        between=between,
        between_discount=between_discount,
    )


def _seen(parts: Parts, state: SACState, given: PyTree) -> Seen:
    obs = running_statistics.normalize(state.statistics, given) if parts.config.normalize_obs else given
    return Seen(joined(obs, parts.spec.actor_obs), joined(obs, parts.spec.critic_obs), given)
