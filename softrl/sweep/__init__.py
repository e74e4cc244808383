"""Sweeps: a spec becomes groups of members, each group one compiled program; a ledger becomes a table.

    from softrl import sweep
    outcome = sweep.run("spec.toml", out="runs/temperature")      # the same call again goes on
    print(sweep.best(outcome.directory).command)

Names are imported when first used: what only reads a sweep's numbers does not load JAX.
"""

import importlib

_HOME = {
    "run": "softrl.sweep.driver",
    "Outcome": "softrl.sweep.driver",
    "planned": "softrl.sweep.plan_text",
    "best": "softrl.sweep.winner",
    "Best": "softrl.sweep.winner",
    "Result": "softrl.sweep.results",
    "Spec": "softrl.sweep.spec",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'softrl.sweep' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
