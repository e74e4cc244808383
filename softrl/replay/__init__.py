"""Ring buffers that live on the device."""

from softrl.replay.time_major import TimeMajorState, time_major

__all__ = ["TimeMajorState", "time_major"]
