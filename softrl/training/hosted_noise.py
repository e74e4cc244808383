"""By what a host explores: new noise at every step, or such as each of its environments remembers."""

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import numpy as np

from softrl.agents import algorithm
from softrl.agents.noise import Noise, NoiseState, draw_in_numpy, seen
from softrl.envs.host import HostStep
from softrl.numpy_policy import NumpyPolicy
from softrl.training.config import Config
from softrl.training.members import joined, single
from softrl.types import PyTree


@dataclass
class HostNoise:
    """One chunk's. noise: None: remembers nothing. state: what it remembers, of NumPy."""

    noise: Noise | None
    state: NoiseState | tuple[()]

    @staticmethod
    def of(config: Config, carry: PyTree) -> "HostNoise":
        """At a chunk's first step. Args: `carry`: the run's, with its member axis."""
        noise = algorithm(config.algorithm).noise(config.agent)
        return HostNoise(noise, () if noise is None else jax.tree.map(np.asarray, single(carry.noise)))

    def draws(self, policy: NumpyPolicy, random: np.random.Generator, steps: int, count: int) -> Iterable[np.ndarray]:
        """What `policy` samples by, `[N, …]` for each of `steps`; such as is remembered is drawn when asked for, since
        it depends on which episodes end until then."""
        if self.noise is None:
            return policy.draw_noise(random, steps, count)
        return (policy.spec.head.of_normal(self._next(random)) for _ in range(steps))

    def explore(self, policy: NumpyPolicy, random: np.random.Generator, steps: int, count: int) -> Iterable[np.ndarray]:
        """Uniform actions, `[N, …]` for each of `steps`, that push as the noise does."""
        if self.noise is None:
            return policy.explore(random, steps, count)
        return (policy.spec.head.uniform_of(self._next(random)) for _ in range(steps))

    def _next(self, random: np.random.Generator) -> np.ndarray:
        vector, self.state = draw_in_numpy(self.noise, self.state, random)
        return vector

    def seen(self, after: HostStep) -> None:
        """Goes on after a vector step, with new noise where an episode ended."""
        if self.noise is not None:
            self.state = seen(self.state, after.terminated | after.truncated | ~after.valid)

    def kept(self, carry: PyTree) -> PyTree:
        """The run's carry as the device gives it back, but for the noise, of which the device knows nothing."""
        return carry if self.noise is None else carry._replace(noise=joined(self.state))
