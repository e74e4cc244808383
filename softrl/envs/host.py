"""The interface of environments that live outside XLA: another simulator, another process, a robot. NumPy only."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softrl.types import EnvSpec, PyTree


class HostStep(NamedTuple):
    """What N environments say after a step; arrays `[N, ...]`.

    obs: what to act on next, after an episode's end the fresh one. reward: float32. terminated: the end has no value
    beyond it; truncated: a time limit cut it. final_obs: the true successor of the observation acted on. valid: False
    for a row to ignore (non-finite numbers, or a reset that took a step of its own); its environment was reset.
    """

    obs: PyTree
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_obs: PyTree
    valid: np.ndarray


class HostEnv(NamedTuple):
    """N environments that reset themselves. Mutable behind these functions, so one user at a time.

    spec: as of any environment. reset: `(seed) -> obs`, equal seeds begin equal sequences of episodes. step:
    `(action[N, A] in [−1, 1]) -> HostStep`. snapshot: `() -> uint8[S]`, all that `restore(bytes, obs)`, with the
    observations of then, needs to go on to the bit; S = 0 where the simulator cannot do that. snapshot_size: S. close:
    frees what it holds; `reset` opens it again.
    """

    spec: EnvSpec
    reset: Callable[[int], PyTree]
    step: Callable[[np.ndarray], HostStep]
    snapshot: Callable[[], np.ndarray]
    restore: Callable[[np.ndarray, PyTree], None]
    snapshot_size: int
    close: Callable[[], None]


def seeds(seed: int, num_envs: int) -> list[int]:
    """One of each environment's own: environment n of seed s has the address (s, n), so that no two runs share any."""
    return [int(np.random.SeedSequence((seed, n)).generate_state(1)[0] & 0x7FFFFFFF) for n in range(num_envs)]


def close(opened: Any) -> None:
    """Closes the environments that are open, and forgets them. Args: `opened`: has them as `env`, or None."""
    env, opened.env = opened.env, None
    if env is not None:
        with contextlib.suppress(Exception):  # nor hides why they are closed, an error of their own perhaps
            env.close()
