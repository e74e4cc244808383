"""One vector step: act, step all environments, remember."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter, Purpose, at
from softrl.envs.episodes import finite_rows
from softrl.training.state import LearnerState, Program, Rollout, RunState
from softrl.types import EnvState, Hypers, PyTree, Transition


class CollectInfo(NamedTuple):
    """Of the whole episodes (staggered ones do not count) that ended in this step; all `[]`.

    return_sum: their undiscounted returns added up. length_sum: their lengths. episodes: how many.
    """

    return_sum: jax.Array
    length_sum: jax.Array
    episodes: jax.Array


def collect(program: Program, run: RunState, hypers: Hypers) -> tuple[RunState, CollectInfo]:
    """act → step all environments → remember; the clock moves on by one step.

    Before `learning_starts` the agent explores.
    """
    learner, clock = run.learner, run.clock
    key = at(learner.key, clock.step, Purpose.ACT)
    known = finite_rows(run.env.obs, program.env.spec.num_envs)  # a reset, too, can give what is not finite
    obs = _where(known, run.env.obs)

    def act(carry):
        return program.agent.act(program.agent.policy(learner.agent), carry, obs, key)

    def explore(carry):
        action, carry = program.agent.explore(carry, key)
        extras = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(act, carry)[2])
        return action, carry, extras

    ready = clock.step.at_least(program.learning_starts)
    action, carry, extras = jax.lax.cond(ready, act, explore, run.rollout.carry)
    env = program.env.step(_refreshed(program, run), action)
    terminated, truncated, valid = (flag & known for flag in (env.terminated, env.truncated, env.valid))
    final_obs = _where(known, env.final_obs)
    transition = Transition(obs, action, env.reward, terminated, truncated, final_obs, valid, extras)
    bad = jnp.sum(~valid, dtype=jnp.uint32)
    learner, carry = remember(program, learner, carry, clock.step, transition, hypers, quarantined=bad)
    rollout, info = _account(run.rollout._replace(carry=carry), run, transition)
    clock = clock._replace(step=clock.step.plus(1))
    return RunState(clock, learner, env, rollout), info


def _where(rows: jax.Array, tree: PyTree) -> PyTree:
    """The rows `[N]` of `[N, ...]` leaves, and zeros for the others."""
    return jax.tree.map(lambda x: jnp.where(rows.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros_like(x)), tree)


def remember(
    program: Program,
    learner: LearnerState,
    carry: PyTree,
    step: Counter,
    transition: Transition,
    hypers: Hypers,
    *,
    quarantined: jax.Array | int,
) -> tuple[LearnerState, PyTree]:
    """Stores rows, lets the agent observe them, counts those that physics spoiled.

    Args: `step`: as the replay counts. quarantined: how many rows to count.
    """
    agent, carry = program.agent.observe(learner.agent, carry, transition, hypers.agent)
    replay = program.replay.add(learner.replay, step, transition)
    fared = learner.health._replace(quarantined=learner.health.quarantined + jnp.uint32(quarantined))
    return learner._replace(agent=agent, replay=replay, health=fared), carry


def _refreshed(program: Program, run: RunState) -> EnvState:
    """The environments, with new first states where the clock says so: members share it, so the branch stays one."""
    env, interval = program.env, program.env.interval
    if not interval:
        return run.env
    due = run.clock.step.mod(interval) == 0
    return run.env._replace(bank=jax.lax.cond(due, env.refresh, lambda state: state.bank, run.env))


def _account(rollout: Rollout, run: RunState, transition: Transition) -> tuple[Rollout, CollectInfo]:
    episode_return = rollout.episode_return + transition.reward
    length = rollout.episode_length + 1
    ended = transition.terminated | transition.truncated
    whole = ended & (length == run.env.steps + 1)
    reset = ended | ~transition.valid
    info = CollectInfo(
        jnp.sum(jnp.where(whole, episode_return, 0.0)), jnp.sum(jnp.where(whole, length, 0)), jnp.sum(whole)
    )
    return Rollout(rollout.carry, jnp.where(reset, 0.0, episode_return), jnp.where(reset, 0, length)), info
