"""`softrl sweep · best`."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from softrl.errors import ConfigError


@dataclass(frozen=True)
class SweepOptions:
    """A sweep: seeds × hyperparameters × robots, each group of members one compiled program."""

    spec: tyro.conf.Positional[str]
    """This TOML file describes the sweep: seeds, [base], [axes] and perhaps [search]."""
    plan: bool = False
    """Print what the sweep would take, and train nothing."""
    calibrate: bool = True
    """Time a piece of each program for the plan; --no-calibrate prints at once, without a time."""
    out: str | None = None
    """The sweep goes to this directory, by default runs/<name of the spec>; the same command again goes on with it."""
    launcher: str | None = None
    """Train in this process (local), in processes of this machine with cores of their own (processes), on a Ray cluster
    (ray) or by Slurm jobs (slurm); by default in processes where all simulators are on the host and one core serves a
    member, otherwise in this process."""
    address: str | None = None
    """Join the Ray cluster at this address, auto or host:port; without it Ray is started on this machine."""
    cpus: float | None = None
    """Give each batch of members this many processor cores, in processes, on Ray or Slurm."""
    gpus: float | None = None
    """Give each batch this many GPUs on Ray (fractions are allowed; by default 1 where there are any) or Slurm."""
    slurm: tuple[str, ...] = ()
    """Pass these NAME=VALUE parameters to submitit, such as timeout_min=240, mem_gb=16 or slurm_partition=NAME."""
    per_batch: int | None = None
    """Train this many members together, by default as many as fit, and on a CPU at most 16."""
    memory_gib: float | None = None
    """Use this many GiB of a device's memory, by default all that is free."""
    keep_checkpoints: bool = False
    """Keep replay and optimisers of finished members too."""
    sinks: str = ""
    """Send the members' numbers to these as well: tensorboard, wandb, or both with a comma between them."""


@dataclass(frozen=True)
class BestOptions:
    """The winner of a sweep."""

    directory: tyro.conf.Positional[str]
    """Name the winner of the sweep in this directory."""


def sweep(argv: list[str]) -> int:
    """`softrl sweep`."""
    options = tyro.cli(SweepOptions, args=argv, prog="softrl sweep", description="Train a sweep, or go on with it.")
    if options.launcher not in (None, "local"):  # this process only plans: the accelerator's memory is its workers'
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    chosen = launcher_options(options)
    memory = None if options.memory_gib is None else int(options.memory_gib * 2**30)
    if options.plan:
        return _plan(options, memory)
    from softrl import sweep as sweeps
    from softrl.reporting import sinks, sweep_progress
    from softrl.training.signals import Interrupted

    wanted = sinks.parse_sinks(options.sinks)
    out = Path(options.out or Path("runs") / Path(options.spec).stem)
    with sweep_progress.sweeping() as listener, sinks.opened(wanted, out, print, after=listener) as listen:
        how = {"launcher": options.launcher, "options": chosen, "keep_checkpoints": options.keep_checkpoints}
        how |= {"per_batch": options.per_batch, "memory_bytes": memory}
        try:
            done = sweeps.run(options.spec, out, **how, listener=listen)
        except Interrupted as stop:
            done = stop.result
    sweep_progress.show_table(done.results)
    if done.stopped_by is not None:
        print(f"stopped and saved; the same command goes on: {out}")
        return 128 + done.stopped_by
    print(f"done: {out / 'results.csv'}")
    return 0


def _plan(options: SweepOptions, memory: int | None) -> int:
    """Prints a plan, as soon as can be: nothing is loaded that trains, or shows training, before it is needed."""
    if not options.calibrate:
        gc.disable()  # what is imported and planned stays to the end: looking for garbage was a seventh of the time
    try:
        from softrl.reporting import sinks
        from softrl.sweep import planned

        sinks.parse_sinks(options.sinks)
        lines = planned(options.spec, options.per_batch, memory, calibrate=options.calibrate)
    finally:
        gc.enable()
    print("\n".join(lines))
    return 0


def launcher_options(options: SweepOptions) -> dict[str, Any]:
    """A launcher's options, in its own words.

    Raises: ConfigError for an option that the launcher does not have.
    """
    given = {"address": options.address, "cpus": options.cpus, "gpus": options.gpus, "slurm": options.slurm or None}
    given = {name: value for name, value in given.items() if value is not None}
    takes = {"processes": ("cpus",), "ray": ("address", "cpus", "gpus"), "slurm": ("cpus", "gpus", "slurm")}
    wrong = [f"--{name}" for name in given if name not in takes.get(options.launcher, ())]
    if wrong:
        raise ConfigError(f"--launcher {options.launcher or 'local'} does not take {', '.join(wrong)}")
    if options.launcher != "slurm":
        return given
    words = {"cpus": "cpus_per_task", "gpus": "gpus_per_node"}
    chosen: dict[str, Any] = {words[name]: int(value) for name, value in given.items() if name in words}
    for pair in options.slurm:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--slurm takes NAME=VALUE, got {pair!r}")
        number = int(value) if value.isdigit() else value
        if name in ("cluster", "timeout_min", "mem_gb", "most"):
            chosen[name] = number
        else:
            chosen.setdefault("parameters", {})[name] = number
    return chosen


def best(argv: list[str]) -> int:
    """`softrl best`."""
    options = tyro.cli(BestOptions, args=argv, prog="softrl best", description="The winner of a sweep.")
    from softrl import sweep as sweeps
    from softrl.reporting.sweep_progress import in_one_line
    from softrl.sweep.winner import unfinished

    if left := unfinished(options.directory):
        print(f"not the end: {left:,} members are unfinished")
    for winner in sweeps.bests(options.directory).values():
        print(in_one_line(winner))
        print(winner.command)
    return 0
