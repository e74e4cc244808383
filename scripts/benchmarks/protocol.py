"""How the benchmark talks to its contestants: each is a process of its own that times itself when it is asked to.

A timed worker compiles, warms up and says what it can do; then it waits, and every `{"variant": …, "seconds": …}` that
it is sent it answers with how much it did in about that time. So several contestants are alive at once and take turns,
and a machine that slows down halfway slows all of them. A streaming worker only tells events, which the listener dates
by its own clock, imports and compilation included.

Workers answer through a pipe of their own, so whatever their libraries print goes to the log. Nothing here may import
more than Python itself, because every environment imports it.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
PYTHON = {"softrl": Path(sys.executable), "peers": ROOT / ".venv-bench/bin/python"}
"""The interpreter of each environment; softrl's is the benchmark's own."""

AS_TRAINED = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
"""What scripts/train sets: XLA has threads of its own, beside which a BLAS with as many gets in the way."""

Call = Callable[[], tuple[float, float]]
"""Does a fixed amount of work and waits for it; returns that amount and the seconds it took."""


class Worker(NamedTuple):
    """A timed worker that is ready. about: versions, device and whatever else it says of itself."""

    name: str
    process: subprocess.Popen
    answers: TextIO
    variants: list[str]
    about: dict[str, Any]
    log: Path


def settings() -> dict[str, Any]:
    """What the benchmark wants of this worker, from its command line."""
    return json.loads(sys.argv[1])


def send(message: dict[str, Any]) -> None:
    """One JSON object to the benchmark."""
    os.write(int(sys.argv[2]), (json.dumps(message) + "\n").encode())


def refuse(why: str) -> NoReturn:
    """Ends a streaming worker that cannot do what is wished; `why`, one line, is all that the benchmark says of it."""
    send({"refused": why})
    sys.exit(1)


def receive() -> dict[str, Any] | None:
    """The benchmark's next request; None when it wants no more."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def serve(variants: dict[str, Call], about: dict[str, Any]) -> None:
    """A worker's whole life: warm up, answer requests, end when the benchmark hangs up."""
    for call in variants.values():
        call()  # compiles
        call()
    send({"ready": list(variants), "about": about})
    while (request := receive()) is not None:
        work, seconds = repeated(variants[request["variant"]], request["seconds"])
        send({"work": work, "seconds": seconds})


def repeated(call: Call, least: float) -> tuple[float, float]:
    """Work of one call after another, and the seconds it took, at least so many."""
    work, seconds = call()
    while seconds < least:
        done, took = call()
        work, seconds = work + done, seconds + took
    return work, seconds


def clocked(call: Callable[[], Any], work: float) -> Call:
    """`call` as a `Call`; it must wait for its own results."""

    def timed() -> tuple[float, float]:
        started = time.perf_counter()
        call()
        return work, time.perf_counter() - started

    return timed


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of these packages here."""
    return {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in packages}


@contextlib.contextmanager
def worker(
    name: str, environment: str, module: str, wishes: dict[str, Any], extra: Mapping[str, str], *, logs: Path
) -> Iterator[Worker]:
    """A timed worker, from its start to its end.

    Args: `extra`: environment variables. Raises: RuntimeError where it does not get ready, with the end of its log.
    """
    log = logs / f"{name}.log"
    with _process(environment, module, wishes, log, extra) as (process, answers):
        print(f"  starting {name} …", file=sys.stderr, flush=True)
        hello = _answer(name, answers, log)
        yield Worker(name, process, answers, hello["ready"], hello["about"], log)


def ask(worker: Worker, variant: str, seconds: float) -> float:
    """Work a second, measured over about that many seconds."""
    worker.process.stdin.write(json.dumps({"variant": variant, "seconds": seconds}) + "\n")
    worker.process.stdin.flush()
    answer = _answer(worker.name, worker.answers, worker.log)
    return answer["work"] / answer["seconds"]


def stream(
    environment: str,
    module: str,
    wishes: dict[str, Any],
    log: Path,
    extra: Mapping[str, str],
    limit: float | None = None,
) -> Iterator[dict[str, Any]]:
    """The events of a streaming worker, each with `seconds` since its start; whoever stops listening ends it.

    Args: `extra`: environment variables; `limit`: seconds after which it is ended and has no more to tell.
    Raises: RuntimeError where it refuses, with its one line, or fails, with the end of its log.
    """
    started = time.perf_counter()
    with _process(environment, module, wishes, log, extra) as (process, answers), _ended(process, limit) as ended:
        for line in answers:
            event = json.loads(line) | {"seconds": time.perf_counter() - started}
            if "refused" in event:
                raise RuntimeError(event["refused"])
            yield event
        if (code := process.wait()) and not ended.is_set():
            raise RuntimeError(f"{module} failed (exit code {code}); the end of {log}:\n{_tail(log)}")


def in_a_line(error: RuntimeError) -> str:
    """What failed, and the last that its log says."""
    first, *more = str(error).strip().splitlines()
    return f"{first.partition(';')[0]}: {more[-1]}"[:200] if more else first[:200]


@contextlib.contextmanager
def _ended(process: subprocess.Popen, limit: float | None) -> Iterator[threading.Event]:
    """Ends the process after so many seconds, if the block runs that long; the event says whether it did."""
    ended = threading.Event()

    def end():
        ended.set()
        process.kill()

    timer = threading.Timer(threading.TIMEOUT_MAX if limit is None else limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()


def import_from(root: Path, *, scripts: Path | None = None) -> dict[str, str]:
    """Environment variables with which a process imports softrl from a tree, and its workers, or those in `scripts`."""
    return {"PYTHONPATH": f"{scripts or root / 'scripts'}:{root}"}


@contextlib.contextmanager
def _process(environment: str, module: str, wishes: dict, log: Path, extra: Mapping[str, str]):
    read, write = os.pipe()
    imports = import_from(ROOT) if environment == "softrl" else {"PYTHONPATH": str(SCRIPTS)}
    command = [PYTHON[environment], "-P", "-m", f"benchmarks.workers.{module}", json.dumps(wishes), str(write)]
    with open(log, "w") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=(write,),
            text=True,
            env={**os.environ, **imports, **extra},
        )
    os.close(write)
    try:
        with open(read) as answers:
            yield process, answers
    finally:
        process.kill()
        process.communicate()  # closes its input, too, and waits


def _answer(name: str, answers: TextIO, log: Path) -> dict[str, Any]:
    line = answers.readline()
    if not line:
        raise RuntimeError(f"{name} ended unexpectedly; the end of {log}:\n{_tail(log)}")
    return json.loads(line)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
