"""Maximum-entropy policy gradient, by the score or clipped: on-policy, with a soft value baseline."""

from softrl.agents.actor import actor
from softrl.agents.policy import Policy
from softrl.agents.policy_gradient.agent import build
from softrl.agents.policy_gradient.algorithm import ALGORITHM
from softrl.agents.policy_gradient.config import PolicyGradientConfig, PolicyGradientHypers, resolve
from softrl.agents.policy_gradient.state import PolicyGradientInfo, PolicyGradientState

__all__ = [
    "ALGORITHM",
    "Policy",
    "PolicyGradientConfig",
    "PolicyGradientHypers",
    "PolicyGradientInfo",
    "PolicyGradientState",
    "actor",
    "build",
    "resolve",
]
