"""Adversarial inverse reinforcement learning's defaults: those of soft actor-critic, but for what it fixes."""

import math
from collections.abc import Mapping
from typing import Any

from softrl.agents.sac.presets import tuned as actor_critic

FIXED = ("temperature", "temperature_lr", "temperature_loss", "initialization", "n_step_entropy", "exploration")
"""Of soft actor-critic's settings those that cannot be set here."""

STEPS: Mapping[str, Any] = {"n_step": 1, "recency_horizon": math.inf}
"""Windows of one step, uniformly from replay: their rewards are those of now, so old rows are as good as new ones."""

PUBLISHED: Mapping[str, Any] = {"shaping": "sampled", "reward_inputs": "state", "gradient_penalty": 0.0}
"""Fu et al. 2018, arXiv:1710.11248, which had another policy optimiser, deterministic robots and no state after the
end."""


def tuned(env: str, device: str) -> dict[str, Any]:
    """As soft actor-critic's, not tuned again. Args: `device`: `cpu`, `accelerator` or `host`."""
    own = {name: value for name, value in actor_critic(env, device).items() if name not in FIXED}
    return {**own, **STEPS}


def classic(env: str, device: str) -> dict[str, Any]:
    """The discriminator as published; what the publication has otherwise is as in `tuned`."""
    return {**tuned(env, device), **PUBLISHED}
