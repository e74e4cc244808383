"""U gradient updates: sample → update, scanned, without ever holding U batches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Clock, Purpose, stream, tick
from softrl.training import health
from softrl.training.state import LearnerState, Program
from softrl.types import PyTree


class LearnInfo(NamedTuple):
    """The agent's own scalars, averaged over the updates that had them (NaN where none had). `agent`: its info type."""

    agent: Any


def learn(
    program: Program, clock: Clock, learner: LearnerState, hypers: PyTree
) -> tuple[Clock, LearnerState, LearnInfo]:
    """`program.updates_per_step` times sample → update → feedback; a frozen member keeps its agent as it is.

    Args: `hypers`: the agent's, as `[]` arrays. Returns: the moved clock, the learner, and averaged info.
    """

    sampling, updating = stream(learner.key, Purpose.SAMPLE), stream(learner.key, Purpose.UPDATE)

    def update(carry, _):
        clock, learner = carry
        batch = program.replay.sample(learner.replay, clock.step, tick(sampling, clock.update), hypers)
        key = tick(updating, clock.update)

        def improve(agent):
            return program.agent.update(agent, batch, hypers, key, clock)

        agent, info = jax.lax.cond(learner.health.frozen, lambda a: (a, _no_info(improve, a)), improve, learner.agent)
        learner = learner._replace(
            agent=agent,
            replay=program.replay.feedback(learner.replay, batch.index, info.td_error),
            health=health.after_update(learner.health, info.finite | learner.health.frozen, clock.update),
        )
        return (clock._replace(update=clock.update.plus(1)), learner), info._replace(td_error=())

    (clock, learner), infos = jax.lax.scan(update, (clock, learner), None, length=program.updates_per_step)
    return clock, learner, LearnInfo(jax.tree.map(lambda x: jnp.nanmean(x.astype(jnp.float32)), infos))


def _no_info(improve, agent: PyTree) -> Any:
    shapes = jax.eval_shape(improve, agent)[1]
    return jax.tree.map(
        lambda s: jnp.full(s.shape, jnp.nan if jnp.issubdtype(s.dtype, jnp.inexact) else 0, s.dtype), shapes
    )
