"""What soft actor-critic begins with, and begins anew with."""

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.agents import returns
from softrl.agents.descent import Trained, begin
from softrl.agents.sac.config import SACHypers
from softrl.agents.sac.state import Parts, SACState
from softrl.clock import Clock
from softrl.layers import Dense, Layers, named
from softrl.types import Network, PyTree

RESET = 1
"""The address of the draws of a reset among those of its update."""


def init(parts: Parts, key: jax.Array, hypers: SACHypers) -> SACState:
    """Before the first update."""
    config, keys = parts.config, jax.random.split(key, 3)
    policy = _network(parts, parts.kind.policy.network, parts.layers.policy, keys[0], hypers)
    critic = _network(parts, parts.kind.critic, parts.layers.critic, keys[1], hypers)
    value = _network(parts, parts.value, parts.layers.value, keys[2], hypers) if config.value_network else ()
    return SACState(
        policy=policy,
        critic=critic,
        value=value,
        target=_target(parts, critic, value),
        temperature=begin(jnp.log(jnp.float32(hypers.temperature)), (), hypers),
        statistics=running_statistics.init(parts.spec.obs),
        returns=returns.init() if config.reward_scaling == "returns" else (),
    )


def reset(parts: Parts, state: SACState, hypers: SACHypers, key: jax.Array, clock: Clock) -> SACState:
    """Every `reset_every` updates networks begin anew, optimisers too; temperature and statistics stay.

    Source: Nikishin et al. 2022, arXiv:2205.07802 (heads or all), D'Oro et al. 2023 (all, for high update ratios).
    """
    config = parts.config
    due = clock.update.at_least(1) & (clock.update.mod(config.reset_every) == 0)

    def anew(state: SACState) -> SACState:
        fresh = init(parts, jax.random.fold_in(key, RESET), hypers)
        if config.reset_networks == "heads":
            policy = _new_head(state.policy, fresh.policy, parts.layers.policy)
            critic = _new_head(state.critic, fresh.critic, parts.layers.critic)
            value = _new_head(state.value, fresh.value, parts.layers.value) if config.value_network else ()
        else:
            policy = fresh.policy if config.reset_networks == "all" else state.policy
            critic, value = fresh.critic, fresh.value
        return state._replace(policy=policy, critic=critic, value=value, target=_target(parts, critic, value))

    return jax.lax.cond(due, anew, lambda state: state, state)


def _network(parts: Parts, network: Network, layers: Layers, key: jax.Array, hypers: SACHypers) -> Trained:
    params, batch_stats = network.init(key)
    if parts.config.initialization == "uniform":
        params = networks.uniform(params, key)
    return begin(networks.unit_weights(layers, params) if parts.config.unit_weights else params, batch_stats, hypers)


def _target(parts: Parts, critic: Trained, value: Trained | tuple[()]) -> PyTree:
    if not parts.config.target_network:
        return ()
    # A copy: a donated call must not be given one buffer twice.
    return jax.tree.map(jnp.copy, value.params if parts.config.value_network else critic.params)


def _new_head(net: Trained, fresh: Trained, layers: Layers) -> Trained:
    """With another last layer, and an optimiser that has seen nothing."""
    head = [name for name, layer in named(layers) if isinstance(layer, Dense)][-1]
    params = {"params": {**net.params["params"], head: fresh.params["params"][head]}}
    return Trained(params, net.batch_stats, fresh.opt)
