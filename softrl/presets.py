"""An algorithm's defaults for a robot and a kind of device, by name."""

from typing import Any

from softrl.agents import algorithm as registered
from softrl.config import change
from softrl.envs import on_host, require_known, time_limit
from softrl.errors import ConfigError, suggestion
from softrl.training.config import Config


def preset(
    env: str = "brax/halfcheetah",
    *,
    algorithm: str = "sac",
    platform: str | None = None,
    name: str = "tuned",
    **changes: Any,
) -> Config:
    """The default config for a robot, with fields changed by their flat names.

    Args:
      env: as listed by `softrl envs`.
      algorithm: one of `softrl.agents.ALGORITHMS`.
      platform: `cpu`, `gpu` or `tpu`; by default what JAX runs on here.
      name: one of the algorithm's presets: `tuned`, or `classic`, as published.
      changes: any field of the config, for example `gamma=0.97, num_envs=128, backend="mjx"`.
    Raises:
      ConfigError: unknown environment, algorithm, preset or field, with a suggestion.
    """
    require_known(env)
    presets = registered(algorithm).presets
    if name not in presets:
        raise ConfigError(f"unknown preset {name!r}{suggestion(name, presets)}; known: {', '.join(presets)}")
    if platform is None:
        import jax

        platform = jax.local_devices()[0].platform
    hosted = on_host(env)
    device = "host" if hosted else "cpu" if platform == "cpu" else "accelerator"
    limit = {"episode_length": time_limit(env) or 1000} if hosted else {}
    config = change(Config(algorithm=algorithm), env=env, **limit, **presets[name](env, device))
    return change(config, **changes)
