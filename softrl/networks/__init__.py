"""Networks as `(init, apply)` pairs: policy, ensemble of soft Q, soft value."""

from softrl.networks.heads import policy, soft_q, soft_v
from softrl.networks.mlp import ACTIVATIONS, Torso

__all__ = ["ACTIVATIONS", "Torso", "policy", "soft_q", "soft_v"]
