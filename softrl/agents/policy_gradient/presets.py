"""The policy gradient's defaults: clipped, by robot and kind of device, and as the tutorial has it as `classic`."""

from collections.abc import Mapping
from typing import Any

from softrl.agents import sizes

ALWAYS: Mapping[str, Any] = {
    "updates_per_step": 1,
    "learning_starts": 0,
    "overlap": False,
}
"""What learning from the newest policy's actions asks for."""

CPU: Mapping[str, Any] = {
    "num_envs": 256,
    "horizon": 16,
    "chunk_steps": 32,
    "epochs": 4,
    "minibatches": 8,
    "gamma": 0.97,
    "activation": "silu",
    "policy_lr": 3e-4,
    "value_lr": 1e-3,
    "max_grad_norm": 1.0,
    "eval_episodes": 8,
    "eval_every": 524_288,
    "steps": 4_194_304,
}
"""Two cores: rollouts of some thousand rows, which one may go through a few times."""

ACCELERATOR: Mapping[str, Any] = {
    **CPU,
    "num_envs": 2048,
    "horizon": 20,
    "chunk_steps": 100,
    "minibatches": 32,
    "width": 256,
    "eval_episodes": 128,
    "eval_every": 4_194_304,
    "steps": 50_331_648,
}
"""A GPU or TPU: thousands of environments step as fast as one, as Brax's own settings of PPO have it."""

HOST: Mapping[str, Any] = {
    "backend": "sync",
    "num_envs": 8,
    "horizon": 128,
    "train_freq": 128,
    "chunk_steps": 128,
    "epochs": 10,
    "minibatches": 8,
    "policy_lr": 5e-4,
    "value_lr": 1e-3,
    "max_grad_norm": 0.5,
    "eval_episodes": 5,
    "eval_every": 10_240,
    "steps": 99_328,
}
"""Simulators on the host, whatever the device."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {
    name: {"backend": robot["backend"]} for name, robot in sizes.ROBOTS.items() if "backend" in robot
}
"""What differs for one robot, on every device: it moves as for the algorithms with a replay."""

CLASSIC: Mapping[str, Any] = {
    "surrogate": "score",
    "epochs": 1,
    "minibatches": 1,
    "gae_lambda": 1.0,
    "normalize_advantages": False,
    "normalize_obs": False,
}
"""Levine 2018, §4.1: one step along the gradient a rollout, by soft returns to go less a baseline. What it leaves open
is as in `tuned`."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """By robot and kind of device. Args: `device`: `cpu`, `accelerator` or `host`."""
    return {**ALWAYS, **{"cpu": CPU, "accelerator": ACCELERATOR, "host": HOST}[device], **ROBOTS.get(env, {})}


def classic(env: str, device: str) -> dict[str, Any]:
    """The tutorial's algorithm."""
    return {**tuned(env, device), **CLASSIC}
