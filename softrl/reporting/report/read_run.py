"""A single run's directory as a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softrl.agents import algorithm
from softrl.envs import physics
from softrl.reporting.report.data import Axis, Member, Report
from softrl.storage import metrics
from softrl.tensors import named
from softrl.training import identity
from softrl.training.health import message
from softrl.training.records import brief, described

SERIES = {"stochastic_return_mean": "eval.stochastic_return_mean", "episode_return": "train.return_mean"}
"""Series of every member besides the return → metric of metrics.jsonl; those of its algorithm follow."""


def read(run: Path) -> Report:
    """Reads config.json and metrics.jsonl.

    Raises: CheckpointError where there is no run, or it is damaged.
    """
    about, records = identity.read(run), metrics.read(run / "metrics.jsonl")
    config = about["config"]
    env, training = config["env"], config["training"]
    entry = algorithm(config.get("algorithm", "sac"))
    series = SERIES | {name: f"train.{name}" for name in entry.metrics}
    meanings = described(entry)
    own = own_of(about)
    members = tuple(_member(series, index, config, one, records)._replace(home=run) for index, one in enumerate(own))
    moved = physics(str(env["env"]), env.get("backend", ""))
    robot = env["env"] + (f" ({moved} physics)" if moved else "")
    count = f"{training['seeds']} members in one compiled program" if training["seeds"] > 1 else "one run"
    return Report(
        kind="run",
        title=run.resolve().name,
        about=f"{robot}, {count}",
        axes=tuple(Axis(name, log=False) for name in own[0] if name != "seed"),
        members=members,
        training={name: meanings[metric] for name, metric in series.items()},
        brief=brief(entry),
        config=named(config, separator="."),
        surroundings={name: about.get(name) for name in ("versions", "commit", "machine")},
        seconds=records[-1].get("timing", {}).get("wall_s") if records else None,
        command=f"softrl train {env['env']} … --out {run}",
        held_out=records[-1].get("best", {}).get("return_mean") if records else None,
    )


def own_of(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of every member of a run its seed, and the settings that some have of their own. Args: `about`: config.json."""
    training = about["config"]["training"]
    settings = {path.rpartition("/")[2]: value for path, value in named(about["config"]).items()}
    given = about.get("members") or [{"seed": training["seed"] + index} for index in range(training["seeds"])]
    names = dict.fromkeys(name for one in given for name in one)
    return [{name: one.get(name, settings.get(name)) for name in names} for one in given]


def _member(
    series: Mapping[str, str],
    index: int,
    config: Mapping[str, Any],
    own: Mapping[str, Any],
    records: list[dict[str, Any]],
) -> Member:
    training = config["training"]
    wanted = {"return_mean": "eval.return_mean", "return_std": "eval.return_std", **series}
    taken = {name: [at(record, metric, index) for record in records] for name, metric in wanted.items()}
    steps = np.array([record["env_steps"] for record in records], float)
    done = len(steps) and steps[-1] >= training["steps"]
    member = Member(
        id=str(index),
        task=config["env"]["env"],
        seed=own["seed"],
        setting={name: value for name, value in own.items() if name != "seed"},
        steps=steps,
        series={name: np.array(values, float) for name, values in taken.items()},
        status="done" if done else "training" if records else "waiting",
    )
    for record in records:
        if code := int(at(record, "health.code", index, 0)):
            return member._replace(status="diverged", cause=message(code), at=record["env_steps"])
    return member


def at(record: Mapping[str, Any], metric: str, index: int, missing: float = np.nan) -> float:
    """One member's number; `missing` where it was not measured."""
    part, name = metric.split(".")
    values = np.ravel(np.array(record.get(part, {}).get(name, missing), float))
    return float(values[index]) if index < len(values) else missing
