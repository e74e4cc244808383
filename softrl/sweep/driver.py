"""The driver of a sweep: plan, let a launcher train what can run, keep the ledger, write the table; again until done.

The driver's own state is on the disk: kill it at any moment, start it again, and it goes on.
"""

import contextlib
import functools
import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from softrl.errors import ConfigError, SoftRLError, require_known
from softrl.storage import directory, folders
from softrl.sweep import batch, folder, ingest, processes, results, scheduling
from softrl.sweep.folder import Sweep
from softrl.sweep.ledger import Ledger
from softrl.sweep.plan import Plan, plan
from softrl.sweep.results import Result
from softrl.sweep.search import Halving, Optuna
from softrl.sweep.spec import Spec, load
from softrl.training import identity, signals
from softrl.training.compilation import use_compilation_cache
from softrl.training.session import Listener

LAUNCHERS = {name: f"softrl.sweep.{name}" for name in ("local", "processes", "ray", "slurm")}
"""Modules with a `launch` like that of `softrl.sweep.local`; imported when they are used."""


class Outcome(NamedTuple):
    """results: of all members, in order. stopped_by: the signal that ended the sweep early, or None."""

    directory: Path
    results: list[Result]
    stopped_by: int | None


def run(
    source: str | Path | Mapping[str, Any] | Spec,
    out: str | Path,
    *,
    per_batch: int | None = None,
    memory_bytes: int | None = None,
    launcher: str | None = None,
    options: Mapping[str, Any] | None = None,
    keep_checkpoints: bool = False,
    listener: Listener = lambda event: None,
) -> Outcome:
    """Trains a sweep, or goes on with it: the same call after any kill ends with the same results.csv, bit for bit.

    Members in environments on the host that have no snapshot begin new episodes where they are killed, as the plan
    says: those that were at work then have other numbers.

    Args:
      source: a TOML file or a mapping of the same form; see `softrl.sweep.spec`.
      out: directory of the sweep.
      per_batch: members in a batch; None: chosen by memory. It is part of a begun sweep and cannot change then.
      memory_bytes: of a device, for the plan; None: what is free.
      launcher: one of `LAUNCHERS`; None: `processes` where several batches beside each other are faster, on a CPU with
        simulators on the host, otherwise `local`. options: its own.
      keep_checkpoints: keep finished batches' replay and optimisers too, not only their best policies.
      listener: called with the events `planned`, `begun`, `lines` (new ones of the ledger) and the launcher's own.
    Raises:
      ConfigError: a spec that cannot be, or another than the one in `out`; nothing is changed. CheckpointError: `out`
      is in use, damaged or refuses. KeyboardInterrupt: on Ctrl-C, once all is saved; its `result` is the outcome.
    """
    use_compilation_cache()
    if launcher is not None:
        require_known("launcher", launcher, LAUNCHERS)
    out = Path(out)
    made = _planned(load(source), out, per_batch, memory_bytes)
    launch = _launch(made, launcher, dict(options or {}))
    listener({"event": "planned", "plan": made})
    with directory.claim(out), signals.graceful() as request:
        groups = tuple(one.group for one in made.groups)
        changed = folder.agree(out, folder.describe(made.spec, groups, identity.surroundings()))
        sweep = folder.read(out)
        with contextlib.closing(Ledger(out)) as ledger:
            listener({"event": "begun", "sweep": sweep, "lines": ledger.lines(), "changed": changed})
            report = functools.partial(_report, out, made.spec, sweep, ledger, listener, keep_checkpoints)
            while request.requested is None and (waiting := _ready_batches(out, made.spec, sweep, ledger, listener)):
                launch(waiting, report, request, listener)
                if request.requested is None:
                    _require_finished(waiting, ledger)
            rows = results.gather(sweep.members, ledger.lines())
        results.write(out, rows)
    stopped = None if request.requested is None else int(request.requested)
    return signals.returned(Outcome(out, rows, stopped), stopped, f"stopped and saved; the same call goes on: {out}")


