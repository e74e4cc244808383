"""What can be set about maximum a posteriori policy optimisation: static fields shape the program, hyperparameters are
traced numbers."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.agents.actor import LAYER_NORM, require_networks
from softrl.config import Within
from softrl.types import EnvSpec, Spec


@dataclass(frozen=True)
class MPOConfig:
    """Static: a change compiles a new program."""

    width: Annotated[int, Within(1)] = 256
    """Every hidden layer of every network has this many units."""
    depth: Annotated[int, Within(0)] = 2
    """Every network has this many hidden layers."""
    policy_widths: str = ""
    """The policy's hidden layers have these widths, 400,300 for example; by default `depth` of them have `width`."""
    critic_widths: str = ""
    """The hidden layers of critics have these widths; by default `depth` of them have `width`."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "relu"
    """Hidden layers have this nonlinearity."""
    norm: Annotated[Literal["none", "layer", "rms"], LAYER_NORM] = "layer"
    """Before every nonlinearity hidden layers are normalised over their units, by mean and variance (layer) or by their
    root mean square (rms), or not at all (none)."""
    residual: bool = False
    """Hidden layers are residual blocks, x + Dense(nonlinearity(Dense(norm(x)))), four times as wide inside."""
    num_critics: Annotated[int, Within(1)] = 2
    """The ensemble has this many Q-functions, K."""
    critic_reduction: Literal["min", "mean"] = "min"
    """The ensemble's estimate is its minimum, which is pessimistic (twin critics), or its mean."""
    action_draws: Annotated[int, Within(2)] = 16
    """Value this many actions of the old policy at each state, M: for the policy's weights and the critics' target."""
    target_period: Annotated[int, Within(1)] = 100
    """Copy policy and critics to the old policy and the target critics after every so many updates."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation."""
    log_std_min: float = -3.0
    """The policy's log standard deviation before the tanh is at least this."""
    log_std_max: float = 2.0
    """The policy's log standard deviation before the tanh is at most this."""
    log_std_map: Literal["tanh", "clip"] = "tanh"
    """The log standard deviation starts in the middle of its bounds and nears them smoothly (tanh), or starts at 0, σ =
    1, and is cut off there (clip)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MPOHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Future rewards are discounted by this γ at every step."""
    policy_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The policy learns at this rate (Adam)."""
    critic_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The critics learn at this rate (Adam)."""
    temperature_lr: Annotated[float, Within(0.0, below=True)] = 1e-2
    """The logarithm of the E-step's temperature, log η, learns at this rate (Adam)."""
    multiplier_lr: Annotated[float, Within(0.0, below=True)] = 1e-2
    """The logarithms of the trust regions' multipliers, log λ, learn at this rate (Adam)."""
    temperature: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """The E-step's temperature η begins here, in units of (scaled) return."""
    mean_multiplier: Annotated[float, Within(0.0, above=True, below=True)] = 10.0
    """The multiplier of the mean's trust region begins here; 1 weighs a nat of KL as a nat of likelihood."""
    std_multiplier: Annotated[float, Within(0.0, above=True, below=True)] = 10.0
    """The multiplier of the standard deviation's trust region begins here."""
    epsilon_weights: Annotated[float, Within(0.0, above=True)] = 0.1
    """The E-step's weights are within this KL of the old policy, in nats, on average over states."""
    epsilon_mean: Annotated[float, Within(0.0, above=True)] = 0.0025
    """The M-step moves the mean within this KL of the old policy, in nats for each action dimension."""
    epsilon_std: Annotated[float, Within(0.0, above=True)] = 1e-4
    """The M-step moves the standard deviation within this KL of the old policy, in nats for each action dimension."""
    reward_scale: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0, below=True)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def validate(config: MPOConfig, hypers: MPOHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    require_networks(config, "policy_widths", "critic_widths")


def resolve(hypers: MPOHypers, spec: Spec | EnvSpec) -> MPOHypers:
    """The hyperparameters as they are: none depends on the robot, since trust regions are for each action dimension."""
    return hypers
