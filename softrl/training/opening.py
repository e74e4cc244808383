"""Opening a run: claim its directory, compile, restore, and hand over a session that goes on from there."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp

from softrl.storage import checkpoint, directory, metrics
from softrl.training import identity
from softrl.training.assemble import Assembled
from softrl.training.programs import Programs, abstract_run, compile_programs
from softrl.training.session import Listener, Session
from softrl.training.state import RunState
from softrl.types import PyTree


@contextlib.contextmanager
def opened(
    assembled: Assembled,
    out: Path | None,
    tell: Listener,
    *,
    programs: Programs | None = None,
    start: Callable[[RunState], RunState] | None = None,
) -> Iterator[Session]:
    """A run in the hands of this process while the block runs: new, or where its newest good checkpoint left it.

    Args:
      out: its directory; None keeps it in memory.
      programs: compiled already, for members of the same number; None compiles.
      start: makes the first state of a new run from the one that `programs.init` returns.
    Raises:
      ConfigError: another run is in `out`; nothing is changed. CheckpointError: `out` is in use, damaged or refuses.
    """
    with contextlib.ExitStack() as stack:
        restored = None
        if out is not None:
            stack.enter_context(directory.claim(out))
            changed = identity.agree(out, assembled.config, assembled.members)
            if changed:
                tell({"event": "changed", "names": changed})
            restored = checkpoint.restore(out / "checkpoints", abstract_run(assembled))
        if programs is None:
            programs = compile_programs(assembled)
            tell({"event": "compiled", "seconds": programs.seconds})
        session = _session(assembled, programs, out, restored, start)
        stack.callback(_close, session)
        if restored is not None:
            tell({"event": "resumed", "step": restored.step, "rejected": restored.rejected})
        yield session


def _session(
    assembled: Assembled,
    programs: Programs,
    out: Path | None,
    restored: checkpoint.Restored | None,
    start: Callable[[RunState], RunState] | None,
) -> Session:
    session = Session(assembled, programs, restored.state if restored else programs.init(), out)
    if start is not None and restored is None:
        session.run = start(session.run)
    if out is None:
        return session
    session.store = checkpoint.open_store(out / "checkpoints")
    session.offset = restored.meta["metrics_offset"] if restored else 0
    session.log = metrics.open_log(out / "metrics.jsonl", session.offset)
    if restored:
        session.records = metrics.read(out / "metrics.jsonl")
        session.tallies, session.best = restored.meta["tallies"], restored.meta["best"]
        session.wall_before, session.saved_step = restored.meta["wall_s"], restored.step
        if "hypers" in restored.meta:  # a search has changed them since
            session.programs = programs._replace(hypers=_hypers(programs.hypers, restored.meta["hypers"]))
        best = checkpoint.restore_best(out / "checkpoints", abstract_policy(assembled))
        session.best_policy = best.state if best else None
    return session


def _hypers(like: PyTree, saved: dict[str, list[float]]) -> PyTree:
    values = {name: None if value is None else jnp.asarray(value, jnp.float32) for name, value in saved.items()}
    return dataclasses.replace(like, **values)


def _close(session: Session) -> None:
    if session.log is not None:
        metrics.close(session.log)
    if session.store is not None:
        checkpoint.close(session.store)


def abstract_policy(assembled: Assembled) -> PyTree:
    """Shapes and types of what one member publishes."""
    agent = abstract_run(assembled).learner.agent
    one = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), agent)
    return jax.eval_shape(assembled.program.agent.policy, one)
