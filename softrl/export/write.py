"""Writes a policy's file, once the very bytes of it have acted like the live policy."""

import importlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from softrl import __version__, numpy_policy
from softrl.agents.carry import afresh
from softrl.agents.observations import whole
from softrl.errors import CheckpointError, ConfigError, suggestion
from softrl.export import check
from softrl.numpy_policy import NumpyPolicy
from softrl.storage import checkpoint, durable
from softrl.training.assemble import Assembled, acting
from softrl.training.programs import abstract_run
from softrl.types import PyTree

FORMATS = {"onnx": "onnx and onnxruntime", "stablehlo": "flatbuffers", "safetensors": "safetensors"}
"""Formats, and what each needs."""


class Exported(NamedTuple):
    """A written file; difference: the largest from the live policy's action, in units of half its range."""

    path: Path
    bytes: int
    difference: float
    observations: int


def export(assembled: Assembled, policy: PyTree, path: str | Path, *, format: str) -> Exported:
    """Writes the deterministic policy, its observation normaliser and action scaling included.

    Args:
      assembled, policy: of a run: `run.assembled`, `run.best_policy`.
      format: one of `FORMATS`.
    Raises:
      ConfigError: unknown format, or a library that it needs is missing. ExportError: the bytes do not act as the
        live policy does; nothing is written. CheckpointError: the file cannot be written.
    """
    require_format(format)
    path, plain = Path(path), acting(assembled, policy)
    about = {"softrl": __version__, "env": assembled.config.env.env}
    data, run = _written(assembled, policy, plain, about, format)
    largest = check.difference(plain, partial(_live, assembled, policy, plain), run, format)
    with durable.explained("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_atomically(path, data)
    return Exported(path, len(data), largest, check.ROWS)


def require_format(format: str) -> None:
    """Raises: ConfigError for a format that is not one of `FORMATS`, with the nearest."""
    if format not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {format!r}{suggestion(format, FORMATS)}")


def member_policy(run_directory: str | Path, assembled: Assembled, member: int) -> PyTree:
    """One member's policy as it is in the newest checkpoint of a run with several seeds.

    Raises: ConfigError for a member that the run does not have. CheckpointError where no checkpoint verifies.
    """
    members = assembled.config.training.seeds
    if not 0 <= member < members:
        raise ConfigError(f"member must be in [0, {members - 1}], got {member}; the run has {members} members")
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), abstract_run(assembled))
    restored = checkpoint.restore(Path(run_directory) / "checkpoints", abstract)
    if restored is None:
        raise CheckpointError(f"{run_directory} has no checkpoint yet; train it further first")
    agent = jax.tree.map(lambda leaf: leaf[member], restored.state.learner.agent)
    return assembled.program.agent.policy(agent)


def _written(assembled: Assembled, policy: PyTree, plain: NumpyPolicy, about: dict[str, str], format: str):
    """The file's bytes, and a function that runs those bytes: observations by name to actions."""
    if format == "safetensors":
        data = numpy_policy.encode(plain, **about)
        return data, lambda named: numpy_policy.decode(data)(check.nested(plain, named))
    try:
        writer = importlib.import_module(f"softrl.export.{format}")
        if format == "onnx":
            data = writer.serialize(plain, about)
            return data, partial(writer.run, data)
        spec, agent = assembled.program.env.spec, assembled.program.agent
        data = writer.serialize(agent, spec, policy, plain)
        return data, lambda named: writer.run(data, check.nested(plain, named))
    except ImportError as error:
        raise ConfigError(f"{format} needs {FORMATS[format]} ({error}): pip install 'softrl[export]'") from None


def _live(assembled: Assembled, policy: PyTree, plain: NumpyPolicy, named: dict[str, np.ndarray]) -> np.ndarray:
    spec, agent = assembled.program.env.spec, assembled.program.agent
    obs = whole(spec, check.nested(plain, named))
    return plain.scaled(np.asarray(jax.jit(lambda policy, obs: afresh(agent, policy, obs, None))(policy, obs)))
