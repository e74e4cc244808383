"""The actions that stand for all of them in a soft value: all n discrete ones, exactly, or particles, by importance.

Both are a `Support`, so that V = α log Σ_j exp(w_j + Q(s, a_j)/α) is one line for both, and the update knows no kinds.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import networks, soft
from softrl.agents.observations import size
from softrl.agents.soft_q import sampler
from softrl.agents.soft_q.config import SoftQConfig
from softrl.agents.soft_q.layers import critic_layers, policy_layers
from softrl.distributions import categorical
from softrl.distributions.categorical import Categorical
from softrl.errors import ConfigError
from softrl.types import Discrete, EnvSpec, Network, PyTree, Spec


class Support(NamedTuple):
    """Actions `[B, P, ...]` and weights `[B, P]` in nats: Σ_j exp(w_j) g(a_j) is, or estimates, ∫ g(a) da."""

    action: jax.Array
    log_weight: jax.Array


class Soft(NamedTuple):
    """Of the Boltzmann policy at B states, `[B]` each: V = E[Q] + α H, and E[Q]; in units of return."""

    value: jax.Array
    q: jax.Array


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: the network that is published. critic: from observations `[B, O]` and actions `[B, P, ...]` to `[K, B, P]`.
    critic_obs: which part of an observation critics see. sampled: whether a sampler learns.
    support: `(policy parameters, obs [B, O], key) -> Support`; only a sampler as proposal reads the parameters.
    act: `(policy parameters, obs [B, O], key or None for the mode) -> action [B, ...]`.
    """

    policy: Network
    critic: Network
    critic_obs: str | None
    sampled: bool
    support: Callable[[PyTree, jax.Array, jax.Array], Support]
    act: Callable[[PyTree, jax.Array, jax.Array | None], jax.Array]


def kind_of(config: SoftQConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions. Raises: ConfigError for several critics of discrete actions."""
    return (_discrete if isinstance(spec.action, Discrete) else _continuous)(config, spec)


def soft_of(q: jax.Array, log_weight: jax.Array, temperature: jax.Array) -> Soft:
    """V = α log Σ_j exp(w_j + Q_j/α), and the mean of Q under what is summed. Args: `[B, P]` both, and `[]`.

    With w_j = −log q(a_j) − log P of draws from q it is the importance estimate, on average below the true V; of more
    draws it is less so. Source: Haarnoja et al. 2017, arXiv:1702.08165, Eq 9.
    """
    value, log_prob = soft.value_and_log_policy(q, temperature, log_weight)
    return Soft(value, jnp.sum(jnp.exp(log_prob) * q, axis=-1))


def _discrete(config: SoftQConfig, spec: Spec | EnvSpec) -> ActionKind:
    if config.num_critics != 1:
        raise ConfigError(
            f"num_critics must be 1 for discrete actions, whose policy is the critic itself; got {config.num_critics}"
        )
    layers, width = critic_layers(config, spec.action), size(spec.obs, spec.actor_obs)
    policy = networks.categorical_policy(layers, width)
    every = jnp.arange(spec.action.n, dtype=jnp.int32)[None]

    def support(params: PyTree, obs: jax.Array, key: jax.Array) -> Support:
        action = jnp.broadcast_to(every, (len(obs), spec.action.n))
        return Support(action, jnp.zeros(action.shape))

    return ActionKind(
        policy=policy,
        critic=networks.discrete_soft_q(layers, width, spec.action.n, num_critics=1),
        critic_obs=spec.actor_obs,  # what the policy sees, since it is the policy
        sampled=False,
        support=support,
        act=partial(_act_by_logits, policy),
    )


def _act_by_logits(policy: Network, params: PyTree, obs: jax.Array, key: jax.Array | None) -> jax.Array:
    dist: Categorical = policy.apply(params, (), obs)[0]
    return categorical.mode(dist) if key is None else categorical.sample(key, dist)[0]


def _continuous(config: SoftQConfig, spec: Spec | EnvSpec) -> ActionKind:
    count, actor_size = spec.action.size, size(spec.obs, spec.actor_obs)
    policy = networks.network(policy_layers(config, spec.action), actor_size + count)
    critic = networks.soft_q(
        critic_layers(config, spec.action), size(spec.obs, spec.critic_obs), count, num_critics=config.num_critics
    )
    proposal = {"uniform": _uniform, "sampler": partial(_drawn, policy)}[config.proposal]
    return ActionKind(
        policy=policy,
        critic=Network(critic.init, partial(_at_several, critic)),
        critic_obs=spec.critic_obs,
        sampled=True,
        support=partial(proposal, (config.value_particles, count)),
        act=partial(_act_by_draw, policy, count),
    )


def _at_several(critic: Network, params: PyTree, batch_stats: PyTree, obs, action, *, train: bool = False):
    """A critic at P actions a state: `action` `[B, P, A]` gives `[K, B, P]`."""
    rows, several = action.shape[:2]
    q, batch_stats = critic.apply(
        params, batch_stats, jnp.repeat(obs, several, axis=0), action.reshape(rows * several, -1), train=train
    )
    return q.reshape(-1, rows, several), batch_stats


def _uniform(shape: tuple[int, int], params: PyTree, obs: jax.Array, key: jax.Array) -> Support:
    action = jax.random.uniform(key, (len(obs), *shape), minval=-1.0, maxval=1.0)
    return Support(action, jnp.full(action.shape[:2], shape[1] * math.log(2.0) - math.log(shape[0])))


def _drawn(policy: Network, shape: tuple[int, int], params: PyTree, obs: jax.Array, key: jax.Array) -> Support:
    found = sampler.draws(policy, params, obs, jax.random.normal(key, (len(obs), *shape)))
    return Support(found.action, -found.log_prob - math.log(shape[0]))


def _act_by_draw(policy: Network, count: int, params: PyTree, obs: jax.Array, key: jax.Array | None) -> jax.Array:
    shape = (obs.shape[0], 1, count)  # which an export leaves open
    noise = jnp.zeros(shape) if key is None else jax.random.normal(key, shape)
    return jnp.tanh(sampler.pre_tanh(policy, params, obs, noise))[:, 0]
