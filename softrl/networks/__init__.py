"""Networks as `(init, apply)` pairs, built from tuples of layers: policy, ensemble of soft Q, soft value."""

from softrl.networks.heads import policy, soft_q, soft_v
from softrl.networks.stack import network

__all__ = ["network", "policy", "soft_q", "soft_v"]
