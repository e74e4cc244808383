"""A tuple of layers as a flax network behind `(init, apply)`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from softrl.layers import Activation, Dense, LayerNorm, Layers, named
from softrl.types import Network

ACTIVATIONS = {"relu": nn.relu, "silu": nn.silu, "elu": nn.elu, "gelu": nn.gelu, "tanh": nn.tanh}


class Stack(nn.Module):
    """`[..., I] -> [..., O]`: the layers one after the other, their parameters named as `layers.named` says."""

    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name, layer in named(self.layers):
            match layer:
                case Dense(size, scale):
                    init = nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal")
                    x = nn.Dense(size, kernel_init=init, name=name)(x)
                case LayerNorm(epsilon):
                    x = nn.LayerNorm(epsilon=epsilon, name=name)(x)
                case Activation(kind):
                    x = ACTIVATIONS[kind](x)
        return x


def network(layers: Layers, size: int) -> Network:
    """The layers for inputs `[..., size]`: `apply(params, batch_stats, x, train) -> ([..., O], batch_stats)`."""
    module = Stack(layers)

    def apply(params, batch_stats, x, *, train=False):
        return module.apply(params, x), batch_stats

    return Network(lambda key: (module.init(key, jnp.zeros((1, size))), ()), apply)
