"""The host's part of a run: call the compiled chunk, evaluate now and then, write records, stop when asked.

A session is one process's stretch of a run; killed and started again it goes on to the same bits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from softrl.agents import algorithm
from softrl.config import flat
from softrl.errors import DivergedError
from softrl.storage import checkpoint, metrics
from softrl.training import records
from softrl.training.assemble import Assembled
from softrl.training.health import message
from softrl.training.programs import RunPrograms
from softrl.training.signals import Request
from softrl.training.state import RunState
from softrl.types import PyTree

Listener = Callable[[dict[str, Any]], None]
"""Called with `{"event": name, ...}` as a session goes on: assembled, changed, compiled, resumed, chunk, evaluation,
saved; the other keys are what the event is about. `evaluates` of a chunk says whether an evaluation follows at once."""

Between = Callable[[RunState, PyTree, dict[str, Any]], tuple[RunState, PyTree, dict[str, Any]]]
"""`(run, hypers, line) -> (run, hypers, what to say of it)`: what a search does to members after an evaluation that is
not the last. A function of its arguments alone; it may consume the run. What it says stands in the line as `search`."""


CHOOSING, JUDGING = 0, 1
"""Sets of episodes: those by which policies are compared, and those on which the best one is evaluated at the end."""


@dataclass
class Session:
    """A run in the hands of one process; the mutable edge around pure functions.

    run: its present state. directory: None for a run in memory only. records: all lines so far. tallies: chunks since
    the last line. best: return of the best-evaluated policy. wall_before: seconds of earlier sessions. trained,
    trained_s, updates: chunks of this session since the last line, their seconds and updates. between: see `Between`.
    save_every_s: evaluations that follow a checkpoint sooner than this leave none; a kill costs that much.
    """

    assembled: Assembled
    programs: RunPrograms
    run: RunState
    directory: Path | None = None
    store: checkpoint.Store | None = None
    log: metrics.Log | None = None
    offset: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)
    tallies: list[dict[str, list[float]]] = field(default_factory=list)
    best: float = -np.inf
    best_policy: PyTree = None
    wall_before: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    trained: int = 0
    trained_s: float = 0.0
    updates: int = 0
    saved_step: int = -1
    saved_s: float = -np.inf
    between: Between | None = None
    save_every_s: float = 0.0

    @property
    def chunk(self) -> int:
        """Chunks done."""
        return int(self.run.clock.step) // self.assembled.config.training.chunk_steps

    @property
    def wall_s(self) -> float:
        """Seconds of all sessions."""
        return self.wall_before + time.perf_counter() - self.started


def advance(session: Session, request: Request, listener: Listener) -> None:
    """Trains until the config's steps or until `request` asks to stop; evaluates and saves on the way.

    Raises: DivergedError when every member is frozen.
    """
    config = session.assembled.config
    if not session.records:
        _evaluate(session, listener)
    elif _evaluates(session):
        _stop_if_all_frozen(session)
    while session.chunk < config.chunks and request.requested is None:
        _train(session, listener)
        if _evaluates(session):
            _evaluate(session, listener, last=session.chunk >= config.chunks)
            _stop_if_all_frozen(session)
    save(session, listener)


def _evaluates(session: Session) -> bool:
    """Whether there is an evaluation behind the chunks that are done."""
    config = session.assembled.config
    return session.chunk >= config.chunks or session.chunk % config.eval_chunks == 0


def save(session: Session, listener: Listener) -> None:
    """Starts an asynchronous checkpoint of the whole run, unless this very state has been saved."""
    step = int(session.run.clock.step)
    if session.store is None or step == session.saved_step:
        return
    meta = {
        "metrics_offset": session.offset,
        "tallies": list(session.tallies),  # a copy: it is written while training goes on
        "best": session.best,
        "wall_s": session.wall_s,
    }
    if session.between is not None:
        meta["hypers"] = flat(session.programs.hypers)
    checkpoint.save(session.store, step, session.run, meta)
    session.saved_step, session.saved_s = step, time.perf_counter()
    listener({"event": "saved", "step": step})


def _train(session: Session, listener: Listener) -> None:
    started, before = time.perf_counter(), int(session.run.clock.update)
    session.run, info = session.programs.chunk(session.run, session.programs.hypers)
    jax.block_until_ready(info)
    seconds = time.perf_counter() - started
    session.trained += 1
    session.trained_s += seconds
    session.updates += int(session.run.clock.update) - before
    session.tallies.append(records.tally(info))
    config = session.assembled.config
    env_steps = config.chunk_transitions * config.training.seeds
    listener(
        {
            "event": "chunk",
            "env_steps": int(session.run.clock.step) * config.env.num_envs,
            "updates": int(session.run.clock.update),
            "env_steps_per_s": env_steps / seconds,
            "updates_per_s": (int(session.run.clock.update) - before) * config.training.seeds / seconds,
            "evaluates": _evaluates(session),
        }
    )


def _evaluate(session: Session, listener: Listener, *, last: bool = False) -> None:
    """Evaluates, writes one line, keeps the best policy, saves."""
    policies = session.programs.publish(session.run.learner.agent)
    evaluation = jax.block_until_ready(session.programs.evaluate(policies, CHOOSING))
    config = session.assembled.config
    steps = config.chunk_transitions * session.trained * config.training.seeds
    seconds = max(session.trained_s, 1e-9)
    timing = {
        "wall_s": session.wall_s,
        "compile_s": session.programs.seconds,
        "env_steps_per_s": steps / seconds,
        "updates_per_s": session.updates * config.training.seeds / seconds,
    }
    line = records.record(config, session.run, evaluation, session.tallies, timing)
    _keep_best(session, policies, line)
    if last:
        line["state_sha256"] = checkpoint.state_sha256(session.run)
        line["best"] = _held_out(session, policies)
    if session.between is not None and not last:
        session.run, hypers, line["search"] = session.between(session.run, session.programs.hypers, line)
        session.programs = session.programs._replace(hypers=hypers)
    session.tallies, session.trained, session.trained_s, session.updates = [], 0, 0.0, 0
    session.records.append(line)
    if session.log is not None:
        session.offset = metrics.write(session.log, line)
    if last or time.perf_counter() - session.saved_s >= session.save_every_s:
        save(session, listener)
    listener({"event": "evaluation", "record": line})


def _held_out(session: Session, policies: PyTree) -> dict[str, float]:
    """The best policy on episodes that did not choose it: its return on those that did is the luckiest of many."""
    if session.best_policy is None:
        return dict.fromkeys(records.HELD_OUT, np.nan)
    best = jax.tree.map(
        lambda x, like: jax.device_put(np.broadcast_to(x, like.shape), like.sharding), session.best_policy, policies
    )
    part = records.eval_part(session.programs.evaluate(best, JUDGING))
    return {name: part[name][0] for name in records.HELD_OUT}


def _keep_best(session: Session, policies: PyTree, line: dict[str, Any]) -> None:
    returns = np.asarray(line["eval"]["return_mean"])
    member = int(np.nanargmax(np.where(np.isfinite(returns), returns, -np.inf)))
    newest = algorithm(session.assembled.config.algorithm).keeps == "newest"
    if not (newest or returns[member] > session.best):
        return
    session.best = float(returns[member])
    session.best_policy = jax.device_get(jax.tree.map(lambda x: x[member], policies))
    if session.directory is not None:
        meta = {"member": member, "env_steps": line["env_steps"], "return_mean": session.best}
        checkpoint.save_best(session.directory / "checkpoints", session.best_policy, meta)


def _stop_if_all_frozen(session: Session) -> None:
    codes = np.asarray(session.run.learner.health.code)
    if np.all(codes != 0):
        words = map(np.asarray, session.run.learner.health.frozen_at)
        at = [int(high) << 32 | int(low) for high, low in zip(*words, strict=True)]
        left_out = int(np.sum(session.run.learner.health.quarantined))
        first = f"look at the environment, of which {left_out:,} steps were not finite; " if left_out else ""
        raise DivergedError(
            f"every member stopped learning ({message(int(codes[0]))}; at updates {at}): {first}lower the learning "
            "rates or the rewards, or clip gradients"
        )
