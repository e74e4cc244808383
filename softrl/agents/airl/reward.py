"""What is learned beside the policy: the reward g, its potential h, and what h will be after a step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import networks
from softrl.agents.airl import losses
from softrl.agents.airl.config import AIRLConfig
from softrl.agents.observations import size
from softrl.agents.policy import widths
from softrl.layers import Layers, named, perceptron
from softrl.types import Action, Discrete, EnvSpec, Network, PyTree, Spec


class Shaped(NamedTuple):
    """Parameters of g and h. end: g and h after an episode terminated, which is a state that nobody leaves, `[2]`."""

    reward: PyTree
    potential: PyTree
    end: jax.Array


class RewardNetworks(NamedTuple):
    """Static. reward: g, `[B, I]`, states and perhaps actions. potential: h, `[B, O]`, states. after: ĥ, `[B, O + A]`,
    the mean of γ h(s′), the end's where the episode terminated. All give `[B]`."""

    config: AIRLConfig
    action: Action
    reward: Network
    potential: Network
    after: Network


def reward_layers(config: AIRLConfig) -> Layers:
    """Of g, h and ĥ alike."""
    return perceptron(widths(config.reward_widths, 1, 0), 1, activation=config.activation)


def numbers(action: Action) -> int:
    """How many numbers an action is to a network: A, or the n zeros and ones of a discrete one."""
    return action.n if isinstance(action, Discrete) else action.size


def reward_networks(config: AIRLConfig, spec: Spec | EnvSpec) -> RewardNetworks:
    """The networks for a robot."""
    state, action, layers = size(spec.obs, spec.critic_obs), numbers(spec.action), reward_layers(config)
    seen = state + action if config.reward_inputs == "state-action" else state
    return RewardNetworks(
        config, spec.action, *(networks.soft_v(layers, many) for many in (seen, state, state + action))
    )


def reward(nets: RewardNetworks, params: PyTree, state: jax.Array, action: jax.Array) -> jax.Array:
    """g `[B]`. Args: `state`: `[B, O]` as networks see it; `action`: `[B, A]`, or `[B]` of discrete ones."""
    return nets.reward.apply(params, (), reward_inputs(nets, state, action))[0]


def reward_inputs(nets: RewardNetworks, state: jax.Array, action: jax.Array) -> jax.Array:
    """What g sees, `[B, I]`."""
    return both(nets, state, action) if nets.config.reward_inputs == "state-action" else state


def both(nets: RewardNetworks, state: jax.Array, action: jax.Array) -> jax.Array:
    """State and action side by side, `[B, O + A]`."""
    given = jax.nn.one_hot(action, nets.action.n) if isinstance(nets.action, Discrete) else action
    return jnp.concatenate([state, given], axis=-1)


def potential_after(
    nets: RewardNetworks, params: Shaped, next_state: jax.Array, discount: jax.Array, ended: jax.Array
) -> jax.Array:
    """γ h of what came after a step `[B]`. Args: `discount`: γ (1 − terminated); `ended`: γ terminated."""
    return discount * nets.potential.apply(params.potential, (), next_state)[0] + ended * params.end[1]


def advantage(
    nets: RewardNetworks,
    params: Shaped,
    after: PyTree | tuple[()],
    state: jax.Array,
    action: jax.Array,
    next_state: jax.Array,
    discount: jax.Array,
    ended: jax.Array,
) -> jax.Array:
    """f = g + γ h(s′) − h(s) `[B]`, with the mean over s′ where `after` has ĥ's parameters.

    The mean makes it causal: of two next states that one action may lead to, the one that came says nothing on the
    actor's intentions. As a function of s′, f could not be the log π_E(a|s) that it must become; where dynamics are
    random the reward then comes out wrong, in size and sign. The gradient in h is that of the one s′ that came, which
    is right on average.
    Args: `state`, `next_state`: `[B, O]` as networks see them; `discount`, `ended`: as `potential_after` has them.
    """
    came = potential_after(nets, params, next_state, discount, ended)
    f = losses.shaped(
        reward(nets, params.reward, state, action), nets.potential.apply(params.potential, (), state)[0], came
    )
    if nets.config.shaping == "sampled":
        return f
    mean = nets.after.apply(after, (), both(nets, state, action))[0]
    return f + jax.lax.stop_gradient(mean - came)


def advantage_of_the_end(params: Shaped, gamma: jax.Array) -> jax.Array:
    """f of each step after the end, `[]`: g + γ h − h of that one state."""
    return losses.shaped(params.end[0], params.end[1], gamma * params.end[1])


def reward_against_the_end(config: AIRLConfig, params: Shaped) -> PyTree:
    """Parameters of g − g_end: what an environment can pay that pays nothing any more when an episode terminated.

    Whoever goes on earns that much more at every step, where whoever ended would earn g_end for ever: returns differ
    by g_end / (1 − γ), the same for every policy. Leading axes of members stay as they are.
    """
    last, _ = named(reward_layers(config))[-1]
    tree = params.reward["params"]
    moved = {**tree[last], "bias": tree[last]["bias"] - params.end[..., :1]}
    return {**params.reward, "params": {**tree, last: moved}}
