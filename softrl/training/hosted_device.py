"""The device's part of a run whose environments are on the host: store vector steps, learn after each, or after as many
as the replay's horizon."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents import algorithm
from softrl.clock import Clock, Counter, Purpose, at
from softrl.envs.host import HostEnv
from softrl.errors import ConfigError
from softrl.training.assemble import Assembled
from softrl.training.collect import remember
from softrl.training.compilation import Wanted, compiled
from softrl.training.learn import LearnInfo, learn
from softrl.training.members import joined, single
from softrl.training.state import LearnerState, Program, Rollout, RunState, init_learner
from softrl.types import EnvState, Hypers, PyTree, Transition

State = tuple[Clock, LearnerState, PyTree]
"""What lives on the device: clock, learner and the agent's carry, the last two with a member axis of one."""


class DevicePrograms(NamedTuple):
    """Executables; store and improve donate their state.

    start: `(key, hypers) -> (learner, carry)`. store: `(state, hypers, rows) -> (state, policy)` adds the `train_freq`
    vector steps of `rows`, `[F, N, ...]`. improve: the same, learning after every S of them, the replay's horizon; also
    returns what `learn` returns as one array `[F / S, I]`. info: its type, filled with what to put in its place.
    """

    start: Callable[..., tuple[LearnerState, PyTree]]
    store: Callable[..., Any]
    improve: Callable[..., Any]
    info: LearnInfo


def compile_device(program: Program, abstract: RunState, hypers: Hypers, steps: int) -> DevicePrograms:
    """Compiles everything. Args: `abstract`: shapes of the run; `hypers`: `[1]` leaves; `steps`: of a call."""
    state = (abstract.clock, abstract.learner, abstract.rollout.carry)
    row = _transition_shapes(program.env)
    rows, once = (
        jax.tree.map(lambda s, count=count: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), row)
        for count in (steps, program.replay.horizon)
    )
    info = jax.eval_shape(lambda s, rows: _improve(_of_one(program), single(hypers), _alone(s), rows), state, once)[1]
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    start, store, learn = (
        jax.jit(partial(function, program), donate_argnums=donated)
        for function, donated in ((init, ()), (_store, 0), (_learn, 0))
    )
    learn, store, start = compiled(
        Wanted(partial(learn.lower, state, hypers, rows), busy=True),
        Wanted(partial(store.lower, state, hypers, rows)),
        Wanted(partial(start.lower, key, hypers)),
    )
    return DevicePrograms(start, store, learn, info)


def _transition_shapes(env: HostEnv) -> Transition:
    count, spec = env.spec.num_envs, env.spec
    obs = jax.tree.map(lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), spec.obs)
    flag, number = jax.ShapeDtypeStruct((count,), bool), jax.ShapeDtypeStruct((count,), jnp.float32)
    action = jax.ShapeDtypeStruct((count, *spec.action.shape), spec.action.dtype)
    return Transition(obs, action, number, flag, flag, obs, flag)


def init(program: Program, key: jax.Array, hypers: Hypers) -> tuple[LearnerState, PyTree]:
    """The learner and the agent's carry, with a member axis of one as every run has it."""
    carry = program.agent.carry(program.env.spec.num_envs, at(key, Counter.of(0), Purpose.CARRY))
    return joined((init_learner(program, key, single(hypers)), carry))


def _store(program: Program, state: State, hypers: Hypers, rows: Transition):
    """Adds F vector steps. Returns: the state and the policy to act by."""
    state, _ = jax.lax.scan(partial(_add, _of_one(program), single(hypers)), _alone(state), rows)
    return _together(state), program.agent.policy(state[1].agent)


def _learn(program: Program, state: State, hypers: Hypers, rows: Transition):
    """Adds F vector steps and learns after every S. Returns: as `_store`, and what `learn` returns, `[F / S, I]`."""
    calls = jax.tree.map(lambda x: x.reshape(-1, program.replay.horizon, *x.shape[1:]), rows)
    state, info = jax.lax.scan(partial(_improve, _of_one(program), single(hypers)), _alone(state), calls)
    numbers = jnp.stack(jax.tree.leaves(info), axis=-1)  # one array, since each costs the host a call
    return _together(state), program.agent.policy(state[1].agent), numbers


def _of_one(program: Program) -> Program:
    """The program whose replay has a member axis of one, for states of `_alone`."""
    add, sample, feedback = program.replay.add, program.replay.sample, program.replay.feedback
    replay = program.replay._replace(
        add=jax.vmap(add, in_axes=(0, None, None)),
        sample=lambda *of: single(jax.vmap(sample, in_axes=(0, None, None, None))(*of)),
        feedback=jax.vmap(feedback, in_axes=(0, None, None)),
    )
    return program._replace(replay=replay)


