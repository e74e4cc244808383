"""Ray Tune in the lead: softrl's training as a trainable for Tune's own searchers and schedulers.

    from ray import tune
    from softrl.sweep.ray_tune import trainable

    tuner = tune.Tuner(
        trainable("brax/inverted_pendulum", steps=65_536),
        param_space={"critic_lr": tune.loguniform(1e-4, 1e-2), "seed": tune.randint(0, 1_000)},
        tune_config=tune.TuneConfig(
            metric="return_mean", mode="max", num_samples=16, scheduler=tune.schedulers.ASHAScheduler()
        ),
    )
    run = softrl.load(tuner.fit().get_best_result().checkpoint.path)

A trial is one run in a process of its own. It reports after every evaluation, and leaves with each report a checkpoint
that is a whole run directory. What `softrl sweep` promises (one program for many members, the same table after any
kill) does not hold here: Tune decides, by what arrives first.
"""

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from softrl import presets
from softrl.agents import algorithm
from softrl.config import change
from softrl.errors import DivergedError, library
from softrl.replay import ReplayHypers
from softrl.storage import checkpoint, directory, folders
from softrl.sweep import batch, worker
from softrl.training.assemble import resolve
from softrl.training.compilation import use_compilation_cache
from softrl.training.config import Config
from softrl.training.identity import identity
from softrl.training.opening import opened
from softrl.training.programs import for_members
from softrl.training.records import kept
from softrl.training.session import Session, advance
from softrl.training.signals import Request


def trainable(
    env: str = "brax/halfcheetah", *, preset: str = "tuned", **base: Any
) -> Callable[[Mapping[str, Any]], None]:
    """A function trainable for `ray.tune.Tuner`; its `param_space` holds any setting of `softrl train`, by flat name.

    Every report has `env_steps`, `updates`, `diverged` and what the ledger's evaluations have: `return_mean`,
    `return_std`, `length_mean`, the same with `stochastic_`, `entropy`, `temperature`; with several `seeds`, their
    means. A trial that is killed, paused or restored goes on from its last report, bit for bit. One that continues
    another trial's checkpoint, as in Tune's population-based training, has that one's whole state and its own
    hyperparameters; what shapes the state (width, num_envs, …) must be the same.

    Args: `env`, `preset`, `base`: as of `softrl.preset`; a trial's own settings come before them.
    Raises: ConfigError for a setting that cannot be, or where Ray Tune is not installed.
    """
    presets.preset(env, platform="cpu", name=preset, **base)  # only to say now what is wrong; trials ask their device
    _tune()
    return functools.partial(train, {"env": env, "preset": preset, **base})


def train(base: Mapping[str, Any], trial: Mapping[str, Any]) -> None:
    """One trial, inside Ray Tune; `trial`: what its searcher chose, `base`: everything else."""
    tune = _tune()
    resources = tune.get_context().get_trial_resources()
    share = 0.0 if resources is None else float(resources.required_resources.get("GPU", 0.0))
    os.environ.update(worker.environment(share))
    use_compilation_cache()
    config = _config({**base, **trial})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        # A process that Tune uses again compiles once for all trials that differ in numbers only.
        ready = batch.prepare(replace(change(config, seed=0), hypers=None, replay=ReplayHypers()))
        hypers = resolve(config, config.traced, ready.assembled.program.env.spec)
        assembled = ready.assembled._replace(config=config, hypers=hypers)
        programs = for_members(ready.programs, assembled)
        if (found := tune.get_checkpoint()) is not None:
            found.to_directory(out)
            directory.write_config(out, identity(assembled))  # perhaps another trial's, whose state this one takes
        with (
            opened(assembled, out, lambda event: None, programs=programs) as session,
            contextlib.suppress(DivergedError),  # its last report says so
        ):
            advance(session, Request(), functools.partial(_report, tune, session))


def _tune() -> Any:
    return library("ray.tune", "softrl.sweep.ray_tune needs Ray Tune", "ray")


def _config(settings: Mapping[str, Any]) -> Config:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()}
    env, preset = plain.pop("env"), plain.pop("preset")
    return presets.preset(env, name=preset, **plain)


def _report(tune: Any, session: Session, event: dict[str, Any]) -> None:
    """Tells Tune of an evaluation, with the run's directory as it then is: the newest checkpoint alone."""
    if event["event"] != "evaluation":
        return
    checkpoint.wait(session.store)
    home = session.directory / "checkpoints"
    folders.keep_newest(home, 1)
    record, entry = event["record"], algorithm(session.assembled.config.algorithm)
    told = {name: record[name] for name in ("env_steps", "updates")} | {"diverged": all(record["health"]["code"])}
    told |= {name: float(np.mean(values)) for name, values in kept(record, entry).items()}
    tune.report(told, checkpoint=tune.Checkpoint.from_directory(str(session.directory)))
