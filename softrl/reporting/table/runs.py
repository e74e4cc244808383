"""Run directories and sweeps as results: `config.json` and `metrics.jsonl`, or `sweep.json` and the ledger."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softrl.agents import algorithm
from softrl.config import change, flat, to_json
from softrl.errors import SoftRLError
from softrl.presets import preset
from softrl.reporting.report.read_run import at, own_of
from softrl.reporting.table.results import Result
from softrl.storage import metrics
from softrl.sweep import folder, ledger, results
from softrl.training import identity
from softrl.training.config import Config
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
    environment = about.get("environment", {})
    more = {"randomize": environment.get("randomize"), "from": about.get("from"), **about.get("functions", {})}
    more["evaluation_env"] = environment.get("evaluation", {}).get("name")
    setting |= {name: value for name, value in more.items() if value is not None}
    env = read_config(config).env
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
                task=_task(env.env, env.kwargs),
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
    """The members of a sweep that have an evaluation, but for those that a search stopped on the way; their setting is
    what the sweep's base has beside a preset and what the axes say."""
    sweep, lines = folder.read(directory), ledger.read(directory)
    configs = {group.id: group.config for group in sweep.groups}
    known = {group: named(to_json(config)) for group, config in configs.items()}
    evaluations, found = results.evaluations(lines), []
    for row in results.gather(sweep.members, lines):
        config = configs[row.member.group]
        looks = evaluations.get(row.member.id, [])
        if not looks or row.status == "stopped":
            continue
        name, setting = known[row.member.group]
        own = {field: value for field, value in row.changes.items() if field not in ("env", "env_kwargs", "algorithm")}
        curve = {
            "env_steps": [line["step"] for line in looks],
            "updates": [line["updates"] for line in looks],
            "seconds": [line.get("timing", {}).get("wall_s", np.nan) for line in looks],
            "return": [line["return_mean"] for line in looks],
            "stochastic_return": [line.get("stochastic_return_mean", np.nan) for line in looks],
        }
        result = Result(
            suite="",
            task=_task(config.env.env, config.env.kwargs),
            algorithm=config.algorithm,
            preset=name,
            seed=row.member.seed,
            steps=config.training.steps,
            curve=_arrays(curve),
            about=surroundings(sweep.about),
            setting={**setting, **own},
        )
        found.append(result)
    return found


def named(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The preset that a run's config comes from and what differs: of the algorithm's, on a CPU or an accelerator, the
    one that differs in the fewest settings. Args: `config`: of config.json.
    """
    own = flat(read_config(config))
    try:
        bases = list(_presets(own))
    except SoftRLError:  # an environment that lived in a process, or whose library is not here
        bases = list(_presets_by_name(own))
    left_out = {*NOT_ITS_OWN, "env_kwargs"}  # which are the task's
    differing = [
        (name, {key: own[key] for key in own if key not in left_out and own[key] != base[key]}) for name, base in bases
    ]
    return min(differing, key=lambda one: len(one[1]))


def _presets(own: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in algorithm(own["algorithm"]).presets:
        for platform in ("cpu", "gpu"):
            known = {"algorithm": own["algorithm"], "env_kwargs": own["env_kwargs"]}
            yield name, flat(preset(own["env"], platform=platform, name=name, **known))


def _presets_by_name(own: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Presets for an environment that cannot be looked up: what it prefers itself is not in them."""
    for name, settings in algorithm(own["algorithm"]).presets.items():
        for device in ("cpu", "accelerator", "host"):
            yield name, flat(change(Config(algorithm=own["algorithm"]), **settings(own["env"], device)))


def _task(env: str, kwargs: Mapping[str, Any]) -> str:
    """An environment with its arguments, which make another task of it."""
    told = ", ".join(f"{name} {value}" for name, value in kwargs.items())
    return f"{env} ({told})" if told else env


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
