"""The multi-layer perceptron that all heads share, in flax linen behind `(init, apply)`."""

from typing import NamedTuple

import flax.linen as nn
import jax

ACTIVATIONS = {"relu": nn.relu, "silu": nn.silu, "elu": nn.elu, "gelu": nn.gelu, "tanh": nn.tanh}


class Torso(NamedTuple):
    """Shape of a perceptron's hidden part. Static.

    width: units a layer. depth: hidden layers. activation: a key of `ACTIVATIONS`. layer_norm: LayerNorm before each
    activation, which keeps soft Q estimates of unseen actions bounded (Ball et al. 2023, arXiv:2302.02948).
    """

    width: int = 256
    depth: int = 2
    activation: str = "relu"
    layer_norm: bool = False


class MLP(nn.Module):
    """`[..., I] -> [..., out_size]`: `depth` hidden layers, then a linear head scaled by `head_scale`."""

    torso: Torso
    out_size: int
    head_scale: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.torso.depth):
            x = nn.Dense(self.torso.width)(x)
            if self.torso.layer_norm:
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.torso.activation](x)
        head_init = nn.initializers.variance_scaling(self.head_scale, "fan_in", "truncated_normal")
        return nn.Dense(self.out_size, kernel_init=head_init)(x)
