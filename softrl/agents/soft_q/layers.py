"""The networks of soft Q-learning as data."""

from softrl.agents.actor import layers
from softrl.agents.soft_q.config import SoftQConfig
from softrl.layers import Layers
from softrl.types import Action, Discrete


def critic_layers(config: SoftQConfig, action: Action) -> Layers:
    """A critic's; of discrete actions they end in the values of all n."""
    return layers(config, "", action.n if isinstance(action, Discrete) else 1)


def policy_layers(config: SoftQConfig, action: Action) -> Layers:
    """Of what is published: the critic, or the sampler, whose head is small, since noise is added to it."""
    if isinstance(action, Discrete):
        return critic_layers(config, action)
    return layers(config, "", action.size, head_scale=0.01)
