"""A film of a policy: roll one episode out, hand its poses to the camera."""

from collections.abc import Callable
from pathlib import Path

import jax

from softrl.envs import gymnasium
from softrl.errors import ConfigError
from softrl.training.assemble import Assembled, acting
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
    family, _, robot = assembled.config.env.env.partition("/")
    if family == "gym":
        return _gymnasium(assembled, policy, path, robot, steps=steps, seed=seed, note=note)
    if family != "brax" or robot == "fast":
        raise ConfigError(f"{assembled.config.env.env} has no body to film; films are for robots of brax/ and gym/")
    from softrl.envs import brax
    from softrl.reporting import video

    env, agent = brax.make_brax(robot, assembled.config.env.backend), assembled.program.agent
    states = brax.rollout(env, lambda obs: agent.act(policy, (), obs[None], None)[0][0], jax.random.key(seed), steps)
    if path.suffix == ".html":
        return video.html(states, env.sys, path)
    return video.video(states, env.sys, path, fps=1.0 / float(env.dt), note=note)


def _gymnasium(
    assembled: Assembled, policy: PyTree, path: Path, robot: str, *, steps: int, seed: int, note: Callable | None
) -> Path:
    from softrl.reporting import video

    if path.suffix == ".html":
        raise ConfigError(f"Brax's viewer shows no {assembled.config.env.env}; films of it are mp4 or gif")
    act, limit = acting(assembled, policy).act, assembled.config.env.episode_length
    motion = gymnasium.rollout(robot, act, episode_length=limit, seed=seed, steps=steps)
    return video.poses(motion.model, motion.pos, motion.rot, path, fps=motion.fps, note=note)
