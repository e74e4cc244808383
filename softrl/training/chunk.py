"""THE compiled step: one function from a run to the same run, some hundred vector steps later."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.training.collect import CollectInfo, collect
from softrl.training.learn import LearnInfo, learn
from softrl.training.state import Program, RunState
from softrl.types import PyTree


class ChunkInfo(NamedTuple):
    """collect: sums over the chunk. learn: means over its learning steps, NaN where it had none."""

    collect: CollectInfo
    learn: LearnInfo


def chunk(program: Program, run: RunState, hypers: PyTree, *, length: int) -> tuple[RunState, ChunkInfo]:
    """`length` vector steps, each collect then learn; nothing returns to Python inside.

    Args: `run`: one member (no leading axis); `hypers`: the agent's, as `[]` arrays; `length`: static.
    """

    def step(run: RunState, _):
        run, collected = collect(program, run)

        def improve(clock, learner):
            return learn(program, clock, learner, hypers)

        def wait(clock, learner):
            blank = jax.tree.map(
                lambda s: jnp.full(s.shape, jnp.nan, s.dtype), jax.eval_shape(improve, clock, learner)[2]
            )
            return clock, learner, blank

        ready = run.clock.step.at_least(program.learning_starts)
        clock, learner, learned = jax.lax.cond(ready, improve, wait, run.clock, run.learner)
        return run._replace(clock=clock, learner=learner), ChunkInfo(collected, learned)

    run, infos = jax.lax.scan(step, run, None, length=length)
    collected = jax.tree.map(lambda x: jnp.sum(x, axis=0), infos.collect)
    return run, ChunkInfo(collected, jax.tree.map(lambda x: jnp.nanmean(x, axis=0), infos.learn))
