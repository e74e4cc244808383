"""Soft actor-critic, with the tutorial's separate soft value network or with twin target critics."""

from softrl.agents.actor import actor
from softrl.agents.policy import Policy
from softrl.agents.sac.agent import build, sac
from softrl.agents.sac.algorithm import ALGORITHM
from softrl.agents.sac.config import SACConfig, SACHypers, resolve
from softrl.agents.sac.state import SACInfo, SACState

__all__ = ["ALGORITHM", "Policy", "SACConfig", "SACHypers", "SACInfo", "SACState", "actor", "build", "resolve", "sac"]
