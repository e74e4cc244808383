"""The entropy at which a learned temperature aims, as one number of nats for a robot's actions."""

import dataclasses
import math
from typing import Any

from softrl.distributions.tanh_gaussian import SUPREMUM_ENTROPY, entropy_of_sigma
from softrl.errors import ConfigError
from softrl.types import Continuous, Discrete, EnvSpec, Spec

DISCRETE_SHARE = 1.0 / 3.0
"""Of log n, the target entropy over discrete actions where none is given."""


def resolve(hypers: Any, spec: Spec | EnvSpec) -> Any:
    """Hyperparameters, among them `target_entropy` and `target_sigma`, with the former as one number of nats.

    Raises: ConfigError where no policy can have that much entropy: no tanh-Gaussian (supremum 0.683636 nats a
    dimension), nothing over n actions (log n).
    """
    entropy = _discrete if isinstance(spec.action, Discrete) else _continuous
    return dataclasses.replace(hypers, target_entropy=float(entropy(hypers, spec.action)), target_sigma=None)


def _continuous(hypers: Any, action: Continuous) -> float:
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


def _discrete(hypers: Any, action: Discrete) -> float:
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
