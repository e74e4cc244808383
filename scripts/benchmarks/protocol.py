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
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TextIO

SCRIPTS = Path(__file__).resolve().parents[1]
PYTHON = {"softrl": SCRIPTS.parent / ".venv/bin/python", "peers": SCRIPTS.parent / ".venv-bench/bin/python"}
"""The interpreter of each environment."""

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
        call = variants[request["variant"]]
        work, seconds = call()
        while seconds < request["seconds"]:
            done, took = call()
            work, seconds = work + done, seconds + took
        send({"work": work, "seconds": seconds})


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
    environment: str, module: str, wishes: dict[str, Any], log: Path, extra: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The events of a streaming worker, each with `seconds` since its start; whoever stops listening ends it.

    Args: `extra`: environment variables. Raises: RuntimeError where it fails, with the end of its log.
    """
    started = time.perf_counter()
    with _process(environment, module, wishes, log, extra) as (process, answers):
        for line in answers:
            yield json.loads(line) | {"seconds": time.perf_counter() - started}
        if process.wait():
            raise RuntimeError(f"{module} failed; the end of {log}:\n{_tail(log)}")


@contextlib.contextmanager
def _process(environment: str, module: str, wishes: dict, log: Path, extra: Mapping[str, str]):
    read, write = os.pipe()
    command = [PYTHON[environment], "-P", "-m", f"benchmarks.workers.{module}", json.dumps(wishes), str(write)]
    with open(log, "w") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=(write,),
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), **extra},
        )
    os.close(write)
    try:
        with open(read) as answers:
            yield process, answers
    finally:
        process.kill()
        process.wait()


def _answer(name: str, answers: TextIO, log: Path) -> dict[str, Any]:
    line = answers.readline()
    if not line:
        raise RuntimeError(f"{name} ended unexpectedly; the end of {log}:\n{_tail(log)}")
    return json.loads(line)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
