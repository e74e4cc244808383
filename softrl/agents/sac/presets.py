"""Soft actor-critic's defaults: tuned by robot and kind of device, for few steps, for many environments, published."""

import math
from collections.abc import Mapping
from typing import Any

from softrl.agents import sizes
from softrl.envs.playground import SUITE as SUITE_ROBOTS

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
    "temperature_loss": "log",
    "initialization": "uniform",
    "tau": 0.005,
    "batch_size": 256,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
}
"""Haarnoja et al. 2018, arXiv:1812.05905, table 1: one environment, one update a step, batch 256, rates 3e-4. What the
table leaves open (standard deviations, warm-up, the temperature's loss) is as its authors' code has it, and weights
begin as in Stable-Baselines3."""

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

UPRIGHT: Mapping[str, Any] = {"n_step": 3}
"""Brax's planar walkers: better than eight steps, by trial."""

ROBOTS: Mapping[str, Mapping[str, Any]] = {
    "brax/hopper": UPRIGHT,
    "brax/inverted_double_pendulum": PENDULUM,
    "brax/inverted_pendulum": PENDULUM,
    "brax/pusher": {"n_step": 1, "n_step_entropy": True, "recency_horizon": math.inf},
    "brax/walker2d": UPRIGHT,
}
"""What differs for one robot, besides what all algorithms share."""

ROBOTS_ON_CPU: Mapping[str, Mapping[str, Any]] = {"brax/halfcheetah": {"width": 128, "updates_per_step": 20}}
"""By trial (experiments/choices): more updates of smaller networks teach more in the same time."""

ON_HOST: Mapping[str, Any] = {"width": 128, "initialization": "uniform", "temperature_loss": "log"}
"""By trial on a core (experiments/choices): layers of 128 learn a little less from a step than of 256, in little more
than a third of the time, and more where weights and the temperature begin as in `classic`."""

SMALL: Mapping[str, Any] = {
    "width": 64,
    "batch_size": 128,
    "tau": 0.02,
    "eval_every": 5_000,
    "steps": 50_000,
}
"""A few numbers to see and two or three actions: small networks, and the end of an episode known soon."""

DISCRETE: Mapping[str, Mapping[str, Any]] = {
    "gym/CartPole-v1": SMALL,
    "gym/Acrobot-v1": {**SMALL, "exploration": "repeated"},
}
"""Acrobot pays for nothing but the end, which a torque that changes at every step seldom finds: one episode in twenty
by uniform actions, one in two by such as are held for four steps."""


FRONTIER: Mapping[str, Any] = {
    "critic": "categorical",
    "reward_scaling": "returns",
    "norm": "batch",
    "unit_weights": True,
    "normalize_obs": True,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature_lr": 3e-4,
    "rate_end": 0.1,
    "temperature": 0.01,
}
"""What the learners of 2025 and 2026 have in common: critics of distributions, rewards scaled by returns, normalised
networks whose rates fall (XQC, arXiv:2509.25174; SimbaV2, arXiv:2502.15280; FlashSAC, arXiv:2604.04539)."""

SAMPLE_EFFICIENT: Mapping[str, Any] = {
    "critic_widths": "384,384",
    "updates_per_step": 2,
    "policy_delay": 3,
    "batch_size": 256,
    "learning_starts": 5_000,
    "tau": 0.005,
    "num_envs": 1,
    "replay_size": 1_000_000,
}
"""Every environment step counts, seconds do not: XQC's form, one environment and two updates a step, but narrower."""

DEEP: Mapping[str, Any] = {"critic_widths": "256,256,256,256"}
"""Critics of XQC's depth."""

FEW_STEPS: Mapping[str, Mapping[str, Any]] = {
    "gym/Ant-v5": {**DEEP, "target_sigma": 0.15, "normalize_obs": False},
    "gym/HalfCheetah-v5": {**DEEP, "target_sigma": 0.089},
}
"""By robot, by trial (experiments/choices). Of the ant's observations 78 are contact forces, nearly always zero:
divided by their standard deviations they are large when they are not. Half cheetah's σ is an entropy of −1 nat a
dimension; after a warm-up of held actions it mostly stays at a gait of 2,100."""

PARALLEL: Mapping[str, Any] = {
    "num_envs": 1024,
    "updates_per_step": 8,
    "updates_per_step_end": 2,
    "policy_delay": 2,
    "batch_size": 4096,
    "precision": "bfloat16",
    "residual": True,
    "critic_widths": "512,512",
    "policy_widths": "256,256",
    "unit_weights": False,
    "critic_reduction": "mean",
    "exploration": "repeated",
    "target_sigma": 0.2,
    "log_std_max": 0.5,
    "tau": 0.01,
    "learning_starts": 100_352,
    "recency_horizon": 2_048_000.0,
    "recency_floor": 0.1,
    "chunk_steps": 64,
}
"""Hundreds of environments and more: what published ablations say of a thousand. Not tuned, only run, on one H200."""

