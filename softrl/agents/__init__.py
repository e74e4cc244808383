"""Algorithms as bundles of pure functions, one folder each, and their registry; the only place that knows Optax."""

import importlib

from softrl.agents.registry import ALGORITHMS, PUBLIC, algorithm

__all__ = ["ALGORITHMS", "algorithm"]


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module 'softrl.agents' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)
