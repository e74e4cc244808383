"""A run is one pytree: `RunState = (clock, learner, env, rollout)`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.algorithm import Agent
from softrl.clock import Clock, Counter, Purpose, at
from softrl.training.health import Health
from softrl.types import Env, EnvState, Hypers, PyTree, Replay


class Falling(NamedTuple):
    """A number of updates that falls along half a cosine. end: where to. steps: after how many vector steps."""

    end: int
    steps: float


class Program(NamedTuple):
    """The static pieces that one compiled program is made of.

    env: None where environments are elsewhere; `learn` does not use it. updates_per_step: gradient updates a vector
    step, U; of a replay with a horizon, those after each. learning_starts: vector steps of exploring actions before the
    first update. falling: how U falls; None: it stays.
    """

    env: Env | None
    agent: Agent
    replay: Replay
    updates_per_step: int
    learning_starts: int
    falling: Falling | None = None


class LearnerState(NamedTuple):
    """What learns, what it learns from, how it fares, and the run's one key."""

    agent: PyTree
    replay: PyTree
    health: Health
    key: jax.Array


class Rollout(NamedTuple):
    """What each environment carries from step to step: the agent's carry, its running episode's return and length."""

    carry: PyTree
    episode_return: jax.Array
    episode_length: jax.Array


class RunState(NamedTuple):
    """One run, or M of them with a leading member axis on everything but the clock."""

    clock: Clock
    learner: LearnerState
    env: EnvState
    rollout: Rollout


def init_run(program: Program, key: jax.Array, hypers: Hypers) -> RunState:
    """The first state of a run, a function of its key and hyperparameters alone."""
    num_envs = program.env.spec.num_envs
    env = program.env.reset(at(key, Counter.of(0), Purpose.ENV))
    # Copies: where nothing is traced one buffer may stand in several places, and a donating call takes each once.
    env = jax.tree.map(jnp.copy, env)
    carry = program.agent.carry(num_envs, at(key, Counter.of(0), Purpose.CARRY))
    rollout = Rollout(carry, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))
    return RunState(Clock.start(), init_learner(program, key, hypers), env, rollout)


def init_learner(program: Program, key: jax.Array, hypers: Hypers) -> LearnerState:
    """The part of a run's first state that learns: what one needs whose environments are elsewhere."""
    agent = program.agent.init(at(key, Counter.of(0), Purpose.INIT), hypers.agent)
    return LearnerState(agent, program.replay.init(), Health.good(), key)
