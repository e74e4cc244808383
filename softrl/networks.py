"""Networks as `(init, apply)` pairs, built by flax from tuples of layers: policy, ensemble of soft Q, soft value."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from softrl.distributions.categorical import Categorical
from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.layers import Activation, BatchNorm, BatchRenorm, Dense, LayerNorm, Layers, Residual, RMSNorm, named
from softrl.types import Network, PyTree

ACTIVATIONS = {"relu": nn.relu, "silu": nn.silu, "elu": nn.elu, "gelu": nn.gelu, "tanh": nn.tanh}


def _in_bfloat16(x: jax.Array, kernel: jax.Array, dimensions: Any, **_: Any) -> jax.Array:
    return jax.lax.dot_general(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), dimensions).astype(jnp.float32)


PRODUCTS = {"float32": None, "bfloat16": _in_bfloat16}
"""How matrix products are made, their gradients' too, but for the head's, whose numbers are values; parameters and all
that is between products stay in float32."""


class Stack(nn.Module):
    """`[..., I] -> [..., O]`: the layers one after the other, their parameters named as `layers.named` says.

    precision: one of `PRODUCTS`. head: whether the last Dense is one, and not inside of a residual block.
    """

    layers: Layers
    precision: str = "float32"
    head: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        head = _last_dense(self.layers) if self.head else None
        for name, layer in named(self.layers):
            match layer:
                case Dense(size, scale):
                    init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
                    product = None if name == head else PRODUCTS[self.precision]
                    x = nn.Dense(size, kernel_init=init, name=name, dot_general=product)(x)
                case LayerNorm(epsilon):
                    x = nn.LayerNorm(epsilon=epsilon, name=name)(x)
                case RMSNorm(epsilon):
                    x = nn.RMSNorm(epsilon=epsilon, name=name)(x)
                case BatchNorm(momentum, epsilon):
                    x = nn.BatchNorm(use_running_average=not train, momentum=momentum, epsilon=epsilon, name=name)(x)
                case BatchRenorm():
                    x = Renormalized(layer, name=name)(x, train=train)
                case Residual(inner):
                    x = x + Stack(inner, self.precision, head=False, name=name)(x, train=train)
                case Activation(kind):
                    x = ACTIVATIONS[kind](x)
        return x


class Renormalized(nn.Module):
    """`[..., H] -> [..., H]`, as `BatchRenorm` says; its arrays are those of flax's BatchNorm."""

    layer: BatchRenorm

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        of, axes = self.layer, tuple(range(x.ndim - 1))
        scale, bias = (
            jnp.expand_dims(self.param(name, init, x.shape[-1:]), axes)
            for name, init in (("scale", nn.initializers.ones), ("bias", nn.initializers.zeros))
        )
        mean, var = (
            self.variable("batch_stats", name, init, x.shape[-1:])
            for name, init in (("mean", jnp.zeros), ("var", jnp.ones))
        )
        m, s = jnp.expand_dims(mean.value, axes), jnp.expand_dims(jnp.sqrt(var.value + of.epsilon), axes)
        if not train:
            return (x - m) / s * scale + bias
        mu, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
        sigma = jnp.sqrt(variance + of.epsilon)
        r = jax.lax.stop_gradient(jnp.clip(sigma / s, 1.0 / of.most_scale, of.most_scale))
        d = jax.lax.stop_gradient(jnp.clip((mu - m) / s, -of.most_shift, of.most_shift))
        for running, now in ((mean, mu), (var, variance)):
            running.value = of.momentum * running.value + (1.0 - of.momentum) * now.reshape(-1)
        return ((x - mu) / sigma * r + d) * scale + bias


def network(layers: Layers, size: int, precision: str = "float32") -> Network:
    """The layers for inputs `[..., size]`: `apply(params, batch_stats, x, train) -> ([..., O], batch_stats)`.

    batch_stats: flax's collection, `()` where no layer is a BatchNorm or BatchRenorm. With `train` these see the batch,
    and their moved running statistics come back; without, they normalise by the running ones, which stay as they are.
    """
    module = Stack(layers, precision)

    def init(key):
        variables = module.init(key, jnp.zeros((1, size)))
        batch_stats = variables.pop("batch_stats", ())
        return variables, batch_stats

    def apply(params, batch_stats, x, *, train=False):
        if batch_stats == ():
            return module.apply(params, x), ()
        variables = {**params, "batch_stats": batch_stats}
        if not train:
            return module.apply(variables, x), batch_stats
        y, moved = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return y, moved["batch_stats"]

    return Network(init, apply)


def uniform(params: PyTree, key: jax.Array) -> PyTree:
    """The parameters with those of every Dense drawn anew, weights and biases uniform within ± 1/√I of I inputs.

    That is PyTorch's default, and so that of most published results. Args: `params`: of a network, or of an ensemble.
    """
    leaves, tree = jax.tree.flatten_with_path(params)
    inputs = {path[:-1]: x.shape[-2] for path, x in leaves if path[-1].key == "kernel"}

    def drawn(i: int, path: tuple, x: jax.Array) -> jax.Array:
        if path[:-1] not in inputs:  # a norm's
            return x
        bound = inputs[path[:-1]] ** -0.5
        return jax.random.uniform(jax.random.fold_in(key, i), x.shape, x.dtype, -bound, bound)

    return jax.tree.unflatten(tree, [drawn(i, path, x) for i, (path, x) in enumerate(leaves)])


