"""Soft Q-learning's defaults: by robot and kind of device, and the published algorithm as `classic`."""

from collections.abc import Mapping
from typing import Any

CLASSIC: Mapping[str, Any] = {
    "width": 128,
    "depth": 2,
    "activation": "relu",
    "layer_norm": False,
    "normalize_obs": False,
    "num_critics": 1,
    "value_particles": 16,
    "stein_particles": 16,
    "proposal": "uniform",
    "num_envs": 1,
    "updates_per_step": 1,
    "train_freq": 1,
    "batch_size": 128,
    "n_step": 1,
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature": 1.0,
    "reward_scale": 30.0,
    "tau": 0.002,
    "learning_starts": 1_000,
    "replay_size": 1_000_000,
    "steps": 1_000_000,
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

PARTICLES: Mapping[str, Any] = {"value_particles": 32, "stein_particles": 16}

CPU: Mapping[str, Any] = {
    "num_envs": 64,
    "updates_per_step": 4,
    "batch_size": 128,
    "n_step": 1,
    **PARTICLES,
    **RATES,
    "eval_episodes": 8,
    "eval_every": 73_728,
    "replay_size": 327_680,
    "steps": 294_912,
}
"""Two cores: every update asks critics about tens of actions a row, so there are few."""

ACCELERATOR: Mapping[str, Any] = {
    "num_envs": 1024,
    "updates_per_step": 32,
    "batch_size": 512,
    "n_step": 1,
    **PARTICLES,
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
    "batch_size": 128,
    "n_step": 1,
    **PARTICLES,
    **RATES,
    "learning_starts": 1_000,
    "train_freq": 8,
    "chunk_steps": 200,
    "eval_every": 10_000,
    "eval_episodes": 5,
    "replay_size": 1_000_000,
    "steps": 100_000,
}
"""Simulators on the host, whatever the device: one environment, one update a step, made eight at a time."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {}
"""What differs for one robot, on every device."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """Flat settings for a robot. Args: `device`: `cpu`, `accelerator` or `host`."""
    return {**{"cpu": CPU, "accelerator": ACCELERATOR, "host": HOST}[device], **ROBOTS.get(env, {})}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published algorithm; what the publication leaves open is as in `tuned`."""
    scale = {"reward_scale": CLASSIC_SCALES[env]} if env in CLASSIC_SCALES else {}
    return {**tuned(env, device), **CLASSIC, **scale}
