"""Algorithms as bundles of pure functions, one folder each, and their registry; the only place that knows Optax."""

from softrl.agents.registry import ALGORITHMS, PUBLIC, algorithm, numbers_for
from softrl.lazy import exported

__all__ = ["ALGORITHMS", "algorithm", "numbers_for"]

__getattr__, _ = exported(__name__, PUBLIC)
