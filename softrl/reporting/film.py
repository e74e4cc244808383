"""A film of a policy: roll one episode out, hand its poses to the camera."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jax

from softrl.agents.carry import afresh
from softrl.envs import Frames
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
    note: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes up to `steps` environment steps of the policy's mode as .mp4, .gif or .html (Brax's viewer).

    Args: `policy`: as published by the agent; `seed`: of the episode; `note`: called with a line where it matters how.
    Returns: the file that was written.
    Raises: ConfigError for an environment that cannot be seen. RenderError where no frame can be drawn.
    """
    source, config = assembled.source, assembled.config
    html, name = path.suffix == ".html", config.env.env
    if source.film is None:
        raise ConfigError(f"{name} has no body to film; films are of MuJoCo's models, and of what draws rgb_array")
    if html and source.on_host:
        raise ConfigError(f"Brax's viewer shows no {name}; films of it are mp4 or gif")
    from softrl.reporting import video

    agent = assembled.program.agent
    in_jax = lambda obs: afresh(agent, policy, jax.tree.map(lambda x: x[None], obs), None)[0]
    act = acting(assembled, policy).act if source.on_host else in_jax
    seen = source.film(act, config.env, seed=seed, steps=steps)
    if isinstance(seen, Frames):
        return video.pictures(seen.pictures, path, fps=seen.fps, note=note)
    if html and seen.system is None:
        raise ConfigError(f"Brax's viewer shows Brax's models only, and {name} is none; films of it are mp4 or gif")
    if html:
        return video.html(SimpleNamespace(x=seen), seen.system, path)
    return video.poses(seen.model, seen.pos, seen.rot, path, fps=seen.fps, note=note)
