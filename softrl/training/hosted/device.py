"""The device's part of a run whose environments are on the host: store vector steps, learn from each."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Clock
from softrl.envs.host import HostEnv
from softrl.training import health
from softrl.training.compilation import compiler_options
from softrl.training.hosted.member import joined, single
from softrl.training.learn import learn
from softrl.training.state import LearnerState, Program, init_learner
from softrl.types import PyTree, Transition


class Compiled(NamedTuple):
    """Executables; store and improve donate clock and learner.

    start: `(key, hypers) -> learner`. store: `(clock, learner, hypers, rows) -> (clock, learner, policy)` adds the
    `train_freq` vector steps of `rows`, `[F, N, ...]`. improve: the same, learning after each; also returns the agent's
    info as one array `[F, I]`. info: its type, filled with what to put in its place.
    """

    start: Callable[..., LearnerState]
    store: Callable[..., Any]
    improve: Callable[..., Any]
    info: PyTree


def compile_device(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, steps: int) -> Compiled:
    """Compiles everything. Args: shapes of the run's clock and learner; `hypers`: `[1]` leaves; `steps`: of a call."""
    row = _transition_shapes(program.env)
    rows = jax.tree.map(lambda s: jax.ShapeDtypeStruct((steps, *s.shape), s.dtype), row)
    shapes = (clock, learner, hypers, rows)
    info = jax.eval_shape(partial(_improve, program, hypers), (clock, learner), row)[1]
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    lowered = (
        jax.jit(partial(init, program)).lower(key, hypers),
        jax.jit(partial(_store, program), donate_argnums=(0, 1)).lower(*shapes),
        jax.jit(partial(_learn, program), donate_argnums=(0, 1)).lower(*shapes),
    )
    return Compiled(*(part.compile(compiler_options=compiler_options()) for part in lowered), info)


def _transition_shapes(env: HostEnv) -> Transition:
    count, spec = env.spec.num_envs, env.spec
    obs = jax.tree.map(lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), spec.obs)
    flag, number = jax.ShapeDtypeStruct((count,), bool), jax.ShapeDtypeStruct((count,), jnp.float32)
    action = jax.ShapeDtypeStruct((count, spec.action_size), jnp.float32)
    return Transition(obs, action, number, flag, flag, obs, flag)


def init(program: Program, key: jax.Array, hypers: PyTree) -> LearnerState:
    """The learner with a member axis of one, as every run has it."""
    return joined(init_learner(program, key, single(hypers)))


def _store(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, rows: Transition):
    """Adds F vector steps. Returns: clock, learner and the policy to act by."""
    (clock, learner), _ = jax.lax.scan(partial(_add, program), (clock, learner), rows)
    return clock, learner, program.agent.policy(single(learner).agent)


def _learn(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, rows: Transition):
    """Adds F vector steps and learns from each. Returns: as `_store`, and the agent's info, `[F, I]`."""
    (clock, learner), info = jax.lax.scan(partial(_improve, program, hypers), (clock, learner), rows)
    numbers = jnp.stack(jax.tree.leaves(info), axis=-1)  # one array, since each costs the host a call
    return clock, learner, program.agent.policy(single(learner).agent), numbers


def _add(program: Program, carry: tuple[Clock, LearnerState], row: Transition):
    clock, learner = carry[0], single(carry[1])
    learner = learner._replace(
        agent=program.agent.observe(learner.agent, row),
        replay=program.replay.add(learner.replay, clock.step, row),
        health=health.after_step(learner.health, row.valid),
    )
    return (clock._replace(step=clock.step.plus(1)), joined(learner)), None


def _improve(program: Program, hypers: PyTree, carry: tuple[Clock, LearnerState], row: Transition):
    # Without the barrier XLA writes the row once for those who read it and once for the result: two copies of replay.
    clock, learner = jax.lax.optimization_barrier(_add(program, carry, row)[0])
    clock, learner, info = learn(program, clock, single(learner), single(hypers))
    return (clock, joined(learner)), info.agent
