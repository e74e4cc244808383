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
from softrl.agents.actor import policy_layers
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

    policy: network from observations to a distribution. critic: network from observations and actions to `[K, B]`.
    noise: `(key, count, action [B, ...])` -> `count` blocks, each for what is drawn once at B states.
    expected: `(distribution, action -> [K, B], action -> log density [B], noise) -> Expected`.
    sample: `(key, distribution) -> action`. mode: `(distribution) -> action`. log_prob: `(distribution, action) ->
    [B]`, of actions that anybody took.
    """

    policy: Network
    critic: Network
    noise: Callable[[jax.Array, int, jax.Array], Any]
    expected: Callable[..., Expected]
    sample: Callable[[jax.Array, Any], jax.Array]
    mode: Callable[[Any], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array]


def kind_of(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    actor_size, critic_size = (size(spec.obs, part) for part in (spec.actor_obs, spec.critic_obs))
    make = _discrete if isinstance(spec.action, Discrete) else _continuous
    return make(config, spec, actor_size, critic_size)


def _continuous(config: SACConfig, spec: Spec | EnvSpec, actor_size: int, critic_size: int) -> ActionKind:
    bounds = {name: getattr(config, name) for name in ("log_std_min", "log_std_max", "log_std_map")}
    return ActionKind(
        policy=networks.policy(policy_layers(config, spec.action), actor_size, **bounds),
        critic=networks.soft_q(critic_layers(config), critic_size, spec.action.size, num_critics=config.num_critics),
        noise=lambda key, count, action: jax.random.normal(key, (count, *action.shape)),
        expected=partial(_expected_by_a_draw, config),
        sample=lambda key, dist: tanh_gaussian.sample(key, dist)[0],
        mode=tanh_gaussian.mode,
        log_prob=tanh_gaussian.log_prob_of_action,
    )


def _expected_by_a_draw(config: SACConfig, dist: TanhGaussian, q_of, log_prior_of, noise: jax.Array) -> Expected:
    action, log_prob = tanh_gaussian.transform(noise, dist)
    return Expected(reduced(config.critic_reduction, q_of(action)), log_prob, log_prob - log_prior_of(action))


def _discrete(config: SACConfig, spec: Spec | EnvSpec, actor_size: int, critic_size: int) -> ActionKind:
    layers = critic_layers(config, spec.action.n)
    return ActionKind(
        policy=networks.categorical_policy(policy_layers(config, spec.action), actor_size),
        critic=networks.discrete_soft_q(layers, critic_size, num_critics=config.num_critics),
        noise=lambda key, count, action: [()] * count,
        expected=partial(_expected_exactly, config),
        sample=lambda key, dist: categorical.sample(key, dist)[0],
        mode=categorical.mode,
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
