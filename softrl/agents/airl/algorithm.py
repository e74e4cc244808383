"""Adversarial inverse reinforcement learning's entry in the registry."""

from collections.abc import Callable
from functools import partial

from softrl.agents.actor import actor as acting
from softrl.agents.airl.agent import build
from softrl.agents.airl.config import AIRLConfig, AIRLHypers, actor_critic, resolve, validate
from softrl.agents.airl.export import reward_network
from softrl.agents.airl.presets import classic, tuned
from softrl.agents.airl.state import AIRLPolicy
from softrl.agents.sac.algorithm import METRICS as SAC_METRICS
from softrl.algorithm import Algorithm, Metric
from softrl.errors import ConfigError
from softrl.experience import demonstrations
from softrl.numpy_policy import NumpyPolicy
from softrl.replay import demonstrated, time_major
from softrl.types import EnvSpec, Replay, Spec

NATS = {"scaled reward": "nats", "reward": "nats", "scaled return": "nats", "scaled return², or nats": "nats²"}
"""Rewards are logarithms of densities here, so soft actor-critic's units are all one."""

METRICS = {
    "discriminator_loss": Metric(
        "−E_E[log D] − E_π[log(1 − D)]; 2 log 2 where D tells nothing apart", "nats", brief=True
    ),
    "told_apart": Metric("share of rows that D says whose they are", ""),
    "learned_reward": Metric("E[f] over the critics' rows", "nats"),
    **{name: metric._replace(unit=NATS.get(metric.unit, metric.unit)) for name, metric in SAC_METRICS.items()},
}


def replay(config: AIRLConfig, spec: EnvSpec, *, n_step: int, batch_size: int, **sizes: int) -> Replay:
    """The newest transitions, and the demonstrations of `config.demonstrations` beside them.

    Raises: ConfigError where there is no such file, or it does not fit the robot.
    """
    if not config.demonstrations:
        raise ConfigError("airl learns a reward from demonstrations: give demonstrations, the path of an .npz file")
    rows = demonstrations.read(config.demonstrations, spec)
    ring = partial(time_major, spec, batch_size=batch_size, **sizes)
    newest: Callable = lambda hypers: hypers.compared_transitions
    return demonstrated(ring(n_step=n_step), ring(n_step=1), rows, spec, batch_size=batch_size, newest=newest)


def actor(config: AIRLConfig, spec: Spec | EnvSpec, policy: AIRLPolicy, *, version: int = 0) -> NumpyPolicy:
    """A published policy in NumPy, see `softrl.agents.policy.in_numpy`."""
    return acting(actor_critic(config), spec, policy.actor, version=version)


def summary(config: AIRLConfig, hypers: AIRLHypers, spec: Spec | EnvSpec) -> str:
    """What the reward is of, and from what."""
    return f"reward of {config.reward_inputs.replace('-', ' and ')}, in nats, from {config.demonstrations}"


ALGORITHM = Algorithm(
    name="airl",
    config=AIRLConfig,
    hypers=AIRLHypers,
    validate=validate,
    resolve=resolve,
    build=build,
    replay=replay,
    actor=actor,
    metrics=METRICS,
    summary=summary,
    presets={"tuned": tuned, "classic": classic},
    needs=lambda config: "demonstrations beside its replay",
    keeps="newest",
    networks={"reward": reward_network},
)
