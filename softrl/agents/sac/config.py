"""What can be set about soft actor-critic: static fields shape the program, hyperparameters are traced numbers."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.config import Instead, Within
from softrl.distributions.tanh_gaussian import SUPREMUM_ENTROPY, entropy_of_sigma
from softrl.errors import ConfigError
from softrl.types import Continuous, Discrete, EnvSpec, Spec

DISCRETE_SHARE = 1.0 / 3.0
"""Of log n, the target entropy over discrete actions where none is given."""

HIGH_SHARE = 0.9
"""Of log n: a target entropy above it is doubtful, since policies that live longer earn more entropy, and where
episodes can end none may have as much, so that the temperature grows without end."""


@dataclass(frozen=True)
class SACConfig:
    """Static: a change compiles a new program."""

    width: Annotated[int, Within(1)] = 256
    """Every hidden layer of every network has this many units."""
    depth: Annotated[int, Within(0)] = 2
    """Every network has this many hidden layers."""
    policy_widths: str = ""
    """The policy's hidden layers have these widths, 400,300 for example; by default `depth` of them have `width`."""
    critic_widths: str = ""
    """The hidden layers of critics and value network have these widths; by default `depth` of them have `width`."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "relu"
    """Hidden layers have this nonlinearity."""
    layer_norm: bool = True
    """Put LayerNorm before every nonlinearity."""
    num_critics: Annotated[int, Within(1)] = 2
    """The ensemble has this many soft Q-functions, K."""
    critic_reduction: Literal["min", "mean"] = "min"
    """The ensemble's estimate is its minimum, which is pessimistic (twin critics), or its mean."""
    value_network: bool = False
    """Learn a separate soft value network (Levine §4.2; Haarnoja 2018a) instead of target critics (2018b)."""
    auto_temperature: bool = True
    """Learn the temperature by dual ascent on the entropy; otherwise it stays at `temperature`."""
    action_prior: Literal["lebesgue", "uniform"] = "lebesgue"
    """The policy's KL has this base measure: lebesgue is plain entropy; uniform, that density on (−1, 1)^A or over n
    actions, also costs α A log 2 or α log n a step, which matters where episodes can terminate."""
    n_step_entropy: bool = True
    """Count the entropies of the steps in between in n-step targets; without them another objective is optimised, in
    which only the last of every n steps is paid for its entropy."""
    backup: Literal["variational", "optimistic"] = "variational"
    """Critics learn γ E[V] of what follows, or, optimistic, γ α log E[exp(V/α)], the exact posterior's, which believes
    in luck (Levine §2.4); with windows of one step."""
    policy_delay: Annotated[int, Within(1)] = 1
    """Update policy and temperature once for every so many updates of the critics."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation."""
    log_std_min: float = -5.0
    """The policy's log standard deviation before the tanh is at least this."""
    log_std_max: float = 2.0
    """The policy's log standard deviation before the tanh is at most this."""
    log_std_map: Literal["tanh", "clip"] = "tanh"
    """The log standard deviation starts in the middle of its bounds and nears them smoothly (tanh), or starts at 0, σ =
    1, and is cut off there (clip)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SACHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Future rewards are discounted by this γ at every step."""
    tau: Annotated[float, Within(0.0, 1.0, above=True)] = 0.005
    """Each update replaces this share of the target network."""
    policy_lr: Annotated[float, Within(0.0)] = 3e-4
    """The policy learns at this rate (Adam)."""
    critic_lr: Annotated[float, Within(0.0)] = 3e-4
    """The critics and the value network learn at this rate (Adam)."""
    temperature_lr: Annotated[float, Within(0.0)] = 3e-4
    """The logarithm of the temperature, log α, learns at this rate (Adam)."""
    temperature: Annotated[float, Within(0.0, above=True)] = 1.0
    """The temperature α begins here, or stays here where it is not learned, in units of (scaled) reward."""
    target_entropy: float | None = None
    """The temperature aims at this entropy H̄ in nats; by default it is minus the number of continuous actions, or a
    third of the uniform policy's log n over discrete ones."""
    target_sigma: Annotated[float | None, Within(0.0, above=True), Instead("target_entropy")] = None
    """Set H̄ = ½ A log(2πe σ²) by this action noise σ a dimension, instead of `target_entropy`."""
    reward_scale: Annotated[float, Within(0.0, above=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def validate(config: SACConfig, hypers: SACHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    low, high = config.log_std_min, config.log_std_max
    if low >= high:
        raise ConfigError(f"log_std_min {low:g} must be below log_std_max {high:g}")
    for name in ("policy_widths", "critic_widths"):
        if not re.fullmatch(r"|[1-9]\d*( *, *[1-9]\d*)*", given := getattr(config, name)):
            raise ConfigError(f"{name} must be whole numbers from 1 with commas between them, got {given!r}")


def resolve(hypers: SACHypers, spec: Spec | EnvSpec) -> SACHypers:
    """The hyperparameters with the target entropy as one number of nats for a robot's actions.

    Raises: ConfigError where no policy can have that much entropy: no tanh-Gaussian (supremum 0.683636 nats a
    dimension), nothing over n actions (log n).
    """
    entropy = _discrete_target if isinstance(spec.action, Discrete) else _continuous_target
    return dataclasses.replace(hypers, target_entropy=float(entropy(hypers, spec.action)), target_sigma=None)


def _continuous_target(hypers: SACHypers, action: Continuous) -> float:
    entropy, sigma = hypers.target_entropy, hypers.target_sigma
    if sigma is not None:
        entropy = entropy_of_sigma(sigma, action.size)
    elif entropy is None:
        entropy = -float(action.size)
    ceiling = SUPREMUM_ENTROPY * action.size
    if entropy >= ceiling:
        given = f"target_entropy {entropy:g}" if sigma is None else f"target_sigma {sigma:g} (entropy {entropy:.4g})"
        raise ConfigError(
            f"{given} is out of reach: a tanh-Gaussian over {action.size} actions has less than {ceiling:.6g} nats; "
            f"try {-action.size}"
        )
    return entropy


def _discrete_target(hypers: SACHypers, action: Discrete) -> float:
    if hypers.target_sigma is not None:
        raise ConfigError("target_sigma is a width of continuous actions; give target_entropy, in nats")
    ceiling = math.log(action.n)
    entropy = hypers.target_entropy
    if entropy is None:
        return DISCRETE_SHARE * ceiling
    if entropy >= ceiling:
        raise ConfigError(
            f"target_entropy {entropy:g} is out of reach: no policy over {action.n} actions has more than "
            f"{ceiling:.6g} nats; try {DISCRETE_SHARE * ceiling:.3g}"
        )
    return entropy
