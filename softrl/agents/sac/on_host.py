"""The policy in NumPy, for acting while the device learns: XLA would let it wait until the update is done."""

import jax
import numpy as np

from softrl import numpy_network
from softrl.agents.sac.config import SACConfig
from softrl.agents.sac.state import Policy
from softrl.numpy_network import Layer
from softrl.types import EnvSpec, PyTree, Spec


def act_on_host(
    config: SACConfig, spec: Spec | EnvSpec, policy: Policy, obs: PyTree, noise: np.ndarray | None
) -> np.ndarray:
    """The `act` of soft actor-critic without XLA.

    Args: `policy`: NumPy arrays; `obs`: `[B, ...]`; `noise`: standard normal `[B, A]`; None: the mode.
    Returns: `[B, A]` float32, equal to the device's but for rounding.
    """
    layers = policy.params["params"]
    norms = [layers.get(f"LayerNorm_{i}", {}) for i in range(config.depth)]
    *hidden, head = [Layer(**layers[f"Dense_{i}"]) for i in range(config.depth + 1)]
    hidden = [layer._replace(scale=n.get("scale"), shift=n.get("bias")) for layer, n in zip(hidden, norms, strict=True)]
    x = _joined(config, spec, policy, obs)
    # flax's default epsilon
    out = numpy_network.perceptron(x, hidden, head, activation=config.activation, layer_norm_epsilon=1e-6)
    bounds = {"log_std_min": config.log_std_min, "log_std_max": config.log_std_max}
    return numpy_network.tanh_gaussian(out, noise, **bounds)


def _joined(config: SACConfig, spec: Spec | EnvSpec, policy: Policy, obs: PyTree) -> np.ndarray:
    mean, variance = policy.statistics.mean, policy.statistics.variance
    if spec.actor_obs is not None:
        obs, mean, variance = obs[spec.actor_obs], mean[spec.actor_obs], variance[spec.actor_obs]
    parts = []
    for x, m, v in zip(jax.tree.leaves(obs), jax.tree.leaves(mean), jax.tree.leaves(variance), strict=True):
        if config.normalize_obs:
            x = numpy_network.normalized(x, m, v, epsilon=1e-6, clip=10.0)
        parts.append(x.reshape(len(x), -1).astype(np.float32, copy=False))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
