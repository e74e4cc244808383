"""Adversarial inverse reinforcement learning: demonstrations in, a reward and its policy out.

Source: Fu et al. 2018, arXiv:1710.11248; Levine 2018, arXiv:1805.00909, §6.
"""

from softrl.agents.airl.agent import build
from softrl.agents.airl.algorithm import ALGORITHM
from softrl.agents.airl.config import AIRLConfig, AIRLHypers, resolve
from softrl.agents.airl.state import AIRLInfo, AIRLPolicy, AIRLState

__all__ = ["ALGORITHM", "AIRLConfig", "AIRLHypers", "AIRLInfo", "AIRLPolicy", "AIRLState", "build", "resolve"]
