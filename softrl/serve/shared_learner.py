"""A learner that many actors push to, every push once: sequence numbers, sessions, the journal, whose turn it is.

A push is journaled, stored, acknowledged, in this order and under one lock. Killed in between, the server stores on its
next start what the journal holds, and recognises the retry by its sequence number.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softrl.errors import BatchError, ConfigError, SoftRLError, TensorError
from softrl.learner import Learner
from softrl.serve import journal, wire
from softrl.serve.protocol import PushRequest

ACTORS = 4096
"""Most actors of one server: each costs memory and a line in every save."""

_ACTOR = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
WAIT_S = 5.0
"""How long a push waits for its turn before it is sent away to come again."""

_YIELD_S = 0.05  # how long the learner lets pushes go first


class Busy(SoftRLError):
    """The learner is behind; the same push may be tried again."""


class Gap(SoftRLError):
    """A push that does not follow the actor's last one. last: that one's sequence number."""

    def __init__(self, last: int, got: int):
        self.last = last
        super().__init__(f"sequence: expected {last + 1}, got {got}")


class Fenced(SoftRLError):
    """The actor's name was taken over by another process."""


@dataclass
class Actor:
    """sequence: of the last push stored. session: who pushes; 0 where nobody has since the server started."""

    sequence: int = 0
    session: int = 0


@dataclass
class SharedLearner:
    """The learner and what actors have pushed.

    behind: whether pushes must wait for the learner to catch up. replayed: rows that the journal gave back at the
    start. saved_from: the first segment that the last save needs. version, stored: the learner's updates and
    transitions (demonstrations included), which only the holder of the turn may ask it for. turn: of whoever uses
    the learner. waiting: how many pushes wait for their turn, counted under `queue`.
    """

    learner: Learner
    log: journal.Journal
    behind: Callable[["SharedLearner"], bool]
    actors: dict[str, Actor]
    replayed: int
    saved_from: int
    version: int
    stored: int
    stopping: bool = False
    waiting: int = 0
    queue: threading.Lock = field(default_factory=threading.Lock)
    turn: threading.Condition = field(default_factory=threading.Condition)


def open_shared(
    learner: Learner, directory: Path, behind: Callable[[SharedLearner], bool] = lambda _: False, *, sync: bool = False
) -> SharedLearner:
    """Opens the journal in `directory`/journal and stores what a killed server had acknowledged after its last save.

    Args: `sync`: whether a push waits for the disk. Raises: CheckpointError: the file system refused.
    """
    first = int(learner.extra.get("journal", 0))
    actors = {name: Actor(int(sequence)) for name, sequence in learner.extra.get("actors", {}).items()}
    replayed = 0
    for record in journal.read(directory / "journal", first):
        replayed += _replay(learner, actors, PushRequest.FromString(record))
    log = journal.open_journal(directory / "journal", first, sync=sync)
    stored = learner.stored + learner.demonstrations
    return SharedLearner(learner, log, behind, actors, replayed, first, learner.version, stored)


def _replay(learner: Learner, actors: dict[str, Actor], request: PushRequest) -> int:
    actor = actors.setdefault(request.actor, Actor())
    if request.sequence != actor.sequence + 1:
        return 0
    try:
        rows = _add(learner, request, wire.decode_transitions(request.transitions))
    except (BatchError, TensorError, ConfigError):
        return 0  # journaled, refused, and killed before it was taken back
    actor.sequence = request.sequence
    return rows


def join(shared: SharedLearner, name: str, session: int) -> int:
    """Gives an actor's name to a session, and to no other from now on. Returns: the sequence of its last push stored.

    Raises: ConfigError: a name or session that cannot be, or too many actors. Busy: try again.
    """
    _require_name(name, session)
    with _turn(shared):
        actor = _admitted(shared, name)
        actor.session = session
        return actor.sequence


