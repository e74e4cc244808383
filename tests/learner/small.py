"""A learner so small that it compiles in seconds, and batches for it."""

import numpy as np

import softrl

OBS, ACTIONS = 3, 2
SIZES = {
    "width": 8,
    "depth": 1,
    "norm": "none",
    "batch_size": 16,
    "learning_starts": 0,
    "demonstration_capacity": 64,
}
ASYMMETRIC = {"state": np.zeros(OBS, np.float32), "privileged_state": np.zeros(OBS + 2, np.float32)}


def config(**changes) -> softrl.LearnerConfig:
    """A tiny learner's; any field by its flat name."""
    return softrl.change(softrl.LearnerConfig(), **{**SIZES, **changes})


def learner(obs=None, *, replay_capacity: int = 64, seed: int = 0, dir=None, **changes) -> softrl.Learner:
    """A tiny learner."""
    obs = np.zeros(OBS, np.float32) if obs is None else obs
    return softrl.Learner(config(**changes), obs, ACTIONS, replay_capacity=replay_capacity, seed=seed, dir=dir)


def rows(count: int = 4, seed: int = 0, obs=None) -> dict:
    """A good batch."""
    generator = np.random.default_rng(seed)

    def observations():
        if isinstance(obs, dict):
            return {name: generator.normal(size=(count, *x.shape)).astype(np.float32) for name, x in obs.items()}
        return generator.normal(size=(count, OBS)).astype(np.float32)

    return {
        "obs": observations(),
        "action": generator.uniform(-1, 1, (count, ACTIONS)).astype(np.float32),
        "reward": generator.normal(size=count).astype(np.float32),
        "terminated": generator.uniform(size=count) < 0.2,
        "next_obs": observations(),
    }
