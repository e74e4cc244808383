"""What agents carry from step to step: one without noise or memory, only how many environments there are; and how they
explore by it."""

from dataclasses import dataclass

import jax

from softrl.algorithm import Agent
from softrl.types import Action, Discrete, PyTree


@jax.tree_util.register_static
@dataclass(frozen=True)
class Stateless:
    """A carry without numbers. num_envs: N."""

    num_envs: int


def stateless(num_envs: int, key: jax.Array) -> Stateless:
    """The carry of N environments; nothing is drawn."""
    return Stateless(num_envs)


def uniform_actions(kind: Action, carry: Stateless, key: jax.Array) -> tuple[jax.Array, Stateless]:
    """Exploration that knows nothing: uniform on (−1, 1)^A, or any of n actions."""
    if isinstance(kind, Discrete):
        return jax.random.randint(key, (carry.num_envs,), 0, kind.n), carry
    return jax.random.uniform(key, (carry.num_envs, *kind.shape), minval=-1.0, maxval=1.0), carry


def afresh(agent: Agent, policy: PyTree, obs: PyTree, key: jax.Array | None) -> jax.Array:
    """Actions for observations `[B, ...]` that continue nothing, by a carry of their own. `key` None: the modes."""
    count = jax.tree.leaves(obs)[0].shape[0]
    carry = agent.carry(count, jax.random.key(0) if key is None else key)
    return agent.act(policy, carry, obs, key)[0]
