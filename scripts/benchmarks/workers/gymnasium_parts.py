"""What Stable-Baselines3 and SBX share: an environment that is never stepped, and a replay full of random rows."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box


class Idle(gymnasium.Env):
    """Spaces only."""

    def __init__(self, obs_size: int, action_size: int):
        self.observation_space = Box(-np.inf, np.inf, (obs_size,), np.float32)
        self.action_space = Box(-1.0, 1.0, (action_size,), np.float32)

    def reset(self, *, seed=None, options=None):
        """The zero observation."""
        return np.zeros(self.observation_space.shape, np.float32), {}


def fill(buffer) -> None:
    """Random transitions into every row of an SB3 `ReplayBuffer`."""
    random = np.random.default_rng(0)
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = random.standard_normal(array.shape)
    buffer.actions[:] = random.uniform(-1.0, 1.0, buffer.actions.shape)
    buffer.full = True
