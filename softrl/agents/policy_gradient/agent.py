"""The maximum-entropy policy gradient as an `Agent`."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.agents.actor import layers
from softrl.agents.carry import Stateless, stateless, uniform_actions
from softrl.agents.descent import begin
from softrl.agents.observations import joined, size
from softrl.agents.policy import Policy
from softrl.agents.policy_gradient.actions import kind_of
from softrl.agents.policy_gradient.config import PolicyGradientConfig, PolicyGradientHypers
from softrl.agents.policy_gradient.state import LogPrior, Parts, PolicyGradientState
from softrl.agents.policy_gradient.update import update
from softrl.algorithm import Agent
from softrl.types import Discrete, EnvSpec, PyTree, Spec, Transition


def build(config: PolicyGradientConfig, spec: Spec | EnvSpec, *, log_prior: LogPrior | None = None) -> Agent:
    """The policy gradient for observations and actions as in `spec`.

    Args:
      config: static fields.
      spec: its `actor_obs` and `critic_obs` select from dictionary observations.
      log_prior: a log density over actions whose KL replaces the entropy. The target entropy then bounds −KL(π ‖ prior)
        + A log 2 (of n discrete actions + log n).
    Returns: `Agent` with `PolicyGradientState`, `PolicyGradientInfo` and `Policy`.
    """
    parts = parts_of(config, spec, log_prior)
    return Agent(
        init=partial(_init, parts),
        carry=stateless,
        act=partial(_act, parts),
        explore=partial(uniform_actions, spec.action),
        observe=partial(_observe, parts),
        update=partial(update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.batch_stats, state.acting),
    )


def parts_of(config: PolicyGradientConfig, spec: Spec | EnvSpec, log_prior: LogPrior | None = None) -> Parts:
    """What an update is made of; arguments as of `build`."""
    uniform = -(math.log(spec.action.n) if isinstance(spec.action, Discrete) else spec.action.size * math.log(2.0))
    value = networks.soft_v(layers(config, config.value_widths, 1), size(spec.obs, spec.critic_obs))
    return Parts(config, spec, kind_of(config, spec), value, log_prior, 0.0 if log_prior is None else uniform)


def _init(parts: Parts, key: jax.Array, hypers: PolicyGradientHypers) -> PolicyGradientState:
    of_policy, of_value = jax.random.split(key)
    return PolicyGradientState(
        policy=begin(*parts.kind.policy.init(of_policy), hypers),
        value=begin(*parts.value.init(of_value), hypers),
        temperature=begin(jnp.log(jnp.float32(hypers.temperature)), (), hypers),
        statistics=running_statistics.init(parts.spec.obs),
        acting=running_statistics.init(parts.spec.obs),
    )


def _act(parts: Parts, policy: Policy, carry: PyTree, obs: PyTree, key: jax.Array | None):
    if parts.config.normalize_obs:
        obs = running_statistics.normalize(policy.statistics, obs)
    dist, _ = parts.kind.policy.apply(policy.params, policy.batch_stats, joined(obs, parts.spec.actor_obs), train=False)
    return (parts.kind.mode(dist) if key is None else parts.kind.sample(key, dist)), carry, ()


def _observe(
    parts: Parts, state: PolicyGradientState, carry: Stateless, transition: Transition, hypers: PolicyGradientHypers
) -> tuple[PolicyGradientState, Stateless]:
    if not parts.config.normalize_obs:
        return state, carry
    seen = running_statistics.update(state.statistics, transition.obs, transition.valid)
    return state._replace(statistics=seen), carry
