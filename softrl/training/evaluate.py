"""Whole episodes of a published policy, deterministic and stochastic in the same batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.algorithm import Agent
from softrl.clock import Counter, Purpose, at
from softrl.types import Env, PyTree


class Evaluation(NamedTuple):
    """Undiscounted returns and lengths of first episodes; all `[E/2]`. The return of one that met numbers that are not
    finite is NaN, since how far it came says nothing of what it would have earned."""

    deterministic_return: jax.Array
    deterministic_length: jax.Array
    stochastic_return: jax.Array
    stochastic_length: jax.Array


def evaluation_key(seed: int) -> jax.Array:
    """The key of a set of episodes. Runs evaluate on set 0, and their best policy, once, on another one."""
    return at(jax.random.key(seed, impl="threefry2x32"), Counter.of(0), Purpose.EVALUATE)


def evaluate(env: Env, agent: Agent, policy: PyTree, key: jax.Array) -> Evaluation:
    """The first episode of each of E environments; the first half act by the mode, the others sample.

    Args:
      env: made with `stagger=False`; E even.
      policy: as published by `agent.policy`.
      key: of the evaluation alone: the same key gives the same episodes, whatever training did.
    """
    half = env.spec.num_envs // 2
    zero = Counter.of(0)

    def step(carry, t):
        state, (still, noisy), alive, total, length = carry
        mode, still, _ = agent.act(policy, still, jax.tree.map(lambda x: x[:half], state.obs), None)
        noise = jax.random.fold_in(at(key, zero, Purpose.ACT), t)
        drawn, noisy, _ = agent.act(policy, noisy, jax.tree.map(lambda x: x[half:], state.obs), noise)
        state = env.step(state, jnp.concatenate([mode, drawn]))
        total = total + jnp.where(alive, jnp.where(state.valid, state.reward, jnp.nan), 0.0)
        length = length + alive
        alive = alive & ~(state.terminated | state.truncated) & state.valid
        return (state, (still, noisy), alive, total, length), None

    count = env.spec.num_envs
    start = (
        env.reset(at(key, zero, Purpose.ENV)),
        (agent.carry(half, at(key, zero, Purpose.CARRY)),) * 2,
        jnp.ones(count, jnp.bool_),
        jnp.zeros(count),
        jnp.zeros(count, jnp.int32),
    )
    (*_, total, length), _ = jax.lax.scan(step, start, jnp.arange(env.spec.episode_length))
    return Evaluation(total[:half], length[:half], total[half:], length[half:])
