"""A run whose environments are on the host: the same session, checkpoints and metrics, another `chunk`.

The device learns while the host acts and steps.
"""

from softrl.training.hosted.device import abstract_state
from softrl.training.hosted.evaluate import EVALUATION_SEED, evaluate
from softrl.training.hosted.loop import chunk, compile_hosted, evaluate_agents, started

__all__ = [
    "EVALUATION_SEED",
    "abstract_state",
    "chunk",
    "compile_hosted",
    "evaluate",
    "evaluate_agents",
    "started",
]
