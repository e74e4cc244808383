"""Who trains on Gymnasium's robots beside whom: softrl's presets and its first one, SBX, Stable-Baselines3."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.turns import Contestant
from softrl.reporting.table import published

STEPS, SECONDS = 100_000, 600.0
"""Where the bars are stated."""

ROBOTS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
PUBLISHED = published.read(Path(__file__).resolve().parents[2] / "experiments" / "locomotion" / "published.toml")
BEST = {
    robot: max(number.mean for column in PUBLISHED if (number := column.at(f"gym/{robot}", STEPS))) for robot in ROBOTS
}
"""Robot -> the best mean return at 100,000 environment steps that we know of as published, all of them on version 4."""

FIRST = "b203bf6"
"""The commit whose only preset for the host was the published algorithm with layer norm and faster rates."""

PUBLISHED_PAIR = ("softrl classic", "rl-baselines3-zoo SAC")
"""The published algorithm twice, with one warm-up and one set of rates."""

PAIRED = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5")
"""Robots on which softrl's must not be behind."""

RACED = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5")
"""Robots of the bar at the clock."""

SIMBA = {"policy": "SimbaPolicy", "normalize_obs": True, "policy_kwargs": {"net_arch": {"pi": [128], "qf": [256, 256]}}}
"""As its paper has it (Lee et al. 2024, arXiv:2410.09754), observations normalised, but for critics of 256, not 512."""


def _softrl(preset: str) -> Contestant:
    return Contestant(f"softrl {preset}", "softrl", "softrl_return", {"preset": preset, "in_memory": True})


def _peer(name: str, library: str, algorithm: str, **more: Any) -> Contestant:
    return Contestant(name, "peers", "peers_return", {"library": library, "algorithm": algorithm, **more})


_ALL = (
    _softrl("tuned"),
    _softrl("sample-efficient"),
    _softrl("classic"),
    Contestant(f"softrl {FIRST}", "softrl", "softrl_return", {"in_memory": True}),
    _peer("SBX SAC", "sbx", "SAC"),
    _peer("SBX TQC", "sbx", "TQC"),
    _peer("SBX CrossQ", "sbx", "CrossQ"),
    _peer("SBX SimBa", "sbx", "SAC", **SIMBA),
    _peer("Stable-Baselines3 SAC", "stable_baselines3", "SAC"),
    _peer("rl-baselines3-zoo SAC", "stable_baselines3", "SAC", learning_starts=10_000),
)
CONTESTANTS = {contestant.name: contestant for contestant in _ALL}
SBX = tuple(name for name in CONTESTANTS if name.startswith("SBX"))
RACERS = ("softrl tuned", f"softrl {FIRST}", *SBX)
"""Contestants of the bar at the clock, whose seconds are of quiet machines."""


class Task(NamedTuple):
    """One contestant on one robot."""

    contestant: str
    robot: str

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.contestant} {self.robot}"


TASKS = tuple(Task(contestant, robot) for robot in BEST for contestant in CONTESTANTS)
