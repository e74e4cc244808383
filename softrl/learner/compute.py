"""What a learner computes, as pure functions of one pytree: store rows, improve, act."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl.agents.sac import build
from softrl.clock import Clock, Counter, Purpose, at
from softrl.learner.config import LearnerConfig
from softrl.replay import add_demonstrations, flat, mixed
from softrl.training.learn import learn
from softrl.training.state import LearnerState, Program, init_learner
from softrl.types import PyTree, Replay, Spec, Transition


class Parts(NamedTuple):
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


def parts(config: LearnerConfig, spec: Spec, replay_capacity: int) -> Parts:
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
    program = Program(None, build(config.agent, spec), replay, updates_per_step=1, learning_starts=0)
    return Parts(program, demonstrations, spec, sampling.learning_starts)


def init(parts: Parts, hypers: PyTree, key: jax.Array) -> State:
    """A learner that has seen nothing."""
    return State(Clock.start(), Counter.of(0), init_learner(parts.program, key, hypers))


def store(parts: Parts, state: State, transition: Transition, demonstrations: bool) -> State:
    """Adds the valid rows of `[W, ...]`, and lets the agent observe them. `demonstrations`: static, to which ring."""
    learner, clock = state.learner, state.clock
    if demonstrations:
        replay = add_demonstrations(parts.demonstrations, learner.replay, transition)
    else:
        replay = parts.program.replay.add(learner.replay, clock.step, transition)
        clock = clock._replace(step=clock.step.plus(jnp.sum(transition.valid)))
    agent = parts.program.agent.observe(learner.agent, transition)
    return state._replace(clock=clock, learner=learner._replace(agent=agent, replay=replay))


def improve(parts: Parts, state: State, hypers: PyTree, updates: jax.Array) -> tuple[State, Any]:
    """`updates` times sample → update, their number traced: one program for every number.

    Returns: the state and the agent's scalars, averaged over the updates that had them (NaN where none had).
    """

    def update(_, carry):
        clock, learner, sums, counts = carry
        clock, learner, info = learn(parts.program, clock, learner, hypers)
        good = jax.tree.map(jnp.isfinite, info.agent)
        sums = jax.tree.map(lambda s, x, ok: s + jnp.where(ok, x, 0.0), sums, info.agent, good)
        return clock, learner, sums, jax.tree.map(lambda n, ok: n + ok.astype(jnp.float32), counts, good)

    shapes = jax.eval_shape(lambda: learn(parts.program, state.clock, state.learner, hypers)[2].agent)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    start = (state.clock, state.learner, zeros, jax.tree.map(jnp.copy, zeros))
    clock, learner, sums, counts = jax.lax.fori_loop(0, updates, update, start)
    means = jax.tree.map(lambda s, n: jnp.where(n > 0, s / jnp.maximum(n, 1.0), jnp.nan), sums, counts)
    return state._replace(clock=clock, learner=learner), means


def act(parts: Parts, state: State, obs: PyTree, deterministic: jax.Array) -> tuple[Counter, jax.Array]:
    """Actions `[W, A]` for observations `[W, ...]`, and the moved counter. `deterministic`: `[]`, whether by the mode.

    Drawn actions are uniform on (−1, 1)^A until `learning_starts` transitions have been stored.
    """
    agent = parts.program.agent
    policy = agent.policy(state.learner.agent)
    key = at(state.learner.key, state.acts, Purpose.ACT)
    mode, drawn = (agent.act(policy, (), obs, how)[0] for how in (None, key))
    uniform = jax.random.uniform(key, drawn.shape, minval=-1.0, maxval=1.0)
    drawn = jnp.where(stored(state).at_least(parts.learning_starts), drawn, uniform)
    return state.acts.plus(~deterministic), jnp.where(deterministic, mode, drawn)


def stored(state: State) -> Counter:
    """Transitions and demonstrations ever stored."""
    added = getattr(state.learner.replay, "added", Counter.of(0))
    low = state.clock.step.plus(added.low)
    return Counter(low.high + added.high, low.low)
