"""Soft actor-critic's defaults: tuned by robot and kind of device, and the published algorithm as `classic`."""

import math
from collections.abc import Mapping
from typing import Any

from softrl.agents import sizes

CLASSIC: Mapping[str, Any] = {
    "norm": "none",
    "normalize_obs": False,
    "log_std_min": -20.0,
    "log_std_map": "clip",
    "train_freq": 1,
    "learning_starts": 10_000,
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature_lr": 3e-4,
    "temperature": 1.0,
    "tau": 0.005,
    "batch_size": 256,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
}
"""Haarnoja et al. 2018, arXiv:1812.05905, table 1: one environment, one update a step, batch 256, rates 3e-4. What the
table leaves open (standard deviations, warm-up) is as its authors' code has it."""

RATES: Mapping[str, Any] = {
    "policy_lr": 6e-4,
    "critic_lr": 6e-4,
    "temperature_lr": 1e-3,
    "temperature": 0.1,
}
"""Learning rates and the first temperature, tuned, on every device."""

OWN: Mapping[str, Mapping[str, Any]] = {
    "cpu": {
        "updates_per_step": 8,
        "n_step": 8,
        "n_step_entropy": False,
        "recency_horizon": 30_000.0,
        "recency_floor": 0.02,
    },
    "accelerator": {"n_step": 3, "n_step_entropy": False},
    "host": {"batch_size": 256, "n_step": 1, "learning_starts": 2_000},
}
"""By device. On a CPU mostly the newest transitions, for which eight-step targets are nearly on-policy; tuned without
the entropies between a window's ends."""

PENDULUM: Mapping[str, Any] = {"updates_per_step": 8, "n_step_entropy": True, "tau": 0.02}
"""A fall must be known long before: targets that move fast carry it back."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """Flat settings that were tuned for a robot. Args: `device`: `cpu`, `accelerator` or `host`."""
    robot = sizes.ROBOTS.get(env, {})
    own = PENDULUM if robot is sizes.PENDULUM else {}
    return {**sizes.by_device(device, **OWN), **RATES, **robot, **own}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published algorithm; what the publication leaves open is as in `tuned`."""
    return {**tuned(env, device), **sizes.PUBLISHED, **CLASSIC}
