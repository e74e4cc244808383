"""Episodes of one chunk, counted on the host."""

from dataclasses import dataclass, field

import numpy as np

from softrl.envs.host import HostStep
from softrl.training.collect import CollectInfo
from softrl.training.state import RunState


@dataclass
class Tally:
    """Episodes of one chunk. `[N]` running returns and lengths; sums over those that ended."""

    episode_return: np.ndarray
    episode_length: np.ndarray
    episode: np.ndarray
    ended: list[tuple[float, int]] = field(default_factory=list)

    @staticmethod
    def of(run: RunState) -> "Tally":
        """A chunk's, at its first step."""
        rollout = run.rollout
        return Tally(rollout.episode_return[0].copy(), rollout.episode_length[0].copy(), run.env.episode[0].copy())

    def count(self, after: HostStep) -> None:
        """Counts one vector step."""
        self.episode_return += after.reward
        self.episode_length += 1
        over = after.terminated | after.truncated
        if not (over | ~after.valid).any():
            return
        self.ended += [(float(self.episode_return[n]), int(self.episode_length[n])) for n in np.flatnonzero(over)]
        over = over | ~after.valid
        self.episode_return[over], self.episode_length[over] = 0.0, 0
        self.episode[over] += 1

    def info(self) -> CollectInfo:
        """As the device's `collect` tells it."""
        sums = [np.float32([sum(column)]) for column in zip(*self.ended, strict=True)] or [np.zeros(1, np.float32)] * 2
        return CollectInfo(*sums, np.float32([len(self.ended)]))
