"""Writes a policy's file, once the very bytes of it have acted like the live policy."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from softrl import __version__, numpy_policy
from softrl.agents import algorithm
from softrl.agents.carry import afresh
from softrl.agents.observations import whole
from softrl.algorithm import Agent
from softrl.errors import CheckpointError, ConfigError, require_known, suggestion
from softrl.export import check
from softrl.numpy_policy import NumpyPolicy
from softrl.storage import durable
from softrl.training.assemble import Assembled, acting
from softrl.training.opening import restored_run
from softrl.training.programs import abstract_run
from softrl.types import EnvSpec, PyTree, Spec

FORMATS = {"onnx": "onnx and onnxruntime", "stablehlo": "flatbuffers", "safetensors": "safetensors"}
"""Formats, and what each needs."""


class Live(NamedTuple):
    """A policy and what acts by it in JAX.

    policy: as published by the agent. plain: the same in NumPy, with its version. about: what else its file says of it.
    computes: of another network that a policy was learned with, in JAX, `(obs) -> [B]`; plain is that one then.
    """

    agent: Agent
    spec: Spec | EnvSpec
    policy: PyTree
    plain: NumpyPolicy
    about: dict[str, str]
    computes: Callable[[PyTree], jax.Array] | None = None


class Exported(NamedTuple):
    """A written file; difference: the largest from the live policy's action, in units of half its range."""

    path: Path
    bytes: int
    difference: float
    observations: int


def export(
    assembled: Assembled,
    policy: PyTree,
    path: str | Path,
    *,
    format: str | None,
    version: int = 0,
    what: str = "policy",
) -> Exported:
    """Writes a run's policy, as `write`.

    Args: `version`: gradient updates behind it; `what`: another network that its algorithm learns with it, by name.
    Raises: as `write`; ConfigError where the algorithm has no such network.
    """
    spec, about = assembled.program.env.spec, {"env": assembled.config.env.env}
    if what == "policy":
        plain, computes = acting(assembled, policy), None
    else:
        entry = algorithm(assembled.config.algorithm)
        require_known(f"network of {entry.name}", what, ("policy", *entry.networks))
        plain, computes = entry.networks[what](assembled.config.agent, spec, policy)
    live = Live(assembled.program.agent, spec, policy, replace(plain, version=version), about, computes)
    return write(live, path, format=format)


def write(live: Live, path: str | Path, *, format: str | None) -> Exported:
    """Writes the deterministic policy, its observation normaliser and action scaling included.

    Args: `format`: see `chosen_format`.
    Raises:
      ConfigError: unknown format, or a library that it needs is missing. ExportError: the bytes do not act as the
        live policy does; nothing is written. CheckpointError: the file cannot be written.
    """
    format = chosen_format(format, path)
    if live.computes is not None and format == "stablehlo":
        raise ConfigError("stablehlo files act: write a network that does not as onnx or safetensors")
    path = Path(path)
    data, run = _written(live, format)
    largest = check.difference(live.plain, partial(_acts, live), run, format)
    with durable.explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_atomically(path, data)
    return Exported(path, len(data), largest, check.ROWS)


def chosen_format(format: str | None, path: str | Path | None = None) -> str:
    """The format that is asked for; without one that of the file's suffix, where it is one's, otherwise onnx.

    Raises: ConfigError for one that is not of `FORMATS`, with the nearest, or that the suffix contradicts.
    """
    suffix = "" if path is None else Path(path).suffix.removeprefix(".")
    if format is None:
        return suffix if suffix in FORMATS else "onnx"
    if format not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {format!r}{suggestion(format, FORMATS)}")
    if suffix in FORMATS and suffix != format:
        raise ConfigError(f"{path} would hold {format}: name the file .{format}, or ask for the format {suffix}")
    return format


def member_policy(run_directory: str | Path, assembled: Assembled, member: int) -> tuple[PyTree, int]:
    """One member's policy and its version, as they are in the newest checkpoint of a run with several seeds.

    Raises: ConfigError for a member that the run does not have. CheckpointError where no checkpoint verifies.
    """
    members = assembled.config.training.seeds
    if not 0 <= member < members:
        raise ConfigError(f"member must be in [0, {members - 1}], got {member}; the run has {members} members")
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), abstract_run(assembled))
    restored = restored_run(Path(run_directory), abstract)
    if restored is None:
        raise CheckpointError(f"{run_directory} has no checkpoint yet; train it further first")
    agent = jax.tree.map(lambda leaf: leaf[member], restored.state.learner.agent)
    return assembled.program.agent.policy(agent), int(restored.state.clock.update)


def _written(live: Live, format: str):
    """The file's bytes, and a function that runs those bytes: observations by name to actions."""
    plain, about = live.plain, {**live.about, "softrl": __version__, "version": str(live.plain.version)}
    if format == "safetensors":
        data = numpy_policy.encode(plain, **about)
        return data, lambda named: numpy_policy.decode(data)(check.nested(plain, named))
    try:
        writer = importlib.import_module(f"softrl.export.{format}")
        if format == "onnx":
            data = writer.serialize(plain, about)
            return data, partial(writer.run, data)
        data = writer.serialize(live.agent, live.spec, live.policy, plain)
        return data, lambda named: writer.run(data, check.nested(plain, named))
    except ImportError as error:
        raise ConfigError(f"{format} needs {FORMATS[format]} ({error}): pip install 'softrl[export]'") from None


def _acts(live: Live, named: dict[str, np.ndarray]) -> np.ndarray:
    if live.computes is not None:
        return np.asarray(jax.jit(live.computes)(check.nested(live.plain, named)))
    obs = whole(live.spec, check.nested(live.plain, named))
    act = jax.jit(lambda policy, obs: afresh(live.agent, policy, obs, None))
    return live.plain.scaled(np.asarray(act(live.policy, obs)))
