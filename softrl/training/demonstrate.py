"""What a published policy does in whole episodes, step by step: demonstrations for others to learn from."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl.algorithm import Agent
from softrl.clock import Counter, Purpose, at
from softrl.envs import HostEnv
from softrl.numpy_policy import NumpyPolicy
from softrl.training.hosted import EVALUATE, generator
from softrl.types import Env, PyTree, Transition


def demonstrate(env: Env, agent: Agent, policy: PyTree, key: jax.Array) -> Transition:
    """The first episode of each of E environments by draws of a policy, `[T, E, ...]`; later rows are not `valid`.

    Args: `env`: made with `stagger=False`; `policy`: as published by `agent.policy`; `key`: of everything drawn.
    """
    zero, count = Counter.of(0), env.spec.num_envs

    def step(carry, t):
        state, own, alive = carry
        action, own, _ = agent.act(policy, own, state.obs, jax.random.fold_in(at(key, zero, Purpose.ACT), t))
        after = env.step(state, action)
        valid = alive & after.valid
        row = Transition(state.obs, action, after.reward, after.terminated, after.truncated, after.final_obs, valid)
        return (after, own, valid & ~(after.terminated | after.truncated)), row

    first = env.reset(at(key, zero, Purpose.ENV))
    start = (first, agent.carry(count, at(key, zero, Purpose.CARRY)), jnp.ones(count, jnp.bool_))
    return jax.lax.scan(step, start, jnp.arange(env.spec.episode_length))[1]


def demonstrate_on_host(env: HostEnv, policy: NumpyPolicy, seed: int) -> Transition:
    """As `demonstrate`, of environments on the host, in NumPy."""
    obs, count = env.reset(seed), env.spec.num_envs
    alive, rows, words = np.ones(count, bool), [], np.asarray([1, seed], np.uint32)
    for step in range(env.spec.episode_length):
        action = policy.act(obs, policy.draw_noise(generator(words, step, EVALUATE), count))
        after = env.step(action)
        valid = alive & after.valid
        rows.append(Transition(obs, action, *after[1:4], after.final_obs, valid))
        alive, obs = valid & ~(after.terminated | after.truncated), after.obs
        if not alive.any():
            break
    return jax.tree.map(lambda *steps: np.stack(steps), *rows)