def _launch(made: Plan, launcher: str | None, options: dict[str, Any]) -> Callable[..., None]:
    """A launcher's `launch` with its options."""
    if launcher is None:
        most = processes.beside(made) if jax.default_backend() == "cpu" else 1
        launcher, options = ("processes", {"most": most} | options) if most > 1 else ("local", options)
    launch = importlib.import_module(LAUNCHERS[launcher]).launch
    return lambda waiting, report, request, listener: launch(waiting, report, request, listener, options)


def _planned(spec: Spec, out: Path, per_batch: int | None, memory_bytes: int | None) -> Plan:
    """The plan of a new sweep, or that of the one in `out`, whose batches are what they are."""
    if not folder.exists(out):
        return plan(spec, per_batch=per_batch, memory_bytes=memory_bytes)
    widths = [group.config.training.seeds for group in folder.read(out).groups]
    if per_batch is not None and any(width > per_batch for width in widths):
        raise ConfigError(
            f"{out} was begun with {max(widths)} members in a batch: leave --per-batch out, or use another --out"
        )
    groups = math.prod(len(axis.values) for axis in spec.axes if axis.static)
    if groups != len(widths):
        raise ConfigError(f"{out} holds another sweep, of {len(widths)} groups, not {groups}; use another --out")
    return plan(spec, memory_bytes=memory_bytes, widths=widths)


def _ready_batches(out: Path, spec: Spec, sweep: Sweep, ledger: Ledger, listener: Listener) -> list[Path]:
    if isinstance(spec.search, Optuna):
        from softrl.sweep import sampler

        if new := sampler.propose(out, spec.search, sweep, ledger):
            listener({"event": "lines", "lines": new})
        return sampler.ready_batches(out, sweep, ledger)
    return scheduling.ready_batches(out, sweep, spec.search, ledger)


def _report(
    out: Path, spec: Spec, sweep: Sweep, ledger: Ledger, listener: Listener, keep: bool, where: Path, what: str
) -> None:
    """What a launcher calls: the ledger takes over what a batch has written; a finished one leaves its table row."""
    new = ingest.ingest(where, ledger)
    if what == "finished":
        job = batch.read(where)
        about = {"group": job.group, "batch": job.batch, "members": _ended(spec, sweep, job)}
        new += ledger.add([{"key": scheduling.finished(job.group, job.batch), "kind": "batch", **about}])
        if not keep:
            _forget(where, spec, sweep, job)
        results.write(out, results.gather(sweep.members, ledger.lines()))
    if new:
        listener({"event": "lines", "lines": new})


def _ended(spec: Spec, sweep: Sweep, job: batch.Job) -> list[str]:
    """Members that a finished batch has brought to their end: of successive halving, only the last rung's."""
    return [member.id for member in job.members] if _is_last(spec, sweep, job) else []


def _is_last(spec: Spec, sweep: Sweep, job: batch.Job) -> bool:
    group = next(group for group in sweep.groups if group.id == job.group)
    return not isinstance(spec.search, Halving) or job.config.training.steps >= group.config.training.steps


def _forget(where: Path, spec: Spec, sweep: Sweep, job: batch.Job) -> None:
    """Deletes the states that nothing will continue; the best policy stays. A rung's are what the next begins with."""
    before = [where.parent / job.start["batch"]] if job.start else []
    for batch_directory in [*before, where] if _is_last(spec, sweep, job) else before:
        if (path := batch_directory / "checkpoints").exists():
            folders.keep_newest(path, 0)


def _require_finished(waiting: list[Path], ledger: Ledger) -> None:
    """A launcher that returns without having finished its batches would loop for ever."""
    jobs = [batch.read(where) for where in waiting]
    left = [f"{job.group}/{job.batch}" for job in jobs if scheduling.finished(job.group, job.batch) not in ledger.keys]
    if left:
        raise SoftRLError(f"the launcher returned without finishing {', '.join(left)}; the same command goes on")
