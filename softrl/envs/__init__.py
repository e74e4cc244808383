"""One `Env` protocol; Brax robots and probe environments with known answers."""

from softrl.envs.registry import EnvConfig, make_env, names

__all__ = ["EnvConfig", "make_env", "names"]
