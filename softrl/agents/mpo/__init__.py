"""Maximum a posteriori policy optimisation: expectation–maximisation between trust regions."""

from softrl.agents.mpo.agent import build
from softrl.agents.mpo.algorithm import ALGORITHM
from softrl.agents.mpo.config import MPOConfig, MPOHypers
from softrl.agents.mpo.state import MPOInfo, MPOState

__all__ = ["ALGORITHM", "MPOConfig", "MPOHypers", "MPOInfo", "MPOState", "build"]
