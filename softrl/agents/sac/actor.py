"""The networks of soft actor-critic as data, and its policy in NumPy."""

from softrl.agents.actor import actor, head, layers, policy_layers
from softrl.agents.sac.config import SACConfig
from softrl.layers import Layers

__all__ = ["actor", "critic_layers", "head", "policy_layers"]


def critic_layers(config: SACConfig, out: int = 1) -> Layers:
    """A critic's or the value network's. out: the numbers that they end in, of a discrete critic one an action."""
    return layers(config, config.critic_widths, out)
