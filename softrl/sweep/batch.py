"""A batch of members: the unit of work that a launcher gives to a process, here or elsewhere.

A launcher needs one function and one promise. `train(DIR/groups/<group>/<batch>)` reads batch.json there, goes on from
the newest good checkpoint, and returns whether the batch is finished; killed at any moment and called again, on any
machine of the same kind, it ends with the same bits. Nothing else passes between the driver and its workers.
"""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.config import change, flat, to_json
from softrl.errors import CheckpointError, ConfigError, DivergedError
from softrl.storage import durable, metrics
from softrl.sweep import pbt
from softrl.sweep.groups import Member
from softrl.training import signals
from softrl.training.assemble import Assembled, assemble, with_members
from softrl.training.compilation import use_compilation_cache
from softrl.training.config import Config
from softrl.training.config import read as read_config
from softrl.training.opening import Past, opened, restored_run
from softrl.training.programs import RunPrograms, abstract_run, compile_programs, for_members
from softrl.training.session import Listener, advance
from softrl.training.state import RunState

NAME = "batch.json"
SAVE_EVERY_S = 30.0
"""A batch's checkpoints are at least so far apart; a kill costs at most that much."""


class Job(NamedTuple):
    """All that a worker must know of a batch.

    config: its `seeds` are the slots. members: in slots 0, 1, …; those left over repeat the last member. search: the
    `[search]` of population-based training, or None. ranges: traced axis -> (low, high). start: `{"batch", "slots"}`:
    the finished batch of the same group, and its slots, that the members continue; None begins anew.
    """

    group: str
    batch: str
    config: Config
    members: tuple[Member, ...]
    search: Mapping[str, Any] | None = None
    ranges: Mapping[str, tuple[float, float]] | None = None
    start: Mapping[str, Any] | None = None


class Ready(NamedTuple):
    """A program that is compiled, for any batch of the same config."""

    assembled: Assembled
    programs: RunPrograms


def write(directory: Path, job: Job) -> Path:
    """Writes batch.json, from which `train` works; one that can be read stays, since its batch may have begun.

    Returns: `directory`. Raises: CheckpointError where the file system refuses.
    """
    about = {**job._asdict(), "config": to_json(job.config), "members": [m._asdict() for m in job.members]}
    path, content = directory / NAME, durable.encode(about).encode() + b"\n"
    with durable.explained("write", path):
        directory.mkdir(parents=True, exist_ok=True)
        if not _readable(path):
            durable.write_atomically(path, content)
    return directory


def _readable(path: Path) -> bool:
    try:
        return path.exists() and bool(read(path.parent))
    except CheckpointError:
        return False


def read(directory: Path) -> Job:
    """The job in a directory.

    Raises: CheckpointError where there is none, or it is damaged.
    """
    path = Path(directory) / NAME
    about = durable.read_object(path, "the same sweep command writes it again")
    members = tuple(Member(**row) for row in about.pop("members"))
    config = read_config(about.pop("config"))
    return Job(**about, config=config, members=members)


def prepare(config: Config) -> Ready:
    """The compiled programs of a config. A process keeps those that it made last: one trace serves a whole group."""
    return _prepared(of_program(config))


def of_program(config: Config) -> Config:
    """What programs depend on: a longer run is the same program, unless the number of its updates falls."""
    falls = config.training.updates_per_step_end > 0
    return change(config, steps=1, schedule_steps=config.scheduled_steps if falls else None)


@functools.lru_cache(maxsize=1)
def _prepared(config: Config) -> Ready:
    assembled = assemble(config)
    return Ready(assembled, compile_programs(assembled))


def train(directory: Path, listener: Listener = lambda event: None, request: signals.Request | None = None) -> bool:
    """Trains a batch to its end, or until `request` asks to stop.

    Args:
      directory: with a batch.json. listener: called with all events of `softrl.training.session`.
      request: of `signals.graceful()`; None listens to signals itself.
    Returns: whether it is finished; members that diverged are finished too.
    """
    use_compilation_cache()
    directory = Path(directory)
    job = read(directory)
    ready = prepare(job.config)
    assembled = with_members(ready.assembled._replace(config=job.config), slots(job))
    programs = for_members(ready.programs, assembled)
    start, past = None, None
    if job.start is not None:
        start, past = functools.partial(_continued, directory, job), _past(_before(directory, job))
    between = None if job.search is None else pbt.between(job.search, job.ranges, len(job.members), job.config)
    going = {"programs": programs, "start": start, "past": past, "between": between, "save_every_s": SAVE_EVERY_S}
    with contextlib.ExitStack() as stack:
        request = request or stack.enter_context(signals.graceful())
        session = stack.enter_context(opened(assembled, directory, listener, **going))
        try:
            advance(session, request, listener)
        except DivergedError:  # its members' health says it, member by member
            return True
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise ConfigError(_too_wide(job)) from None
        return session.chunk >= job.config.chunks


def _too_wide(job: Job) -> str:
    width = job.config.training.seeds
    hint = f"use --per-batch {width // 2}" if width > 1 else "lower replay_size, num_envs or batch_size"
    return (
        f"the device has not enough memory for {width} members of group {job.group} at once: {hint}, with another "
        "--out; what has finished is in the ledger"
    )


def slots(job: Job) -> list[dict[str, Any]]:
    """Seed and hyperparameters of every slot of the program."""
    traced = flat(job.config.traced)
    own = [{"seed": m.seed, **{name: x for name, x in m.changes.items() if name in traced}} for m in job.members]
    return own + [own[-1]] * (job.config.training.seeds - len(own))


def _before(directory: Path, job: Job) -> Path:
    return directory.parent / job.start["batch"]


def _past(before: Path) -> Past:
    """What the rung before leaves to a later one: the seconds that it took."""
    return Past([], [], -np.inf, None, metrics.read(before / "metrics.jsonl")[-1]["timing"]["wall_s"])


def _continued(directory: Path, job: Job, run: RunState) -> RunState:
    """The run of a later rung: its members' states gathered from where they were at the end of the one before."""
    before = _before(directory, job)
    restored = restored_run(before, abstract_run(assemble(read(before).config)))
    if restored is None:
        raise CheckpointError(f"{before} has no checkpoint for {directory} to continue; delete {directory} and rerun")
    state, index = restored.state, jnp.asarray(job.start["slots"])
    batched = jax.tree.map(lambda x: x[index], state._replace(clock=()))
    return jax.device_put(batched._replace(clock=state.clock), jax.tree.map(lambda x: x.sharding, run))
