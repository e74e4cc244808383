"""The networks of soft actor-critic as data, and its policy in NumPy: for files, for servers, and for a host that acts
while the device learns, where XLA would let it wait until the update is done."""

from functools import lru_cache
from typing import Any

import jax
import numpy as np

from softrl.agents.observations import inputs
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.state import Policy
from softrl.layers import NORMALIZER, Layers, perceptron
from softrl.numpy_network import TanhGaussian
from softrl.numpy_policy import NumpyPolicy, PolicySpec, at
from softrl.types import Action, EnvSpec, Spec


def critic_layers(config: SACConfig) -> Layers:
    """A critic's or the value network's, which end in one number."""
    return _layers(config, config.critic_widths, 1)


def policy_layers(config: SACConfig, action_size: int) -> Layers:
    """The policy's; a small head starts every action near zero, and every raw log std too."""
    return _layers(config, config.policy_widths, 2 * action_size, head_scale=0.01)


def _layers(config: SACConfig, spelled: str, out: int, *, head_scale: float = 1.0) -> Layers:
    widths = tuple(map(int, spelled.split(","))) if spelled else (config.width,) * config.depth
    style = {"activation": config.activation, "layer_norm": config.layer_norm}
    return perceptron(widths, out, head_scale=head_scale, **style)


def actor(config: SACConfig, spec: Spec | EnvSpec, policy: Policy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, with nothing that only a critic sees; waits for it, and copies nothing on a CPU.

    Raises: ExportError for observations that are more than arrays in dictionaries and tuples.
    """
    leaves, structure = jax.tree.flatten(spec.obs)
    known, bounds = _static(config, structure, tuple(leaves), spec.actor_obs, spec.action)
    weights, seen = policy.params["params"], (policy.statistics.mean, policy.statistics.variance)
    arrays = {f"policy/{name}/{part}": np.asarray(x) for name, parts in weights.items() for part, x in parts.items()}
    for entry in known.inputs if known.normalizer else ():
        arrays |= {name: np.asarray(at(x, entry.path)) for name, x in zip(entry.moments, seen, strict=True)}
    return NumpyPolicy(known, arrays | bounds, version)


@lru_cache(maxsize=8)
def _static(
    config: SACConfig, structure: Any, leaves: tuple[Any, ...], actor_obs: str | None, action: Action
) -> tuple[PolicySpec, dict[str, np.ndarray]]:
    """What does not change while a policy learns: how to read it, and the actions' bounds."""
    spec = PolicySpec(
        inputs(jax.tree.unflatten(structure, leaves), actor_obs),
        policy_layers(config, action.size),
        TanhGaussian(action.size, config.log_std_min, config.log_std_max, config.log_std_map),
        NORMALIZER if config.normalize_obs else None,
    )
    ends = {"action/low": action.low or -1.0, "action/high": action.high or 1.0}
    return spec, {name: np.array(np.broadcast_to(end, action.size), np.float32) for name, end in ends.items()}
