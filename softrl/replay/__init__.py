"""Ring buffers that live on the device."""

from softrl.replay.flat import FlatState, flat
from softrl.replay.mixed import MixedState, add_demonstrations, mixed
from softrl.replay.recency import ReplayHypers
from softrl.replay.rollout import rollout
from softrl.replay.time_major import TimeMajorState, time_major

__all__ = [
    "FlatState",
    "MixedState",
    "ReplayHypers",
    "TimeMajorState",
    "add_demonstrations",
    "flat",
    "mixed",
    "rollout",
    "time_major",
]
