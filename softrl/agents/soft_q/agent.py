"""Soft Q-learning as an `Agent`."""

from functools import partial

import jax
import jax.numpy as jnp

from softrl import running_statistics
from softrl.agents.carry import stateless, uniform_actions
from softrl.agents.descent import begin
from softrl.agents.policy import act, observe
from softrl.agents.soft_q.actions import kind_of
from softrl.agents.soft_q.actor import published
from softrl.agents.soft_q.config import SoftQConfig, SoftQHypers
from softrl.agents.soft_q.state import Parts, SoftQState
from softrl.agents.soft_q.update import update
from softrl.algorithm import Agent
from softrl.errors import ConfigError
from softrl.types import EnvSpec, Spec


def build(config: SoftQConfig, spec: Spec | EnvSpec, *, log_prior=None) -> Agent:
    """Soft Q-learning for observations and actions as in `spec`.

    Returns: `Agent` with `SoftQState`, `SoftQInfo` and `Policy`.
    Raises: ConfigError for an action prior, or several critics of discrete actions.
    """
    if log_prior is not None:
        raise ConfigError("soft-q knows no action prior: leave log_prior out, or choose another algorithm")
    parts = Parts(config, spec, kind_of(config, spec))
    choose = lambda policy, obs, key: parts.kind.act(policy.params, obs, key)
    return Agent(
        init=partial(_init, parts),
        carry=stateless,
        act=partial(act, choose, config, spec.actor_obs),
        explore=partial(uniform_actions, spec.action),
        observe=partial(observe, config),
        update=partial(update, parts),
        policy=partial(published, config, spec.action),
    )


def _init(parts: Parts, key: jax.Array, hypers: SoftQHypers) -> SoftQState:
    of_critic, of_sampler = jax.random.split(key)
    critic = begin(*parts.kind.critic.init(of_critic), hypers)
    return SoftQState(
        critic=critic,
        sampler=begin(*parts.kind.policy.init(of_sampler), hypers) if parts.kind.sampled else (),
        # Copies: a donated call must not be given one buffer twice.
        target=jax.tree.map(jnp.copy, critic.params),
        temperature=jnp.copy(jnp.float32(hypers.temperature)),
        statistics=running_statistics.init(parts.spec.obs),
    )
