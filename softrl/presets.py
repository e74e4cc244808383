"""An algorithm's defaults for a robot and a kind of device, by name."""

from typing import Any

import jax

from softrl.agents import algorithm as registered
from softrl.config import change
from softrl.envs import EnvConfig, found, found_by
from softrl.errors import require_known
from softrl.training.config import Config


def preset(
    env: Any = "brax/halfcheetah",
    *,
    algorithm: str = "sac",
    platform: str | None = None,
    name: str = "tuned",
    **changes: Any,
) -> Config:
    """The default config for a robot, with fields changed by their flat names.

    Args:
      env: a name, as listed by `softrl envs`, or anything else that `softrl.train` takes as `env`.
      algorithm: one of `softrl.agents.ALGORITHMS`.
      platform: `cpu`, `gpu` or `tpu`; by default what JAX runs on here.
      name: one of the algorithm's presets: `tuned`, or `classic`, as published.
      changes: any field of the config, for example `gamma=0.97, num_envs=128, backend="mjx"`.
    Raises: ConfigError: unknown environment, algorithm, preset or field, with a suggestion.
    """
    source = found(env, EnvConfig(env_kwargs=changes.get("env_kwargs", "{}")).kwargs)
    presets = registered(algorithm).presets
    require_known("preset", name, presets)
    platform = jax.local_devices()[0].platform if platform is None else platform
    device = "host" if source.on_host else "cpu" if platform == "cpu" else "accelerator"
    limit = {} if source.time_limit is None else {"episode_length": source.time_limit}
    own = {**presets[name](source.name, device), **source.prefers, **limit, **found_by(source)}
    return change(change(Config(algorithm=algorithm), **own), **changes)
