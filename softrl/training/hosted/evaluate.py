"""Evaluation in environments on the host, and random numbers there by address."""

import jax
import numpy as np

from softrl.envs.host import HostEnv
from softrl.numpy_policy import NumpyPolicy
from softrl.training.evaluate import Evaluation

EVALUATION_SEED = 1_000_003
"""Of the evaluation's episodes, the same for every run."""

EXPLORE, EVALUATE = 0, 1
"""What a draw on the host is for."""


def generator(words: np.ndarray, step: int, purpose: int) -> np.random.Generator:
    """The random numbers of one call of the device, or of one step of an evaluation: any call can be replayed.

    Args: `words`: `[2]` uint32, a key's; `step`: its first; `purpose`: `EXPLORE` or `EVALUATE`.
    """
    key = int(words[0]) << 32 | int(words[1])
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, purpose, step]))


def evaluate(env: HostEnv, policy: NumpyPolicy, seed: int = EVALUATION_SEED) -> Evaluation:
    """One episode in each of E environments, the first half by the mode, the second by sampling; `[E / 2]` leaves."""
    obs, count, half = env.reset(seed), env.spec.num_envs, env.spec.num_envs // 2
    total, length, alive = np.zeros(count), np.zeros(count, np.int32), np.ones(count, bool)
    words = np.asarray([0, seed], np.uint32)
    for step in range(env.spec.episode_length):
        modes, others = (jax.tree.map(lambda x, part=part: x[part], obs) for part in (slice(half), slice(half, None)))
        noise = policy.draw_noise(generator(words, step, EVALUATE), half)
        after = env.step(np.concatenate([policy.act(modes), policy.act(others, noise)]))
        total += np.where(alive, after.reward, 0.0)
        length += alive
        alive &= ~(after.terminated | after.truncated) & after.valid
        obs = after.obs
        if not alive.any():
            break
    return Evaluation(*(np.float32(x) for x in (total[:half], length[:half], total[half:], length[half:])))
