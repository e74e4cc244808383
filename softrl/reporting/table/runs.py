"""Run directories and sweeps as results: `config.json` and `metrics.jsonl`, or `sweep.json` and the ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softrl.agents import algorithm
from softrl.config import flat
from softrl.errors import SoftRLError
from softrl.presets import preset
from softrl.reporting.report.read_run import at, own_of
from softrl.reporting.table.results import Result
from softrl.storage import metrics
from softrl.sweep import folder, ledger, results
from softrl.training import identity
from softrl.training.config import read as read_config

NOT_ITS_OWN = ("steps", "seed", "seeds", "eval_every", "eval_episodes", "chunk_steps", "data_shards", "member_map")
"""Settings that do not make another algorithm of one: how long it runs, how it is looked at, where it lies."""


def read(directory: Path) -> list[Result]:
    """The results of a run's or a sweep's directory, one a member; those without an evaluation are left out.

    Raises: CheckpointError: it is damaged.
    """
    return of_sweep(directory) if folder.exists(directory) else of_run(directory)


def of_run(run: Path) -> list[Result]:
    """The members of a run. The preset is the one of the algorithm's that differs least from the config."""
    about, records = identity.read(run), metrics.read(run / "metrics.jsonl")
    config = about["config"]
    name, setting = named(config)
    found = []
    for index, own in enumerate(own_of(about) if records else ()):
        curve = {
            "env_steps": [record["env_steps"] for record in records],
            "updates": [record["updates"] for record in records],
            "seconds": [record.get("timing", {}).get("wall_s", np.nan) for record in records],
            "return": [at(record, "eval.return_mean", index) for record in records],
            "stochastic_return": [at(record, "eval.stochastic_return_mean", index) for record in records],
        }
        found.append(
            Result(
                suite="",
                task=config["env"]["env"],
                algorithm=config.get("algorithm", "sac"),
                preset=name,
                seed=own["seed"],
                steps=config["training"]["steps"],
                curve=_arrays(curve),
                about=surroundings(about),
                setting={**setting, **{field: value for field, value in own.items() if field != "seed"}},
            )
        )
    return found


def of_sweep(directory: Path) -> list[Result]:
    """The members of a sweep that have an evaluation; their setting is what the axes say."""
    sweep, lines = folder.read(directory), ledger.read(directory)
    configs = {group.id: group.config for group in sweep.groups}
    evaluations: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["kind"] == "evaluation":
            evaluations.setdefault(line["member"], []).append(line)
    found = []
    for row in results.gather(sweep.members, lines):
        config = configs[row.member.group]
        looks = sorted(evaluations.get(row.member.id, []), key=lambda line: line["step"])
        if not looks:
            continue
        curve = {
            "env_steps": [line["step"] for line in looks],
            "updates": [line["updates"] for line in looks],
            "seconds": [line.get("timing", {}).get("wall_s", np.nan) for line in looks],
            "return": [line["return_mean"] for line in looks],
            "stochastic_return": [line.get("stochastic_return_mean", np.nan) for line in looks],
        }
        result = Result(
            suite="",
            task=config.env.env,
            algorithm=config.algorithm,
            preset=sweep.about["preset"],
            seed=row.member.seed,
            steps=config.training.steps,
            curve=_arrays(curve),
            about=surroundings(sweep.about),
            setting={name: value for name, value in row.changes.items() if name not in ("env", "algorithm")},
        )
        found.append(result)
    return found


def named(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The preset that a run's config comes from and what differs: of the algorithm's, on a CPU or an accelerator, the
    one that differs in the fewest settings. Empty where the environment is not to be had here.

    Args: `config`: of config.json.
    """
    nearest: tuple[str, dict[str, Any]] | None = None
    try:
        own = flat(read_config(config))
        for name in algorithm(own["algorithm"]).presets:
            for platform in ("cpu", "gpu"):
                kwargs = {"env_kwargs": own["env_kwargs"]}
                from_it = flat(preset(own["env"], algorithm=own["algorithm"], platform=platform, name=name, **kwargs))
                changed = {key: own[key] for key in own if key not in NOT_ITS_OWN and own[key] != from_it[key]}
                if nearest is None or len(changed) < len(nearest[1]):
                    nearest = name, changed
    except SoftRLError:  # an environment of one's own that lived in a process, or whose library is not here
        pass
    return nearest or ("", {})


def surroundings(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a result says of where its numbers come from. Args: `about`: config.json or sweep.json."""
    machine = about.get("machine") or {}
    return {
        "commit": about.get("commit"),
        "versions": about.get("versions") or {},
        "machine": machine.get("system", ""),
        "device": machine.get("device", ""),
    }


def _arrays(curve: Mapping[str, list[Any]]) -> dict[str, np.ndarray]:
    return {name: np.array(values, float) for name, values in curve.items()}
