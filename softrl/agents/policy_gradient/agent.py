"""The maximum-entropy policy gradient as an `Agent`."""

from functools import partial

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.agents.actor import layers
from softrl.agents.carry import stateless, uniform_actions
from softrl.agents.descent import begin
from softrl.agents.observations import size
from softrl.agents.policy import Policy, act, from_distribution, observe
from softrl.agents.policy_gradient.actions import kind_of
from softrl.agents.policy_gradient.config import PolicyGradientConfig, PolicyGradientHypers
from softrl.agents.policy_gradient.state import Parts, PolicyGradientState
from softrl.agents.policy_gradient.update import update
from softrl.agents.prior import LogPrior, log_uniform, require_sound
from softrl.algorithm import Agent
from softrl.types import EnvSpec, Spec


def build(config: PolicyGradientConfig, spec: Spec | EnvSpec, *, log_prior: LogPrior | None = None) -> Agent:
    """The policy gradient for observations and actions as in `spec`.

    Args:
      config: static fields.
      spec: its `actor_obs` and `critic_obs` select from dictionary observations.
      log_prior: a log density over actions whose KL replaces the entropy. The target entropy then bounds −KL(π ‖ prior)
        + A log 2 (of n discrete actions + log n).
    Returns: `Agent` with `PolicyGradientState`, `PolicyGradientInfo` and `Policy`.
    Raises: ConfigError for a prior of another form.
    """
    require_sound(log_prior, spec)
    parts = parts_of(config, spec, log_prior)
    choose = from_distribution(*parts.kind.policy)
    return Agent(
        init=partial(_init, parts),
        carry=stateless,
        act=partial(act, choose, config, spec.actor_obs),
        explore=partial(uniform_actions, spec.action),
        observe=partial(observe, config),
        update=partial(update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.batch_stats, state.acting),
    )


def parts_of(config: PolicyGradientConfig, spec: Spec | EnvSpec, log_prior: LogPrior | None = None) -> Parts:
    """What an update is made of; arguments as of `build`."""
    value = networks.soft_v(layers(config, config.value_widths, 1), size(spec.obs, spec.critic_obs))
    base = 0.0 if log_prior is None else log_uniform(spec.action)
    return Parts(config, spec, kind_of(config, spec), value, log_prior, base)


def _init(parts: Parts, key: jax.Array, hypers: PolicyGradientHypers) -> PolicyGradientState:
    of_policy, of_value = jax.random.split(key)
    return PolicyGradientState(
        policy=begin(*parts.kind.policy.network.init(of_policy), hypers),
        value=begin(*parts.value.init(of_value), hypers),
        temperature=begin(jnp.log(jnp.float32(hypers.temperature)), (), hypers),
        statistics=running_statistics.init(parts.spec.obs),
        acting=running_statistics.init(parts.spec.obs),
    )
