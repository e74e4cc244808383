"""Soft actor-critic as an `Agent`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softrl import networks
from softrl.agents.actor import drawn, policy_layers
from softrl.agents.carry import stateless, uniform_actions
from softrl.agents.critics import critic_layers
from softrl.agents.observations import size
from softrl.agents.policy import Policy, act, from_distribution, observe
from softrl.agents.prior import LogPrior, log_uniform, of_action, require_sound
from softrl.agents.sac.actions import kind_of
from softrl.agents.sac.carry import remembering
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.critic import belief_of
from softrl.agents.sac.init import init
from softrl.agents.sac.state import Parts, Stacks
from softrl.agents.sac.update import update
from softrl.agents.spaces import spec_of
from softrl.algorithm import Agent
from softrl.types import Action, EnvSpec, PyTree, Spec


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
        entropy then bounds −KL(π ‖ prior) + A log 2 (of n discrete actions + log n). The uniform prior takes that much
        times α from every step: where episodes cannot terminate that leaves the best policy as it was, where they can
        it is a cost of living.
    Returns: `Agent` with `SACState`, `SACInfo` and `Policy`. Raises: ConfigError for a prior of another form.
    """
    require_sound(log_prior, spec)
    base = 0.0 if log_prior is None and config.action_prior == "lebesgue" else log_uniform(spec.action)
    constant = partial(_constant_prior, spec.action, base)
    prior = constant if log_prior is None else partial(of_action, log_prior, spec.action)
    parts = parts_of(config, spec, prior, base)
    policy = drawn(config, spec)
    agent = Agent(
        init=partial(init, parts),
        carry=stateless,
        act=partial(act, from_distribution(*policy), config, spec.actor_obs),
        explore=partial(uniform_actions, spec.action),
        observe=partial(observe, config),
        update=partial(update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.batch_stats, state.statistics),
    )
    return remembering(agent, config, spec, policy)


def parts_of(config: SACConfig, spec: Spec | EnvSpec, log_prior: LogPrior, base: float) -> Parts:
    """The pieces that the agent is made of."""
    kind = kind_of(config, spec)
    layers = Stacks(policy_layers(config, spec.action), kind.critic_layers, critic_layers(config))
    value = networks.soft_v(layers.value, size(spec.obs, spec.critic_obs), precision=config.precision)
    return Parts(config, spec, kind, belief_of(config), layers, value, log_prior, base)


def _constant_prior(kind: Action, log_density: float, obs: PyTree, action: jax.Array) -> jax.Array:
    return jnp.full(action.shape[: action.ndim - len(kind.shape)], log_density)
