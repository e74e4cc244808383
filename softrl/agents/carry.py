"""What an agent without noise or memory of its own carries from step to step: how many environments there are."""

from dataclasses import dataclass

import jax


@jax.tree_util.register_static
@dataclass(frozen=True)
class Stateless:
    """A carry without numbers. num_envs: N."""

    num_envs: int


def stateless(num_envs: int, key: jax.Array) -> Stateless:
    """The carry of N environments; nothing is drawn."""
    return Stateless(num_envs)
