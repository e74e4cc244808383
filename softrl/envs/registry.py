"""Environments by name: `brax/halfcheetah`, `gym/HalfCheetah-v5`, `envpool/HalfCheetah-v4`, `probe/bounded-lq`."""

from dataclasses import dataclass, replace
from typing import Annotated

from softrl.config import Within
from softrl.envs import envpool, gymnasium
from softrl.envs.episodes import episodes
from softrl.envs.host import HostEnv
from softrl.envs.probes import PROBES
from softrl.errors import ConfigError, suggestion
from softrl.types import Env

HOSTS = {"gym": gymnasium, "envpool": envpool}
"""Families whose environments live on the host."""


@dataclass(frozen=True)
class EnvConfig:
    """Which robots, and how many."""

    env: str = "brax/halfcheetah"
    """Environment, as listed by `softrl envs`."""
    backend: str = "spring"
    """Brax physics: generalized, positional, spring or mjx; gym/: sync or async (a process each); envpool/: sync."""
    num_envs: Annotated[int, Within(1)] = 64
    """Environments that step together, N."""
    episode_length: Annotated[int, Within(1)] = 1000
    """Time limit L in environment steps; longer episodes are truncated, not terminated."""
    action_repeat: Annotated[int, Within(1)] = 1
    """Physics steps an action."""


def names() -> list[str]:
    """Every environment that `make_env` knows, in reading order."""
    from softrl.envs.brax import ROBOTS

    brax = [f"brax/{robot}" for robot in ROBOTS]
    hosts = [f"{family}/{name}" for family, module in HOSTS.items() for name in module.KNOWN]
    return [*brax, *hosts, *(f"probe/{probe}" for probe in PROBES)]


def require_known(env: str) -> str:
    """The same name; any environment that Gymnasium or EnvPool has registered counts as known.

    Raises: ConfigError for an unknown one, with the nearest known one.
    """
    if env in names():
        return env
    family, _, member = env.partition("/")
    if family not in HOSTS or not member:
        raise ConfigError(f"unknown environment {env!r}{suggestion(env, names())}; see `softrl envs`")
    HOSTS[family].time_limit(member)
    return env


def on_host(env: str) -> bool:
    """Whether an environment lives on the host, by its name."""
    return env.partition("/")[0] in HOSTS


def time_limit(env: str) -> int | None:
    """The time limit that an environment on the host is registered with, in its steps; None where it has none.

    Raises: ConfigError for an unknown name, with the nearest known one.
    """
    family, _, member = env.partition("/")
    return HOSTS[family].time_limit(member)


def make_env(config: EnvConfig, *, num_envs: int | None = None, stagger: bool = True, randomize=None) -> Env | HostEnv:
    """The environments of a config; those of gym/ and envpool/ live on the host, behind another door.

    Args:
      config: which.
      num_envs: instead of `config.num_envs`, for example for evaluation.
      stagger: see `episodes`.
      randomize: `(key, System) -> System`, domain randomisation of Brax's model for every episode.
    Raises:
      ConfigError: unknown name, with the nearest known one.
    """
    config = replace(config, num_envs=num_envs or config.num_envs)
    family, _, member = require_known(config.env).partition("/")
    if family in HOSTS:
        if randomize is not None or config.action_repeat != 1:
            raise ConfigError(f"{config.env}: domain randomisation and action_repeat are for Brax's robots")
        make = gymnasium.gymnasium_env if family == "gym" else envpool.envpool_env
        return make(
            member,
            num_envs=config.num_envs,
            episode_length=config.episode_length,
            vectorization=config.backend,
        )
    if family == "brax":
        from softrl.envs.brax import simulator

        sim = simulator(member, config.backend, action_repeat=config.action_repeat, randomize=randomize)
    else:
        sim = PROBES[member]()
    return episodes(
        sim, name=config.env, num_envs=config.num_envs, episode_length=config.episode_length, stagger=stagger
    )
