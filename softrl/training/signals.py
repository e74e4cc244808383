"""SIGTERM and SIGINT as a request: the loop finishes its chunk, saves and leaves; a second signal leaves at once."""

import contextlib
import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_WATCHED = (signal.SIGTERM, signal.SIGINT)
_END = 0  # the number of no signal
_CURSOR = b"\x1b[?25h\n"  # for a terminal: a live display hides its cursor, and cannot give it back here
_wakeup: set[int] = set()
"""Descriptors by which this process is woken by signals."""


@dataclasses.dataclass
class Request:
    """requested: the signal that asked to stop, None before. The one thing that a handler changes."""

    requested: signal.Signals | None = None


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, once everything is saved. result: what the call that was interrupted would have returned."""

    def __init__(self, said: str, result: Any):
        self.result = result
        super().__init__(said)


def returned(result: T, stopped_by: int | None, said: str) -> T:
    """The result of a call that has saved what it did.

    Raises: Interrupted where Ctrl-C stopped it, so that the caller's next line does not go on with half of it.
    """
    if stopped_by == signal.SIGINT:
        raise Interrupted(said, result)
    return result


@contextlib.contextmanager
def graceful() -> Iterator[Request]:
    """Within this context SIGTERM and SIGINT only set `.requested`; the second ends the process with 128 + its number.

    The second takes effect also while the main thread is inside a compilation or a compiled program, where Python runs
    no handlers: a watcher thread is woken by the operating system's signal itself. On leaving, the handlers that were
    there before are there again. Outside the main thread, where Python allows no handlers, nothing is installed and
    `.requested` stays None.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    with _second_signal_exits():

        def handle(number: int, frame: FrameType | None) -> None:
            request.requested = signal.Signals(number)

        previous = {number: signal.signal(number, handle) for number in _WATCHED}
        try:
            yield request
        finally:
            for number, handler in previous.items():
                # None: installed by foreign code, which Python can neither name nor reinstall.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def _second_signal_exits() -> Iterator[None]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    previous = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _wakeup.add(writing)
    watcher = threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        _wakeup.discard(writing)
        # Not by the end of the file: processes that were forked meanwhile hold the pipe open too.
        os.write(writing, bytes([_END]))
        watcher.join()
        os.close(writing)
        os.close(reading)


def _forked() -> None:
    """A forked process's signals are its own: Ctrl-C reaches it too, and would count twice."""
    with contextlib.suppress(ValueError):  # forked by a thread, which hears of no signals
        descriptor = signal.set_wakeup_fd(-1)
        if descriptor not in _wakeup:
            signal.set_wakeup_fd(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _watch(descriptor: int) -> None:
    """Reads the numbers of signals as they arrive; the second of the watched ones ends the process."""
    arrived = 0
    while (data := os.read(descriptor, 1)) and data[0] != _END:
        arrived += data[0] in _WATCHED
        if arrived == 2:
            if os.isatty(1):
                os.write(1, _CURSOR)
            os._exit(exit_code(data[0]))


def exit_code(number: int) -> int:
    """The exit status by which shells know a process that a signal ended: 143 for SIGTERM, 130 for SIGINT."""
    return 128 + number
