"""One vector step: act, step all environments, remember, observe."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Purpose, at
from softrl.training import health
from softrl.training.state import Program, Rollout, RunState
from softrl.types import Transition


class CollectInfo(NamedTuple):
    """Of the whole episodes (staggered ones do not count) that ended in this step; all `[]`.

    return_sum: their undiscounted returns added up. length_sum: their lengths. episodes: how many.
    """

    return_sum: jax.Array
    length_sum: jax.Array
    episodes: jax.Array


def collect(program: Program, run: RunState) -> tuple[RunState, CollectInfo]:
    """act → step all environments → add to replay → observe; the clock moves on by one step.

    During warm-up actions are uniform on (−1, 1)^A.
    """
    spec, learner, clock = program.env.spec, run.learner, run.clock
    key = at(learner.key, clock.step, Purpose.ACT)

    def explore(carry):
        return jax.random.uniform(key, (spec.num_envs, spec.action_size), minval=-1.0, maxval=1.0), carry

    def act(carry):
        action, carry, _ = program.agent.act(program.agent.policy(learner.agent), carry, run.env.obs, key)
        return action, carry

    action, carry = jax.lax.cond(clock.step.at_least(program.learning_starts), act, explore, run.rollout.carry)
    env = program.env.step(run.env, action)
    transition = Transition(run.env.obs, action, env.reward, env.terminated, env.truncated, env.final_obs, env.valid)
    learner = learner._replace(
        agent=program.agent.observe(learner.agent, transition),
        replay=program.replay.add(learner.replay, clock.step, transition),
        health=health.after_step(learner.health, env.valid),
    )
    rollout, info = _account(run.rollout._replace(carry=carry), run, transition)
    clock = clock._replace(step=clock.step.plus(1))
    return RunState(clock, learner, env, rollout), info


def _account(rollout: Rollout, run: RunState, transition: Transition) -> tuple[Rollout, CollectInfo]:
    episode_return = rollout.episode_return + transition.reward
    length = rollout.episode_length + 1
    ended = transition.terminated | transition.truncated
    whole = ended & (length == run.env.steps + 1)
    reset = ended | ~transition.valid
    info = CollectInfo(
        jnp.sum(jnp.where(whole, episode_return, 0.0)), jnp.sum(jnp.where(whole, length, 0)), jnp.sum(whole)
    )
    rollout = rollout._replace(
        episode_return=jnp.where(reset, 0.0, episode_return), episode_length=jnp.where(reset, 0, length)
    )
    return rollout, info
