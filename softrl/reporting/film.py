"""A film of a policy: roll one episode out, hand its poses to the camera."""

from collections.abc import Callable
from pathlib import Path

import jax

from softrl.errors import ConfigError
from softrl.training.assemble import Assembled
from softrl.types import PyTree


def film(
    assembled: Assembled,
    policy: PyTree,
    path: Path,
    *,
    steps: int = 250,
    seed: int = 0,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Writes up to `steps` environment steps of the policy's mode as .mp4, .gif or .html (Brax's viewer).

    Args: `policy`: as published by the agent; `seed`: of the episode; `note`: told how it was drawn if that matters.
    Returns: the file that was written.
    Raises: ConfigError for an environment without a body. RenderError where no frame can be drawn.
    """
    from softrl.envs import brax
    from softrl.reporting import video

    config, agent = assembled.config.env, assembled.program.agent
    family, _, robot = config.env.partition("/")
    if family != "brax" or robot == "fast":
        raise ConfigError(f"{config.env} has no body to film; films are for Brax robots")
    env = brax.make_brax(robot, config.backend)
    states = brax.rollout(env, lambda obs: agent.act(policy, (), obs[None], None)[0][0], jax.random.key(seed), steps)
    if path.suffix == ".html":
        return video.html(states, env.sys, path)
    return video.video(states, env.sys, path, fps=1.0 / float(env.dt), note=note)
