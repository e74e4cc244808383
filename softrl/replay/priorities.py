"""A sum tree: draws rows in proportion to their priorities in O(log C), all of it arrays.

Node 1 is the root and holds the sum; node i has the children 2i and 2i + 1; leaf r is node P + r, P the least power of
two not below the capacity. Sums are always recomputed from the children, so rounding does not add up over a long run.
Source: Schaul et al. 2016, arXiv:1511.05952, appendix B.2.1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class SumTree(NamedTuple):
    """node: `[2P]` priorities and their sums, ≥ 0. largest: `[]` greatest priority ever set, what a new row gets."""

    node: jax.Array
    largest: jax.Array


def init(capacity: int) -> SumTree:
    """A tree of `capacity` rows without weight."""
    return SumTree(jnp.zeros(2 * _leaves(capacity)), jnp.float32(1.0))


def put(tree: SumTree, row: jax.Array, priority: jax.Array, keep: jax.Array) -> SumTree:
    """Sets priorities. Of several for one row the greatest counts, in whatever order the device writes.

    Args: `row`: `[W]` int32; `priority`: `[W]` > 0; `keep`: `[W]` bool, rows without it are left as they are.
    """
    leaves = tree.node.shape[0] // 2
    target = jnp.where(keep, leaves + row, 2 * leaves)  # beyond the end: dropped
    node = tree.node.at[target].set(0.0, mode="drop").at[target].max(priority, mode="drop")
    at = jnp.where(keep, leaves + row, leaves)  # a row that is left alone may as well recompute leaf 0's path

    def climb(_, carry):
        node, at = carry
        at = at // 2
        return node.at[at].set(node[2 * at] + node[2 * at + 1]), at

    node, _ = jax.lax.fori_loop(0, leaves.bit_length() - 1, climb, (node, at))
    return SumTree(node, jnp.maximum(tree.largest, jnp.max(jnp.where(keep, priority, 0.0))))


def draw(tree: SumTree, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows in proportion to their priorities, one from each of B equal strata of the sum.

    Args: `uniform`: `[B]` in [0, 1). Returns: rows `[B]` int32 and their probabilities `[B]`.
    """
    size, leaves = uniform.shape[0], tree.node.shape[0] // 2
    total = tree.node[1]
    left_over = (jnp.arange(size) + uniform) / size * total

    def descend(_, carry):
        at, left_over = carry
        left, right = tree.node[2 * at], tree.node[2 * at + 1]
        # Rounding may point past the last row that has weight; never into a subtree without any.
        go_right = (left_over >= left) & (right > 0.0)
        return 2 * at + go_right, jnp.where(go_right, left_over - left, left_over)

    start = (jnp.ones(size, jnp.int32), left_over)
    at, _ = jax.lax.fori_loop(0, leaves.bit_length() - 1, descend, start)
    return at - leaves, tree.node[at] / jnp.maximum(total, 1e-30)


def _leaves(capacity: int) -> int:
    return 1 << max(capacity - 1, 1).bit_length()
