"""Sweeps: a spec becomes groups of members, each group one compiled program; a ledger becomes a table.

    from softrl import sweep
    outcome = sweep.run("spec.toml", out="runs/temperature")      # the same call again goes on
    print(sweep.best(outcome.directory).command)

Names are imported when first used: what only reads a sweep's numbers does not load JAX.
"""

from softrl.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "softrl.sweep.driver": ("run", "Outcome"),
        "softrl.sweep.plan_text": ("planned",),
        "softrl.sweep.results": ("Result",),
        "softrl.sweep.spec": ("Spec",),
        "softrl.sweep.winner": ("best", "bests", "Best"),
    },
)
