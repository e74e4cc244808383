"""What can be set about soft Q-learning: static fields shape the program, hyperparameters are traced numbers."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.agents.actor import LAYER_NORM
from softrl.config import Within
from softrl.types import EnvSpec, Spec


@dataclass(frozen=True)
class SoftQConfig:
    """Static: a change compiles a new program."""

    width: Annotated[int, Within(1)] = 256
    """Every hidden layer of every network has this many units."""
    depth: Annotated[int, Within(0)] = 2
    """Every network has this many hidden layers."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "relu"
    """Hidden layers have this nonlinearity."""
    norm: Annotated[Literal["none", "layer", "rms"], LAYER_NORM] = "layer"
    """Before every nonlinearity hidden layers are normalised over their units, by mean and variance (layer) or by their
    root mean square (rms), or not at all (none)."""
    residual: bool = False
    """Hidden layers are residual blocks, x + Dense(nonlinearity(Dense(norm(x)))), four times as wide inside."""
    num_critics: Annotated[int, Within(1)] = 1
    """The ensemble has this many soft Q-functions, K; of discrete actions one, since it is also the policy."""
    critic_reduction: Literal["min", "mean"] = "min"
    """The ensemble's estimate is its minimum, which is pessimistic (twin critics), or its mean."""
    value_particles: Annotated[int, Within(1)] = 32
    """The soft value of a state is estimated from this many continuous actions; too few make it too small."""
    proposal: Literal["uniform", "sampler"] = "uniform"
    """Those actions are uniform, which is sure but needs many of them in many dimensions, or the sampler's own, which
    leave out what it never does and count twice what it reaches by two ways."""
    stein_particles: Annotated[int, Within(2)] = 32
    """The sampler of continuous actions learns from this many of its own at every state, each moved by all others."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SoftQHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Future rewards are discounted by this γ at every step."""
    tau: Annotated[float, Within(0.0, 1.0, above=True)] = 0.005
    """Each update replaces this share of the target network."""
    policy_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The sampler of continuous actions learns at this rate (Adam)."""
    critic_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The critics learn at this rate (Adam)."""
    temperature: Annotated[float, Within(0.0, above=True, below=True)] = 0.1
    """The temperature α stays here, in units of (scaled) reward: actions are as probable as exp(Q/α)."""
    mass_weight: Annotated[float, Within(0.0, below=True)] = 10.0
    """The sampler goes this much towards importance draws, of which as many are made as for a soft value, besides
    Stein's direction, which hardly feels how much of the mass each of several modes has; 0 is the publication's."""
    reward_scale: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0, below=True)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def validate(config: SoftQConfig, hypers: SoftQHypers) -> None:
    """No settings of soft Q-learning contradict one another."""


def resolve(hypers: SoftQHypers, spec: Spec | EnvSpec) -> SoftQHypers:
    """The hyperparameters as they are: none depends on the robot."""
    return hypers
