"""Opening a run: claim its directory, compile, restore, and hand over a session that goes on from there."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.config import replaced
from softrl.envs import boxes
from softrl.envs.host import HostEnv
from softrl.errors import CheckpointError, ConfigError
from softrl.storage import checkpoint, directory, metrics
from softrl.training import identity, memory
from softrl.training.assemble import Assembled
from softrl.training.programs import RunPrograms, abstract_run, compile_programs, mesh_of
from softrl.training.session import Between, Listener, Session
from softrl.training.state import RunState
from softrl.types import Hypers, PyTree


class Past(NamedTuple):
    """What earlier sessions of a run leave behind, as `Session` has it."""

    records: list[dict[str, Any]]
    tallies: list[dict[str, list[float]]]
    best: float
    best_policy: PyTree
    wall_before: float
    saved_step: int = -1


@contextlib.contextmanager
def opened(
    assembled: Assembled,
    out: Path | None,
    listener: Listener,
    *,
    programs: RunPrograms | None = None,
    start: Callable[[RunState], RunState] | None = None,
    past: Past | None = None,
    between: Between | None = None,
    save_every_s: float = 0.0,
) -> Iterator[Session]:
    """A run in the hands of this process while the block runs: new, or where its newest good checkpoint left it.

    Args:
      out: its directory; None keeps it in memory.
      programs: compiled already, for members of the same number, whose seconds count as this run's; None compiles.
      start: makes the first state of a new run from the one that `programs.init` returns.
      past: of a run in memory that goes on, or of the one that a new one continues. between, save_every_s: see
        `Session`.
    Raises:
      ConfigError: it does not fit into memory, or another run is in `out`; nothing is changed. Or its environments
        begin with numbers that are not finite.
      CheckpointError: `out` is in use, damaged or refuses.
    """
    began = time.perf_counter() - (0.0 if programs is None else programs.seconds)
    abstract = abstract_run(assembled) if programs is None else programs.abstract
    size = memory.check_fits(abstract, replay=abstract.learner.replay, mesh=mesh_of(assembled))
    with contextlib.ExitStack() as stack:
        restored, changed = None, []
        if out is not None:
            stack.enter_context(directory.claim(out))
            changed = identity.agree(out, assembled)
        listener({"event": "assembled", "assembled": assembled, "memory": size})
        if changed:
            listener({"event": "changed", "names": changed})
        if out is not None:
            restored = restored_run(out, abstract)
            identity.write(out, assembled)
        if programs is None:
            programs = compile_programs(assembled, abstract)
            listener({"event": "compiled", "seconds": programs.seconds})
        stack.callback(programs.close)
        if restored is None:
            run = _begun(assembled, programs)
            run = run if start is None else start(run)
        else:
            run, programs = restored.state, _searched(programs, restored.meta)
        files = {} if out is None else _files(stack, out, restored)
        if restored is not None:
            past = _past(assembled, abstract, out, restored)
            afresh = isinstance(assembled.program.env, HostEnv) and not assembled.program.env.snapshot_size
            told = {"step": restored.step, "rejected": restored.rejected, "new_episodes": afresh}
            listener({"event": "resumed", **told})
        before = {"started": began} | ({} if past is None else past._asdict())
        before |= {"between": between, "save_every_s": save_every_s}
        with _telling_what_is_saved(Session(assembled, programs, run, **files, **before)) as session:
            yield session


def _begun(assembled: Assembled, programs: RunPrograms) -> RunState:
    """A new run. Raises: ConfigError: its environments begin with numbers that are not finite."""
    run, env = programs.init(), assembled.program.env
    if not isinstance(env, HostEnv):  # which was tried when it was made
        finite = boxes.finite(jax.tree.map(np.concatenate, run.env.obs), np.concatenate(run.env.reward))
        if not finite.all():
            raise ConfigError(
                f"{env.spec.name}: reset gives observations that are not finite, {np.sum(~finite):,} of the first "
                f"{len(finite):,}"
            )
    return run


@contextlib.contextmanager
def _telling_what_is_saved(session: Session) -> Iterator[Session]:
    """An error on the way, of a user's environment say, keeps its own traceback, with a line of ours below it."""
    try:
        yield session
    except Exception as error:
        store = session.store
        if store is not None:
            with contextlib.suppress(CheckpointError):  # of the last one, which may be the error itself
                checkpoint.wait(store)
        if store is not None and store.latest is not None:
            steps = store.latest * session.assembled.config.env.num_envs
            error.add_note(f"{session.directory} is saved up to {steps:,} steps; the same call goes on from there")
        raise


def _files(stack: contextlib.ExitStack, out: Path, restored: checkpoint.Restored | None) -> dict[str, Any]:
    """The open files of a run's directory, closed with the stack."""
    store = checkpoint.open_store(out / "checkpoints")
    stack.callback(checkpoint.close, store)
    offset = restored.meta["metrics_offset"] if restored else 0
    log = metrics.open_log(out / "metrics.jsonl", offset)
    stack.callback(metrics.close, log)
    return {"directory": out, "store": store, "log": log, "offset": offset}


def restored_run(directory: Path, abstract: RunState) -> checkpoint.Restored | None:
    """The newest good checkpoint of the run in a directory; see `checkpoint.restore`.

    Older versions stored simulators' states whole, also what no step reads: that is passed over.
    """
    return checkpoint.restore(directory / "checkpoints", abstract, ignored=(".env.sim", ".env.bank"))


def _past(assembled: Assembled, abstract: RunState, out: Path, restored: checkpoint.Restored) -> Past:
    best = checkpoint.restore_best(out / "checkpoints", abstract_policy(assembled, abstract))
    meta, policy = restored.meta, best.state if best else None
    return Past(
        metrics.read(out / "metrics.jsonl"), meta["tallies"], meta["best"], policy, meta["wall_s"], restored.step
    )


def _searched(programs: RunPrograms, meta: dict[str, Any]) -> RunPrograms:
    """The programs with the hyperparameters of a checkpoint, where a search has changed them since."""
    if "hypers" not in meta:
        return programs
    saved = {name: jnp.asarray(value, jnp.float32) for name, value in meta["hypers"].items() if value is not None}
    hypers: Hypers = replaced(programs.hypers, saved)
    return programs._replace(hypers=hypers)


def abstract_policy(assembled: Assembled, abstract: RunState) -> PyTree:
    """Shapes and types of what one member publishes."""
    one = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), abstract.learner.agent)
    return jax.eval_shape(assembled.program.agent.policy, one)
