"""U gradient updates: sample → update, scanned, without ever holding U batches."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.agents.schedule import cosine
from softrl.clock import Clock, Purpose, stream, tick
from softrl.training import health
from softrl.training.state import LearnerState, Program
from softrl.types import Hypers, PyTree


class LearnInfo(NamedTuple):
    """Averages over updates, NaN where none had a number.

    agent: the agent's own scalars, its info type. finite: share of updates whose losses and gradients were numbers.
    """

    agent: Any
    finite: jax.Array


def learn(
    program: Program, clock: Clock, learner: LearnerState, hypers: Hypers
) -> tuple[Clock, LearnerState, LearnInfo]:
    """`program.updates_per_step` times sample → update → feedback, or fewer where that number falls; a frozen member
    keeps its agent as it is.

    Args: `hypers`: `[]` arrays. Returns: the moved clock, the learner, and averaged info.
    """
    keys, due = [stream(learner.key, purpose) for purpose in (Purpose.SAMPLE, Purpose.UPDATE)], _due(program, clock)
    once = partial(_once, program, keys, hypers)

    def step(carry, i):
        return once(carry) if program.falling is None else jax.lax.cond(i < due, once, partial(_skip, once), carry)

    (clock, learner), infos = jax.lax.scan(step, (clock, learner), jnp.arange(program.updates_per_step))
    return clock, learner, jax.tree.map(jnp.nanmean, infos)


Learning = tuple[Clock, LearnerState]


def _once(program: Program, keys: list[jax.Array], hypers: Hypers, learning: Learning) -> tuple[Learning, LearnInfo]:
    """One update. Args: `keys`: of all samples and of all updates."""
    clock, learner = learning
    batch = program.replay.sample(learner.replay, clock.step, tick(keys[0], clock.update), hypers)
    key = tick(keys[1], clock.update)
    # Its shapes are asked for again and again: jit traces it once, and inlined it is the same program as without.
    update = jax.jit(program.agent.update, inline=True)

    def improve(agent):
        return update(agent, batch, hypers.agent, key, clock)

    def keep(agent):
        return agent, *blank(jax.eval_shape(improve, agent)[1:])

    agent, feedback, info = jax.lax.cond(learner.health.frozen, keep, improve, learner.agent)
    replay = learner.replay
    if not isinstance(feedback.td_error, tuple):
        replay = program.replay.feedback(replay, batch.index, feedback.td_error)
    fared = health.after_update(learner.health, feedback.finite | learner.health.frozen, clock.update)
    learner = learner._replace(agent=agent, replay=replay, health=fared)
    info = jax.tree.map(lambda x: x.astype(jnp.float32), LearnInfo(info, feedback.finite))
    return (clock._replace(update=clock.update.plus(1)), learner), info


def _skip(once: Callable[[Learning], tuple[Learning, LearnInfo]], learning: Learning) -> tuple[Learning, LearnInfo]:
    return learning, blank(jax.eval_shape(once, learning)[1])


def _due(program: Program, clock: Clock) -> jax.Array | int:
    """How many updates this step is worth; by the clock alone, which members share."""
    most, falling = program.updates_per_step, program.falling
    if falling is None:
        return most
    return jnp.round(most * cosine(clock.step, falling.end / most, falling.steps)).astype(jnp.int32)


def blank(shapes: PyTree) -> PyTree:
    """What stands for numbers that were not made: NaN, or 0 where a type has none."""
    return jax.tree.map(
        lambda s: jnp.full(s.shape, jnp.nan if jnp.issubdtype(s.dtype, jnp.inexact) else 0, s.dtype), shapes
    )
