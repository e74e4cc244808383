"""Maximum a posteriori policy optimisation's entry in the registry."""

from softrl.agents.actor import actor
from softrl.agents.mpo.agent import build
from softrl.agents.mpo.config import MPOConfig, MPOHypers, resolve, validate
from softrl.agents.mpo.presets import classic, tuned
from softrl.algorithm import Algorithm, Metric
from softrl.replay import time_major
from softrl.types import Continuous, EnvSpec, Spec

METRICS = {
    "entropy": Metric("E[−log π] of the old policy", "nats", brief=True),
    "temperature": Metric("η of the E-step", "scaled return", brief=True),
    "q": Metric("mean of the reduced target critics at the old policy's actions", "scaled return"),
    "kl_weights": Metric("KL of the E-step's weights from the old policy; its bound where η has settled", "nats"),
    "kl_mean": Metric("KL of the mean from the old policy's, mean over action dimensions", "nats"),
    "kl_std": Metric("KL of the standard deviation from the old policy's, mean over action dimensions", "nats"),
    "multiplier_mean": Metric("λ of the mean's trust region, mean over action dimensions", ""),
    "multiplier_std": Metric("λ of the standard deviation's trust region, mean over action dimensions", ""),
    "critic_loss": Metric("Σ_k ½ E[(Q_k − y)²]", "scaled return²"),
    "policy_loss": Metric("(−E[Σ_m w_m log π] + Σ λ KL) / (1 + max λ)", "nats"),
    "critic_grad_norm": Metric("global norm before clipping", ""),
    "policy_grad_norm": Metric("global norm before clipping", ""),
}


def summary(config: MPOConfig, hypers: MPOHypers, spec: Spec | EnvSpec) -> str:
    """What differs from library to library, and is therefore always said."""
    return (
        f"trust regions {hypers.epsilon_weights:g} nats, and for each action dimension {hypers.epsilon_mean:g} (mean) "
        f"and {hypers.epsilon_std:g} (std)"
    )


ALGORITHM = Algorithm(
    name="mpo",
    config=MPOConfig,
    hypers=MPOHypers,
    validate=validate,
    resolve=resolve,
    build=build,
    replay=lambda config, spec, **sizes: time_major(spec, **sizes),
    actor=actor,
    metrics=METRICS,
    summary=summary,
    presets={"tuned": tuned, "classic": classic},
    actions=(Continuous,),
)
