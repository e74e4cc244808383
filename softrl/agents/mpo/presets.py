"""The defaults of maximum a posteriori policy optimisation: by robot and kind of device, and a published implementation
as `classic`.

Measured so far: Gymnasium's Pendulum. Sizes for robots on the device follow those that were tuned for soft
actor-critic; rates and trust regions are the fields' own defaults everywhere.
"""

import math
from collections.abc import Mapping
from typing import Any

from softrl.agents import sizes

CLASSIC: Mapping[str, Any] = {
    "norm": "none",
    "normalize_obs": False,
    "policy_widths": "256,256,256",
    "critic_widths": "512,512,256",
    "activation": "elu",
    "num_critics": 1,
    "action_draws": 20,
    "target_period": 100,
    "policy_lr": 1e-4,
    "critic_lr": 1e-4,
    "temperature_lr": 1e-2,
    "multiplier_lr": 1e-2,
    "temperature": 10.0,
    "mean_multiplier": 10.0,
    "std_multiplier": 1000.0,
    "epsilon_weights": 0.1,
    "epsilon_mean": 0.0025,
    "epsilon_std": 1e-6,
    "max_grad_norm": 40.0,
    "train_freq": 8,
    "learning_starts": 1_000,
    "batch_size": 256,
    "n_step": 5,
    "recency_horizon": math.inf,
}
"""Its authors' published implementation (Acme, `MPOConfig` and `GaussianPolicyLossConfig`): five-step targets, batch
256, rates 1e-4 and 1e-2, M = 20, copies after 100 updates, trust regions for each action dimension. Differs: no penalty
on actions out of bounds, since a tanh leaves none; plain critics where its default is distributional; multipliers by
their logarithms; an update a step, where it makes one in eight."""

OWN: Mapping[str, Mapping[str, Any]] = {
    "cpu": {
        "updates_per_step": 8,
        "action_draws": 8,
        "n_step": 5,
        "recency_horizon": 60_000.0,
        "recency_floor": 0.05,
    },
    "accelerator": {"action_draws": 16, "n_step": 3},
    "host": {"action_draws": 8, "batch_size": 128, "n_step": 3, "learning_starts": 2_000},
}
"""By device. On a CPU few actions a state, since each is a row more for the critics; and mostly the newest transitions,
for which five-step targets are nearly on-policy."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {**sizes.ROBOTS, "gym/Pendulum-v1": {"eval_every": 5_000, "steps": 30_000}}
"""What differs for one robot, on every device."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """By robot and kind of device. Args: `device`: `cpu`, `accelerator` or `host`."""
    return {**sizes.by_device(device, **OWN), **ROBOTS.get(env, {})}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published implementation; what it leaves open is as in `tuned`."""
    return {**tuned(env, device), **sizes.PUBLISHED, **CLASSIC}
