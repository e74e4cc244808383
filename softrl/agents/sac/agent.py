"""Soft actor-critic as an `Agent`."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.agents.carry import Stateless, stateless
from softrl.agents.descent import begin
from softrl.agents.observations import joined, size
from softrl.agents.sac.actor import critic_layers, policy_layers
from softrl.agents.sac.config import SACConfig, SACHypers
from softrl.agents.sac.state import LogPrior, Parts, Policy, SACState
from softrl.agents.sac.update import update
from softrl.agents.spaces import spec_of
from softrl.algorithm import Agent
from softrl.distributions import tanh_gaussian
from softrl.types import EnvSpec, PyTree, Spec, Transition


def sac(
    config: SACConfig,
    obs_spec: Any,
    action_spec: Any,
    *,
    actor_obs: str | None = None,
    critic_obs: str | None = None,
    log_prior: LogPrior | None = None,
) -> Agent:
    """Soft actor-critic for observations and actions of these shapes.

    Args: `obs_spec`, `action_spec`, `actor_obs`, `critic_obs`: see `softrl.agents.spaces.spec_of`; the others: `build`.
    Example: `sac(SACConfig(), jax.ShapeDtypeStruct((17,), "float32"), jax.ShapeDtypeStruct((6,), "float32"))`.
    """
    spec = spec_of(obs_spec, action_spec, actor_obs=actor_obs, critic_obs=critic_obs)
    return build(config, spec, log_prior=log_prior)


def build(config: SACConfig, spec: Spec | EnvSpec, *, log_prior: LogPrior | None = None) -> Agent:
    """Soft actor-critic for observations and actions as in `spec`.

    Args:
      config: static fields.
      spec: its `actor_obs` and `critic_obs` select from dictionary observations.
      log_prior: a log density over actions whose KL replaces the entropy; overrides `config.action_prior`. The target
        entropy then bounds −KL(π ‖ prior) + A log 2. The uniform prior takes α A log 2 from every step: where episodes
        cannot terminate that leaves the best policy as it was, where they can it is a cost of living.
    Returns: `Agent` with `SACState`, `SACInfo` and `Policy`.
    """
    actor_size, critic_size = (size(spec.obs, part) for part in (spec.actor_obs, spec.critic_obs))
    bounds = {name: getattr(config, name) for name in ("log_std_min", "log_std_max", "log_std_map")}
    uniform = -spec.action.size * math.log(2.0)
    base = 0.0 if log_prior is None and config.action_prior == "lebesgue" else uniform
    parts = Parts(
        config,
        spec,
        networks.policy(policy_layers(config, spec.action.size), actor_size, **bounds),
        networks.soft_q(critic_layers(config), critic_size, spec.action.size, num_critics=config.num_critics),
        networks.soft_v(critic_layers(config), critic_size),
        log_prior or partial(_constant_prior, base),
        base,
    )
    return Agent(
        init=partial(_init, parts),
        carry=stateless,
        act=partial(_act, parts),
        explore=partial(_explore, parts),
        observe=partial(_observe, parts),
        update=partial(update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.batch_stats, state.statistics),
    )


def _constant_prior(log_density: float, obs: PyTree, action: jax.Array) -> jax.Array:
    return jnp.full(action.shape[:-1], log_density)


def _init(parts: Parts, key: jax.Array, hypers: SACHypers) -> SACState:
    keys = jax.random.split(key, 3)
    policy = begin(*parts.policy.init(keys[0]), hypers)
    critic = begin(*parts.critic.init(keys[1]), hypers)
    value = begin(*parts.value.init(keys[2]), hypers) if parts.config.value_network else ()
    log_temperature = jnp.log(jnp.float32(hypers.temperature))
    return SACState(
        policy=policy,
        critic=critic,
        value=value,
        # A copy: a donated call must not be given one buffer twice.
        target=jax.tree.map(jnp.copy, value.params if parts.config.value_network else critic.params),
        temperature=begin(log_temperature, (), hypers),
        statistics=running_statistics.init(parts.spec.obs),
    )


def _act(parts: Parts, policy: Policy, carry: PyTree, obs: PyTree, key: jax.Array | None):
    if parts.config.normalize_obs:
        obs = running_statistics.normalize(policy.statistics, obs)
    dist, _ = parts.policy.apply(policy.params, policy.batch_stats, joined(obs, parts.spec.actor_obs), train=False)
    action = tanh_gaussian.mode(dist) if key is None else tanh_gaussian.sample(key, dist)[0]
    return action, carry, ()


def _explore(parts: Parts, carry: Stateless, key: jax.Array) -> tuple[jax.Array, Stateless]:
    """Actions uniform on (−1, 1)^A."""
    shape = (carry.num_envs, *parts.spec.action.shape)
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0), carry


def _observe(
    parts: Parts, state: SACState, carry: Stateless, transition: Transition, hypers: SACHypers
) -> tuple[SACState, Stateless]:
    if not parts.config.normalize_obs:
        return state, carry
    seen = running_statistics.update(state.statistics, transition.obs, transition.valid)
    return state._replace(statistics=seen), carry
