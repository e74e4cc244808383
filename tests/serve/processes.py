"""A real server and real actors, and what the learner holds after them."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np

from softrl.agents.sac import resolve
from softrl.agents.spaces import spec_of
from softrl.config import change
from softrl.learner import LearnerConfig, compute
from softrl.storage import checkpoint
from softrl.types import Hypers

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"width": 16, "depth": 1, "batch_size": 32, "learning_starts": 64}
CAPACITY = 1 << 18


def config() -> LearnerConfig:
    """A learner that compiles in seconds."""
    return change(LearnerConfig(), **SIZES)


def start_server(directory: Path, environment: dict[str, str], *flags: str) -> tuple[subprocess.Popen, str]:
    """`softrl serve` in a process of its own, and its address once it listens."""
    command = [sys.executable, "-m", "softrl.cli", "serve", "--out", str(directory), "--obs", "3", "--actions", "2"]
    command += ["--replay-capacity", str(CAPACITY)]
    command += [word for name, value in SIZES.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    with directory.with_suffix(".errors").open("a") as errors:
        process = subprocess.Popen(
            [*command, *flags], env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    for line in process.stdout:
        if line.startswith("listening on "):
            return process, line.split()[-1]
    raise AssertionError(f"the server ended with {process.wait()}: {directory.with_suffix('.errors').read_text()}")


def start_actor(address: str, index: int, count: int, pushes: int, interval: float, out) -> subprocess.Popen:
    """`actor.py` in a process of its own; to `out` go the sequence numbers that it was acknowledged."""
    words = [address, f"actor-{index}", *map(str, (index, count, pushes, interval))]
    command = [sys.executable, str(ROOT / "tests" / "serve" / "actor.py"), *words]
    return subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=str(ROOT)), cwd=ROOT, stdout=out, text=True)


def stored_rows(directory: Path) -> tuple[dict[int, np.ndarray], int]:
    """What the last save holds: by actor, the numbers of its rows in the order in which they were stored; its version.

    Read without compiling a learner.
    """
    spec = spec_of(np.zeros(3, np.float32), 2)
    parts = compute.parts(config(), spec, CAPACITY)
    start = partial(compute.init, parts, Hypers(resolve(config().hypers, spec), config().replay))
    abstract = jax.eval_shape(start, jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32")))
    state = checkpoint.restore(directory / "checkpoints", abstract).state
    count = int(state.clock.step)
    assert count <= CAPACITY, "a full ring forgets: give it more capacity"
    obs, next_obs = (np.asarray(table)[:count] for table in (state.learner.replay.obs, state.learner.replay.next_obs))
    np.testing.assert_array_equal(next_obs[:, 1], obs[:, 1] + 1)
    return {int(index): obs[obs[:, 0] == index, 1] for index in np.unique(obs[:, 0])}, int(state.clock.update)
