"""What soft actor-critic expects over actions: of continuous ones by one reparameterised draw, of discrete ones
exactly, over all n (Christodoulou 2019, arXiv:1910.07207).

All losses are linear in what is expected, so the update knows no kinds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softrl import networks
from softrl.agents.actor import Drawn, drawn
from softrl.agents.critics import critic_layers
from softrl.agents.observations import size
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.critic import belief_of
from softrl.distributions import categorical, tanh_gaussian
from softrl.distributions.categorical import Categorical
from softrl.layers import Layers
from softrl.types import Discrete, EnvSpec, Network, PyTree, Spec

Value = Callable[[jax.Array, jax.Array], PyTree]
"""What is expected: `(action [B, ...], log_prob [B])` -> a tree of `[B, ...]`."""


class ActionKind(NamedTuple):
    """One kind of actions.

    policy: what draws them, in an update. critic_layers: the critics' as data.
    critic: network from observations and actions to beliefs `[K, B, ...]`.
    noise: `(key, count, action [B, ...])` -> `count` blocks, each for what is drawn once at B states.
    expected: `(f, distribution, noise)` -> E[f(a, log π(a|s))] over a ~ π, `f(action [B, ...], log_prob [B])` a tree of
    `[B, ...]`.
    some: `(distribution, noise) -> action [B, ...]`, one of those that `expected` looked at.
    log_prob: `(distribution, action) -> [B]`, of actions that anybody took.
    """

    policy: Drawn
    critic_layers: Layers
    critic: Network
    noise: Callable[[jax.Array, int, jax.Array], Any]
    expected: Callable[[Value, Any, Any], PyTree]
    some: Callable[[Any, Any], jax.Array]
    log_prob: Callable[[Any, jax.Array], jax.Array]


def kind_of(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    """The kind of a robot's actions."""
    return (_discrete if isinstance(spec.action, Discrete) else _continuous)(config, spec)


def _continuous(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    belief, critic_size = belief_of(config), size(spec.obs, spec.critic_obs)
    layers = critic_layers(config, belief.outputs)
    return ActionKind(
        policy=drawn(config, spec, precision=config.precision),
        critic_layers=layers,
        critic=networks.soft_q(layers, critic_size, spec.action.size, **_critic(config)),
        noise=lambda key, count, action: jax.random.normal(key, (count, *action.shape)),
        expected=lambda value, dist, noise: value(*tanh_gaussian.transform(noise, dist)),
        some=lambda dist, noise: tanh_gaussian.transform(noise, dist)[0],
        log_prob=tanh_gaussian.log_prob_of_action,
    )


def _critic(config: SACConfig) -> dict[str, Any]:
    return {"num_critics": config.num_critics, "read": belief_of(config).read, "precision": config.precision}


def _discrete(config: SACConfig, spec: Spec | EnvSpec) -> ActionKind:
    belief, critic_size = belief_of(config), size(spec.obs, spec.critic_obs)
    layers, n = critic_layers(config, spec.action.n * belief.outputs), spec.action.n
    return ActionKind(
        policy=drawn(config, spec, precision=config.precision),
        critic_layers=layers,
        critic=networks.discrete_soft_q(layers, critic_size, n, **_critic(config)),
        noise=lambda key, count, action: [()] * count,
        expected=_expected_exactly,
        some=lambda dist, noise: categorical.mode(dist),
        log_prob=categorical.log_prob,
    )


def _expected_exactly(value: Value, dist: Categorical, noise: tuple[()]) -> PyTree:
    """Σ_a π(a|s) value(a, log π(a|s)), an action a lane: what does not depend on the action is computed once."""
    log_probs = jax.nn.log_softmax(dist.logits)
    rows, n = log_probs.shape
    every = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32)[:, None], (n, rows))
    values = jax.vmap(value)(every, log_probs.T)
    probs = jnp.exp(log_probs.T)
    return jax.tree.map(lambda x: jnp.sum(probs.reshape(n, rows, *(1,) * (x.ndim - 2)) * x, axis=0), values)
