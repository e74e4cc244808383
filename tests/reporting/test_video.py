"""Films of a real Brax halfcheetah, read back from the files."""

import base64
import io
import itertools
import json
import operator
import re
import subprocess
import zlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

from softrl.envs.brax import make_brax
from softrl.errors import ConfigError, RenderError
from softrl.reporting import media, opengl, video

SIZE = (192, 128)
STEPS = 20
FPS = 20.0


@pytest.fixture(scope="module")
def cheetah():
    """The system and STEPS pipeline states, one stacked pytree, of random poses; a step compiles long."""
    env = make_brax("halfcheetah", "spring")
    size = env.sys.q_size()

    def pose(key):
        bend = jax.random.uniform(key, (size,), minval=-0.3, maxval=0.3)
        return env.pipeline_init(env.sys.init_q + bend, jnp.zeros(env.sys.qd_size()))

    with jax.numpy_rank_promotion("allow"):
        return env.sys, jax.device_get(jax.jit(jax.vmap(pose))(jax.random.split(jax.random.key(1), STEPS)))


def film(cheetah, path, **options):
    """A film with the settings of these tests."""
    system, states = cheetah
    return video.video(states, system, path, **{"fps": FPS, "size": SIZE, "renderer": "raycast", **options})


def decoded(path):
    """The pictures `[T, H, W, 3]` of an MP4, and what ffmpeg says of it."""
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([media.ffmpeg(), "-i", str(path), *raw], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3), done.stderr.decode()


def legs(pictures):
    """Masks of the hind leg, which is orange, and of the fore leg, which is a darker blue than the sky."""
    red, _, blue = np.moveaxis(pictures.astype(int), -1, 0)
    return (red - blue > 60), (blue - red > 40) & (red < 100)


def test_an_mp4_holds_every_frame_of_a_moving_robot(cheetah, tmp_path):
    path = film(cheetah, tmp_path / "new" / "replay.mp4")
    pictures, header = decoded(path)
    assert len(pictures) == STEPS
    assert re.search(r"Video: h264 .*yuv420p.* 192x128.* 20 fps", header)
    for leg in legs(pictures):
        assert leg.sum((1, 2)).min() > 5, "both legs are seen in every frame"
    assert all((one != other).any() for one, other in itertools.pairwise(pictures))
    assert list(path.parent.iterdir()) == [path], "nothing else may stay behind"


