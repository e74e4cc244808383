"""Soft Q-learning: the soft Bellman equation itself, and, for continuous actions, a sampler of its Boltzmann policy."""

from softrl.agents.policy import Policy
from softrl.agents.soft_q.actor import actor
from softrl.agents.soft_q.agent import build
from softrl.agents.soft_q.algorithm import ALGORITHM
from softrl.agents.soft_q.config import SoftQConfig, SoftQHypers, resolve
from softrl.agents.soft_q.state import SoftQInfo, SoftQState

__all__ = ["ALGORITHM", "Policy", "SoftQConfig", "SoftQHypers", "SoftQInfo", "SoftQState", "actor", "build", "resolve"]
