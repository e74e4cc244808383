"""What can be set about the policy gradient: static fields shape the program, hyperparameters are traced numbers."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.agents.actor import LAYER_NORM, require_networks
from softrl.agents.target_entropy import resolve
from softrl.config import Instead, Within
from softrl.errors import ConfigError

__all__ = ["PolicyGradientConfig", "PolicyGradientHypers", "resolve", "validate"]


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Static: a change compiles a new program."""

    horizon: Annotated[int, Within(1)] = 128
    """Learn after every so many vector steps, from all of them at once."""
    surrogate: Literal["score", "clipped"] = "clipped"
    """Climb the gradient itself, Σ ∇ log π times advantage (score); or the ratio of new to old probability times
    advantage, cut off at 1 ± `clip_range` (clipped, as proximal policy optimisation does)."""
    importance_weights: bool = False
    """Weigh the score by new over old probability, which matters where several minibatches learn from one rollout; the
    clipped surrogate does so by itself."""
    epochs: Annotated[int, Within(1)] = 4
    """Go through each rollout this many times."""
    minibatches: Annotated[int, Within(1)] = 4
    """Make this many gradient updates in each epoch, from equal shares of the rollout, shuffled."""
    normalize_advantages: bool = True
    """Scale the advantages of a rollout to mean 0 and standard deviation 1, reward and entropy alike."""
    width: Annotated[int, Within(1)] = 64
    """Every hidden layer of every network has this many units."""
    depth: Annotated[int, Within(0)] = 2
    """Every network has this many hidden layers."""
    policy_widths: str = ""
    """The policy's hidden layers have these widths, 400,300 for example; by default `depth` of them have `width`."""
    value_widths: str = ""
    """The hidden layers of the soft value network have these widths; by default `depth` of them have `width`."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "tanh"
    """Hidden layers have this nonlinearity."""
    norm: Annotated[Literal["none", "layer", "rms"], LAYER_NORM] = "none"
    """Before every nonlinearity hidden layers are normalised over their units, by mean and variance (layer) or by their
    root mean square (rms), or not at all (none)."""
    residual: bool = False
    """Hidden layers are residual blocks, x + Dense(nonlinearity(Dense(norm(x)))), four times as wide inside."""
    auto_temperature: bool = False
    """Learn the temperature by dual ascent on the entropy; otherwise it stays at `temperature`."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation, as they were when the rollout began."""
    log_std_min: float = -5.0
    """The policy's log standard deviation before the tanh is at least this."""
    log_std_max: float = 2.0
    """The policy's log standard deviation before the tanh is at most this."""
    log_std_map: Literal["tanh", "clip"] = "tanh"
    """The log standard deviation starts in the middle of its bounds and nears them smoothly (tanh), or starts at 0, σ =
    1, and is cut off there (clip)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PolicyGradientHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0)] = 0.99
    """Future rewards and entropies are discounted by this γ at every step; states count alike whenever they come."""
    gae_lambda: Annotated[float, Within(0.0, 1.0)] = 0.95
    """Advantages weigh the soft values of later states by powers of this λ: at 1 they are soft returns to go, less a
    baseline, and at 0 they are one reward and the value of the next state."""
    clip_range: Annotated[float, Within(0.0, above=True)] = 0.2
    """A clipped ratio of new to old probability is at most this far from 1."""
    policy_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The policy learns at this rate (Adam)."""
    value_lr: Annotated[float, Within(0.0, below=True)] = 1e-3
    """The soft value network learns at this rate (Adam)."""
    temperature_lr: Annotated[float, Within(0.0, below=True)] = 1e-2
    """The logarithm of the temperature, log α, learns at this rate (Adam), one step a rollout."""
    temperature: Annotated[float, Within(0.0, above=True, below=True)] = 0.01
    """The temperature α begins here, or stays here where it is not learned, in units of (scaled) reward."""
    target_entropy: float | None = None
    """The temperature aims at this entropy H̄ in nats; by default it is minus the number of continuous actions, or a
    third of the uniform policy's log n over discrete ones."""
    target_sigma: Annotated[float | None, Within(0.0, above=True, below=True), Instead("target_entropy")] = None
    """Set H̄ = ½ A log(2πe σ²) by this action noise σ a dimension, instead of `target_entropy`."""
    reward_scale: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0, below=True)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def validate(config: PolicyGradientConfig, hypers: PolicyGradientHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    require_networks(config, "policy_widths", "value_widths")
    if config.surrogate == "clipped" and config.importance_weights:
        raise ConfigError(
            "importance_weights are of surrogate score; surrogate clipped weighs by the ratio itself: change either"
        )
