"""A film drawn by `mujoco.Renderer`: OpenGL, on a graphics card where there is one."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from softrl.errors import RenderError
from softrl.reporting.media import last_words
from softrl.reporting.scene import Scene, tile_edge

EMULATED = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software", "basic render")
"""Drivers that compute on the CPU, by what they call themselves; slower there than casting rays."""

START_SECONDS = 60.0
"""A driver that has not answered by then hangs."""


@contextlib.contextmanager
def frames(scene: Scene, *, emulated: bool = True) -> Iterator[Iterator[np.ndarray]]:
    """Draws a scene in another process: `with frames(scene) as pictures`, each `[H, W, 3]` bytes.

    Which driver: `MUJOCO_GL` where it is set (egl, osmesa, glfw), otherwise EGL on Linux, which needs no display.

    Args:
      emulated: whether a driver that computes on the CPU will do.
    Raises:
      RenderError: on entering, where there is no driver; while drawing, where it broke down.
    """
    with tempfile.TemporaryDirectory(prefix="softrl-film-") as name:
        _write(scene, Path(name))
        with (Path(name) / "log").open("w+") as log, _worker(Path(name), log) as worker:
            driver = _driver(worker, log)
            if not emulated and any(word in driver.lower() for word in EMULATED):
                raise RenderError(f"OpenGL is emulated on the CPU here ({driver})")
            yield _pictures(worker, scene, log)


def _write(scene: Scene, folder: Path) -> None:
    import mujoco

    arrays = scene._asdict()
    mujoco.mj_saveModel(arrays.pop("model"), str(folder / "model.mjb"), None)
    np.savez(folder / "scene.npz", **arrays, tile=tile_edge(scene.distance))


@contextlib.contextmanager
def _worker(folder: Path, log: TextIO) -> Iterator[subprocess.Popen]:
    environment = ({"MUJOCO_GL": "egl"} if sys.platform == "linux" else {}) | os.environ
    # -P: this folder's modules must not stand in for the standard library's.
    command = [sys.executable, "-P", Path(__file__).with_name("opengl_worker.py"), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=folder) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _driver(worker: subprocess.Popen, log: TextIO) -> str:
    """The name of the driver, which the worker writes first."""
    alarm = threading.Timer(START_SECONDS, worker.kill)
    alarm.start()
    name = worker.stdout.readline().decode(errors="replace").strip()
    alarm.cancel()
    if not name:
        raise RenderError(f"OpenGL does not start ({last_words(log)}); Debian has it in libegl1 and libgl1")
    return name


def _pictures(worker: subprocess.Popen, scene: Scene, log: TextIO) -> Iterator[np.ndarray]:
    width, height = scene.size
    for frame in range(len(scene.lookat)):
        data = worker.stdout.read(width * height * 3)
        if len(data) < width * height * 3:
            raise RenderError(f"OpenGL stopped at frame {frame} of {len(scene.lookat)} ({last_words(log)})")
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
