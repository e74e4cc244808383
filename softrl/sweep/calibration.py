"""About how long a plan takes, measured: one chunk of each group's own program."""

import time

import jax

from softrl.config import change
from softrl.sweep import batch
from softrl.sweep.groups import Group
from softrl.sweep.plan import Plan
from softrl.training import lanes
from softrl.training.compilation import use_compilation_cache

LIMIT_S = 120.0
"""Groups that are not reached by then are reckoned as long as the mean of the others."""


def calibrated(plan: Plan) -> Plan:
    """The plan with times, from one chunk of each group's own program that learns.

    On a CPU as many members are timed as there are cores, since the others wait for them; elsewhere a whole batch.
    """
    use_compilation_cache()
    started, groups, rates = time.perf_counter(), [], []
    for one in plan.groups:
        if rates and time.perf_counter() - started > LIMIT_S:
            compiling, per_step = 0.0, sum(rates) / len(rates)
        else:
            compiling, per_step = _timed(one.group)
            rates.append(per_step)
        groups.append(one._replace(seconds=compiling + one.env_steps * per_step))
    return plan._replace(groups=tuple(groups))


def _timed(group: Group) -> tuple[float, float]:
    """Seconds to compile, and seconds an environment step of one member once it learns."""
    width = group.config.training.seeds
    if jax.local_devices()[0].platform == "cpu":
        width = min(width, len(lanes.cores()))
    config = change(group.config, learning_starts=0, seeds=width)
    programs = batch.prepare(config).programs
    run, info = programs.chunk(programs.init(), programs.hypers)
    jax.block_until_ready(info)
    begun = time.perf_counter()
    jax.block_until_ready(programs.chunk(run, programs.hypers)[1])
    return programs.seconds, (time.perf_counter() - begun) / config.chunk_transitions / config.training.seeds
