"""What soft actor-critic carries from step to step where its exploration has a memory: each environment's noise."""

from functools import partial
from typing import Any

import jax

from softrl.agents import noise as noises
from softrl.agents.actor import Drawn
from softrl.agents.carry import Stateless
from softrl.agents.noise import NOISES, Noise
from softrl.agents.policy import Policy, act, from_distribution
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.state import SACCarry
from softrl.algorithm import Agent, Explore, Observe
from softrl.distributions import tanh_gaussian
from softrl.errors import ConfigError
from softrl.types import Discrete, EnvSpec, PyTree, Spec, Transition


def noise_of(config: SACConfig) -> Noise | None:
    """What `config.exploration` asks for; None for white noise, which remembers nothing."""
    return NOISES.get(config.exploration)


def remembering(agent: Agent, config: SACConfig, spec: Spec | EnvSpec, drawn: Drawn) -> Agent:
    """The agent as `config.exploration` has it; the same agent where that is white. Args: `drawn`: its policy.

    Raises: ConfigError for discrete actions, whose draws are of no Gaussian.
    """
    noise = noise_of(config)
    if noise is None:
        return agent
    if isinstance(spec.action, Discrete):
        raise ConfigError(
            f"exploration {noise.name} is for continuous actions, not for one of {spec.action.n}: set exploration white"
        )
    return agent._replace(
        carry=partial(_carry, noise, spec.action.size),
        act=partial(_act, noise, drawn, config, spec.actor_obs),
        explore=partial(_explore, agent.explore),
        observe=partial(_observe, agent.observe),
    )


def _carry(noise: Noise, size: int, num_envs: int, key: jax.Array) -> SACCarry:
    return SACCarry(noises.begin(noise, num_envs, size))


def _act(
    noise: Noise,
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
        drawn = drawn._replace(sample=lambda _, dist: tanh_gaussian.transform(vector, dist)[0])
    return act(from_distribution(*drawn), config, actor_obs, policy, carry, obs, key)


def _explore(explore: Explore, carry: SACCarry, key: jax.Array) -> tuple[jax.Array, SACCarry]:
    return explore(Stateless(len(carry.noise.left)), key)[0], carry


def _observe(
    observe: Observe, state: Any, carry: SACCarry, transition: Transition, hypers: PyTree
) -> tuple[Any, SACCarry]:
    ended = transition.terminated | transition.truncated | ~transition.valid
    return observe(state, carry._replace(noise=noises.seen(carry.noise, ended)), transition, hypers)
