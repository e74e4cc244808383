"""Ring buffers that live on the device."""

from softrl.replay.demonstrated import Demonstrated, DemonstratedState, demonstrated
from softrl.replay.flat import FlatState, flat
from softrl.replay.mixed import MixedState, add_demonstrations, mixed
from softrl.replay.recency import ReplayHypers
from softrl.replay.rollout import rollout
from softrl.replay.time_major import TimeMajorState, time_major

__all__ = [
    "Demonstrated",
    "DemonstratedState",
    "FlatState",
    "MixedState",
    "ReplayHypers",
    "TimeMajorState",
    "add_demonstrations",
    "demonstrated",
    "flat",
    "mixed",
    "rollout",
    "time_major",
]
