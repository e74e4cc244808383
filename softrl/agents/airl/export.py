"""The learned reward as a network that leaves as a file, and needs neither policy nor critics any more."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from softrl import running_statistics
from softrl.agents.airl.config import AIRLConfig
from softrl.agents.airl.reward import numbers, reward_layers, reward_networks
from softrl.agents.airl.state import AIRLPolicy
from softrl.agents.observations import inputs, joined
from softrl.agents.policy import named_arrays
from softrl.layers import NORMALIZER
from softrl.numpy_network import Scalar
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec, at
from softrl.types import EnvSpec, PyTree, Spec


def reward_network(
    config: AIRLConfig, spec: Spec | EnvSpec, policy: AIRLPolicy
) -> tuple[NumpyPolicy, Callable[[PyTree], jax.Array]]:
    """g in NumPy and in JAX, from states `[B, ...]` to `[B]`, in nats; without the potential, which is the dynamics'.
    It is measured against what comes after the end of an episode, so that nothing need be paid there.

    Of states and actions its inputs are a dictionary: `obs`, and `action`, `[B, A]` within (−1, 1) or n zeros and ones.
    Raises: ExportError for observations that are more than arrays in dictionaries and tuples.
    """
    seen, acts = inputs(spec.obs, spec.critic_obs), config.reward_inputs == "state-action"
    arrays, statistics = named_arrays(policy.reward, ()), policy.actor.statistics
    places = tuple(entry._replace(path=("obs", *entry.path)) for entry in seen) if acts else seen
    if config.normalize_obs:
        for entry, place in zip(seen, places, strict=True):
            moments = (at(x, entry.path) for x in (statistics.mean, statistics.variance))
            arrays |= {name: np.asarray(x) for name, x in zip(place.moments, moments, strict=True)}
    if acts:
        action = Input(("action",), (numbers(spec.action),))
        places += (action,)
        if config.normalize_obs:  # by which an action stays as it is
            blank = np.zeros(action.shape, np.float32)
            arrays |= dict(zip(action.moments, (blank, blank + np.float32(1.0 - NORMALIZER.epsilon)), strict=True))
    known = PolicySpec(places, reward_layers(config), Scalar(), NORMALIZER if config.normalize_obs else None)
    return NumpyPolicy(known, arrays), lambda given: _computed(config, spec, policy, given)


def _computed(config: AIRLConfig, spec: Spec | EnvSpec, policy: AIRLPolicy, given: PyTree) -> jax.Array:
    acts = config.reward_inputs == "state-action"
    obs, part = (given["obs"] if acts else given), spec.critic_obs
    action = [given["action"]] if acts else []
    if config.normalize_obs:
        statistics = policy.actor.statistics
        if part is not None:
            obs = {part: obs[part]}
            statistics = statistics._replace(
                mean={part: statistics.mean[part]}, variance={part: statistics.variance[part]}
            )
        obs = running_statistics.normalize(statistics, obs)
        # As the file has it, which clips every input; no action is that large.
        action = [jnp.clip(x, -NORMALIZER.clip, NORMALIZER.clip) for x in action]
    x = jnp.concatenate([joined(obs, part), *action], axis=-1)
    return reward_networks(config, spec).reward.apply(policy.reward, (), x)[0]
