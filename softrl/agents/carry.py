"""What agents carry from step to step: one without noise or memory, only how many environments there are."""

from dataclasses import dataclass

import jax

from softrl.algorithm import Agent
from softrl.types import PyTree


@jax.tree_util.register_static
@dataclass(frozen=True)
class Stateless:
    """A carry without numbers. num_envs: N."""

    num_envs: int


def stateless(num_envs: int, key: jax.Array) -> Stateless:
    """The carry of N environments; nothing is drawn."""
    return Stateless(num_envs)


def afresh(agent: Agent, policy: PyTree, obs: PyTree, key: jax.Array | None) -> jax.Array:
    """Actions for observations `[B, ...]` that continue nothing, by a carry of their own. `key` None: the modes."""
    count = jax.tree.leaves(obs)[0].shape[0]
    carry = agent.carry(count, jax.random.key(0) if key is None else key)
    return agent.act(policy, carry, obs, key)[0]
