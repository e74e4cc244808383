"""Adversarial inverse reinforcement learning as an `Agent`: soft actor-critic, and a reward that it learns beside."""

from functools import partial

import jax
import jax.numpy as jnp

from softrl.agents.airl.config import AIRLConfig, AIRLHypers, actor_critic, actor_critic_numbers
from softrl.agents.airl.reward import Shaped, reward_against_the_end, reward_networks
from softrl.agents.airl.state import AIRLPolicy, AIRLState, Parts
from softrl.agents.airl.update import update
from softrl.agents.descent import begin
from softrl.agents.sac.actions import kind_of
from softrl.agents.sac.agent import build as build_sac
from softrl.algorithm import Agent
from softrl.errors import ConfigError
from softrl.types import EnvSpec, PyTree, Spec, Transition


def build(config: AIRLConfig, spec: Spec | EnvSpec, *, log_prior=None) -> Agent:
    """The agent for observations and actions as in `spec`; its updates want `softrl.replay.Demonstrated`.

    Returns: `Agent` with `AIRLState`, `AIRLInfo` and `AIRLPolicy`.
    Raises: ConfigError for an action prior: the discriminator compares plain log-probabilities.
    """
    if log_prior is not None:
        raise ConfigError("airl knows no action prior: its discriminator is of f − log π; leave log_prior out")
    parts = parts_of(config, spec)
    return Agent(
        init=partial(_init, parts),
        carry=parts.actor_critic.carry,
        act=lambda policy, carry, obs, key: parts.actor_critic.act(policy.actor, carry, obs, key),
        explore=parts.actor_critic.explore,
        observe=partial(_observe, parts),
        update=partial(update, parts),
        policy=partial(_policy, parts),
    )


def parts_of(config: AIRLConfig, spec: Spec | EnvSpec) -> Parts:
    """The pieces that the agent is made of."""
    inner = actor_critic(config)
    return Parts(spec, build_sac(inner, spec), kind_of(inner, spec), reward_networks(config, spec))


def _init(parts: Parts, key: jax.Array, hypers: AIRLHypers) -> AIRLState:
    own, *keys = jax.random.split(key, 4)
    nets = parts.nets
    params = Shaped(nets.reward.init(keys[0])[0], nets.potential.init(keys[1])[0], jnp.zeros(2))
    after = begin(nets.after.init(keys[2])[0], (), hypers) if nets.config.shaping == "expected" else ()
    numbers = jax.tree.map(jnp.float32, actor_critic_numbers(hypers))
    return AIRLState(parts.actor_critic.init(own, numbers), begin(params, (), hypers), after)


def _policy(parts: Parts, state: AIRLState) -> AIRLPolicy:
    reward = reward_against_the_end(parts.nets.config, state.reward.params)
    return AIRLPolicy(parts.actor_critic.policy(state.actor_critic), reward)


def _observe(
    parts: Parts, state: AIRLState, carry: PyTree, transition: Transition, hypers: AIRLHypers
) -> tuple[AIRLState, PyTree]:
    inner, carry = parts.actor_critic.observe(state.actor_critic, carry, transition, actor_critic_numbers(hypers))
    return state._replace(actor_critic=inner), carry
