"""What the soft actor-critic needs of a perceptron: a policy, K soft Q-functions, a soft value function."""

import jax
import jax.numpy as jnp

from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.networks.mlp import MLP, Torso
from softrl.types import Network


def policy(torso: Torso, obs_size: int, action_size: int, *, log_std_min: float, log_std_max: float) -> Network:
    """π_φ(·|s), a tanh-Gaussian: `apply(params, stats, obs[..., O], train) -> (TanhGaussian[..., A], stats)`.

    The log standard deviation is squashed smoothly into (log_std_min, log_std_max), so its gradient never vanishes at
    a clip. A small head starts every action near zero with std near the middle of that range.
    """
    module = MLP(torso, 2 * action_size, head_scale=0.01)
    middle, half_range = 0.5 * (log_std_min + log_std_max), 0.5 * (log_std_max - log_std_min)

    def apply(params, stats, obs, *, train=False):
        mean, raw = jnp.split(module.apply(params, obs), 2, axis=-1)
        return TanhGaussian(mean, middle + half_range * jnp.tanh(raw)), stats

    return Network(lambda key: (module.init(key, jnp.zeros((1, obs_size))), ()), apply)


def soft_q(torso: Torso, obs_size: int, action_size: int, *, num_critics: int) -> Network:
    """Q_θk(s, a), k = 1…K: `apply(params, stats, obs[B, O], action[B, A], train) -> (q[K, B], stats)`.

    Parameters are stacked on a leading axis K, so the ensemble is one batched matrix product a layer.
    """
    module = MLP(torso, 1)

    def init(key):
        dummy = jnp.zeros((1, obs_size + action_size))
        return jax.vmap(lambda k: module.init(k, dummy))(jax.random.split(key, num_critics)), ()

    def apply(params, stats, obs, action, *, train=False):
        inputs = jnp.concatenate([obs, action], axis=-1)
        # A copy for each critic: products that share their left side come out in a layout that must be transposed.
        inputs = jnp.broadcast_to(inputs[None], (num_critics, *inputs.shape))
        return jax.vmap(module.apply)(params, inputs)[..., 0], stats

    return Network(init, apply)


def soft_v(torso: Torso, obs_size: int) -> Network:
    """V_ψ(s): `apply(params, stats, obs[B, O], train) -> (v[B], stats)`."""
    module = MLP(torso, 1)

    def apply(params, stats, obs, *, train=False):
        return module.apply(params, obs)[..., 0], stats

    return Network(lambda key: (module.init(key, jnp.zeros((1, obs_size))), ()), apply)
