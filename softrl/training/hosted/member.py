"""The member axis that every run has, of length one where the environments are on the host."""

import jax

from softrl.types import PyTree


def single(tree: PyTree) -> PyTree:
    """`[1, ...]` leaves without their member axis."""
    return jax.tree.map(lambda x: x[0], tree)


def joined(tree: PyTree) -> PyTree:
    """Leaves with a member axis of one."""
    return jax.tree.map(lambda x: x[None], tree)