def push(shared: SharedLearner, request: PushRequest, data: bytes) -> int:
    """Stores a push once. `data`: the request as it came. Returns: its rows; 0 where it had been stored before.

    Raises: BatchError, TensorError, ConfigError: refused for good. Gap, Fenced: out of turn. Busy: try again.
      CheckpointError: the journal cannot be written. Nothing has changed in any of these cases.
    """
    _require_name(request.actor, request.session)
    transitions = wire.decode_transitions(request.transitions)
    with _turn(shared):
        if _is_repeated(shared, request):
            return 0
        if not shared.turn.wait_for(lambda: shared.stopping or not shared.behind(shared), timeout=WAIT_S):
            raise Busy("the learner is behind; push again")
        if _is_repeated(shared, request):  # its retry may have overtaken it while it waited
            return 0
        _require_open(shared)
        actor = _admitted(shared, request.actor)
        rows = _journaled(shared, request, data, transitions)
        actor.sequence, actor.session = request.sequence, request.session
        shared.stored += rows
        return rows


def save(shared: SharedLearner) -> int:
    """Begins a new segment of the journal, and saves the learner with the sequence numbers. Returns: its version.

    In this order: a save that fails leaves both segments to the one before. And those from the save before on stay,
    since a damaged newest save would be passed over. Raises: CheckpointError: no pushed transition is lost by it.
    """
    with shared.turn:
        journal.begin(shared.log)
        sequences = {name: actor.sequence for name, actor in shared.actors.items() if actor.sequence}
        version = shared.learner.save({"journal": shared.log.number, "actors": sequences})
        journal.delete(shared.log, before=shared.saved_from)
        shared.saved_from = shared.log.number
        return version


def close(shared: SharedLearner) -> None:
    """Sends away every push from now on, those that wait included, saves, and closes the journal."""
    with shared.turn:
        shared.stopping = True
        shared.turn.notify_all()
        try:
            save(shared)
        finally:
            journal.close(shared.log)


@contextmanager
def learning(shared: SharedLearner) -> Iterator[None]:
    """The learner's own turn. Pushes that are waiting go first, but not for ever."""
    with shared.turn:
        shared.turn.wait_for(lambda: not shared.waiting, timeout=_YIELD_S)
        yield
        shared.version = shared.learner.version
        shared.turn.notify_all()


@contextmanager
def _turn(shared: SharedLearner) -> Iterator[None]:
    with shared.queue:
        shared.waiting += 1
    try:
        acquired = shared.turn.acquire(timeout=WAIT_S)
    finally:
        with shared.queue:
            shared.waiting -= 1
    if not acquired:
        raise Busy("the learner is busy; try again")
    try:
        _require_open(shared)
        yield
    finally:
        shared.turn.notify_all()
        shared.turn.release()


def _require_open(shared: SharedLearner) -> None:
    if shared.stopping:
        raise Busy("the server is stopping; try again when it is back")


def _require_name(name: str, session: int) -> None:
    if not _ACTOR.fullmatch(name) or not session:
        raise ConfigError(
            f"actor must be 1 to 64 of A-Z a-z 0-9 . _ - and its session not 0, got {name[:80]!r}, {session}"
        )


def _is_repeated(shared: SharedLearner, request: PushRequest) -> bool:
    actor = shared.actors.get(request.actor) or Actor()
    if actor.session not in (0, request.session):
        raise Fenced(f"actor {request.actor!r}: another process has joined under this name")
    if 1 <= request.sequence <= actor.sequence:
        return True
    if request.sequence != actor.sequence + 1:
        raise Gap(actor.sequence, request.sequence)
    return False


def _admitted(shared: SharedLearner, name: str) -> Actor:
    """The actor of this name, a new one if need be; those that joined and never pushed give way."""
    if name not in shared.actors and len(shared.actors) >= ACTORS:
        idle = next((other for other, actor in shared.actors.items() if not actor.sequence), None)
        if idle is None:
            raise ConfigError(f"{ACTORS} actors have pushed already; use one of their names, or another server")
        del shared.actors[idle]
    return shared.actors.setdefault(name, Actor())


def _journaled(shared: SharedLearner, request: PushRequest, data: bytes, transitions: dict[str, Any]) -> int:
    size = shared.log.size
    journal.append(shared.log, data)
    try:
        return _add(shared.learner, request, transitions)
    except BaseException:
        journal.take_back(shared.log, size)
        raise


def _add(learner: Learner, request: PushRequest, transitions: dict[str, Any]) -> int:
    return learner.add(transitions, demonstrations=request.demonstrations, names=request.names or "softrl")
