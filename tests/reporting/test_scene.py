"""Scenes: shapes stand where the simulator has them, and the camera keeps the robot in sight."""

import mujoco
import numpy as np
import pytest

from softrl.errors import RenderError
from softrl.reporting.scene import FIELD_OF_VIEW, Camera, axes, scene

ROBOT = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 .1" rgba=".5 .5 .5 1"/>
    <body name="torso" pos="0 0 1">
      <freejoint/>
      <geom type="capsule" fromto="-.3 0 0 .3 0 .1" size=".05" rgba="{torso} 1"/>
      <body name="back" pos="-.3 0 0">
        <joint type="hinge" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 .1 .05 -.4" size=".04" rgba=".4 .3 .2 1"/>
        <body name="foot" pos=".1 .05 -.4">
          <joint type="hinge" axis="0 1 0"/>
          <geom type="box" pos=".05 0 0" size=".1 .04 .02" quat=".9 .1 .3 .2" rgba=".4 .3 .2 1"/>
        </body>
      </body>
      <body name="front" pos=".3 0 0">
        <joint type="hinge" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 -.1 -.05 -.4" size=".04" rgba=".4 .3 .2 1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
SIZE = (320, 180)


def robot(torso: str = ".4 .3 .2"):
    """A small model; its three parts have one colour unless the torso is given another."""
    return mujoco.MjModel.from_xml_string(ROBOT.format(torso=torso))


def motion(model, frames: int, speed: float = 0.0):
    """Link frames `[T, L, 3]`, `[T, L, 4]` of random poses along x, and MuJoCo's own frames of the shapes."""
    random, data, record = np.random.default_rng(0), mujoco.MjData(model), []
    for frame in range(frames):
        data.qpos[:] = [frame * speed, 0, 1, 1, 0.1 * random.normal(), 0, 0.2 * random.normal(), *random.normal(size=3)]
        mujoco.mj_kinematics(model, data)
        record.append([data.xpos[1:].copy(), data.xquat[1:].copy(), data.geom_xpos.copy(), data.geom_xmat.copy()])
    return [np.array(column) for column in zip(*record, strict=True)]


def made(model, pos, rot, camera=None):
    """The scene at 20 frames a second."""
    return scene(model, pos, rot, size=SIZE, camera=camera or Camera(), fps=20.0)


def test_shapes_stand_where_mujoco_puts_them():
    model = robot()
    pos, rot, geom_pos, geom_mat = motion(model, 7)
    film = made(model, pos, rot)
    np.testing.assert_allclose(film.geom_xpos, geom_pos, atol=1e-12)  # double precision of coordinates of about 1
    np.testing.assert_allclose(film.geom_xmat, geom_mat, atol=1e-12)


@pytest.mark.parametrize("speed", [0.0, 0.01, 0.5, 3.0], ids=lambda speed: f"{speed}_m_a_frame")
def test_no_shape_leaves_the_picture(speed):
    model = robot()
    pos, rot, *_ = motion(model, 40, speed)
    film = made(model, pos, rot)
    middle = (film.geom_xpos[:, 1:] - film.lookat[:, None]) @ axes(film.azimuth, film.elevation).T
    depth = middle[..., 2] + film.distance
    slope = np.tan(np.radians(FIELD_OF_VIEW / 2)) * np.array([SIZE[0] / SIZE[1], 1.0])
    assert (np.abs(middle[..., :2]) / depth[..., None] < slope).all()


def test_the_camera_stands_still_before_a_robot_that_stays():
    model = robot()
    pos, rot, *_ = motion(model, 40)
    assert (np.ptp(made(model, pos, rot).lookat, axis=0) == 0).all()


def test_the_camera_goes_smoothly_with_a_robot_that_runs():
    model = robot()
    pos, rot, *_ = motion(model, 40, 0.5)
    film = made(model, pos, rot)
    steps = np.diff(film.lookat[:, 0])
    assert film.lookat[-1, 0] - film.lookat[0, 0] > 15
    # The parts swing to and fro by decimetres a frame; the camera, a mean over half a second, by centimetres.
    assert np.abs(steps - 0.5).max() < 0.1
    assert np.ptp(film.lookat[:, 2]) == 0


def test_a_camera_that_is_asked_for_is_used():
    model = robot()
    pos, rot, *_ = motion(model, 10, 0.5)
    film = made(model, pos, rot, Camera(azimuth=30.0, elevation=-40.0, distance=7.0, follow=False))
    assert (film.azimuth, film.elevation, film.distance) == (30.0, -40.0, 7.0)
    assert (np.ptp(film.lookat, axis=0) == 0).all()


def test_a_robot_that_lies_flat_is_seen_from_above():
    model = robot()
    pos, rot, *_ = motion(model, 10)
    flat = np.stack([pos[..., 0], pos[..., 2], 0.1 * pos[..., 1]], -1)
    assert made(model, pos, rot).elevation > -30
    assert made(model, 5 * flat, np.broadcast_to([0.7071, 0.7071, 0, 0], rot.shape)).elevation < -45


def test_limbs_of_an_uncoloured_robot_get_a_colour_each():
    model = robot()
    colours = made(model, *motion(model, 2)[:2]).model.geom_rgba
    torso, back, foot, front = colours[1:]
    assert len(np.unique([torso, back, front], axis=0)) == 3
    assert (back == foot).all()


def test_a_robot_with_colours_of_its_own_keeps_them():
    model = robot(torso="1 0 0")
    np.testing.assert_array_equal(made(model, *motion(model, 2)[:2]).model.geom_rgba, model.geom_rgba)


def test_the_model_that_was_given_is_not_changed():
    model = robot()
    before = [model.geom_rgba.copy(), model.geom_size.copy(), model.geom_matid.copy()]
    made(model, *motion(model, 2)[:2])
    for old, new in zip(before, [model.geom_rgba, model.geom_size, model.geom_matid], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_film_ends_where_physics_does():
    model = robot()
    pos, rot, *_ = motion(model, 10)
    pos[6, 2, 1] = np.nan
    assert len(made(model, pos, rot).lookat) == 6
    pos[0] = np.inf
    with pytest.raises(RenderError, match="no finite state"):
        made(model, pos, rot)


def test_one_state_is_a_film():
    model = robot()
    pos, rot, *_ = motion(model, 1)
    assert made(model, pos, rot).lookat.shape == (1, 3)


def test_states_of_a_batch_or_of_another_robot_are_refused_with_their_shapes():
    model = robot()
    pos, rot, *_ = motion(model, 3)
    with pytest.raises(RenderError, match=r"\[T, 4, 3\].*got \[8, 3, 4, 3\]"):
        made(model, np.stack([pos] * 8), np.stack([rot] * 8))
    with pytest.raises(RenderError, match=r"got \[3, 2, 3\]"):
        made(model, pos[:, :2], rot[:, :2])