def _alone(state: State) -> State:
    """Without the member axis, but for the replay's: where that axis goes or comes XLA copies all that is stored."""
    clock, learner, carry = state
    agent, health, key, carry = single((learner.agent, learner.health, learner.key, carry))
    return clock, LearnerState(agent, learner.replay, health, key), carry


def _together(state: State) -> State:
    """The inverse of `_alone`."""
    clock, learner, carry = state
    agent, health, key, carry = joined((learner.agent, learner.health, learner.key, carry))
    return clock, LearnerState(agent, learner.replay, health, key), carry


def _add(program: Program, hypers: Hypers, state: State, row: Transition) -> tuple[State, None]:
    clock, learner, carry = state
    bad = jnp.sum(~row.valid, dtype=jnp.uint32)
    learner, carry = remember(program, learner, carry, clock.step, row, hypers, quarantined=bad)
    return (clock._replace(step=clock.step.plus(1)), learner, carry), None


def _improve(program: Program, hypers: Hypers, state: State, rows: Transition) -> tuple[State, LearnInfo]:
    add = partial(_add, program, hypers)
    (clock, learner, carry), _ = jax.lax.scan(add, state, rows, unroll=program.replay.horizon == 1)
    clock, learner, info = learn(program, clock, learner, hypers)
    return (clock, learner, carry), info


def require_possible(assembled: Assembled) -> None:
    """Refuses what host environments cannot do.

    Raises: ConfigError.
    """
    training = assembled.config.training
    if training.seeds != 1:
        raise ConfigError(
            f"{assembled.config.env.env} runs on the host, one member a process: set seeds 1, got {training.seeds}"
        )
    if training.data_shards != 1:
        raise ConfigError(f"{assembled.config.env.env} runs on the host: set data_shards 1, got {training.data_shards}")
    if assembled.config.env.reset_interval:
        raise ConfigError(
            f"{assembled.config.env.env} runs on the host, where each environment resets by itself: set "
            f"reset_interval 0, got {assembled.config.env.reset_interval}"
        )
    if training.chunk_steps % training.train_freq:
        raise ConfigError(
            f"chunk_steps must be a multiple of train_freq, {training.train_freq}; got {training.chunk_steps}: change "
            "either"
        )
    _require_whole_rollouts(assembled)


def _require_whole_rollouts(assembled: Assembled) -> None:
    """Refuses calls that are not of whole rollouts; for who learns from its own actions only, of more than one."""
    training, name = assembled.config.training, assembled.config.algorithm
    horizon, own = assembled.program.replay.horizon, not algorithm(name).off_policy
    if own and (training.overlap or training.train_freq != horizon):
        raise ConfigError(
            f"{name} learns from what its newest policy did, {horizon} vector steps at once: set overlap False and "
            f"train_freq {horizon}, got {training.overlap} and {training.train_freq}"
        )
    if training.train_freq % horizon:
        raise ConfigError(
            f"{name} learns from {horizon} vector steps at once: set train_freq to a multiple of {horizon}, got "
            f"{training.train_freq}"
        )


def abstract_state(assembled: Assembled) -> RunState:
    """Shapes and types of the run."""
    require_possible(assembled)
    env = assembled.program.env
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    hypers = jax.tree.map(lambda _: jax.ShapeDtypeStruct((1,), jnp.float32), assembled.hypers)
    learner, carry = jax.eval_shape(partial(init, assembled.program), key, hypers)
    zeros = jax.tree.map(lambda s: np.zeros((env.spec.num_envs, *s.shape), s.dtype), env.spec.obs)
    first = first_environment(env, zeros, np.zeros(2, np.uint32), np.zeros(env.snapshot_size, np.uint8), carry)
    clock = jax.eval_shape(Clock.start)
    host = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), first)
    return RunState(clock, learner, *host)


def first_environment(
    env: HostEnv, obs: PyTree, words: np.ndarray, sim: np.ndarray, carry: PyTree
) -> tuple[EnvState, Rollout]:
    """After a reset. Args: `obs`: `[N, ...]`; `words`: the run's key; `sim`: the environments' snapshot; `carry`: the
    agent's."""
    count = env.spec.num_envs
    none, zero = np.zeros((1, count), bool), np.zeros((1, count), np.float32)
    obs = jax.tree.map(lambda x: x[None], obs)
    episode, steps = np.zeros((1, count), np.uint32), np.zeros((1, count), np.int32)
    state = EnvState(obs, zero, none, none, obs, ~none, sim[None], words[None], episode, steps)
    return state, Rollout(carry, zero, steps)
