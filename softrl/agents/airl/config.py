"""What can be set about adversarial inverse reinforcement learning; the soft actor-critic inside has fixed units.

Its temperature is 1, its rewards are not scaled, and entropies always count: with f − log π as discriminator the reward
is in nats, and the policy's objective is E Σ γᵗ (f − log π).
"""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import jax

from softrl.agents.actor import LAYER_NORM, require_widths
from softrl.agents.sac.config import SACConfig, SACHypers
from softrl.agents.sac.config import validate as validate_sac
from softrl.config import Within
from softrl.types import EnvSpec, Spec


@dataclass(frozen=True)
class AIRLConfig:
    """Static: a change compiles a new program."""

    demonstrations: str = ""
    """Learn from the demonstrations in this file, an .npz with the keys of D4RL or of Minari."""
    reward_inputs: Literal["state", "state-action"] = "state"
    """The learned reward g sees the state alone, which carries over to other dynamics, or the action, too."""
    shaping: Literal["expected", "sampled"] = "expected"
    """The potential after a step is the mean over next states, which is right where these are random, or that of the
    one that came (Fu et al. 2018), which is the same in deterministic environments only."""
    reward_widths: str = "64,64"
    """The hidden layers of reward and potential have these widths; none where it is empty."""
    width: Annotated[int, Within(1)] = 256
    """Every hidden layer of policy and critics has this many units."""
    depth: Annotated[int, Within(0)] = 2
    """Policy and critics have this many hidden layers."""
    policy_widths: str = ""
    """The policy's hidden layers have these widths, 400,300 for example; by default `depth` of them have `width`."""
    critic_widths: str = ""
    """The hidden layers of critics and value network have these widths; by default `depth` of them have `width`."""
    activation: Literal["relu", "silu", "elu", "gelu", "tanh"] = "relu"
    """Hidden layers have this nonlinearity."""
    norm: Annotated[Literal["none", "layer", "rms"], LAYER_NORM] = "layer"
    """Before every nonlinearity hidden layers are normalised over their units, by mean and variance (layer) or by their
    root mean square (rms), or not at all (none)."""
    residual: bool = False
    """Hidden layers are residual blocks, x + Dense(nonlinearity(Dense(norm(x)))), four times as wide inside."""
    num_critics: Annotated[int, Within(1)] = 2
    """The ensemble has this many soft Q-functions, K."""
    critic_reduction: Literal["min", "mean"] = "min"
    """The ensemble's estimate is its minimum, which is pessimistic (twin critics), or its mean."""
    value_network: bool = False
    """Learn a separate soft value network instead of target critics."""
    policy_delay: Annotated[int, Within(1)] = 1
    """Update the policy once for every so many updates of the critics."""
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
class AIRLHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Future rewards are discounted by this γ at every step, in the potential's shaping too."""
    tau: Annotated[float, Within(0.0, 1.0, above=True)] = 0.005
    """Each update replaces this share of the target network."""
    policy_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The policy learns at this rate (Adam)."""
    critic_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The critics and the value network learn at this rate (Adam)."""
    reward_lr: Annotated[float, Within(0.0, below=True)] = 1e-4
    """Reward, potential and the latter's mean learn at this rate (Adam)."""
    gradient_penalty: Annotated[float, Within(0.0, below=True)] = 0.1
    """Squared slopes of reward and potential between the expert's rows and the policy's cost this much."""
    compared_transitions: Annotated[float, Within(0.0, above=True, below=True)] = 1_000.0
    """The discriminator's rows of the policy are drawn from about this many of its newest transitions; older ones were
    made by another policy than log π is of."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = float("inf")
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0, below=True)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def actor_critic(config: AIRLConfig) -> SACConfig:
    """The soft actor-critic inside: a fixed temperature, and windows that count every entropy."""
    shared = {field.name for field in fields(SACConfig)} & {field.name for field in fields(AIRLConfig)}
    return SACConfig(**{name: getattr(config, name) for name in shared}, auto_temperature=False, n_step_entropy=True)


def actor_critic_numbers(hypers: AIRLHypers) -> SACHypers:
    """Its hyperparameters: temperature 1 and rewards as they are, both of which the discriminator takes for granted."""
    shared = {field.name for field in fields(SACHypers)} & {field.name for field in fields(AIRLHypers)}
    return SACHypers(
        **{name: getattr(hypers, name) for name in shared},
        temperature=1.0,
        reward_scale=1.0,
        temperature_lr=0.0,
        target_entropy=0.0,
        rate_updates=math.inf,
    )


def validate(config: AIRLConfig, hypers: AIRLHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    validate_sac(actor_critic(config), actor_critic_numbers(hypers))
    require_widths(config, "reward_widths")


def resolve(hypers: AIRLHypers, spec: Spec | EnvSpec) -> AIRLHypers:
    """The hyperparameters as they are: every number of them is known."""
    return hypers
