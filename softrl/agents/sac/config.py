"""What can be set about soft actor-critic: static fields shape the program, hyperparameters are traced numbers."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import jax

from softrl.agents import target_entropy
from softrl.agents.actor import LAYER_NORM, require_networks
from softrl.config import Instead, Within
from softrl.errors import ConfigError
from softrl.layers import OVER_BATCH
from softrl.types import EnvSpec, Spec

__all__ = ["HIGH_SHARE", "SACConfig", "SACHypers", "over", "resolve", "validate"]

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
    norm: Annotated[Literal["none", "layer", "rms", "batch", "renorm"], LAYER_NORM] = "layer"
    """Before every nonlinearity hidden layers are normalised over their units, by mean and variance (layer) or by their
    root mean square (rms), or each unit over the batch (batch), or over many batches, with the gradient of batch
    (renorm), or not at all (none)."""
    residual: bool = False
    """Hidden layers are residual blocks, x + Dense(nonlinearity(Dense(norm(x)))), four times as wide inside."""
    critic: Literal["scalar", "categorical"] = "scalar"
    """Critics predict the mean of the soft return, or its distribution over `atoms` of scaled returns (C51)."""
    atoms: Annotated[int, Within(2)] = 101
    """A categorical critic has this many atoms, from minus to plus `return_bound`."""
    reward_scaling: Literal["fixed", "returns"] = "fixed"
    """Rewards are multiplied by `reward_scale` alone, or also divided by the size of the discounted returns that were
    seen, their standard deviation or what brings the largest within `return_bound`."""
    target_network: bool = True
    """Critics' targets are those of slow copies of them, or, without copies, their own (CrossQ, with norm batch)."""
    num_critics: Annotated[int, Within(1)] = 2
    """The ensemble has this many soft Q-functions, K."""
    critic_reduction: Literal["min", "mean"] = "min"
    """The ensemble's estimate is its minimum, which is pessimistic (twin critics), or its mean; of distributions, the
    one with the smallest mean, or their mixture."""
    value_network: bool = False
    """Learn a separate soft value network (Levine §4.2; Haarnoja 2018a) instead of target critics (2018b)."""
    auto_temperature: bool = True
    """Learn the temperature by dual ascent on the entropy; otherwise it stays at `temperature`."""
    temperature_loss: Literal["temperature", "log"] = "temperature"
    """The temperature's loss is α (H − H̄), as it was published, or log α (H − H̄), as its authors' code has it (log),
    which from afar comes sooner to where it must be."""
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
    reset_every: Annotated[int, Within(0)] = 0
    """Begin networks anew after every so many updates, as high update ratios need; 0 for never."""
    reset_networks: Literal["heads", "critics", "all"] = "all"
    """What `reset_every` begins anew: every network's last layer, the critics, or critics and policy."""
    initialization: Literal["normal", "uniform"] = "normal"
    """Weights begin normal, with a variance of 1/I for I inputs, biases at 0 and the policy's last layer near it, or
    all of them uniform within ± 1/√I, which is PyTorch's default (uniform)."""
    unit_weights: bool = False
    """Scale every hidden unit's weights to norm 1 after each update (XQC, FlashSAC); with a norm it costs nothing."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Matrix products of updates are of numbers of this precision, everything else and acting of float32."""
    normalize_obs: bool = True
    """Scale observations by their running mean and standard deviation."""
    log_std_min: float = -5.0
    """The policy's log standard deviation before the tanh is at least this."""
    log_std_max: float = 2.0
    """The policy's log standard deviation before the tanh is at most this."""
    log_std_map: Literal["tanh", "clip"] = "tanh"
    """The log standard deviation starts in the middle of its bounds and nears them smoothly (tanh), or starts at 0, σ =
    1, and is cut off there (clip)."""
    exploration: Literal["white", "repeated", "pink"] = "white"
    """While training the policy is sampled by noise that is new at every step (white), is held for one to 16 steps
    (repeated), or drifts like 1/f noise (pink); each action alone is the same draw of the policy by all. So it is with
    the uniform actions before learning begins."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SACHypers:
    """Traced: plain numbers as the user gives them, arrays inside a program; one program serves every value."""

    gamma: Annotated[float, Within(0.0, 1.0, below=True)] = 0.99
    """Future rewards are discounted by this γ at every step."""
    tau: Annotated[float, Within(0.0, 1.0, above=True)] = 0.005
    """Each update replaces this share of the target network."""
    policy_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The policy learns at this rate (Adam)."""
    critic_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The critics and the value network learn at this rate (Adam)."""
    temperature_lr: Annotated[float, Within(0.0, below=True)] = 3e-4
    """The logarithm of the temperature, log α, learns at this rate (Adam)."""
    temperature: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """The temperature α begins here, in units of scaled reward, or stays here where it is not learned, in units of
    reward times `reward_scale`, whatever `reward_scaling` divides by."""
    target_entropy: float | None = None
    """The temperature aims at this entropy H̄ in nats; by default it is minus the number of continuous actions, or a
    third of the uniform policy's log n over discrete ones."""
    target_sigma: Annotated[float | None, Within(0.0, above=True, below=True), Instead("target_entropy")] = None
    """Set H̄ = ½ A log(2πe σ²) by this action noise σ a dimension, instead of `target_entropy`."""
    reward_scale: Annotated[float, Within(0.0, above=True, below=True)] = 1.0
    """Rewards are multiplied by this before learning."""
    return_bound: Annotated[float, Within(0.0, above=True, below=True)] = 5.0
    """A categorical critic's largest atom, in units of scaled return."""
    rate_end: Annotated[float, Within(0.0, below=True)] = 1.0
    """Learning rates move along half a cosine to this multiple of themselves; 1 leaves them as they are."""
    rate_updates: Annotated[float | None, Within(0.0, above=True)] = None
    """Learning rates are at their end after this many updates; by default after those of the whole run."""
    max_grad_norm: Annotated[float, Within(0.0, above=True)] = math.inf
    """Gradients of each network are scaled down to this global norm."""
    weight_decay: Annotated[float, Within(0.0, below=True)] = 0.0
    """Kernels decay at this rate, apart from the gradient (AdamW)."""


def validate(config: SACConfig, hypers: SACHypers) -> None:
    """Raises: ConfigError where settings contradict one another."""
    require_networks(config, "policy_widths", "critic_widths")
    if config.critic == "categorical" and config.backup == "optimistic":
        raise ConfigError("backup optimistic is of critics of one number: set critic scalar, or backup variational")
    if config.backup == "optimistic" and hypers.gamma == 0.0:
        raise ConfigError("backup optimistic weighs successors by gamma: set gamma above 0, or backup variational")
    if config.value_network:
        wanted = {"critic": "scalar", "target_network": True}
        for name, value in wanted.items():
            if getattr(config, name) != value:
                raise ConfigError(f"with value_network {name} must be {value}, got {getattr(config, name)}")
        if config.norm in OVER_BATCH:
            raise ConfigError(
                f"norm {config.norm} is of critics without a value network: choose norm layer, or no value_network"
            )


def resolve(hypers: SACHypers, spec: Spec | EnvSpec) -> SACHypers:
    """The hyperparameters with every number known: the target entropy as nats for a robot's actions.

    Raises: ConfigError where no policy can have that much entropy.
    """
    return target_entropy.resolve(over(hypers, math.inf), spec)


def over(hypers: SACHypers, updates: float) -> SACHypers:
    """The hyperparameters of a run of so many updates."""
    if hypers.rate_updates is not None:
        return hypers
    return dataclasses.replace(hypers, rate_updates=math.inf if hypers.rate_end == 1.0 else updates)
