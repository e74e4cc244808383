"""One `Env` protocol for robots, probes and environments of users' own; one more for those on the host."""

from softrl.envs.config import EnvConfig
from softrl.envs.families import found, make_env, names, packages, physics, register, registered
from softrl.envs.host import HostEnv, HostStep
from softrl.envs.source import Frames, Motion, Source, found_by
from softrl.envs.tables import tabular

__all__ = [
    "EnvConfig",
    "Frames",
    "HostEnv",
    "HostStep",
    "Motion",
    "Source",
    "found",
    "found_by",
    "make_env",
    "names",
    "packages",
    "physics",
    "register",
    "registered",
    "tabular",
]
