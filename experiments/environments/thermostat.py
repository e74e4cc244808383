"""A Gymnasium environment of one's own whose observation is a dictionary: keep a room warm, and draw it.

softrl train experiments.environments.thermostat:Thermostat --steps 20000
"""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Thermostat(gymnasium.Env):
    """Observation: temperature in °C, one of three seasons. Action: heating between 0 and 3 kW. 24 steps are a day."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012
    observation_space = Dict({"room": Box(-50.0, 80.0, (1,), np.float64), "season": Discrete(3)})
    action_space = Box(0.0, 3.0, (1,), np.float32)

    def __init__(self, target: float = 20.0, render_mode: str | None = None):
        self.target, self.render_mode, self.room, self.season = target, render_mode, 0.0, 0

    def reset(self, *, seed=None, options=None):
        """A cold room in a season that does not change."""
        super().reset(seed=seed)
        self.room, self.season = self.np_random.uniform(5.0, 15.0), int(self.np_random.integers(3))
        return self._seen(), {}

    def step(self, action):
        """An hour. Terminated where the pipes freeze; softrl keeps the time."""
        outside = (-5.0, 8.0, 18.0)[self.season] + self.np_random.normal()
        self.room += 4.0 * float(action[0]) + 0.3 * (outside - self.room)
        reward = -abs(self.room - self.target) - 0.5 * float(action[0])
        return self._seen(), reward, self.room < 0.0, False, {}

    def render(self):
        """A thermometer, `[48, 64, 3]`: a row for every °C."""
        picture = np.full((48, 64, 3), 255, np.uint8)
        picture[47 - int(np.clip(self.room, 0, 40)) : 47, 24:40] = (200, 40, 40)
        return picture

    def _seen(self):
        return {"room": np.asarray([self.room]), "season": self.season}
