"""Ray casting: what it leaves out to be quick must not be seen."""

import mujoco
import numpy as np
import pytest

from softrl.reporting import raycast
from softrl.reporting.scene import Camera, scene

SIZE = (96, 64)
ROBOT = """
<mujoco>
  <worldbody>
    <geom type="plane" size="5 5 .1"/>
    <body pos="0 0 .8">
      <freejoint/>
      <geom type="capsule" fromto="-.4 0 .1 .4 .1 0" size=".06"/>
      <body pos=".4 .1 0">
        <joint type="ball"/>
        <geom type="capsule" fromto="0 0 0 .2 .1 -.6" size=".05"/>
        <geom type="box" pos=".25 .1 -.6" size=".12 .03 .05"/>
      </body>
      <body pos="-.4 0 .1">
        <joint type="ball"/>
        <geom type="capsule" fromto="0 0 0 -.1 .2 -.6" size=".05"/>
        <geom type="sphere" pos="-.1 .2 -.6" size=".09"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def film(frames: int = 3, seed: int = 0, camera: Camera | None = None):
    """A scene of random poses."""
    model = mujoco.MjModel.from_xml_string(ROBOT)
    data, random, pos, rot = mujoco.MjData(model), np.random.default_rng(seed), [], []
    for _ in range(frames):
        data.qpos[:] = random.normal(size=model.nq) * 0.3 + np.array([0, 0, 0.8, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
        data.qpos[:3] = [0, 0, 0.8]
        mujoco.mj_kinematics(model, data)
        pos.append(data.xpos[1:].copy())
        rot.append(data.xquat[1:].copy())
    return scene(model, np.array(pos), np.array(rot), size=SIZE, camera=camera or Camera(), fps=20.0)


def shots(pictured):
    """Each frame's shot with every shape in its place, as `raycast.frames` makes them, and the view."""
    model, view = raycast._prepared(pictured)
    for xpos, xmat, lookat in zip(pictured.geom_xpos, pictured.geom_xmat, pictured.lookat, strict=True):
        data = mujoco.MjData(model)
        data.geom_xpos[:], data.geom_xmat[:] = xpos, xmat
        yield view, raycast.Shot(model, data, lookat, lookat - pictured.distance * view.axes[2])


@pytest.mark.parametrize("seed", range(4))
def test_rays_meet_every_shape_of_a_body_that_turned(seed):
    """MuJoCo's many-ray function loses shapes of turned bodies; its one-ray function does not."""
    for view, shot in shots(film(seed=seed)):
        rays = view.rays.reshape(-1, 3)
        many = raycast._cast(shot, shot.eye, rays).geom
        one, found = np.full(len(rays), -1), np.zeros(1, np.int32)
        for i, ray in enumerate(rays):
            mujoco.mj_ray(shot.model, shot.data, shot.eye, ray, raycast.VISIBLE, 1, -1, found)
            one[i] = found[0]
        assert (one >= 0).sum() > 20
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("distance", [None, 0.9, 20.0], ids=["chosen", "among_the_shapes", "far_away"])
def test_the_pixels_that_get_no_rays_show_no_shape(monkeypatch, distance):
    pictured = film(camera=Camera(distance=distance))
    quick = list(raycast.frames(pictured))
    everything = (slice(0, SIZE[1]), slice(0, SIZE[0]))
    monkeypatch.setattr(raycast, "_box", lambda view, shot: everything)
    for one, other in zip(quick, raycast.frames(pictured), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_ground_that_gets_no_rays_has_no_shadow(monkeypatch):
    pictured = film()
    quick = list(raycast.frames(pictured))
    monkeypatch.setattr(raycast, "_shadow_box", lambda floor, shot: (slice(None), slice(None)))
    for one, other in zip(quick, raycast.frames(pictured), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_robot_and_its_shadow_stand_out_from_the_background():
    pictured = film(frames=1)
    (picture,) = raycast.frames(pictured)
    ((view, shot),) = shots(pictured)
    geom = raycast._cast(shot, shot.eye, view.rays.reshape(-1, 3)).geom.reshape(SIZE[::-1])
    robot, background = picture[geom >= 0].astype(float), picture[geom < 0].astype(float)
    assert (geom >= 0).mean() > 0.02
    assert background.mean() - robot.mean() > 40  # of 255
    # Tiles have a brightness of 170 to 225; only a shadow is darker among what is no shape.
    assert (background[:, 0] < 130).sum() > 20


def test_tiles_pass_by_under_a_camera_that_goes_with_the_robot():
    pictured = film(frames=1)
    tile = raycast.tile_edge(pictured.distance)

    def moved(by: float) -> np.ndarray:
        shift = np.array([by, 0.0, 0.0])
        there = pictured._replace(geom_xpos=pictured.geom_xpos + shift, lookat=pictured.lookat + shift)
        return next(raycast.frames(there)).astype(int)

    assert np.abs(moved(tile) - moved(0.0)).mean() > 5
    # Two tiles on, the picture is the same but for rounding, also a kilometre away.
    assert np.abs(moved(1000 * tile) - moved(0.0)).mean() < 0.5


def test_far_tiles_are_averages_and_do_not_flicker():
    """The closed form against the mean of a fine grid of points in each pixel's box."""
    random = np.random.default_rng(0)
    xy, width = random.uniform(-5, 5, (200, 2)), random.uniform(0.05, 3, (200, 2))
    grid = (np.arange(400) + 0.5) / 400 - 0.5
    inside = [np.floor(xy[:, i, None] + width[:, i, None] * grid) % 2 for i in (0, 1)]
    even = [1 - 2 * part.mean(1) for part in inside]
    expected = 0.5 - 0.5 * even[0] * even[1]
    # A grid of 400 points misplaces each of at most four edges by a 400th of the box.
    np.testing.assert_allclose(raycast._checker(xy, width)[:, 0], expected, atol=4 / 400)


def test_a_scene_without_a_floor_is_drawn():
    model = mujoco.MjModel.from_xml_string(ROBOT.replace('<geom type="plane" size="5 5 .1"/>', ""))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    pictured = scene(model, data.xpos[None, 1:], data.xquat[None, 1:], size=SIZE, camera=Camera(), fps=20.0)
    (picture,) = raycast.frames(pictured)
    assert picture.shape == (64, 96, 3)
    assert picture.std() > 10
