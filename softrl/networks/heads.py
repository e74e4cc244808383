"""What the soft actor-critic needs of a network: a policy, K soft Q-functions, a soft value function."""

import jax
import jax.numpy as jnp

from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.layers import Layers
from softrl.networks.stack import network
from softrl.types import Network


def policy(layers: Layers, obs_size: int, *, log_std_min: float, log_std_max: float) -> Network:
    """π_φ(·|s), a tanh-Gaussian: `apply(params, batch_stats, obs[..., O], train)` gives `(TanhGaussian[..., A],
    batch_stats)`.

    The layers end in size 2 A, mean and raw log standard deviation. The latter is squashed smoothly into (log_std_min,
    log_std_max), so its gradient never vanishes at a clip.
    """
    init, forward = network(layers, obs_size)
    middle, half_range = 0.5 * (log_std_min + log_std_max), 0.5 * (log_std_max - log_std_min)

    def apply(params, batch_stats, obs, *, train=False):
        out, batch_stats = forward(params, batch_stats, obs, train=train)
        mean, raw = jnp.split(out, 2, axis=-1)
        return TanhGaussian(mean, middle + half_range * jnp.tanh(raw)), batch_stats

    return Network(init, apply)


def soft_q(layers: Layers, obs_size: int, action_size: int, *, num_critics: int) -> Network:
    """Q_θk(s, a), k = 1…K: `apply(params, batch_stats, obs[B, O], action[B, A], train) -> (q[K, B], batch_stats)`.

    The layers end in size 1. Parameters are stacked on a leading axis K, so the ensemble is one batched matrix product
    a layer.
    """
    one, forward = network(layers, obs_size + action_size)

    def init(key):
        return jax.vmap(one)(jax.random.split(key, num_critics))

    def apply(params, batch_stats, obs, action, *, train=False):
        inputs = jnp.concatenate([obs, action], axis=-1)
        # A copy for each critic: products that share their left side come out in a layout that must be transposed.
        inputs = jnp.broadcast_to(inputs[None], (num_critics, *inputs.shape))
        q, batch_stats = jax.vmap(lambda *args: forward(*args, train=train))(params, batch_stats, inputs)
        return q[..., 0], batch_stats

    return Network(init, apply)


def soft_v(layers: Layers, obs_size: int) -> Network:
    """V_ψ(s): `apply(params, batch_stats, obs[B, O], train) -> (v[B], batch_stats)`. The layers end in size 1."""
    init, forward = network(layers, obs_size)

    def apply(params, batch_stats, obs, *, train=False):
        v, batch_stats = forward(params, batch_stats, obs, train=train)
        return v[..., 0], batch_stats

    return Network(init, apply)
