"""What an ensemble of K critics believes of a soft return: one number, or a distribution over atoms.

A bundle of both kinds, so that the update sees values and targets, never atoms.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import losses, soft
from softrl.agents.critics import reduced
from softrl.agents.sac.config import SACConfig, SACHypers
from softrl.distributions import atoms


class Target(NamedTuple):
    """What critics are drawn to. belief: `[B]`, or probabilities `[B, n]`. outside: `[B]`, mass beyond the atoms."""

    belief: jax.Array
    outside: jax.Array


class Belief(NamedTuple):
    """One kind of belief; a network's output is `[K, B]` numbers, or `[K, B, n]` log-probabilities.

    outputs: how many numbers a network ends in for an action.
    read: `(outputs [..., outputs]) -> belief`.
    value: `(belief, hypers) -> [K, B]`, its mean.
    target: `(belief at s′, log ratio [B], reward [B], discount [B], α, hypers) -> Target`, of r + γᵐ (Z(s′, a′) −
    α log π(a′|s′)/p(a′|s′)), Z that of the ensemble.
    loss: `(belief, target, weight [B], temperature=α, hypers=) -> (loss [], TD errors [K, B])`.
    """

    outputs: int
    read: Callable[[jax.Array], jax.Array]
    value: Callable[[jax.Array, SACHypers], jax.Array]
    target: Callable[..., Target]
    loss: Callable[..., tuple[jax.Array, jax.Array]]


def belief_of(config: SACConfig) -> Belief:
    """The kind that the config names."""
    if config.critic == "categorical":
        return Belief(
            outputs=config.atoms,
            read=jax.nn.log_softmax,
            value=lambda belief, hypers: atoms.mean(belief, hypers.return_bound),
            target=partial(_distribution, config.critic_reduction),
            loss=_cross_entropy,
        )
    return Belief(
        outputs=1,
        read=lambda outputs: outputs[..., 0],
        value=lambda belief, hypers: belief,
        target=partial(_number, config.critic_reduction),
        loss=partial(_bellman, config.backup),
    )


def _number(reduction: str, belief, log_ratio, reward, discount, temperature, hypers: SACHypers) -> Target:
    value = soft.sampled_value(reduced(reduction, belief), log_ratio, temperature)
    return Target(soft.backup(reward, discount, value), jnp.zeros_like(reward))


def _bellman(backup: str, belief, target, weight, *, temperature, hypers: SACHypers) -> tuple[jax.Array, jax.Array]:
    if backup == "optimistic":
        return losses.optimistic_critic(belief, target, weight, beta=hypers.gamma * temperature)
    return losses.critic(belief, target, weight)


def _distribution(reduction: str, belief, log_ratio, reward, discount, temperature, hypers: SACHypers) -> Target:
    """The whole distribution is moved and squeezed, entropies too, and projected onto the atoms."""
    bound = hypers.return_bound
    shift = soft.backup(reward, discount, soft.sampled_value(0.0, log_ratio, temperature))
    return Target(*atoms.projected(_one_of(reduction, jnp.exp(belief), bound), shift, discount, bound))


def _one_of(reduction: str, probs: jax.Array, bound: jax.Array) -> jax.Array:
    """`[B, n]` of `[K, B, n]`: that with the smallest mean, row by row, or the mixture of all."""
    if reduction == "mean":
        return jnp.mean(probs, axis=0)
    mean_of = lambda one: jnp.sum(one * atoms.atoms(one.shape[-1], bound)[None], axis=-1, keepdims=True)
    return reduce(lambda one, other: jnp.where(mean_of(one) <= mean_of(other), one, other), probs)


def _cross_entropy(belief, target, weight, *, temperature, hypers: SACHypers) -> tuple[jax.Array, jax.Array]:
    return losses.categorical_critic(belief, target, weight, bound=hypers.return_bound)
