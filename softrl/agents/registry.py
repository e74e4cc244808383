"""Algorithms by name. The only place outside their own folders that knows which there are."""

import importlib
import math
from typing import Any

from softrl.algorithm import Algorithm
from softrl.errors import ConfigError, require_known
from softrl.lazy import exported
from softrl.types import Continuous, Discrete, EnvSpec, Spec

ALGORITHMS = {
    "sac": "softrl.agents.sac",
    "soft-q": "softrl.agents.soft_q",
    "policy-gradient": "softrl.agents.policy_gradient",
    "mpo": "softrl.agents.mpo",
    "airl": "softrl.agents.airl",
}
"""Name -> package with an `ALGORITHM`, imported when it is used."""

PUBLIC = {"softrl.agents.sac": ("SACConfig", "SACHypers", "sac", "resolve")}
"""Names that `softrl` itself offers of single algorithms."""


def algorithm(name: str) -> Algorithm:
    """The algorithm of this name.

    Raises: ConfigError for an unknown one, with the nearest known.
    """
    require_known("algorithm", name, ALGORITHMS)
    return importlib.import_module(ALGORITHMS[name]).ALGORITHM


def numbers_for(name: str, hypers: Any, spec: Spec | EnvSpec, *, updates: float = math.inf) -> Any:
    """The hyperparameters of the algorithm of this name, every number of them known for a robot and a run of so many
    updates.

    Raises: ConfigError where the robot cannot have them, or has actions that the algorithm does not learn.
    """
    entry = algorithm(name)
    if not isinstance(spec.action, entry.actions):
        kinds = " and ".join(_KINDS[kind] for kind in entry.actions)
        raise ConfigError(f"algorithm {name} learns {kinds}; got {spec.action}: choose another algorithm")
    return entry.resolve(entry.over(hypers, updates), spec)


_KINDS = {Continuous: "continuous actions, a row of bounded numbers", Discrete: "discrete actions, one of n"}

__getattr__, _ = exported(__name__, PUBLIC)
"""Here too, since `sac` of `softrl.agents` is the folder once that has been imported."""
