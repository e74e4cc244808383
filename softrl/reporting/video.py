"""Films of a robot: MP4 and GIF for people, HTML for Brax's viewer."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from softrl.errors import ConfigError, RenderError, suggestion
from softrl.reporting import media, opengl, raycast
from softrl.reporting.scene import Camera, Scene, scene

MAX_FPS = 50.0
"""Where physics steps faster, every second, third, ... state is shown; players slow faster GIFs down."""

RENDERERS = ("auto", "opengl", "raycast")

Note = Callable[[str], None]
Write = Callable[[Iterable[np.ndarray]], Path]


def video(trajectory: Any, system: Any, path: str | Path, *, fps: float, **options: Any) -> Path:
    """Writes a film of a Brax environment that plays in real time.

    Args:
      trajectory: its pipeline states, a list or one stacked pytree; of any of the four backends.
      system: their `System`, `env.sys`.
      fps: states a second of simulated time, 1 / `env.dt`. path, options: as of `poses`.
    Returns and raises: as `poses`.
    """
    return poses(system.mj_model, *_links(trajectory), path, fps=fps, **options)


def poses(
    model: Any,
    pos: np.ndarray,
    rot: np.ndarray,
    path: str | Path,
    *,
    fps: float,
    size: tuple[int, int] = (640, 360),
    camera: Camera | None = None,
    renderer: str = "auto",
    note: Note = lambda line: None,
) -> Path:
    """Writes a film of a MuJoCo model's bodies.

    Args:
      model: `mujoco.MjModel`.
      pos, rot: `[T, L, 3]` and `[T, L, 4]` (w, x, y, z), frames of its L bodies but the world.
      path: `.mp4` (H.264) or `.gif`. It appears whole or not at all.
      fps: poses a second of simulated time.
      size: width and height in pixels, even numbers.
      camera: where to see it from; what is None is chosen, and the camera goes with a robot that runs away.
      renderer: `opengl`; `raycast`, on the CPU and without any graphics library; `auto`: OpenGL where a graphics card
        draws, or `MUJOCO_GL` names a driver, otherwise, and where OpenGL fails, `raycast`.
      note: called with one line where something had to be done in another way than asked.
    Returns:
      The file written: a `.gif` in the place of an `.mp4` where there is no ffmpeg.
    Raises:
      ConfigError: a format, size, rate or renderer that there is not. RenderError: no film can be made, and why.
    """
    every, write = _writer(Path(path), fps, size, renderer, note)
    film = scene(model, pos[::every], rot[::every], size=size, camera=camera or Camera(), fps=fps / every)
    return _drawn(film, renderer, note, write)


def pictures(shown: np.ndarray, path: str | Path, *, fps: float, note: Note = lambda line: None) -> Path:
    """Writes a film of pictures `[T, H, W, 3]` uint8, without an odd last row or column. Otherwise as `poses`."""
    shown = shown[:, : shown.shape[1] // 2 * 2, : shown.shape[2] // 2 * 2]
    every, write = _writer(Path(path), fps, (shown.shape[2], shown.shape[1]), "auto", note)
    return write(shown[::every])


def _writer(path: Path, fps: float, size: tuple[int, int], renderer: str, note: Note) -> tuple[int, Write]:
    """Every how many states one is shown, and what writes the film; all that was asked for is checked."""
    if path.suffix not in (".mp4", ".gif"):
        raise ConfigError(f"a film is a .mp4 or a .gif, got {path.name!r}")
    if not (np.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps must be a positive number, 1 / env.dt, got {fps}")
    if len(size) != 2 or any(side < 16 or side % 2 or side != int(side) for side in size):
        raise ConfigError(f"size must be two even numbers of at least 16 pixels, (width, height), got {size}")
    if renderer not in RENDERERS:
        near = suggestion(renderer, RENDERERS)
        raise ConfigError(f"renderer must be one of {', '.join(RENDERERS)}, got {renderer!r}{near}")
    if path.suffix == ".mp4" and media.ffmpeg() is None:
        note("there is no ffmpeg (`pip install imageio-ffmpeg` brings one); writing a GIF")
        path = path.with_suffix(".gif")
    every = int(np.ceil(fps / MAX_FPS - 1e-6))
    return every, partial(media.mp4 if path.suffix == ".mp4" else media.gif, path=path, fps=fps / every, size=size)


def _links(trajectory: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions `[T, L, 3]` and rotations `[T, L, 4]` of a trajectory's bodies."""
    if not isinstance(trajectory, list | tuple) or hasattr(trajectory, "x"):
        return np.asarray(trajectory.x.pos), np.asarray(trajectory.x.rot)
    if not trajectory:
        raise RenderError("the trajectory is empty: there is no state to show")
    return tuple(np.stack([np.asarray(getattr(state.x, name)) for state in trajectory]) for name in ("pos", "rot"))


def _drawn(film: Scene, renderer: str, note: Note, write: Write) -> Path:
    named = bool(os.environ.get("MUJOCO_GL"))
    if renderer != "raycast":
        try:
            with opengl.frames(film, emulated=named or renderer == "opengl") as pictures:
                return write(pictures)
        except RenderError as error:
            if renderer == "opengl":
                raise
            if named:
                note(f"{error}; casting rays instead")
    return write(raycast.frames(film))


def html(trajectory: Any, system: Any, path: str | Path) -> Path:
    """Writes a page with the trajectory in Brax's own viewer, which a browser loads from the internet.

    Args:
      trajectory, system: as for `video`.
      path: `.html`. It appears whole or not at all.
    Raises:
      ConfigError: another suffix. RenderError: the states are not one environment's, or the page cannot be written.
    """
    path = Path(path)
    if path.suffix != ".html":
        raise ConfigError(f"Brax's viewer is an .html page, got {path.name!r}")
    from types import SimpleNamespace

    from brax.base import Transform
    from brax.io import html as viewer

    pos, rot = _links(trajectory)
    if pos.ndim != 3:
        raise RenderError(f"positions [T, L, 3] of one environment expected, got {list(pos.shape)}")
    # The viewer reads nothing but the links' frames, and slicing whole states would take seconds.
    states = [SimpleNamespace(x=Transform(pos=p, rot=r)) for p, r in zip(pos, rot, strict=True)]
    page = viewer.render(system, states)
    with media.whole(path) as part:
        part.write_text(page, encoding="utf-8")
    return path
