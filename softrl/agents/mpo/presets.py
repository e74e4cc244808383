"""The defaults of maximum a posteriori policy optimisation: by robot and kind of device, and a published implementation
as `classic`.

Measured so far: Gymnasium's Pendulum. Sizes for robots on the device follow those that were tuned for soft
actor-critic; rates and trust regions are the fields' own defaults everywhere.
"""

import math
from collections.abc import Mapping
from typing import Any

CLASSIC: Mapping[str, Any] = {
    "layer_norm": False,
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
    "num_envs": 1,
    "updates_per_step": 1,
    "train_freq": 8,
    "learning_starts": 1_000,
    "steps": 1_000_000,
    "replay_size": 1_000_000,
    "batch_size": 256,
    "n_step": 5,
    "recency_horizon": math.inf,
}
"""Its authors' published implementation (Acme, `MPOConfig` and `GaussianPolicyLossConfig`): five-step targets, batch
256, rates 1e-4 and 1e-2, M = 20, copies after 100 updates, trust regions for each action dimension. Differs: no penalty
on actions out of bounds, since a tanh leaves none; plain critics where its default is distributional; multipliers by
their logarithms; an update a step, where it makes one in eight."""

CPU: Mapping[str, Any] = {
    "num_envs": 64,
    "updates_per_step": 8,
    "action_draws": 8,
    "batch_size": 128,
    "n_step": 5,
    "recency_horizon": 60_000.0,
    "recency_floor": 0.05,
    "eval_episodes": 8,
    "eval_every": 73_728,
    "replay_size": 327_680,
    "steps": 294_912,
}
"""Two cores: updates are dear and fresh transitions cheap, so small batches, mostly of the newest, for which five-step
targets are nearly on-policy; and few actions a state, since each is a row more for the critics."""

ACCELERATOR: Mapping[str, Any] = {
    "num_envs": 1024,
    "updates_per_step": 32,
    "action_draws": 16,
    "batch_size": 512,
    "n_step": 3,
    "eval_episodes": 128,
    "eval_every": 1_048_576,
    "replay_size": 4_194_304,
    "learning_starts": 65_536,
    "chunk_steps": 64,
    "steps": 16_777_216,
}
"""A GPU or TPU: thousands of environments step as fast as one."""

HOST: Mapping[str, Any] = {
    "backend": "sync",
    "num_envs": 1,
    "updates_per_step": 1,
    "action_draws": 8,
    "batch_size": 128,
    "n_step": 3,
    "learning_starts": 2_000,
    "train_freq": 8,
    "chunk_steps": 200,
    "eval_every": 10_000,
    "eval_episodes": 5,
    "replay_size": 1_000_000,
    "steps": 100_000,
}
"""Simulators on the host, whatever the device: one environment, one update a step, made eight at a time."""

PENDULUM: Mapping[str, Any] = {
    "backend": "generalized",
    "num_envs": 16,
    "n_step": 1,
    "recency_horizon": math.inf,
    "learning_starts": 1_000,
    "eval_every": 8_192,
    "steps": 65_536,
}
"""Brax's: every upright step pays the same, so all of a fall counts, and few environments are enough."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {
    "brax/inverted_pendulum": PENDULUM,
    "brax/inverted_double_pendulum": PENDULUM,
    "brax/swimmer": {"backend": "generalized"},
    "gym/Pendulum-v1": {"eval_every": 5_000, "steps": 30_000},
}
"""What differs for one robot, on every device."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """Flat settings for a robot. Args: `device`: `cpu`, `accelerator` or `host`."""
    return {**{"cpu": CPU, "accelerator": ACCELERATOR, "host": HOST}[device], **ROBOTS.get(env, {})}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published implementation; what it leaves open is as in `tuned`."""
    return {**tuned(env, device), **CLASSIC}
