"""One optimiser step on one network, from traced hyperparameters, that a non-finite gradient cannot spoil."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from softrl.types import PyTree


class DescentHypers(Protocol):
    """What a step reads of an agent's hyperparameters; `[]` both."""

    max_grad_norm: jax.Array
    weight_decay: jax.Array


class Trained(NamedTuple):
    """One network and its optimiser: parameters, batch statistics (`()` without), Optax state."""

    params: PyTree
    batch_stats: PyTree
    opt: PyTree


def begin(params: PyTree, batch_stats: PyTree, hypers: DescentHypers) -> Trained:
    """A network before its first step."""
    return Trained(params, batch_stats, _adam(0.0, 1.0, hypers).init(params))


def descend(
    net: Trained, loss: jax.Array, grads: PyTree, batch_stats: PyTree, rate: jax.Array, hypers: DescentHypers
) -> tuple[Trained, jax.Array, jax.Array]:
    """One AdamW step; where loss or gradient is not finite the network and its optimiser stay as they were.

    Args: `batch_stats`: the network's new batch statistics; `rate`: learning rate `[]`.
    Returns: `(Trained, gradient norm [] before clipping, finite [])`.
    """
    norm = optax.tree.norm(grads)
    finite = jnp.isfinite(norm) & jnp.isfinite(loss)
    updates, opt = _adam(rate, norm, hypers).update(grads, net.opt, net.params)
    stepped = Trained(optax.apply_updates(net.params, updates), batch_stats, opt)
    # Selected here, network by network, so that the select fuses into the optimiser's own pass over memory.
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), stepped, net), norm, finite


def _adam(rate: jax.Array | float, norm: jax.Array | float, hypers: DescentHypers) -> optax.GradientTransformation:
    """AdamW behind a clip by global norm, from traced numbers, so that a population can change them between updates."""
    # A factor instead of optax.clip_by_global_norm's division, which would write every gradient out once more.
    clip = jnp.minimum(1.0, hypers.max_grad_norm / jnp.maximum(norm, 1e-30))
    return optax.chain(
        optax.scale(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(hypers.weight_decay, mask=_kernels),
        optax.scale_by_learning_rate(rate),
    )


def _kernels(params: PyTree) -> PyTree:
    return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in jax.tree_util.keystr(path), params)
