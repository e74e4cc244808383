"""What can be set about soft actor-critic: static fields shape the program, hyperparameters are traced numbers."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.config import Instead, Within
from softrl.distributions.tanh_gaussian import SUPREMUM_ENTROPY, entropy_of_sigma
from softrl.errors import ConfigError
from softrl.types import Continuous, EnvSpec, Spec


@dataclass(frozen=True)
class SACConfig:
    """Static: a change compiles a new program."""

    width: Annotated[int, Within(1)] = 256
    """Units of a hidden layer, in all networks."""
    depth: Annotated[int, Within(0)] = 2
    """Hidden layers, in all networks."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "relu"
    """Nonlinearity of the hidden layers."""
    layer_norm: bool = True
    """LayerNorm before every nonlinearity."""
    num_critics: Annotated[int, Within(1)] = 2
    """Soft Q-functions in the ensemble, K."""
    critic_reduction: Literal["min", "mean"] = "min"
    """How the ensemble becomes one estimate: min is pessimistic (twin critics), mean is not."""
    value_network: bool = False
    """A separate soft value network and its target (Levine §4.2; Haarnoja 2018a) instead of target critics (2018b)."""
    auto_temperature: bool = True
    """Learn the temperature by dual ascent on the entropy; otherwise it stays at `temperature`."""
    action_prior: Literal["lebesgue", "uniform"] = "lebesgue"
    """Base measure of the policy's KL: lebesgue is plain entropy, uniform the uniform density on (−1, 1)^A."""
    policy_delay: Annotated[int, Within(1)] = 1
    """Critic updates for each policy and temperature update."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation."""
    log_std_min: float = -5.0
    """Smallest log standard deviation of the policy before the tanh."""
    log_std_max: float = 2.0
    """Largest log standard deviation of the policy before the tanh."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SACHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Discount γ a step."""
    tau: Annotated[float, Within(0.0, 1.0, above=True)] = 0.005
    """Share of the target network replaced at each update."""
    policy_lr: Annotated[float, Within(0.0)] = 3e-4
    """Learning rate of the policy (Adam)."""
    critic_lr: Annotated[float, Within(0.0)] = 3e-4
    """Learning rate of the critics and of the value network (Adam)."""
    temperature_lr: Annotated[float, Within(0.0)] = 3e-4
    """Learning rate of log α (Adam)."""
    temperature: Annotated[float, Within(0.0, above=True)] = 1.0
    """First value of the temperature α, or its fixed value, in units of (scaled) reward."""
    target_entropy: float | None = None
    """Entropy H̄ that the temperature aims at, in nats; without it and `target_sigma`: minus the number of actions."""
    target_sigma: Annotated[float | None, Within(0.0, above=True), Instead("target_entropy")] = None
    """Sets H̄ = ½ A log(2πe σ²) by the action noise σ that it allows a dimension."""
    reward_scale: Annotated[float, Within(0.0, above=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0)] = 0.0
    """Decoupled weight decay of the kernels (AdamW)."""


def validate(config: SACConfig, hypers: SACHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    low, high = config.log_std_min, config.log_std_max
    if low >= high:
        raise ConfigError(f"log_std_min {low:g} must be below log_std_max {high:g}")


def resolve(hypers: SACHypers, spec: Spec | EnvSpec) -> SACHypers:
    """The hyperparameters with the target entropy as one number of nats for a robot's A actions.

    Raises: ConfigError for actions that are not continuous, or where no tanh-Gaussian can have that much entropy
    (supremum 0.683636 nats a dimension).
    """
    if not isinstance(spec.action, Continuous):
        raise ConfigError(
            f"algorithm sac learns continuous actions, a row of bounded numbers; got {spec.action}: it cannot learn "
            "discrete ones yet"
        )
    entropy, sigma, action_size = hypers.target_entropy, hypers.target_sigma, spec.action.size
    if sigma is not None:
        entropy = entropy_of_sigma(sigma, action_size)
    elif entropy is None:
        entropy = -float(action_size)
    ceiling = SUPREMUM_ENTROPY * action_size
    if entropy >= ceiling:
        given = (
            f"target_sigma {sigma:g} (entropy {entropy:.4g})" if sigma is not None else f"target_entropy {entropy:g}"
        )
        raise ConfigError(
            f"{given} is out of reach: a tanh-Gaussian over {action_size} actions has less than {ceiling:.6g} nats; "
            f"try {-action_size}"
        )
    return dataclasses.replace(hypers, target_entropy=float(entropy), target_sigma=None)
