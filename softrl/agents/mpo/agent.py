"""Maximum a posteriori policy optimisation as an `Agent`."""

from functools import partial

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.agents.actor import drawn
from softrl.agents.carry import stateless, uniform_actions
from softrl.agents.critics import critic_layers
from softrl.agents.descent import begin
from softrl.agents.mpo.config import MPOConfig, MPOHypers
from softrl.agents.mpo.m_step import Decoupled
from softrl.agents.mpo.state import MPOState, Parts, Targets
from softrl.agents.mpo.update import update
from softrl.agents.observations import size
from softrl.agents.policy import Policy, act, from_distribution, observe
from softrl.algorithm import Agent
from softrl.errors import ConfigError
from softrl.types import EnvSpec, Spec


def build(config: MPOConfig, spec: Spec | EnvSpec, *, log_prior=None) -> Agent:
    """Maximum a posteriori policy optimisation for observations and actions as in `spec`.

    Args:
      config: static fields.
      spec: its `actor_obs` and `critic_obs` select from dictionary observations.
      log_prior: must be None: the only prior is the old policy.
    Returns: `Agent` with `MPOState`, `MPOInfo` and `Policy`.
    Raises: ConfigError for an action prior.
    """
    if log_prior is not None:
        raise ConfigError("mpo stays near its own old policy and knows no other action prior: leave log_prior out")
    policy, critic_size = drawn(config, spec), size(spec.obs, spec.critic_obs)
    critic = networks.soft_q(critic_layers(config), critic_size, spec.action.size, num_critics=config.num_critics)
    parts = Parts(config, spec, policy.network, critic)
    choose = from_distribution(*policy)
    return Agent(
        init=partial(_init, parts),
        carry=stateless,
        act=partial(act, choose, config, spec.actor_obs),
        explore=partial(uniform_actions, spec.action),
        observe=partial(observe, config),
        update=partial(update, parts),
        policy=lambda state: Policy(state.policy.params, state.policy.batch_stats, state.statistics),
    )


def _init(parts: Parts, key: jax.Array, hypers: MPOHypers) -> MPOState:
    policy = begin(*parts.policy.init(jax.random.fold_in(key, 0)), hypers)
    critic = begin(*parts.critic.init(jax.random.fold_in(key, 1)), hypers)
    log_of = lambda multiplier: jnp.full(parts.spec.action.size, jnp.log(multiplier), jnp.float32)
    return MPOState(
        policy=policy,
        critic=critic,
        # A copy: a donated call must not be given one buffer twice.
        target=jax.tree.map(jnp.copy, Targets(policy.params, critic.params)),
        temperature=begin(jnp.log(jnp.float32(hypers.temperature)), (), hypers),
        multipliers=begin(Decoupled(log_of(hypers.mean_multiplier), log_of(hypers.std_multiplier)), (), hypers),
        statistics=running_statistics.init(parts.spec.obs),
    )