SUITE: Mapping[str, Any] = {
    "num_envs": 64,
    "updates_per_step": 32,
    "batch_size": 256,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
    "recency_floor": 0.1,
    "replay_size": 1_000_000,
    "learning_starts": 2_048,
    "eval_every": 49_152,
    "eval_episodes": 8,
    "chunk_steps": 128,
    "steps": 598_016,
}
"""DeepMind's Control Suite in MuJoCo Playground: an update for every two steps, on every kind of device, so that
hundreds of thousands of steps are enough where the suite's own settings take millions."""

SUITE_STEPS: Mapping[str, int] = {
    "BallInCup": 147_456,
    "CartpoleBalance": 294_912,
    "CartpoleSwingup": 999_424,
    "PendulumSwingup": 147_456,
    "PointMass": 147_456,
    "ReacherEasy": 999_424,
    "ReacherHard": 147_456,
}
"""Where fewer are enough, or more are asked for."""

SPARSE: Mapping[str, Mapping[str, Any]] = {"BallInCup": {"exploration": "repeated", "learning_starts": 16_384}}
"""Nothing is paid before the ball is caught: in 3 of 40 episodes by uniform actions that are held, in none of 40 by
such as are new at every step, from which nothing was learned in 147,456 steps (experiments/choices)."""

PLAYGROUND: Mapping[str, Any] = {
    "num_envs": 128,
    "updates_per_step": 8,
    "batch_size": 512,
    "gamma": 0.99,
    "policy_lr": 1e-3,
    "critic_lr": 1e-3,
    "temperature_lr": 3e-4,
    "temperature": 1.0,
    "target_sigma": math.exp(-1.0) / math.sqrt(2.0 * math.pi),
    "tau": 0.005,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": math.inf,
    "replay_size": 4_194_304,
    "learning_starts": 8_192,
    "normalize_obs": True,
    "norm": "layer",
    "log_std_min": math.log(1e-3),
    "log_std_map": "clip",
    "eval_every": 500_224,
    "eval_episodes": 128,
    "steps": 5_000_064,
}
"""MuJoCo Playground 0.2, `config.dm_control_suite_params.brax_sac_config`, and what that leaves to Brax 0.14's
`training.agents.sac.train`: rate and start of the temperature, τ, target entropy −½A (as a σ), σ ≥ 0.001. Steps are
whole steps of 128 environments. Differs: a truncated step has a future, where Brax leaves it out; layer norm is before
the nonlinearity, and in the policy too; a policy's σ starts at 1, and not at log 2, and is at most e²."""

PLAYGROUND_LONGER = (
    "Acrobot",
    "Swimmer",
    "Finger",
    "Hopper",
    "CheetahRun",
    "HumanoidWalk",
    "WalkerRun",
)
"""First words of the suite's robots that train for twice as many steps there."""


def _suite(env: str, **own: Any) -> dict[str, Any]:
    """What the Control Suite's robots begin with, and a preset's `own`; nothing for others."""
    family, _, name = env.partition("/")
    if family != "playground" or name not in SUITE_ROBOTS:
        return {}
    return {**SUITE, **own, **SPARSE.get(name, {}), "steps": SUITE_STEPS.get(name, SUITE["steps"])}


def _sized(env: str, device: str) -> dict[str, Any]:
    """What all presets begin with."""
    return {**sizes.by_device(device, **OWN), **RATES, **sizes.ROBOTS.get(env, {}), **ROBOTS.get(env, {})}


def tuned(env: str, device: str) -> dict[str, Any]:
    """The most return for its seconds, by robot and kind of device. Args: `device`: `cpu`, `accelerator`, `host`."""
    if env in DISCRETE:
        return {**_sized(env, device), **DISCRETE[env]}
    own = {"cpu": ROBOTS_ON_CPU.get(env, {}), "host": ON_HOST}.get(device, {})
    return {**_sized(env, device), **own, **_suite(env, n_step=3)}


def sample_efficient(env: str, device: str) -> dict[str, Any]:
    """The most return for its environment steps, whatever an update costs."""
    suite = _suite(env, critic_widths="256,256")
    return {**_sized(env, device), **FRONTIER, **SAMPLE_EFFICIENT, **suite, **FEW_STEPS.get(env, {})}


def parallel(env: str, device: str) -> dict[str, Any]:
    """A thousand environments on one accelerator, by what others measured: not tuned here yet."""
    return {**_sized(env, device), **FRONTIER, **PARALLEL}


def playground(env: str, device: str) -> dict[str, Any]:
    """MuJoCo Playground's own settings of soft actor-critic for its Control Suite: published, not measured here."""
    family, _, name = env.partition("/")
    twice = family == "playground" and name.startswith(PLAYGROUND_LONGER)
    longer = {"steps": 2 * PLAYGROUND["steps"], "eval_every": 2 * PLAYGROUND["eval_every"]} if twice else {}
    return {**_sized(env, device), **sizes.PUBLISHED, **PLAYGROUND, **longer}


def classic(env: str, device: str) -> dict[str, Any]:
    """The published algorithm; what the publication leaves open is as in `tuned`, of continuous actions."""
    return {**_sized(env, device), **sizes.PUBLISHED, **CLASSIC}
