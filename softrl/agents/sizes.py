"""Sizes that presets of algorithms with a replay share, by kind of device; each adds what is its own."""

import math
from collections.abc import Mapping
from typing import Any

CPU: Mapping[str, Any] = {
    "num_envs": 64,
    "batch_size": 128,
    "eval_episodes": 8,
    "eval_every": 73_728,
    "replay_size": 327_680,
    "steps": 294_912,
}
"""Two cores: updates are dear and fresh transitions cheap, so batches are small."""

ACCELERATOR: Mapping[str, Any] = {
    "num_envs": 1024,
    "updates_per_step": 32,
    "batch_size": 512,
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
    "train_freq": 8,
    "chunk_steps": 200,
    "eval_every": 10_000,
    "eval_episodes": 5,
    "replay_size": 1_000_000,
    "steps": 100_000,
}
"""Simulators on the host, whatever the device: one environment, one update a step, made eight at a time."""

PUBLISHED: Mapping[str, Any] = {
    "num_envs": 1,
    "updates_per_step": 1,
    "gamma": 0.99,
    "eval_every": 10_000,
    "eval_episodes": 8,
    "replay_size": 1_000_000,
    "steps": 1_000_000,
}
"""As publications of algorithms for one environment have it, on every device."""

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

UPRIGHT: Mapping[str, Any] = {"backend": "generalized", "gamma": 0.997}
"""Brax's two planar walkers, which do not learn to walk by `spring` and γ = 0.99."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {
    "brax/hopper": UPRIGHT,
    "brax/inverted_pendulum": PENDULUM,
    "brax/inverted_double_pendulum": PENDULUM,
    "brax/pusher": {"gamma": 0.95},
    "brax/swimmer": {"backend": "generalized"},
    "brax/walker2d": UPRIGHT,
}
"""What differs for one robot, on every device."""


def by_device(device: str, **own: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes for a device, `cpu`, `accelerator` or `host`, with an algorithm's `own` for each added."""
    return {**{"cpu": CPU, "accelerator": ACCELERATOR, "host": HOST}[device], **own[device]}
