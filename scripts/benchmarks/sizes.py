"""The learning problem that all contestants solve, and what one update of it costs on paper."""

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Brax's half cheetah and the published networks: two hidden layers of 256, two critics, no LayerNorm."""

    obs_size: int = 17
    action_size: int = 6
    batch_size: int = 256
    width: int = 256
    depth: int = 2
    replay_size: int = 131_072
    """Transitions in everybody's replay, all of them random; rejax's default, between SBX's 10⁶ and toy sizes."""


def layers(inputs: int, outputs: int, sizes: Sizes) -> list[tuple[int, int]]:
    """(in, out) of every matrix of a perceptron."""
    widths = [inputs, *[sizes.width] * sizes.depth, outputs]
    return list(itertools.pairwise(widths))


def flops_per_update(sizes: Sizes, *, strict: bool = False) -> float:
    """Floating point operations of the matrix products of one update, policy delay 1; nothing else is counted.

    A product [B, I] × [I, O] costs 2·B·I·O. With F_π and F_Q the forward cost of policy and critic, K = 2 critics:

        targets          F_π + K·F_Q           π(s′), Q̄(s′, a′)
        critics          3·K·F_Q               forward; backward to the weights and to the inputs
        policy           3·F_π + 2·K·F_Q       π(s) forward and backward; Q(s, a) forward and back to the action

    This is 0.590 GFLOP at half cheetah's sizes. `strict` leaves out the first layers' gradients to observations and
    stored actions, which nobody needs and compilers drop: 0.577 GFLOP.
    """
    policy = layers(sizes.obs_size, 2 * sizes.action_size, sizes)
    critic = layers(sizes.obs_size + sizes.action_size, 1, sizes)
    forward_policy, forward_critic = (2.0 * sizes.batch_size * sum(i * o for i, o in net) for net in (policy, critic))
    total = 4 * forward_policy + (2 + 6 + 4) * forward_critic
    if strict:
        unused = 2 * critic[0][0] + policy[0][0] + 2 * sizes.obs_size
        total -= 2.0 * sizes.batch_size * sizes.width * unused
    return total


def bytes_per_update(sizes: Sizes) -> float:
    """Least bytes that one update moves: every parameter with both Adam moments read and written once, the targets
    read and written once, the batch read once; activations and gradients stay in caches. float32."""
    policy = sum((i + 1) * o for i, o in layers(sizes.obs_size, 2 * sizes.action_size, sizes))
    critics = 2 * sum((i + 1) * o for i, o in layers(sizes.obs_size + sizes.action_size, 1, sizes))
    batch = sizes.batch_size * (2 * sizes.obs_size + sizes.action_size + 2)
    return 4.0 * (6 * (policy + critics) + 2 * critics + batch)