def test_a_gif_repeats_and_keeps_the_time(cheetah, tmp_path):
    path = film(cheetah, tmp_path / "replay.gif", fps=30.0)
    with Image.open(path) as image:
        frames = [(frame.info["duration"], np.array(frame.convert("RGB"))) for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
    durations, pictures = zip(*frames, strict=True)
    assert len(pictures) == STEPS
    assert pictures[0].shape == (SIZE[1], SIZE[0], 3)
    # The sum of hundredths of a second that were rounded together, not one by one.
    assert abs(sum(durations) - 1000 * STEPS / 30) <= 5
    assert (pictures[0] != pictures[-1]).any()


def test_a_list_of_states_and_a_stacked_state_give_the_same_film(cheetah, tmp_path):
    system, states = cheetah
    listed = [jax.tree.map(operator.itemgetter(step), states) for step in range(STEPS)]
    one = film(cheetah, tmp_path / "stacked.gif")
    other = film((system, listed), tmp_path / "listed.gif")
    assert one.read_bytes() == other.read_bytes()


def test_physics_that_steps_faster_than_a_player_is_shown_at_its_own_pace(cheetah, tmp_path):
    pictures, header = decoded(film(cheetah, tmp_path / "fast.mp4", fps=125.0))
    assert len(pictures) == 7
    assert " 41.67 fps" in header


def test_without_ffmpeg_a_gif_is_written_and_said(cheetah, tmp_path, monkeypatch):
    monkeypatch.setattr(media, "ffmpeg", lambda: None)
    notes = []
    path = film(cheetah, tmp_path / "replay.mp4", note=notes.append)
    assert path == tmp_path / "replay.gif"
    assert path.read_bytes()[:3] == b"GIF"
    assert len(notes) == 1
    assert "imageio-ffmpeg" in notes[0]


def test_a_driver_that_does_not_start_is_replaced_and_said(cheetah, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    notes = []
    path = film(cheetah, tmp_path / "replay.mp4", renderer="auto", note=notes.append)
    assert len(decoded(path)[0]) == STEPS
    assert len(notes) == 1
    assert "nonsense" in notes[0]
    with pytest.raises(RenderError, match=r"OpenGL does not start.*nonsense"):
        film(cheetah, tmp_path / "other.mp4", renderer="opengl")


@pytest.mark.parametrize("emulated", [True, False], ids=["emulated", "card"])
def test_opengl_that_is_emulated_on_the_cpu_is_passed_over(cheetah, tmp_path, monkeypatch, emulated):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(opengl, "_driver", lambda worker, log: "llvmpipe (LLVM 15)" if emulated else "NVIDIA")
    grey = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    monkeypatch.setattr(opengl, "_pictures", lambda worker, scene, log: iter([grey] * STEPS))
    pictures, _ = decoded(film(cheetah, tmp_path / "replay.mp4", renderer="auto"))
    assert (pictures.std() > 5) == emulated


def test_mujocos_own_renderer_draws_the_same_scene(cheetah, tmp_path):
    system, states = cheetah
    few = system, jax.tree.map(lambda leaf: leaf[::10], states)
    try:
        path = film(few, tmp_path / "replay.mp4", renderer="opengl")
    except RenderError as error:
        if "does not start" not in str(error):
            raise
        pytest.skip(str(error))
    ours, theirs = decoded(film(few, tmp_path / "rays.mp4"))[0], decoded(path)[0]
    assert theirs.shape == ours.shape
    for our_leg, their_leg in zip(legs(ours), legs(theirs), strict=True):
        middles = [np.stack([np.argwhere(frame).mean(0) for frame in leg]) for leg in (our_leg, their_leg)]
        # Lights differ, so the colours' borders do, by a few pixels of a leg that is forty long.
        assert np.abs(middles[0] - middles[1]).max() < 6


def test_brax_s_page_holds_the_trajectory(cheetah, tmp_path):
    system, states = cheetah
    path = video.html(states, system, tmp_path / "replay.html")
    found = re.findall(r"[A-Za-z0-9+/=]{2000,}", path.read_text(encoding="utf-8"))
    told = json.loads(zlib.decompress(base64.b64decode(max(found, key=len))))
    np.testing.assert_allclose([x["pos"] for x in told["states"]["x"]], states.x.pos, rtol=1e-6)
    np.testing.assert_allclose([x["rot"] for x in told["states"]["x"]], states.x.rot, rtol=1e-6)
    assert "torso" in told["geoms"]


def test_a_film_that_cannot_be_written_is_one_error_and_leaves_the_old_one(cheetah, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for name in ("replay.mp4", "replay.gif"):
        with pytest.raises(RenderError, match="cannot write"):
            film(cheetah, tmp_path / "file" / name)
    old = tmp_path / "old.mp4"
    old.write_bytes(b"old")

    def broken():
        yield np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        raise RenderError("the driver stopped")

    with pytest.raises(RenderError, match="the driver stopped"):
        media.mp4(broken(), old, fps=FPS, size=SIZE)
    assert old.read_bytes() == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "old.mp4"]


def test_what_ffmpeg_says_about_its_failure_is_passed_on(tmp_path):
    with pytest.raises(RenderError, match=r"ffmpeg could not write .*odd\.mp4"):
        media.mp4([np.zeros((33, 33, 3), np.uint8)], tmp_path / "odd.mp4", fps=FPS, size=(33, 33))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0.0}, "fps must be a positive number"),
        ({"fps": float("nan")}, "fps must be a positive number"),
        ({"size": (97, 64)}, "two even numbers"),
        ({"size": (8, 8)}, "at least 16"),
        ({"renderer": "raycats"}, "did you mean 'raycast'"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(cheetah, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        film(cheetah, tmp_path / "replay.mp4", **options)


def test_other_formats_and_empty_trajectories_are_refused(cheetah, tmp_path):
    with pytest.raises(ConfigError, match=r"a \.mp4 or a \.gif, got 'replay\.avi'"):
        film(cheetah, tmp_path / "replay.avi")
    with pytest.raises(ConfigError, match=r"\.html page"):
        video.html(cheetah[1], cheetah[0], tmp_path / "replay.mp4")
    with pytest.raises(RenderError, match="empty"):
        film((cheetah[0], []), tmp_path / "replay.mp4")
    batch = SimpleNamespace(x=SimpleNamespace(pos=jnp.zeros((3, 8, 7, 3)), rot=jnp.zeros((3, 8, 7, 4))))
    with pytest.raises(RenderError, match="one environment"):
        film((cheetah[0], batch), tmp_path / "replay.mp4")
    with pytest.raises(RenderError, match="one environment"):
        video.html(batch, cheetah[0], tmp_path / "replay.html")


def test_a_worker_that_dies_midway_is_an_error_with_its_last_words():
    worker = SimpleNamespace(stdout=io.BytesIO(b"\0" * (SIZE[0] * SIZE[1] * 3 + 7)))
    scene = SimpleNamespace(size=SIZE, lookat=np.zeros((5, 3)))
    pictures = opengl._pictures(worker, scene, io.StringIO("first\nGLX: bad drawable\n"))
    next(pictures)
    with pytest.raises(RenderError, match=r"frame 1 of 5.*GLX: bad drawable"):
        next(pictures)
