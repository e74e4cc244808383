"""What soft actor-critic expects over actions: of continuous ones by one reparameterised draw, of discrete ones
exactly, over all n (Christodoulou 2019, arXiv:1910.07207).

Both give the same `Expected`, in which all losses are linear, so the update knows no kinds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl import networks
from softrl.agents.actor import Drawn, drawn
from softrl.agents.critics import critic_layers, reduced
from softrl.agents.observations import size
from softrl.agents.sac.config import SACConfig
from softrl.distributions import categorical, tanh_gaussian
from softrl.distributions.categorical import Categorical
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.types import Discrete, EnvSpec, Network, Spec


class Expected(NamedTuple):
    """Of a policy at B states, `[B]` each: E[Q(s,a)] of the reduced critics, E[log π(a|s)] and E[log π(a|s)/p(a|s)]."""

    q: jax.Array
    log_prob: jax.Array
    log_ratio: jax.Array


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: what draws them. critic: network from observations and actions to `[K, B]`.
    noise: `(key, count, action [B, ...])` -> `count` blocks, each for what is drawn once at B states.
    expected: `(distribution, action -> [K, B], action -> log density [B], noise) -> Expected`.
    log_prob: `(distribution, action) -> [B]`, of actions that anybody took.
    """

    policy: Drawn
    critic: Network
    noise: Callable[[jax.Array, int, jax.Array], Any]
    expected: Callable[..., Expected]
    log_prob: Callable[[Any, jax.Array], jax.Array]


def kind_of(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    return (_discrete if isinstance(spec.action, Discrete) else _continuous)(config, spec)


def _continuous(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    critic_size, count = size(spec.obs, spec.critic_obs), config.num_critics
    return ActionKind(
        policy=drawn(config, spec),
        critic=networks.soft_q(critic_layers(config), critic_size, spec.action.size, num_critics=count),
        noise=lambda key, count, action: jax.random.normal(key, (count, *action.shape)),
        expected=partial(_expected_by_a_draw, config),
        log_prob=tanh_gaussian.log_prob_of_action,
    )


def _expected_by_a_draw(config: SACConfig, dist: TanhGaussian, q_of, log_prior_of, noise: jax.Array) -> Expected:
    action, log_prob = tanh_gaussian.transform(noise, dist)
    return Expected(reduced(config.critic_reduction, q_of(action)), log_prob, log_prob - log_prior_of(action))


def _discrete(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    layers, critic_size = critic_layers(config, spec.action.n), size(spec.obs, spec.critic_obs)
    return ActionKind(
        policy=drawn(config, spec),
        critic=networks.discrete_soft_q(layers, critic_size, num_critics=config.num_critics),
        noise=lambda key, count, action: [()] * count,
        expected=partial(_expected_exactly, config),
        log_prob=categorical.log_prob,
    )


def _expected_exactly(config: SACConfig, dist: Categorical, q_of, log_prior_of, noise: tuple[()]) -> Expected:
    log_probs = jax.nn.log_softmax(dist.logits)
    probs = jnp.exp(log_probs)
    every = jnp.broadcast_to(jnp.arange(probs.shape[-1], dtype=jnp.int32)[None], probs.shape)
    mean = lambda values: jnp.sum(probs * values, axis=-1)
    return Expected(
        mean(reduced(config.critic_reduction, q_of(every))), mean(log_probs), mean(log_probs - log_prior_of(every))
    )
