"""Soft actor-critic's entry in the registry."""

import math
from collections.abc import Mapping
from typing import Any

from softrl.agents.actor import actor
from softrl.agents.sac.agent import build
from softrl.agents.sac.carry import noise_of
from softrl.agents.sac.config import HIGH_SHARE, SACConfig, SACHypers, over, resolve, validate
from softrl.agents.sac.presets import classic, parallel, playground, sample_efficient, tuned
from softrl.algorithm import Algorithm, Metric
from softrl.errors import ConfigError
from softrl.replay import time_major
from softrl.types import Continuous, EnvSpec, Replay, Spec

METRICS = {
    "entropy": Metric("E[−log π]", "nats", brief=True),
    "temperature": Metric("α", "scaled reward", brief=True),
    "q": Metric("mean of the reduced critics at the policy's actions", "scaled return"),
    "critic_loss": Metric("Σ_k ½ E[(Q_k − y)²]; of a categorical critic Σ_k cross-entropy", "scaled return², or nats"),
    "policy_loss": Metric("E[α log π − Q]", "scaled return"),
    "critic_grad_norm": Metric("global norm before clipping", ""),
    "policy_grad_norm": Metric("global norm before clipping", ""),
    "value_loss": Metric("½ E[(V − y)²]; 0 without a value network", "scaled return²"),
    "outside": Metric("mass of a categorical critic's targets beyond its atoms, else 0", ""),
    "reward_divisor": Metric("what rewards are divided by, max(σ_G, max |G| / return_bound); else 1", "reward"),
}


def replay(config: SACConfig, spec: EnvSpec, **sizes: int) -> Replay:
    """The newest transitions, for environments that step together. `sizes`: of `softrl.replay.time_major`.

    Raises: ConfigError for an optimistic backup over windows of several steps, which would be optimistic about rewards.
    """
    if config.backup == "optimistic" and sizes["n_step"] > 1:
        raise ConfigError(f"backup optimistic is of one step: set n_step 1, got {sizes['n_step']}")
    return time_major(spec, **sizes)


def summary(config: SACConfig, hypers: SACHypers, spec: Spec | EnvSpec) -> str:
    """What differs from library to library, and is therefore always said."""
    if isinstance(spec.action, Continuous):
        return f"target entropy {hypers.target_entropy:.3g} nats over {spec.action.size} actions"
    most, target = math.log(spec.action.n), hypers.target_entropy
    said = f"target entropy {target:.3g} of at most {most:.3g} nats over {spec.action.n} actions"
    doubtful = config.auto_temperature and target > HIGH_SHARE * most
    return (
        said
        + (
            ": where episodes can end it may be out of reach, and the temperature then grows without end; "
            "lower target_entropy"
        )
        * doubtful
    )


def needs(config: SACConfig) -> str:
    """What only who acts for the same environments step after step has."""
    if config.exploration != "white":
        return f"to know whose next step an action is, for exploration {config.exploration} (white does not)"
    if config.reward_scaling == "returns":
        return "to know whose next step a reward is of, for reward_scaling returns (fixed does not)"
    return ""


def old_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """Older targets left out the entropies between the ends of a window; windows of one step have none."""
    return {"n_step_entropy": config.get("training", {}).get("n_step", 1) == 1}


ALGORITHM = Algorithm(
    name="sac",
    config=SACConfig,
    hypers=SACHypers,
    validate=validate,
    resolve=resolve,
    build=build,
    replay=replay,
    actor=actor,
    metrics=METRICS,
    summary=summary,
    presets={
        "tuned": tuned,
        "sample-efficient": sample_efficient,
        "parallel": parallel,
        "playground": playground,
        "classic": classic,
    },
    old_fields=old_fields,
    noise=noise_of,
    needs=needs,
    over=over,
)
