"""The device's part of a run whose environments are on the host: store a vector step, learn from it."""

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

    start: `(key, hypers) -> learner`. store: `(clock, learner, hypers, rows) -> (clock, learner, policy)` adds one
    vector step. improve: the same and then learns; also returns the agent's info as one array. info: its type, filled
    with what to put in its place.
    """

    start: Callable[..., LearnerState]
    store: Callable[..., Any]
    improve: Callable[..., Any]
    info: PyTree


def compile_device(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree) -> Compiled:
    """Compiles everything. Args: shapes of the run's clock and learner; `hypers`: `[1]` leaves."""
    shapes = (clock, learner, hypers, _transition_shapes(program.env))
    info = jax.eval_shape(partial(_improve, program), *shapes)[3]
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    lowered = (
        jax.jit(partial(init, program)).lower(key, hypers),
        jax.jit(partial(_store, program), donate_argnums=(0, 1)).lower(*shapes),
        jax.jit(partial(_numbered, program), donate_argnums=(0, 1)).lower(*shapes),
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
    """Adds one vector step. Returns: clock, learner and the policy to act by."""
    learner = single(learner)
    learner = learner._replace(
        agent=program.agent.observe(learner.agent, rows),
        replay=program.replay.add(learner.replay, clock.step, rows),
        health=health.after_step(learner.health, rows.valid),
    )
    clock = clock._replace(step=clock.step.plus(1))
    return clock, joined(learner), program.agent.policy(learner.agent)


def _improve(program: Program, clock: Clock, learner: LearnerState, hypers: PyTree, rows: Transition):
    """Adds one vector step and learns. Returns: as `_store`, and the agent's info."""
    clock, learner, _ = _store(program, clock, learner, hypers, rows)
    # Without it XLA writes the row once for those who read it and once for the result: two copies of replay a step.
    clock, learner = jax.lax.optimization_barrier((clock, learner))
    clock, learner, info = learn(program, clock, single(learner), single(hypers))
    return clock, joined(learner), program.agent.policy(learner.agent), info.agent


def _numbered(program: Program, *args):
    clock, learner, policy, info = _improve(program, *args)
    return clock, learner, policy, jnp.stack(jax.tree.leaves(info))  # one array, since each costs the host a call
