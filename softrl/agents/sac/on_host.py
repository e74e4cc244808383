"""The policy in NumPy, for acting while the device learns: XLA would let it wait until the update is done."""

from collections.abc import Callable

import jax
import numpy as np

from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.state import Policy
from softrl.types import EnvSpec, PyTree, Spec

_GELU = np.float32(np.sqrt(2.0 / np.pi))

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": lambda x: x * _sigmoid(x),
    "elu": lambda x: np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu": lambda x: 0.5 * x * (1.0 + np.tanh(_GELU * (x + np.float32(0.044715) * x * x * x))),
    "tanh": np.tanh,
}


def act_on_host(
    config: SACConfig, spec: Spec | EnvSpec, policy: Policy, obs: PyTree, noise: np.ndarray | None
) -> np.ndarray:
    """The `act` of soft actor-critic without XLA.

    Args: `policy`: NumPy arrays; `obs`: `[B, ...]`; `noise`: standard normal `[B, A]`; None: the mode.
    Returns: `[B, A]` float32, equal to the device's but for rounding.
    """
    x = _joined(config, spec, policy, obs)
    layers = policy.params["params"]
    for i in range(config.depth):
        x = x @ layers[f"Dense_{i}"]["kernel"] + layers[f"Dense_{i}"]["bias"]
        if config.layer_norm:
            norm = layers[f"LayerNorm_{i}"]
            x = x - x.mean(axis=-1, keepdims=True)
            # flax's default epsilon
            x = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(1e-6)) * norm["scale"] + norm["bias"]
        x = ACTIVATIONS[config.activation](x)
    head = layers[f"Dense_{config.depth}"]
    mean, raw = np.split(x @ head["kernel"] + head["bias"], 2, axis=-1)
    if noise is not None:
        half, middle = 0.5 * (config.log_std_max - config.log_std_min), 0.5 * (config.log_std_max + config.log_std_min)
        mean = mean + np.exp(np.float32(middle) + np.float32(half) * np.tanh(raw)) * noise
    return np.tanh(mean)


def _joined(config: SACConfig, spec: Spec | EnvSpec, policy: Policy, obs: PyTree) -> np.ndarray:
    mean, variance = policy.statistics.mean, policy.statistics.variance
    if spec.actor_obs is not None:
        obs, mean, variance = obs[spec.actor_obs], mean[spec.actor_obs], variance[spec.actor_obs]
    parts = []
    for x, m, v in zip(jax.tree.leaves(obs), jax.tree.leaves(mean), jax.tree.leaves(variance), strict=True):
        if config.normalize_obs:
            x = np.clip((x - m) / np.sqrt(v + np.float32(1e-6)), -10.0, 10.0)
        parts.append(x.reshape(len(x), -1).astype(np.float32, copy=False))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # exp would overflow, with a warning
