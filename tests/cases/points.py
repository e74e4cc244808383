"""A point that wants to be at zero, in every form in which users write such an environment."""

from collections import OrderedDict

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from softrl.config import change
from softrl.presets import preset

SMALL = {
    "width": 8, "depth": 1, "num_envs": 2, "batch_size": 16, "learning_starts": 32, "train_freq": 4, "chunk_steps": 16,
    "eval_episodes": 1, "eval_every": 64, "steps": 128, "episode_length": 10, "replay_size": 1000,
}  # fmt: skip


def config(kind: type, **changes):
    """A tiny run in such an environment."""
    return change(preset(kind, **SMALL), **changes)


class Dot(gymnasium.Env):
    """Observations in the plainest form: a dictionary of float32 arrays, rewards that are Python's floats."""

    observation_space = Dict({"p": Box(-99, 99, (1,), np.float32), "q": Box(-99, 99, (1,), np.float32)})
    action_space = Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.round(8 * self.np_random.uniform(-1, 1, 2)) + 0.0  # no -0.0, which whole numbers have not
        return self.see(), {}

    def step(self, action):
        self.x = np.round(self.x + 2 * action) + 0.0
        return self.see(), self.pay(), bool(abs(self.x[0]) > 9), False, {}

    def see(self):
        return {"p": self.x[:1].astype(np.float32), "q": self.x[1:].astype(np.float32)}

    def pay(self):
        return -float(np.abs(self.x).sum())


class Odd(Dot):
    """The same in other containers and types: an OrderedDict of int64 and of a list, rewards that are arrays."""

    observation_space = Dict({"p": Box(-99, 99, (1,), np.int64), "q": Box(-99, 99, (1,), np.float64)})

    def see(self):
        return OrderedDict(q=self.x[1:].tolist(), p=self.x[:1].astype(int))

    def pay(self):
        return np.asarray([-np.abs(self.x).sum()])


class FourValues(Dot):
    """Gym's step of old."""

    def step(self, action):
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, info


class NoSeed(Dot):
    """Gym's reset of old."""

    def reset(self):
        return super().reset()


class NoInfo(Dot):
    """A reset that gives the observation alone."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class OtherShape(Dot):
    """Observations that are not in their space."""

    def see(self):
        return {"p": self.x.astype(np.float32), "q": self.x.astype(np.float32)}


class ManyRewards(Dot):
    """A reward for each motor."""

    def pay(self):
        return np.abs(self.x)


class NoGymnasium:
    """What looks like an environment and inherits from nothing."""

    observation_space, action_space = Dot.observation_space, Dot.action_space

    def reset(self, seed=None):
        return None

    def step(self, action):
        return None


class Broken(Dot):
    """A motor that fails after a number of steps."""

    left = 10**9

    def step(self, action):
        Broken.left -= 1
        if Broken.left < 0:
            raise OSError("motor 3 does not answer")
        return super().step(action)
