"""What a sweep will take, said before anything is allocated: members, programs, memory, disk, and about how long."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl import units
from softrl.config import change, replaced
from softrl.envs import HostEnv
from softrl.errors import ConfigError
from softrl.sweep import halving
from softrl.sweep.groups import Group, expand, split
from softrl.sweep.search import Halving, Optuna, Pbt, Search
from softrl.sweep.spec import Spec
from softrl.training import memory
from softrl.training.assemble import Assembled, assemble, idle, resolve
from softrl.training.programs import abstract_run
from softrl.training.state import init_run

CPU_WIDTH = 16
"""Members of a batch on a CPU, where a wider one is no faster and only a kill costs more."""
MARGIN = 0.9
"""Share of the free memory that a plan may use."""


class GroupPlan(NamedTuple):
    """One compiled program and what it takes.

    group: with its members in batches. batches: how many. members: that will be trained, a sampler's included.
    member_bytes: of one member's state, replay included. per_device: members that fit on a device. checkpoint_bytes:
    of a batch, uncompressed. env_steps: of all members together. alone: whether a batch is of one member by nature,
    since its simulator is on the host. exact: whether a batch that is killed goes on to the bit; where a host's
    environments cannot be put back to where they were, they begin new episodes. idle: why nothing would be
    learned, empty where something is. seconds: about, None without a calibration.
    """

    group: Group
    batches: int
    members: int
    member_bytes: int
    per_device: int
    checkpoint_bytes: int
    env_steps: int
    alone: bool
    exact: bool
    idle: str
    seconds: float | None = None


class Plan(NamedTuple):
    """A whole sweep. memory: bytes of a device that may be used; None where nobody knows. devices: how many."""

    spec: Spec
    groups: tuple[GroupPlan, ...]
    memory: int | None
    devices: int

    @property
    def members(self) -> int:
        """Members in all."""
        return sum(group.members for group in self.groups)

    @property
    def seconds(self) -> float | None:
        """About how long all of it takes, None without a calibration."""
        known = [group.seconds for group in self.groups]
        return None if None in known else sum(known)


def plan(
    spec: Spec, *, per_batch: int | None = None, memory_bytes: int | None = None, widths: Sequence[int] | None = None
) -> Plan:
    """Works a sweep out to every member and batch; allocates nothing and compiles nothing.

    Args:
      per_batch: members in a batch; None: as many as fit, on a CPU at most `CPU_WIDTH`.
      memory_bytes: of a device; None: what is free.
      widths: of each group's batches, where a sweep has begun with them.
    Raises: ConfigError: a member's settings do not fit together, or what is asked for does not fit into memory.
    """
    if per_batch is not None and per_batch < 1:
        raise ConfigError(f"per_batch must be at least 1, got {per_batch}")
    free = memory.free_bytes() if memory_bytes is None else memory_bytes
    cpu = jax.local_devices()[0].platform == "cpu"
    devices = 1 if cpu else jax.local_device_count()
    plans = []
    for i, group in enumerate(expand(spec)):
        wanted = per_batch if widths is None else widths[i]
        plans.append(_group_plan(spec, group, wanted, free, devices, cpu, begun=widths is not None))
    return Plan(spec, tuple(plans), free, devices)


def _group_plan(
    spec: Spec, group: Group, wanted: int | None, free: int | None, devices: int, cpu: bool, *, begun: bool
) -> GroupPlan:
    assembled = assemble(change(group.config, seeds=1))
    _check_members(assembled, group)
    size = _member_bytes(assembled)
    # On a CPU a checkpoint's copy and the lanes' are in the same memory; a gather holds the population twice.
    copies = 1 + 2 * cpu + isinstance(spec.search, Pbt | Halving)
    fits = 2**31 if free is None else int(MARGIN * free / (copies * size))
    env = assembled.program.env
    alone = isinstance(env, HostEnv)
    if alone:
        fits = min(1, fits)  # a simulator on the host steps for one member
    if fits < 1:
        raise ConfigError(
            f"group {group.id}: one member takes {units.size(copies * size)}, {units.size(free)} of a device "
            "are free: lower replay_size or num_envs"
        )
    count, total, steps = _cost(spec, group)
    width = wanted if begun else _width(spec.search, group, count, wanted, fits * devices, devices, cpu)
    group = split(group._replace(config=change(group.config, seeds=width)), width)
    exact = not alone or env.snapshot_size > 0
    return GroupPlan(
        group, math.ceil(total / width), total, size, fits, size * width, steps, alone, exact, idle(assembled)
    )


def _member_bytes(assembled: Assembled) -> int:
    """Of one member's state, without the clock that all share."""
    if isinstance(assembled.program.env, HostEnv):
        return memory.nbytes(abstract_run(assembled)._replace(clock=()))
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    scalars = jax.eval_shape(lambda: jax.tree.map(jnp.float32, assembled.hypers))
    return memory.nbytes(jax.eval_shape(partial(init_run, assembled.program), key, scalars)._replace(clock=()))


def _check_members(assembled: Assembled, group: Group) -> None:
    """Every distinct setting of a group, resolved once: what this robot cannot do is said now and not hours later.

    Each value by itself was checked with its axis.
    """
    settings = (tuple((n, v) for n, v in m.changes.items() if n not in group.changes) for m in group.members)
    for changes in dict.fromkeys(settings):
        resolve(group.config, replaced(group.config.traced, dict(changes)), assembled.program.env.spec)


def _cost(spec: Spec, group: Group) -> tuple[int, int, int]:
    """Members that exist at the same time at most, members in all, and environment steps of all of them together."""
    search, config, count = spec.search, group.config, len(group.members)
    steps = config.chunks * config.chunk_transitions
    if isinstance(search, Optuna):
        count, total = min(search.batch, search.trials) * len(spec.seeds), search.trials * len(spec.seeds)
        return count, total, total * steps
    if isinstance(search, Halving):
        total, before = 0, 0
        for rung in halving.rungs(search, count, config):
            end = halving.end(rung, config)
            total, before = total + rung.members * (end - before), end
        return count, count, total
    return count, count, count * steps


def _width(
    search: Search | None, group: Group, count: int, wanted: int | None, most: int, devices: int, cpu: bool
) -> int:
    """Slots of a batch: all batches of a group are equally wide, and as few slots as possible are left over."""
    together = search is not None
    if (together and count > most) or (wanted or 0) > most:
        what = f"a population of {count}" if together else f"{wanted} members in a batch"
        hint = "lower replay_size, or the number of members" if together else f"use --per-batch {most}"
        raise ConfigError(f"group {group.id}: {what} does not fit, {most} members do: {hint}")
    if together:
        return count
    widest = min(wanted or (CPU_WIDTH if cpu else most), most, count)
    width = math.ceil(count / math.ceil(count / widest))
    spread = math.ceil(width / devices) * devices
    return spread if wanted is None and spread <= most else width
