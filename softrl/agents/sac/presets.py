"""Soft actor-critic's defaults: tuned by robot and kind of device, and the published algorithm as `classic`."""

import math
from collections.abc import Mapping
from typing import Any

CLASSIC: Mapping[str, Any] = {
    "layer_norm": False,
    "normalize_obs": False,
    "log_std_min": -20.0,
    "log_std_map": "clip",
    "num_envs": 1,
    "updates_per_step": 1,
    "train_freq": 1,
    "learning_starts": 10_000,
    "steps": 1_000_000,
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature_lr": 3e-4,
    "temperature": 1.0,
    "tau": 0.005,
    "replay_size": 1_000_000,
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

CPU: Mapping[str, Any] = {
    "num_envs": 64,
    "updates_per_step": 8,
    "batch_size": 128,
    "n_step": 8,
    "n_step_entropy": False,
    "recency_horizon": 30_000.0,
    "recency_floor": 0.02,
    **RATES,
    "eval_episodes": 8,
    "eval_every": 73_728,
    "replay_size": 327_680,
    "steps": 294_912,
}
"""Two cores: updates are dear and fresh transitions cheap, so small batches, mostly of the newest, for which eight-step
targets are nearly on-policy; tuned without the entropies between a window's ends."""

ACCELERATOR: Mapping[str, Any] = {
    "num_envs": 1024,
    "updates_per_step": 32,
    "batch_size": 512,
    "n_step": 3,
    "n_step_entropy": False,
    **RATES,
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
    "batch_size": 256,
    "n_step": 1,
    **RATES,
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
    "updates_per_step": 8,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
    "tau": 0.02,
    "learning_starts": 1_000,
    "eval_every": 8_192,
    "steps": 65_536,
}
"""Every upright step pays the same, so a fall must be known long before: targets that move fast carry it back."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {
    "brax/inverted_pendulum": PENDULUM,
    "brax/inverted_double_pendulum": PENDULUM,
    "brax/swimmer": {"backend": "generalized"},
}
"""What differs for one robot, on every device."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """Flat settings that were tuned for a robot. Args: `device`: `cpu`, `accelerator` or `host`."""
    return {**{"cpu": CPU, "accelerator": ACCELERATOR, "host": HOST}[device], **ROBOTS.get(env, {})}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published algorithm; what the publication leaves open is as in `tuned`."""
    return {**tuned(env, device), **CLASSIC}
