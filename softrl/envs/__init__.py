"""One `Env` protocol for Brax robots and probe environments with known answers, one for simulators on the host."""

from softrl.envs.gymnasium import time_limit
from softrl.envs.host import HostEnv, HostStep
from softrl.envs.registry import EnvConfig, make_env, names, require_known

__all__ = ["EnvConfig", "HostEnv", "HostStep", "make_env", "names", "require_known", "time_limit"]
