"""Lanes: on a CPU members are shared out among threads that all run the same compiled program, each on its share.

The matrix products of one update are too small to keep every core busy; those of two members side by side do. Each
member runs the instructions that it would run alone, so its bits do not depend on who runs beside it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softrl.training.state import RunState
from softrl.types import PyTree

Chunk = Callable[[RunState, PyTree], tuple[RunState, Any]]
"""As `softrl.training.programs.RunPrograms.chunk`."""


def count(how: str, members: int) -> int:
    """Lanes for so many members: the greatest number that divides them and is at most the cores at hand.

    Args: `how`: as `softrl.training.members.scheme` returns it; under `vmap` there is one lane.
    """
    most = min(members, len(cores())) if how == "sequential" else 1
    return next(lanes for lanes in range(most, 0, -1) if members % lanes == 0)


def cores() -> list[int]:
    """The processor cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def split(lanes: int, run: RunState, hypers: PyTree) -> list[tuple[RunState, PyTree]]:
    """Each lane's members, in order; the clock is everybody's. Args: `run`, `hypers`: `[M, ...]` leaves."""

    def members_of(lane: int) -> tuple[RunState, PyTree]:
        def cut(x: jax.Array) -> jax.Array:
            width = x.shape[0] // lanes
            return x[lane * width : (lane + 1) * width]

        learner, env, rollout, own = jax.tree.map(cut, (run.learner, run.env, run.rollout, hypers))
        # A clock of its own, since the lane's program consumes it.
        return RunState(jax.tree.map(jnp.copy, run.clock), learner, env, rollout), own

    return [members_of(lane) for lane in range(lanes)]


def one_lane(lanes: int, run: RunState, hypers: PyTree) -> tuple[RunState, PyTree]:
    """Shapes and types of what one lane's program takes; with a single lane, and its shardings, all that there is."""
    return jax.eval_shape(partial(split, lanes), run, hypers)[0] if lanes > 1 else (run, hypers)


def join(results: list[tuple[RunState, Any]]) -> tuple[RunState, Any]:
    """The members of all lanes again, in order."""
    runs, infos = zip(*results, strict=True)
    members = [((run.learner, run.env, run.rollout), info) for run, info in zip(runs, infos, strict=True)]
    state, info = jax.tree.map(lambda *parts: jnp.concatenate(parts), *members)
    return RunState(runs[0].clock, *state), info


def side_by_side(chunk: Chunk, lanes: int) -> Chunk:
    """The chunk of all members from that of one lane. Consumes its run, which is in memory twice for a moment."""
    if lanes == 1:
        return chunk
    cut, glue = jax.jit(partial(split, lanes)), jax.jit(join)

    def together(run: RunState, hypers: PyTree) -> tuple[RunState, Any]:
        parts = cut(run, hypers)
        jax.tree.map(lambda x: x.delete(), run)
        with ThreadPoolExecutor(lanes) as pool:
            results = list(pool.map(lambda part: jax.block_until_ready(chunk(*part)), parts))
        return glue(results)

    return together
