"""Soft Q-learning's entry in the registry."""

from softrl.agents.soft_q.actor import actor
from softrl.agents.soft_q.agent import build
from softrl.agents.soft_q.config import SoftQConfig, SoftQHypers, resolve, validate
from softrl.agents.soft_q.presets import classic, tuned
from softrl.algorithm import Algorithm, Metric
from softrl.replay import time_major
from softrl.types import Discrete, EnvSpec, Spec

METRICS = {
    "v": Metric("α log ∫ exp(Q/α) da of the target critics, where steps lead", "scaled return"),
    "q": Metric("E[Q] under exp(Q/α), at the same states", "scaled return", brief=True),
    "entropy": Metric("(V − E[Q])/α, of exp(Q/α)", "nats", brief=True),
    "critic_loss": Metric("Σ_k ½ E[(Q_k − y)²]", "scaled return²"),
    "stein_norm": Metric(
        "√E[|φ|²] of the direction φ in which the sampler's draws move; 0 of discrete actions", "nats"
    ),
    "critic_grad_norm": Metric("global norm before clipping", ""),
    "policy_grad_norm": Metric("of the sampler, global norm before clipping; 0 of discrete actions", ""),
}


def summary(config: SoftQConfig, hypers: SoftQHypers, spec: Spec | EnvSpec) -> str:
    """By which temperature it acts, and how it knows a soft value."""
    at = f"temperature {hypers.temperature:g}"
    if isinstance(spec.action, Discrete):
        return f"{at}, soft values exact over {spec.action.n} actions"
    whose = {"uniform": "uniform actions", "sampler": "actions of the sampler"}[config.proposal]
    return f"{at}, soft values of {config.value_particles} {whose}"


ALGORITHM = Algorithm(
    name="soft-q",
    config=SoftQConfig,
    hypers=SoftQHypers,
    validate=validate,
    resolve=resolve,
    build=build,
    replay=lambda config, spec, **sizes: time_major(spec, **sizes),
    actor=actor,
    metrics=METRICS,
    summary=summary,
    presets={"tuned": tuned, "classic": classic},
    old_fields=lambda config: {"mass_weight": 0.0},
)
