"""Soft Q-learning's defaults: by robot and kind of device, and the published algorithm as `classic`."""

from collections.abc import Mapping
from typing import Any

from softrl.agents import sizes

CLASSIC: Mapping[str, Any] = {
    "width": 128,
    "depth": 2,
    "activation": "relu",
    "norm": "none",
    "normalize_obs": False,
    "num_critics": 1,
    "value_particles": 16,
    "stein_particles": 16,
    "proposal": "uniform",
    "train_freq": 1,
    "batch_size": 128,
    "n_step": 1,
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature": 1.0,
    "reward_scale": 30.0,
    "mass_weight": 0.0,
    "tau": 0.002,
    "learning_starts": 1_000,
}
"""Haarnoja et al. 2017, arXiv:1702.08165, as its authors' code for MuJoCo has it. Their target network is a copy made
every 1,000 updates, 500 old on average; here it is an average of that age. Their particles are two sets of 8."""

CLASSIC_SCALES: Mapping[str, float] = {
    "brax/walker2d": 10.0,
    "gym/Walker2d-v5": 10.0,
    "brax/ant": 300.0,
    "gym/Ant-v5": 300.0,
    "brax/humanoid": 100.0,
    "gym/Humanoid-v5": 100.0,
}
"""Their reward scales, where those are not 30."""

RATES: Mapping[str, Any] = {"policy_lr": 6e-4, "critic_lr": 6e-4, "temperature": 0.1}
"""Soft actor-critic's tuned learning rates and first temperature, on every device; the latter stays."""

PARTICLES: Mapping[str, Any] = {"n_step": 1, "value_particles": 32, "stein_particles": 16}

OWN: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"updates_per_step": 4},
    "accelerator": {},
    "host": {"batch_size": 128, "learning_starts": 1_000},
}
"""By device. Every update asks critics about tens of actions a row, so on a CPU there are few."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {"gym/Pendulum-v1": {"width": 64, "tau": 0.02, "steps": 30_000}}
"""Three numbers to see and one action: small networks, whose targets follow fast."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """By robot and kind of device. Args: `device`: `cpu`, `accelerator` or `host`."""
    own = {**sizes.ROBOTS.get(env, {}), **ROBOTS.get(env, {})}
    return {**sizes.by_device(device, **OWN), **PARTICLES, **RATES, **own}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published algorithm; what the publication leaves open is as in `tuned`."""
    scale = {"reward_scale": CLASSIC_SCALES[env]} if env in CLASSIC_SCALES else {}
    return {**tuned(env, device), **sizes.PUBLISHED, **CLASSIC, **scale}