def unit_weights(layers: Layers, params: PyTree) -> PyTree:
    """The parameters with the weights into every unit scaled to norm 1, w / ‖w‖, but for those of the head, the stack's
    last Dense; weights that are all zero stay.

    What follows a normalisation is the same function for any scale of the weights before it, but learns slower the
    larger they grow. Biases stay. Args: `params`: of these layers, or of an ensemble of them, stacked.
    Source: XQC (Palenicek et al. 2025, arXiv:2509.25174), FlashSAC (arXiv:2604.04539).
    """
    return jax.tree_util.tree_map_with_path(partial(_unit, f"params/{_last_dense(layers)}/kernel"), params)


def _last_dense(layers: Layers) -> str | None:
    return next((name for name, layer in reversed(named(layers)) if isinstance(layer, Dense)), None)


def _unit(head: str, path: tuple, x: jax.Array) -> jax.Array:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    if name == head or not name.endswith("/kernel"):
        return x
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-2, keepdims=True), 1e-12)


def policy(
    layers: Layers,
    obs_size: int,
    *,
    log_std_min: float,
    log_std_max: float,
    log_std_map: str = "tanh",
    precision: str = "float32",
) -> Network:
    """π_φ(·|s), a tanh-Gaussian: `apply(params, batch_stats, obs[..., O], train)` gives `(TanhGaussian[..., A],
    batch_stats)`.

    The layers end in size 2 A, mean and raw log standard deviation. The latter is squashed smoothly into (log_std_min,
    log_std_max) by a `tanh`, so its gradient never vanishes, and starts in the middle; or `clip` cuts it there.
    """
    init, forward = network(layers, obs_size, precision)
    middle, half_range = 0.5 * (log_std_min + log_std_max), 0.5 * (log_std_max - log_std_min)

    def apply(params, batch_stats, obs, *, train=False):
        out, batch_stats = forward(params, batch_stats, obs, train=train)
        mean, raw = jnp.split(out, 2, axis=-1)
        if log_std_map == "clip":
            return TanhGaussian(mean, jnp.clip(raw, log_std_min, log_std_max)), batch_stats
        return TanhGaussian(mean, middle + half_range * jnp.tanh(raw)), batch_stats

    return Network(init, apply)


def categorical_policy(layers: Layers, obs_size: int, *, precision: str = "float32") -> Network:
    """π_φ(·|s) over n actions: `apply(params, batch_stats, obs[..., O], train) -> (Categorical[..., n], batch_stats)`.
    The layers end in the n logits."""
    init, forward = network(layers, obs_size, precision)

    def apply(params, batch_stats, obs, *, train=False):
        logits, batch_stats = forward(params, batch_stats, obs, train=train)
        return Categorical(logits), batch_stats

    return Network(init, apply)


Read = Callable[[jax.Array], jax.Array]
"""What the numbers `[..., O]` that a critic's layers end in say of one action's value."""


def _number(outputs: jax.Array) -> jax.Array:
    return outputs[..., 0]


def soft_q(
    layers: Layers,
    obs_size: int,
    action_size: int,
    *,
    num_critics: int,
    read: Read = _number,
    precision: str = "float32",
) -> Network:
    """Q_θk(s, a), k = 1…K: `apply(params, batch_stats, obs[B, O], action[B, A], train) -> (q[K, B], batch_stats)`.

    The layers end in size 1, or in as many numbers as `read` takes. Parameters are stacked on a leading axis K, so the
    ensemble is one batched matrix product a layer.
    """
    init, forward = _ensemble(layers, obs_size + action_size, num_critics, precision)

    def apply(params, batch_stats, obs, action, *, train=False):
        outputs, batch_stats = forward(params, batch_stats, jnp.concatenate([obs, action], axis=-1), train=train)
        return read(outputs), batch_stats

    return Network(init, apply)


def discrete_soft_q(
    layers: Layers,
    obs_size: int,
    n: int,
    *,
    num_critics: int,
    read: Read = _number,
    precision: str = "float32",
) -> Network:
    """Q_θk(s, a) of one of n actions: `apply(params, batch_stats, obs[B, O], action, train) -> (q, batch_stats)`, with
    `action[B]` integers and `q[K, B]`, or several a state, `action[B, m]` and `q[K, B, m]`.

    The layers end in size n, the values of all actions, or in n times as many numbers as `read` takes. The ensemble is
    as in `soft_q`.
    """
    init, forward = _ensemble(layers, obs_size, num_critics, precision)

    def apply(params, batch_stats, obs, action, *, train=False):
        outputs, batch_stats = forward(params, batch_stats, obs, train=train)
        each = outputs.reshape(*outputs.shape[:2], n, -1)
        at = action.reshape(1, len(action), -1, 1)
        q = read(jnp.take_along_axis(each, at, axis=2))
        return q.reshape(num_critics, *action.shape, *q.shape[3:]), batch_stats

    return Network(init, apply)


def _ensemble(layers: Layers, size: int, num: int, precision: str) -> Network:
    """`num` networks of these layers, parameters stacked, for one input: `[B, size] -> [num, B, O]`."""
    one, forward = network(layers, size, precision)

    def init(key):
        return jax.vmap(one)(jax.random.split(key, num))

    def apply(params, batch_stats, x, *, train=False):
        # A copy for each: products that share their left side come out in a layout that must be transposed.
        x = jnp.broadcast_to(x[None], (num, *x.shape))
        return jax.vmap(lambda *args: forward(*args, train=train))(params, batch_stats, x)

    return Network(init, apply)


def soft_v(layers: Layers, obs_size: int, *, precision: str = "float32") -> Network:
    """V_ψ(s): `apply(params, batch_stats, obs[B, O], train) -> (v[B], batch_stats)`. The layers end in size 1."""
    init, forward = network(layers, obs_size, precision)

    def apply(params, batch_stats, obs, *, train=False):
        v, batch_stats = forward(params, batch_stats, obs, train=train)
        return v[..., 0], batch_stats

    return Network(init, apply)
