"""What a run is known by: its config, its members, and what else its numbers depend on."""

import functools
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from softrl import __version__
from softrl.agents import algorithm
from softrl.config import change, to_json
from softrl.envs import Source, found, packages, registered
from softrl.envs.domain_randomization import named
from softrl.envs.source import spelled
from softrl.errors import CheckpointError, ConfigError
from softrl.storage import directory
from softrl.training import specs
from softrl.training.assemble import Assembled
from softrl.training.config import Config
from softrl.training.config import read as read_config

PACKAGES = ("softrl", "jax", "jaxlib", "flax", "optax", "numpy")


def identity(assembled: Assembled) -> dict[str, Any]:
    """What `config.json` holds: config, members with settings of their own, environments, functions, `surroundings`."""
    members, evaluation = assembled.members, assembled.evaluation_source
    own = {} if members is None else {"members": [dict(member) for member in members]}
    environment = {**_known(assembled.source), **specs.written(assembled.program.env.spec)}
    if assembled.functions.get("randomize") is not None:
        environment["randomize"] = named(assembled.functions["randomize"])
    if evaluation is not None:
        environment["evaluation"] = {"name": evaluation.name, **_known(evaluation)}
    prior = assembled.functions.get("log_prior")
    functions = {"log_prior": None if prior is None else spelled(prior)}
    known = {"config": to_json(assembled.config), **own, "environment": environment, "functions": functions}
    return known | {"from": assembled.origin} | surroundings()


def read(run: str | Path) -> dict[str, Any]:
    """What `config.json` of a run holds.

    Raises: CheckpointError where there is no run, saying what is there instead; or it is damaged.
    """
    about = directory.read_config(Path(run))
    if "learner" in about:
        raise CheckpointError(
            f"{run} holds a learner and no run: it knows no environment to train, evaluate, film or report on; "
            "softrl.Learner.load opens it, and `softrl export` writes its policy"
        )
    if "config" not in about:
        raise CheckpointError(f"{run} is not a run: its config.json was written by something else")
    return about


def _known(source: Source) -> dict[str, Any]:
    return {"source": source.of, "only_in_process": not source.lasting}


def lasting(run: Path, about: Mapping[str, Any], *, env: bool, evaluation_env: bool) -> str | None:
    """The name of a run's evaluation environment, if it has one of its own. Args: `about`: config.json; `env`,
    `evaluation_env`: whether they are given again.

    Raises: ConfigError where one that lived in a process only is not.
    """
    environment = about.get("environment", {})
    evaluation = environment.get("evaluation")
    for what, given, known in (("env", env, environment), ("evaluation_env", evaluation_env, evaluation or {})):
        if known.get("only_in_process") and not given and not _is_here(about, what, known["source"]):
            raise ConfigError(
                f"{run}: its environment, {known['source']}, was only there in the process that trained: give it again "
                f"from Python, {what}=…; what is named as my_module:make_env is found again"
            )
    return None if evaluation is None else evaluation["name"]


def _is_here(about: Mapping[str, Any], what: str, source: str) -> bool:
    """Whether this process has the same environment by its name."""
    config = read_config(about["config"]).env
    named, kwargs = (config.env, config.kwargs) if what == "env" else (about["environment"]["evaluation"]["name"], {})
    return registered(named) and found(named, kwargs).of == source


def surroundings() -> dict[str, Any]:
    """What else numbers depend on: versions, commit and machine."""
    device = jax.local_devices()[0]
    return {
        "versions": {name: _version(name) for name in (*PACKAGES, *packages())} | {"python": platform.python_version()},
        "commit": _commit(),
        "machine": {"device": device.device_kind, "devices": jax.local_device_count(), "system": platform.platform()},
    }


@functools.cache
def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None where it is installed from elsewhere."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def _version(package: str) -> str:
    if package == "softrl":  # a checkout need not be installed
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def write(out: Path, assembled: Assembled) -> None:
    """Writes a run's `config.json`. What it began from stays, whether or not that is said again."""
    about = identity(assembled)
    if about["from"] is None and (out / "config.json").exists():
        about["from"] = read(out).get("from")
    directory.write_config(out, about)


def agree(out: Path, assembled: Assembled) -> list[str]:
    """Refuses a run that differs from the one that is in `out` in more than `steps`.

    Returns: what else differs and may change bits: versions, commit, machine, as dotted names.
    """
    if not (out / "config.json").exists():
        return []
    config, now, before = assembled.config, identity(assembled), read(out)
    old = read_config(before["config"])
    _refuse_other(out, to_json(change(old, steps=config.training.steps)), now["config"])
    for part in ("environment", "functions"):
        if part in before:  # older versions did not write it
            _refuse_other(out, before[part], now[part])
    if "from" in before and now["from"] not in (None, before["from"]):
        raise ConfigError(
            f"{out} holds a run that did not begin from {now['from']}: leave that out to go on, or use another --out"
        )
    if directory.differences({"members": before.get("members")}, {"members": now.get("members")}):
        raise ConfigError(f"{out} holds a run with other members; use the same members, or another --out")
    if config.training.steps < old.training.steps:
        raise ConfigError(
            f"{out} was meant for {old.training.steps} steps; steps may grow, not shrink to {config.training.steps}"
        )
    own = {"config", "environment", "from", "functions", "members"}
    grown = ["config.training.steps"] if _follows_steps(config) and config.training.steps != old.training.steps else []
    return grown + [
        name for name in directory.differences(before, now) if name.split(".")[0] not in own and specs.at(before, name)
    ]


def _follows_steps(config: Config) -> bool:
    """Whether steps that were there before would have been made otherwise in a longer run."""
    over, training = algorithm(config.algorithm).over, config.training
    falls = training.updates_per_step_end > 0 or over(config.hypers, 1.0) != over(config.hypers, 2.0)
    return falls and training.schedule_steps is None


def _refuse_other(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    different = specs.differences(old, new)
    if different:
        raise ConfigError(f"{out} holds a run with another {different}; use the same settings, or another --out")
