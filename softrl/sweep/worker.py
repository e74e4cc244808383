"""What a launcher runs elsewhere: one batch, in a process that may be killed at any moment and started again."""

import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import jax

from softrl.errors import SoftRLError
from softrl.sweep import batch

LOCK_S = 120.0
"""Seconds to wait for a process that still trains this batch: one whose driver died may need to notice."""

RESULT = "result: "


class TaskResult(NamedTuple):
    """What became of a batch: plain words, so that they travel between processes.

    state: `finished`; `stopped`, saved before the end because a signal asked to; `refused`, it cannot be, see cause;
    `failed`, by an error that is none of softrl's, of a user's environment say.
    """

    state: str
    cause: str = ""


def run_batch(directory: str) -> TaskResult:
    """Trains the batch in DIR/groups/<group>/<batch>, or goes on with it from its newest good checkpoint."""
    path = Path(directory)
    try:
        if not (path / batch.NAME).exists():
            return TaskResult("refused", f"{path} is not there on {os.uname().nodename}: every machine must see --out")
        _wait_until_free(path)
        return TaskResult("finished" if batch.train(path) else "stopped")
    except SoftRLError as error:
        return TaskResult("refused", str(error))
    except Exception as error:
        traceback.print_exc()
        return TaskResult("failed", f"{type(error).__name__}: {error}")


def main() -> None:
    """`python -m softrl.sweep.worker DIR`: the last line that it prints is `RESULT` and the result. It saves and ends
    when its standard input does, since then its driver is no longer there."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    print(RESULT + json.dumps(run_batch(sys.argv[1])))


def _end_with_input() -> None:
    # Not a buffered read, which would hold a lock that Python's end needs. A byte says that the driver has asked this
    # process to end already: a second signal would end it before it has saved.
    if not os.read(sys.stdin.fileno(), 1):
        os.kill(os.getpid(), signal.SIGTERM)


def _wait_until_free(path: Path) -> None:
    """Waits while another process holds the batch; whoever holds it for longer is named by the claim that follows."""
    descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        until = time.monotonic() + LOCK_S
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.2)
            except OSError:
                return  # a file system without locks: the claim says so
    finally:
        os.close(descriptor)


def environment(share: float) -> dict[str, str]:
    """Environment variables for a worker: the driver's compilation cache, and its share of an accelerator's memory.

    Args: `share`: of one accelerator, 0 for none; a tenth of a fraction is left free, since programs need memory too.
    """
    variables = {}
    if jax.config.jax_compilation_cache_dir:
        variables["JAX_COMPILATION_CACHE_DIR"] = str(jax.config.jax_compilation_cache_dir)
    if share > 0:
        variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "true"  # whatever the driver was started with
    if 0 < share < 1:
        variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * share:.3f}"
    return variables


if __name__ == "__main__":
    main()
