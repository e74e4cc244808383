"""What soft actor-critic carries from step to step: each environment's noise, and its discounted return so far."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softrl.agents import noise as noises
from softrl.agents import returns
from softrl.agents.actor import Drawn
from softrl.agents.carry import Stateless
from softrl.agents.noise import NOISES, Noise
from softrl.agents.policy import Policy, act, from_distribution
from softrl.agents.sac.config import SACConfig, SACHypers
from softrl.agents.sac.state import SACCarry, SACState
from softrl.algorithm import Agent, Explore, Observe
from softrl.distributions import categorical, tanh_gaussian
from softrl.distributions.categorical import Categorical
from softrl.types import Action, Discrete, EnvSpec, PyTree, Spec, Transition


def noise_of(config: SACConfig) -> Noise | None:
    """What `config.exploration` asks for; None for white noise, which remembers nothing."""
    return NOISES.get(config.exploration)


def remembering(agent: Agent, config: SACConfig, spec: Spec | EnvSpec, drawn: Drawn) -> Agent:
    """The agent with what `config.exploration` and `config.reward_scaling` remember; the same agent where that is
    nothing. Args: `drawn`: its policy."""
    noise, scaled = noise_of(config), config.reward_scaling == "returns"
    if noise is not None:
        agent = agent._replace(act=partial(_act, noise, _transform(spec.action), drawn, config, spec.actor_obs))
    if noise is None and not scaled:
        return agent
    explore = partial(_explore, agent.explore) if noise is None else partial(_explore_by, noise, spec.action)
    return agent._replace(
        carry=partial(_carry, noise, scaled, spec.action),
        explore=explore,
        observe=partial(_observe, agent.observe),
    )


def _transform(action: Action) -> Callable[[jax.Array, Any], jax.Array]:
    """What draw standard normal numbers stand for."""
    if isinstance(action, Discrete):
        return categorical.transform
    return lambda normal, dist: tanh_gaussian.transform(normal, dist)[0]


def uniform(action: Action, normal: jax.Array) -> jax.Array:
    """The uniform action that standard normal numbers stand for: of continuous ones 2 Φ(ε) − 1 = erf(ε / √2)."""
    if isinstance(action, Discrete):
        return categorical.transform(normal, Categorical(jnp.zeros((len(normal), action.n))))
    return jax.lax.erf(normal * math.sqrt(0.5))


def _carry(noise: Noise | None, scaled: bool, action: Action, num_envs: int, key: jax.Array) -> SACCarry:
    size = 2 * action.n if isinstance(action, Discrete) else action.size
    return SACCarry(
        noise=() if noise is None else noises.begin(noise, num_envs, size),
        returns=jnp.zeros(num_envs) if scaled else (),
    )


def _act(
    noise: Noise,
    transform: Callable[[jax.Array, Any], jax.Array],
    drawn: Drawn,
    config: SACConfig,
    actor_obs: str | None,
    policy: Policy,
    carry: SACCarry,
    obs: PyTree,
    key: jax.Array | None,
):
    if key is not None:
        vector, state = noises.draw(noise, carry.noise, key)
        carry = carry._replace(noise=state)
        drawn = drawn._replace(sample=lambda _, dist: transform(vector, dist))
    return act(from_distribution(*drawn), config, actor_obs, policy, carry, obs, key)


def _explore(explore: Explore, carry: SACCarry, key: jax.Array) -> tuple[jax.Array, SACCarry]:
    return explore(Stateless(len(jax.tree.leaves(carry)[0])), key)[0], carry


def _explore_by(noise: Noise, action: Action, carry: SACCarry, key: jax.Array) -> tuple[jax.Array, SACCarry]:
    """Each action alone is uniform; successive ones push the same way, as the policy's will."""
    vector, state = noises.draw(noise, carry.noise, key)
    return uniform(action, vector), carry._replace(noise=state)


def _observe(
    observe: Observe, state: SACState, carry: SACCarry, transition: Transition, hypers: SACHypers
) -> tuple[SACState, SACCarry]:
    state, carry = observe(state, carry, transition, hypers)
    if carry.noise != ():
        ended = transition.terminated | transition.truncated | ~transition.valid
        carry = carry._replace(noise=noises.seen(carry.noise, ended))
    if state.returns != ():
        statistics, running = returns.observe(state.returns, carry.returns, transition, hypers.gamma)
        state, carry = state._replace(returns=statistics), carry._replace(returns=running)
    return state, carry
