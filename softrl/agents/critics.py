"""An ensemble of critics: its networks as data, what it estimates, and its step towards a target."""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from softrl import losses
from softrl.agents.actor import Hidden, layers
from softrl.agents.descent import DescentHypers, Trained, descend
from softrl.layers import Layers
from softrl.types import Network, PyTree


class Critics(Hidden, Protocol):
    """What is read of an algorithm's config."""

    critic_widths: str


class CriticHypers(DescentHypers, Protocol):
    """What is read of an algorithm's hyperparameters."""

    critic_lr: jax.Array


def critic_layers(config: Critics, out: int = 1) -> Layers:
    """A critic's or a value network's. out: the numbers that they end in, of a discrete critic one an action."""
    return layers(config, config.critic_widths, out)


def reduced(reduction: str, q: jax.Array) -> jax.Array:
    """An ensemble's estimate `[...]` from `[K, ...]`, their `min` or their `mean`."""
    # Pairwise, since the gradient of jnp.min divides by the number of critics that equal the minimum, and that is none
    # where XLA computes q twice and rounds it differently (seen on CPUs under vmap).
    return reduce(jnp.minimum, q) if reduction == "min" else jnp.mean(q, axis=0)


class Regressed(NamedTuple):
    """critic: after its step. td_error: `[K, B]`. The others `[]`; grad_norm before clipping."""

    critic: Trained
    loss: jax.Array
    td_error: jax.Array
    grad_norm: jax.Array
    finite: jax.Array


def regress(
    network: Network,
    critic: Trained,
    obs: jax.Array,
    action: jax.Array,
    target: jax.Array,
    weight: jax.Array,
    hypers: CriticHypers,
    *,
    loss: Callable[..., tuple[jax.Array, jax.Array]] = losses.critic,
) -> Regressed:
    """One step of the ensemble towards `target` `[B]`.

    Args: `loss`: `(q [K, B], target, weight) -> (loss [], TD errors [K, B])`.
    """

    def total_of(params: PyTree) -> tuple[jax.Array, Any]:
        q, batch_stats = network.apply(params, critic.batch_stats, obs, action, train=True)
        total, td_error = loss(q, target, weight)
        return total, (td_error, batch_stats)

    (total, (td_error, batch_stats)), grads = jax.value_and_grad(total_of, has_aux=True)(critic.params)
    stepped, norm, finite = descend(critic, total, grads, batch_stats, hypers.critic_lr, hypers)
    return Regressed(stepped, total, td_error, norm, finite)
