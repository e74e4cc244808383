"""Algorithms by name. The only place outside their own folders that knows which there are."""

import importlib

from softrl.algorithm import Algorithm
from softrl.errors import require_known
from softrl.lazy import exported

ALGORITHMS = {"sac": "softrl.agents.sac"}
"""Name -> package with an `ALGORITHM`, imported when it is used."""

PUBLIC = {"softrl.agents.sac": ("SACConfig", "SACHypers", "sac", "resolve")}
"""Names that `softrl` itself offers of single algorithms."""


def algorithm(name: str) -> Algorithm:
    """The algorithm of this name.

    Raises: ConfigError for an unknown one, with the nearest known.
    """
    require_known("algorithm", name, ALGORITHMS)
    return importlib.import_module(ALGORITHMS[name]).ALGORITHM


__getattr__, _ = exported(__name__, PUBLIC)
"""Here too, since `sac` of `softrl.agents` is the folder once that has been imported."""
