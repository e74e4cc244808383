"""Two replays as one: a share of each batch from demonstrations, the rest from experience.

Source: RLPD, Ball et al. 2023, arXiv:2302.02948 (half and half); HIL-SERL, Luo et al. 2024, arXiv:2410.21845.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter
from softrl.replay.recency import ReplayHypers
from softrl.types import Batch, Hypers, PyTree, Replay, Transition

EVEN = ReplayHypers(math.inf, 1.0)
"""How demonstrations are drawn: their order says nothing of their age."""


class MixedState(NamedTuple):
    """online, demonstrations: the states of both. added: demonstrations stored so far (the clock counts the others)."""

    online: PyTree
    demonstrations: PyTree
    added: Counter


class Mixture(NamedTuple):
    """Static. rows: of a batch that come from demonstrations. capacity: rows of the online ring, where the
    demonstrations' indices begin."""

    online: Replay
    demonstrations: Replay
    rows: int
    capacity: int


def mixed(online: Replay, demonstrations: Replay, *, rows: int, capacity: int) -> Replay:
    """Experience and demonstrations as one `Replay`; `add` adds experience, `add_demonstrations` the other.

    Args: `rows`: of each batch that are demonstrations, the last ones; `capacity`: of `online`. Both sample whole
    batches of one size B ≥ `rows`. As long as one of them is empty the other gives all rows.
    """
    mixture = Mixture(online, demonstrations, rows, capacity)
    return Replay(
        init=lambda: MixedState(online.init(), demonstrations.init(), Counter.of(0)),
        add=lambda state, step, t: state._replace(online=online.add(state.online, step, t)),
        sample=partial(_sample, mixture),
        feedback=partial(_feedback, mixture),
    )


def add_demonstrations(demonstrations: Replay, state: MixedState, transition: Transition) -> MixedState:
    """Stores the valid rows of `[W, ...]` demonstrations. Args: `demonstrations`: as given to `mixed`."""
    ring = demonstrations.add(state.demonstrations, state.added, transition)
    return state._replace(demonstrations=ring, added=state.added.plus(jnp.sum(transition.valid)))


def _sample(mixture: Mixture, state: MixedState, step: Counter, key: jax.Array, hypers: Any) -> Batch:
    ours = mixture.online.sample(state.online, step, jax.random.fold_in(key, 0), hypers)
    theirs = mixture.demonstrations.sample(
        state.demonstrations, state.added, jax.random.fold_in(key, 1), Hypers(hypers.agent, EVEN)
    )
    theirs = theirs._replace(index=theirs.index + mixture.capacity)
    size = ours.reward.shape[0]
    last = jnp.arange(size) >= size - mixture.rows
    shown = jnp.where(step.at_least(1), last & state.added.at_least(1), state.added.at_least(1))
    return jax.tree.map(lambda a, b: jnp.where(shown.reshape(-1, *(1,) * (a.ndim - 1)), b, a), ours, theirs)


def _feedback(mixture: Mixture, state: MixedState, index: jax.Array, td_error: jax.Array) -> MixedState:
    # Each ring ignores the indices of the other: they are outside its range.
    return state._replace(
        online=mixture.online.feedback(state.online, index, td_error),
        demonstrations=mixture.demonstrations.feedback(state.demonstrations, index - mixture.capacity, td_error),
    )
