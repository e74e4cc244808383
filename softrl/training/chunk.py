"""THE compiled step: one function from a run to the same run, some hundred vector steps later."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.training.collect import CollectInfo, collect
from softrl.training.learn import LearnInfo, blank, learn
from softrl.training.state import Program, RunState
from softrl.types import Hypers


class ChunkInfo(NamedTuple):
    """collect: sums over the chunk. learn: means over its learning steps, NaN where it had none."""

    collect: CollectInfo
    learn: LearnInfo


def chunk(program: Program, run: RunState, hypers: Hypers, *, length: int) -> tuple[RunState, ChunkInfo]:
    """`length` vector steps: again and again S × collect, then learn; nothing returns to Python inside.

    S is the replay's horizon: 1 for a replay of transitions.
    Args: `run`: one member (no leading axis); `hypers`: `[]` arrays; `length`: static, a multiple of S.
    """
    horizon = program.replay.horizon

    def step(run: RunState, _):
        run, collected = jax.lax.scan(
            lambda run, _: collect(program, run, hypers), run, None, length=horizon, unroll=horizon == 1
        )

        improve = partial(learn, program, hypers=hypers)

        def wait(clock, learner):
            return clock, learner, blank(jax.eval_shape(improve, clock, learner)[2])

        ready = run.clock.step.at_least(program.learning_starts)
        clock, learner, learned = jax.lax.cond(ready, improve, wait, run.clock, run.learner)
        return run._replace(clock=clock, learner=learner), ChunkInfo(collected, learned)

    run, infos = jax.lax.scan(step, run, None, length=length // horizon)
    collected = jax.tree.map(lambda x: jnp.sum(x, axis=(0, 1)), infos.collect)
    return run, ChunkInfo(collected, jax.tree.map(lambda x: jnp.nanmean(x, axis=0), infos.learn))
