"""Experience beside a fixed table of demonstrations, for algorithms that tell one from the other.

Unlike `mixed`, which pours both into one batch, a sample keeps them apart.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter
from softrl.replay.flat import FlatState, flat
from softrl.replay.recency import ReplayHypers
from softrl.types import Batch, EnvSpec, PyTree, Replay

FLOOR = 1e-6
"""Of the weight of rows older than the newest that are asked for: practically none."""


class Demonstrated(NamedTuple):
    """One sample. batch: experience to learn to act by, as the online replay gives it. recent: single steps of the
    newest experience. shown: demonstrations; rewards in it are 0."""

    batch: Batch
    recent: Batch
    shown: Batch


class DemonstratedState(NamedTuple):
    """online: the state of the replay of experience. shown: the table of D demonstrations."""

    online: PyTree
    shown: FlatState


class Sources(NamedTuple):
    """Static. single: as `online`, for windows of one step, of the same state. count: D. newest: of the algorithm's
    hypers how many transitions `recent` is drawn from."""

    online: Replay
    single: Replay
    table: Replay
    count: int
    newest: Callable[[Any], jax.Array]


def demonstrated(
    online: Replay, single: Replay, rows: NamedTuple, spec: EnvSpec, *, batch_size: int, newest: Callable
) -> Replay:
    """A replay of experience and D demonstrations, which yields `Demonstrated`, each part of `batch_size` rows.

    Args:
      online: keeps the experience, and wants no TD errors. single: a replay of the same state whose windows are of
        one step; it may be `online` itself.
      rows: `softrl.experience.batches.Rows`, `[D, ...]`, in memory of the host.
      newest: `(hypers of the algorithm) -> []`, over how many of the newest transitions `recent` is spread, the newest
        most.
    """
    count = len(rows.reward)
    table = flat(spec, capacity=count, batch_size=batch_size)
    sources = Sources(online, single, table, count, newest)
    return online._replace(
        init=partial(_init, sources, rows),
        add=lambda state, step, t: state._replace(online=online.add(state.online, step, t)),
        sample=partial(_sample, sources),
        sever=lambda state, step: state._replace(online=online.sever(state.online, step)),
    )


def _init(sources: Sources, rows: NamedTuple) -> DemonstratedState:
    obs, action, terminated, next_obs = jax.tree.map(
        jnp.asarray, (rows.obs, rows.action, rows.terminated, rows.next_obs)
    )
    shown = FlatState(obs, action, jnp.zeros(sources.count), terminated, next_obs, ())
    return DemonstratedState(sources.online.init(), shown)


def _sample(sources: Sources, state: DemonstratedState, step: Counter, key: jax.Array, hypers: Any) -> Demonstrated:
    keys = [jax.random.fold_in(key, i) for i in range(3)]
    drawn = lambda horizon, floor: replace(hypers, replay=ReplayHypers(horizon, jnp.float32(floor)))
    recent, uniform = drawn(sources.newest(hypers.agent), FLOOR), drawn(jnp.float32(jnp.inf), 1.0)
    return Demonstrated(
        sources.online.sample(state.online, step, keys[0], hypers),
        sources.single.sample(state.online, step, keys[1], recent),
        sources.table.sample(state.shown, Counter.of(sources.count), keys[2], uniform),
    )
