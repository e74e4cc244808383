"""Files for people: MP4 by ffmpeg, GIF by Pillow, anything else by its own writer. They appear whole or not at all."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from softrl.errors import RenderError


def ffmpeg() -> str | None:
    """The ffmpeg that `imageio-ffmpeg` brings, or one that is installed; None where there is neither."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        return None


def mp4(pictures: Iterable[np.ndarray], path: Path, *, fps: float, size: tuple[int, int]) -> Path:
    """Writes `[H, W, 3]` bytes as H.264 in yuv420p, which every browser plays. Width and height must be even.

    Raises: RenderError where there is no ffmpeg or it fails (a full disk, say).
    """
    program = ffmpeg()
    if program is None:
        raise RenderError("there is no ffmpeg: `pip install imageio-ffmpeg`, or ask for a .gif")
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:.6f}", "-i", "-"]
    codec = ["-c:v", "libx264", "-crf", "20", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    with whole(path) as part, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [program, "-y", "-loglevel", "error", *source, *codec, str(part)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                for picture in pictures:
                    process.stdin.write(np.ascontiguousarray(picture).data)
        except BaseException:
            process.kill()
            raise
        finally:
            code = process.wait()
        if code:
            raise RenderError(f"ffmpeg could not write {path}: {last_words(log, f'exit code {code}')}")
    return path


def gif(pictures: Iterable[np.ndarray], path: Path, *, fps: float, size: tuple[int, int]) -> Path:
    """Writes `[H, W, 3]` bytes as a GIF that repeats for ever.

    GIF counts in hundredths of a second, so frames take turns at being one longer, and the film keeps its time.
    """
    from PIL import Image

    frames: list[Image.Image] = []
    for picture in pictures:
        image = Image.fromarray(picture)
        # One palette, without dithering: a second one or noise would flicker, and would not compress.
        palette = frames[0] if frames else image.quantize(colors=256)
        frames.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    ends = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int)
    durations = (np.diff(ends) * 10).tolist()
    with whole(path) as part:
        frames[0].save(part, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` if all goes well and vanishes otherwise.

    Raises: RenderError where the file cannot be written; an older one is kept.
    """
    part = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise RenderError(
            f"cannot write {path}: {error.strerror or error}; choose a place that can be written"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def last_words(log: TextIO, otherwise: str = "it said nothing") -> str:
    """The last line that a process wrote to its log; `otherwise` where there is none."""
    log.seek(0)
    return (log.read().strip().splitlines() or [otherwise])[-1].strip()[:200]
