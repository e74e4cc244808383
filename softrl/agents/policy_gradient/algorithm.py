"""The policy gradient's entry in the registry."""

from softrl.agents.actor import actor
from softrl.agents.policy_gradient.agent import build
from softrl.agents.policy_gradient.config import PolicyGradientConfig, PolicyGradientHypers, resolve, validate
from softrl.agents.policy_gradient.presets import classic, tuned
from softrl.algorithm import Algorithm, Metric
from softrl.errors import ConfigError
from softrl.replay import rollout
from softrl.types import EnvSpec, Replay, Spec

METRICS = {
    "entropy": Metric("E[−log π] of the policy that acted", "nats", brief=True),
    "temperature": Metric("α", "scaled reward", brief=True),
    "policy_loss": Metric("−E[Â log π], or −E[min(ρ Â, clip(ρ) Â)], ρ = π/π_old", "scaled return"),
    "value_loss": Metric("½ E[(V − y)²]", "scaled return²"),
    "kl": Metric("E[ρ − 1 − log ρ], ρ = π/π_old", "nats"),
    "clip_fraction": Metric("share of rows whose ρ is farther than clip_range from 1", ""),
    "explained_variance": Metric("1 − Var[y − V] / Var[y], V before the update", ""),
    "policy_grad_norm": Metric("global norm before clipping", ""),
    "value_grad_norm": Metric("global norm before clipping", ""),
}


def replay(
    config: PolicyGradientConfig, spec: EnvSpec, *, capacity: int, batch_size: int, n_step: int, shards: int
) -> Replay:
    """One rollout; its length and its minibatches are the algorithm's own, so the sizes of a replay mean nothing.

    Raises: ConfigError where minibatches are not equal shares.
    """
    size = config.horizon * spec.num_envs
    if size % config.minibatches:
        raise ConfigError(
            f"minibatches {config.minibatches} must divide the {size} rows of a rollout, horizon {config.horizon} "
            f"times num_envs {spec.num_envs}"
        )
    return rollout(spec, horizon=config.horizon)


def summary(config: PolicyGradientConfig, hypers: PolicyGradientHypers, spec: Spec | EnvSpec) -> str:
    """What differs from run to run, and is therefore always said."""
    kept = (
        f"target entropy {hypers.target_entropy:.3g} nats"
        if config.auto_temperature
        else f"temperature {hypers.temperature:.3g}"
    )
    return f"{config.surrogate} surrogate, {config.horizon} vector steps a rollout, {kept}"


ALGORITHM = Algorithm(
    name="policy-gradient",
    config=PolicyGradientConfig,
    hypers=PolicyGradientHypers,
    validate=validate,
    resolve=resolve,
    build=build,
    replay=replay,
    actor=actor,
    metrics=METRICS,
    summary=summary,
    presets={"tuned": tuned, "classic": classic},
    off_policy=False,
    ignores=("batch_size", "replay_size", "replay_shards", "n_step", "recency_horizon", "recency_floor"),
)
