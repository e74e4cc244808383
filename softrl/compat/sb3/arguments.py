"""Stable-Baselines3's arguments as softrl's settings; what has no counterpart is refused in one line."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

import numpy as np

from softrl.config import Within, change, setting
from softrl.errors import ConfigError, require_known
from softrl.learner import LearnerConfig

Schedule = Callable[[float], float]
"""The learning rate by the progress that remains, from 1 to 0."""

POLICIES = ("MlpPolicy", "MultiInputPolicy", "SACPolicy")

WITHOUT: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "action_noise": ((None,), "the policy explores by its own entropy"),
    "replay_buffer_class": ((None,), "relabel transitions yourself and add them to a softrl.Learner"),
    "replay_buffer_kwargs": ((None, {}), "softrl's replay has no options but buffer_size"),
    "optimize_memory_usage": ((False,), "every transition holds its own successor"),
    "n_steps": ((1,), "`softrl train gym/… --n-step` has it"),
    "target_update_interval": ((1,), "lower tau instead"),
    "use_sde": ((False,), "noise that depends on the state is not there"),
}
"""Arguments that are only taken at the values that mean "without", and what to do instead."""

IDLE = ("device", "sde_sample_freq", "use_sde_at_warmup", "_init_setup_model")
"""Arguments that are taken and change nothing: JAX chooses the device, and the others belong to `use_sde`."""

IDLE_OF_POLICY = ("log_std_init", "clip_mean", "share_features_extractor")
"""Entries of `policy_kwargs` that change nothing in Stable-Baselines3 either, without `use_sde` and without images."""

THEIRS = {"policy_lr": "learning_rate", "temperature": "ent_coef", "num_critics": "n_critics"}
"""What the caller wrote, by the setting that an error names."""


@contextlib.contextmanager
def in_their_words() -> Iterator[None]:
    """Errors about softrl's settings name the arguments that the caller gave."""
    try:
        yield
    except ConfigError as error:
        words = str(error)
        for ours, theirs in THEIRS.items():
            words = re.sub(rf"\b{ours}\b", theirs, words)
        raise ConfigError(words) from None


def require_idle(more: Mapping[str, Any], others: Iterable[str]) -> None:
    """Arguments that change nothing here. Args: `others`: names that are known besides.

    Raises: ConfigError: an unknown one, or a value that would change something.
    """
    for name, value in more.items():
        require_known("argument", name, [*(set(others) - {"more"}), *WITHOUT, *IDLE])
        allowed, instead = WITHOUT.get(name, ((value,), ""))
        if not any(value is one or (np.ndim(value) == 0 and value == one) for one in allowed):
            raise ConfigError(f"{name} is not taken, only {name}={allowed[0]!r}: {instead}; got {value!r}")


def config(
    policy: Any,
    learning_rate: float | Schedule,
    ent_coef: str | float,
    target_entropy: str | float,
    policy_kwargs: Mapping[str, Any],
    **same: Any,
) -> LearnerConfig:
    """The learner's settings. Args: `same`: those that softrl calls alike. Raises: ConfigError: what cannot be."""
    name = getattr(policy, "__name__", policy)
    if name not in POLICIES:
        raise ConfigError(f"policy must be MlpPolicy or MultiInputPolicy, got {name!r}")
    with in_their_words():
        return change(
            LearnerConfig(),
            norm="none",
            initialization="uniform",
            temperature_loss="log",
            normalize_obs=False,
            log_std_min=-20.0,
            log_std_map="clip",
            auto_temperature=isinstance(ent_coef, str) and ent_coef.startswith("auto"),
            temperature=_temperature(ent_coef),
            target_entropy=None if target_entropy == "auto" else setting("target_entropy", target_entropy, float),
            **rates(rate(learning_rate, 1.0)),
            **_networks(dict(policy_kwargs)),
            **same,
        )


def rate(learning_rate: float | Schedule, remaining: float) -> float:
    """The learning rate. Args: `remaining`: the share of `learn` that is to come, for a schedule."""
    return setting("learning_rate", learning_rate(remaining) if callable(learning_rate) else learning_rate, float)


def rates(rate: float) -> dict[str, float]:
    """One rate for all networks and the temperature."""
    return dict.fromkeys(("policy_lr", "critic_lr", "temperature_lr"), rate)


def frequency(train_freq: Any) -> tuple[int, str]:
    """How often to learn: `(number, "step" or "episode")`. Raises: ConfigError for anything else."""
    number, unit = train_freq if isinstance(train_freq, tuple | list) and len(train_freq) == 2 else (train_freq, "step")
    if unit not in ("step", "episode"):
        raise ConfigError(f'train_freq must be n, (n, "step") or (n, "episode"), got {train_freq!r}')
    return whole("train_freq", number), unit


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number, 1e5 among them. Raises: ConfigError for anything else."""
    return setting(name, value, Annotated[int, Within(least)])


def _temperature(ent_coef: str | float) -> float:
    if ent_coef == "auto":
        return 1.0
    try:
        return float(str(ent_coef).removeprefix("auto_"))
    except ValueError:
        raise ConfigError(f"ent_coef must be auto, auto_<first value> or a number, got {ent_coef!r}") from None


def _networks(policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    given = policy_kwargs.pop("net_arch", [256, 256])
    both = [given["pi"], given["qf"]] if isinstance(given, Mapping) and given.keys() == {"pi", "qf"} else [given] * 2
    if not all(isinstance(widths, list | tuple) for widths in both):
        raise ConfigError(f"net_arch must be [width, …] or dict(pi=[width, …], qf=[width, …]), got {given!r}")
    (policy, critic) = ([whole("a width in net_arch", width) for width in widths] for widths in both)
    if policy == critic and len(set(policy)) == 1:
        settings: dict[str, Any] = {"depth": len(policy), "width": policy[0]}
    else:
        spelled = {"policy_widths": policy, "critic_widths": critic}
        settings = {"depth": 0} | {name: ",".join(map(str, widths)) for name, widths in spelled.items()}
    if "activation_fn" in policy_kwargs:
        activation = policy_kwargs.pop("activation_fn")
        settings["activation"] = getattr(activation, "__name__", str(activation)).lower()
    if "n_critics" in policy_kwargs:
        settings["num_critics"] = policy_kwargs.pop("n_critics")
    for name in policy_kwargs:
        require_known("policy_kwargs", name, ("net_arch", "activation_fn", "n_critics", *IDLE_OF_POLICY))
    return settings
