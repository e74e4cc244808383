"""A run as one pytree, and the compiled function from it to the next."""

from softrl.training.chunk import ChunkInfo, chunk
from softrl.training.collect import CollectInfo, collect
from softrl.training.evaluate import Evaluation, evaluate
from softrl.training.health import Health
from softrl.training.learn import LearnInfo, learn
from softrl.training.state import LearnerState, Program, Rollout, RunState, init_learner, init_run

__all__ = [
    "ChunkInfo",
    "CollectInfo",
    "Evaluation",
    "Health",
    "LearnInfo",
    "LearnerState",
    "Program",
    "Rollout",
    "RunState",
    "chunk",
    "collect",
    "evaluate",
    "init_learner",
    "init_run",
    "learn",
]
