"""One `Env` protocol for Brax robots and probe environments with known answers, one for simulators on the host."""

from softrl.envs.host import HostEnv, HostStep
from softrl.envs.registry import EnvConfig, make_env, names, on_host, require_known, time_limit

__all__ = ["EnvConfig", "HostEnv", "HostStep", "make_env", "names", "on_host", "require_known", "time_limit"]
