"""What a learner computes, as pure functions of one pytree: store rows, improve, act."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.agents import algorithm, numbers_for
from softrl.clock import Clock, Counter, Purpose, at
from softrl.learner.config import LearnerConfig
from softrl.replay import add_demonstrations, flat, mixed
from softrl.training.collect import remember
from softrl.training.learn import learn
from softrl.training.state import LearnerState, Program, init_learner
from softrl.types import Hypers, PyTree, Replay, Spec, Transition


class LearnerParts(NamedTuple):
    """The static pieces. demonstrations: the second ring, None where there is none."""

    program: Program
    demonstrations: Replay | None
    spec: Spec
    learning_starts: int


class State(NamedTuple):
    """A learner as one pytree. clock.step counts the transitions stored (demonstrations apart), acts the calls of
    `act` that drew random numbers."""

    clock: Clock
    acts: Counter
    learner: LearnerState


def parts(config: LearnerConfig, spec: Spec, replay_capacity: int) -> LearnerParts:
    """The pieces of a learner; nothing is allocated."""
    sampling = config.sampling
    ring = partial(
        flat,
        spec,
        batch_size=sampling.batch_size,
        priority_exponent=sampling.priority_exponent,
        importance_exponent=sampling.importance_exponent,
    )
    replay, demonstrations = ring(capacity=replay_capacity), None
    if config.demonstration_rows:
        demonstrations = ring(capacity=sampling.demonstration_capacity)
        replay = mixed(replay, demonstrations, rows=config.demonstration_rows, capacity=replay_capacity)
    agent = algorithm(config.algorithm).build(config.agent, spec)
    program = Program(None, agent, replay, updates_per_step=1, learning_starts=0)
    return LearnerParts(program, demonstrations, spec, sampling.learning_starts)


def numbers(config: LearnerConfig, spec: Spec) -> Hypers:
    """The hyperparameters of a learner, resolved for its robot, float32."""
    hypers = Hypers(numbers_for(config.algorithm, config.hypers, spec), config.replay)
    return jax.tree.map(jnp.float32, hypers)


def init(parts: LearnerParts, hypers: Hypers, key: jax.Array) -> State:
    """A learner that has seen nothing."""
    return State(Clock.start(), Counter.of(0), init_learner(parts.program, key, hypers))


def store(parts: LearnerParts, state: State, hypers: Hypers, transition: Transition, demonstrations: bool) -> State:
    """Adds the valid rows of `[W, ...]`, and lets the agent observe them. `demonstrations`: static, to which ring."""
    program, clock = parts.program, state.clock
    if demonstrations:
        add = lambda replay, step, transition: add_demonstrations(parts.demonstrations, replay, transition)
        program = program._replace(replay=program.replay._replace(add=add))
    # Rows come from anywhere: none continues another, so each begins with a carry of its own.
    carry = program.agent.carry(transition.reward.shape[0], at(state.learner.key, clock.step, Purpose.CARRY))
    learner, _ = remember(program, state.learner, carry, clock.step, transition, hypers, quarantined=0)
    if not demonstrations:
        clock = clock._replace(step=clock.step.plus(jnp.sum(transition.valid)))
    return state._replace(clock=clock, learner=learner)


def improve(parts: LearnerParts, state: State, hypers: Hypers, updates: jax.Array) -> tuple[State, Any]:
    """`updates` times sample → update, their number traced: one program for every number.

    Returns: the state and the agent's scalars, averaged over the updates that had them (NaN where none had).
    """

    def update(_, carry):
        clock, learner, total = carry
        clock, learner, info = learn(parts.program, clock, learner, hypers)
        seen = jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), jnp.stack([x, jnp.ones_like(x)]), 0.0), info)
        return clock, learner, jax.tree.map(jnp.add, total, seen)

    shapes = jax.eval_shape(lambda: learn(parts.program, state.clock, state.learner, hypers)[2])
    total = jax.tree.map(lambda s: jnp.zeros((2, *s.shape), s.dtype), shapes)  # sum and count
    clock, learner, total = jax.lax.fori_loop(0, updates, update, (state.clock, state.learner, total))
    means = jax.tree.map(lambda x: jnp.where(x[1] > 0, x[0] / jnp.maximum(x[1], 1.0), jnp.nan), total)
    return state._replace(clock=clock, learner=learner), means


def act(parts: LearnerParts, state: State, obs: PyTree, deterministic: jax.Array) -> tuple[Counter, jax.Array]:
    """Actions `[W, ...]` for observations `[W, ...]`, and the moved counter. `deterministic`: `[]`, by the mode or not.

    Until `learning_starts` transitions have been stored drawn actions are those of the agent's exploration.
    """
    agent = parts.program.agent
    policy = agent.policy(state.learner.agent)
    key = at(state.learner.key, state.acts, Purpose.ACT)
    carry = agent.carry(jax.tree.leaves(obs)[0].shape[0], at(state.learner.key, state.acts, Purpose.CARRY))
    mode, drawn = (agent.act(policy, carry, obs, how)[0] for how in (None, key))
    exploring, _ = agent.explore(carry, key)
    drawn = jnp.where(stored(state).at_least(parts.learning_starts), drawn, exploring)
    return state.acts.plus(~deterministic), jnp.where(deterministic, mode, drawn)


def stored(state: State) -> Counter:
    """Transitions and demonstrations ever stored."""
    return state.clock.step.plus(getattr(state.learner.replay, "added", 0))
