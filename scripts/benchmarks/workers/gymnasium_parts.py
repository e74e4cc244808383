"""The models of Stable-Baselines3 and SBX, whose arguments are the same; neither is imported here."""

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


def host_model(algorithm, settings: dict):
    """An `SAC` on a Gymnasium environment, all else by its defaults: 256×256, one update a step."""
    return algorithm(
        "MlpPolicy",
        settings["env"],
        buffer_size=settings["replay_size"],
        batch_size=settings["batch_size"],
        learning_starts=settings["batch_size"],
        seed=0,
    )


def idle_model(algorithm, settings: dict):
    """An `SAC` that never steps, with a replay full of random rows."""
    env = Idle(settings["obs_size"], settings["action_size"])
    layers = [settings["width"]] * settings["depth"]
    model = algorithm("MlpPolicy", env, buffer_size=settings["replay_size"], policy_kwargs={"net_arch": layers}, seed=0)
    fill(model.replay_buffer)
    return model


def fill(buffer) -> None:
    """Random transitions into every row of an SB3 `ReplayBuffer`."""
    random = np.random.default_rng(0)
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = random.standard_normal(array.shape)
    buffer.actions[:] = random.uniform(-1.0, 1.0, buffer.actions.shape)
    buffer.full = True
