"""A film drawn by casting rays at the model's shapes on the CPU: no graphics library, card or display is needed.

MuJoCo intersects the rays (`mj_multiRay`); this module places the camera, finds the floor, and shades. It is also
faster than OpenGL emulated on the CPU (measured on one core at 640 × 360: 0.05 s a frame against Mesa's 0.14 to 0.3).
"""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from softrl.reporting.scene import FIELD_OF_VIEW, Scene, axes, tile_edge

SUN = np.array([-0.35, -0.55, 0.76])
HORIZON, ZENITH = np.array([[0.90, 0.93, 0.96], [0.56, 0.71, 0.88]], np.float32)
TILES = np.array([[0.86, 0.88, 0.91], [0.66, 0.70, 0.76]], np.float32)
AMBIENT, SHADOW = 0.45, np.float32(0.55)
SAMPLES = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]])
"""Where in a pixel rays go through the outlines of shapes; elsewhere one ray through its middle is enough."""

COARSE = 4
"""Every how many pixels the ground is asked whether a shadow can fall there."""

VISIBLE = np.array([1, 1, 1, 0, 0, 0], np.uint8)
FAR = 1e6


class Floor(NamedTuple):
    """The ground as the camera sees it from anywhere at its height; h rows of the picture, from `top` down.

    height: of the ground. tile: edge of a tile, metres. offset: `[h, W, 2]`, from the eye to the points, metres. width:
    `[h, W, 2]`, what a pixel covers, tiles. dark, contrast: `[h, W, 3]`, colour of the dark tiles under the haze, and
    what the light ones add.
    """

    height: float
    tile: float
    top: int
    offset: np.ndarray
    width: np.ndarray
    dark: np.ndarray
    contrast: np.ndarray


class View(NamedTuple):
    """What stays the same through a film.

    axes: right, up, forward `[3, 3]`. pixel: a pixel's step to the right and down, `[2, 3]`. rays: `[H, W, 3]`
    through the pixels' middles, one unit long along forward. sky: `[H, W, 3]`. floor: None where there is none or the
    camera is below it.
    """

    axes: np.ndarray
    pixel: np.ndarray
    rays: np.ndarray
    sky: np.ndarray
    floor: Floor | None


class Hits(NamedTuple):
    """What R rays meet first. geom: `[R]`, −1 for nothing. point, normal: `[R, 3]`."""

    geom: np.ndarray
    point: np.ndarray
    normal: np.ndarray


def frames(scene: Scene) -> Iterator[np.ndarray]:
    """Draws a scene, one `[H, W, 3]` picture of bytes after another."""
    import mujoco

    model = copy.copy(scene.model)
    plane = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_group < 3)
    level = plane & (model.body_weldid[model.geom_bodyid] == 0) & (scene.geom_xmat[0, :, 8] > 0.99)
    view = _view(scene, scene.geom_xpos[0, level, 2].max() if level.any() else None)
    model.geom_group[level] = 5  # drawn by `_tiles`, as a formula; rays are for the shapes above it
    data = mujoco.MjData(model)
    # MuJoCo 4.0.0 looks for a body's shapes in a sphere whose centre it forgets to turn with the body, and rays miss
    # what they should meet; without a bounding volume it looks everywhere.
    model.body_bvhadr[:] = -1
    for frame, lookat in enumerate(scene.lookat):
        data.geom_xpos[:], data.geom_xmat[:] = scene.geom_xpos[frame], scene.geom_xmat[frame]
        picture = _frame(model, data, view, lookat, lookat - scene.distance * view.axes[2])
        yield (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _view(scene: Scene, ground: float | None) -> View:
    width, height = scene.size
    towards = axes(scene.azimuth, scene.elevation)
    step = 2 * np.tan(np.radians(FIELD_OF_VIEW / 2)) / height
    pixel = step * np.stack([towards[0], -towards[1]])
    columns, rows = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    rays = towards[2] + columns[None, :, None] * pixel[0] + rows[:, None, None] * pixel[1]
    sky = HORIZON + (ZENITH - HORIZON) * np.clip(2.5 * rays[..., 2:], 0, 1) ** 0.7
    above = 0.0 if ground is None else float(scene.lookat[0, 2] - scene.distance * towards[2, 2] - ground)
    floor = _floor(towards, rays, step, ground, above, scene.distance) if above > 0 else None
    return View(towards, pixel, rays, sky.astype(np.float32), floor)


def _floor(towards: np.ndarray, rays: np.ndarray, step: float, ground: float, above: float, distance: float) -> Floor | None:
    """The ground seen from `above` metres over it; `step` is a pixel's width at a distance of one."""
    down = rays[:, 0, 2] < -1e-3  # the camera does not roll: a row looks up or down as a whole
    if not down.any():
        return None
    rays, tile = rays[down], tile_edge(distance)
    depth = -above / rays[..., 2:]
    across = depth * step
    along = across / np.abs(rays[..., 2:])  # foreshortened
    heading = np.abs(towards[0, :2])  # of the picture's rows over the ground
    width = np.maximum((across * heading + along * heading[::-1]) / tile, 1e-3)
    clear = np.exp(-((depth / (10 * distance)) ** 2))
    dark, contrast = HORIZON + (TILES[1] - HORIZON) * clear, (TILES[0] - TILES[1]) * clear
    arrays = (array.astype(np.float32) for array in (depth * rays[..., :2], width, dark, contrast))
    return Floor(ground, tile, int(np.argmax(down)), *arrays)


def _frame(model: Any, data: Any, view: View, lookat: np.ndarray, eye: np.ndarray) -> np.ndarray:
    picture = view.sky.copy()
    if view.floor is not None:
        picture[view.floor.top :] = _tiles(model, data, view.floor, lookat, eye)
    box = _box(model, data, view, eye)
    rays, part = view.rays[box], picture[box]
    hits = _cast(model, data, eye, rays.reshape(-1, 3))
    behind, seen = part.copy(), (hits.geom >= 0).reshape(part.shape[:2])
    part[seen] = _shade(model, data, lookat, eye, _only(hits, seen.ravel()))
    outline = _outline(hits.geom.reshape(seen.shape))
    part[outline] = _softened(model, data, view, lookat, eye, rays[outline], behind[outline])
    return picture


def _box(model: Any, data: Any, view: View, eye: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the picture that can show a shape."""
    height, width = view.sky.shape[:2]
    shapes = _shapes(model)
    seen = (data.geom_xpos[shapes] - eye) @ view.axes.T
    radius, step = model.geom_rbound[shapes], np.linalg.norm(view.pixel[0])
    near = seen[:, 2] - radius
    endless = (model.geom_group < 3) & (model.geom_rbound == 0)
    if endless.any() or (near <= 1e-3).any() or not shapes.any():
        return slice(0, height), slice(0, width)
    # A sphere's outline lies between the sight lines past its near and past its far end.
    ends = np.stack([near, near + 2 * radius])[..., None]
    low, high = (seen[:, :2] - radius[:, None]) / ends / step, (seen[:, :2] + radius[:, None]) / ends / step
    left, right = low[..., 0].min() + width / 2 - 2, high[..., 0].max() + width / 2 + 2
    top, bottom = height / 2 - high[..., 1].max() - 2, height / 2 - low[..., 1].min() + 2
    return slice(*np.clip([top, bottom], 0, height).astype(int)), slice(*np.clip([left, right], 0, width).astype(int))


def _cast(model: Any, data: Any, origin: np.ndarray, directions: np.ndarray) -> Hits:
    import mujoco

    count = len(directions)
    geom, distance, normal = np.full(count, -1, np.int32), np.zeros(count), np.zeros(3 * count)
    if count:
        rays = np.ascontiguousarray(directions).ravel()
        mujoco.mj_multiRay(model, data, origin, rays, VISIBLE, 1, -1, geom, distance, normal, count, FAR)
    return Hits(geom, origin + distance[:, None] * directions, normal.reshape(-1, 3))


def _only(hits: Hits, mask: np.ndarray) -> Hits:
    return Hits(*(field[mask] for field in hits))


def _shade(model: Any, data: Any, lookat: np.ndarray, eye: np.ndarray, hits: Hits) -> np.ndarray:
    """Colours `[R, 3]`: sunlight, skylight from above, a little gloss."""
    material = model.geom_matid[hits.geom]
    colour = model.geom_rgba[hits.geom, :3].astype(float)
    if model.nmat:
        colour = np.where(material[:, None] >= 0, model.mat_rgba[material, :3], colour)
    sun = SUN / np.linalg.norm(SUN)
    lit = np.clip(hits.normal @ sun, 0, None) * ~_shaded(model, data, lookat, hits.point)
    half = sun + _unit(eye - hits.point)
    gloss = 0.25 * np.clip((hits.normal * _unit(half)).sum(-1), 0, 1) ** 40 * (lit > 0)
    light = AMBIENT * (0.75 + 0.25 * hits.normal[:, 2]) + 0.75 * lit
    return colour * light[:, None] + gloss[:, None]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _shaded(model: Any, data: Any, lookat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`[R]`: whether a shape stands between a point and the sun, which is far away behind what the camera looks at."""
    sun = lookat + 1e3 * SUN / np.linalg.norm(SUN)
    hits = _cast(model, data, sun, points - sun)
    gap = np.linalg.norm(hits.point - points, axis=-1)
    return (hits.geom >= 0) & (gap > 5e-3)


def _tiles(model: Any, data: Any, floor: Floor, lookat: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """The ground with the robot's shadow, `[h, W, 3]`."""
    shift = np.mod(eye[:2], 2 * floor.tile) / floor.tile
    colour = floor.dark + floor.contrast * _checker(floor.offset / floor.tile + shift.astype(np.float32), floor.width)
    box = _shadow_box(model, data, floor, eye)
    points = np.full((*floor.offset[box].shape[:2], 3), floor.height)
    points[..., :2] = eye[:2] + floor.offset[box]
    dark = _shaded(model, data, lookat, points.reshape(-1, 3)).reshape(points.shape[:2])
    colour[box] *= np.where(dark, SHADOW, np.float32(1))[..., None]
    return colour


def _checker(xy: np.ndarray, width: np.ndarray) -> np.ndarray:
    """A checkerboard of unit squares averaged over boxes `width` wide: `[..., 2]` to `[..., 1]` in [0, 1].

    Source: I. Quilez, "Filtering procedural textures: checkerboard" (the box filter of a product of square waves).
    """
    wave = lambda t: np.abs(t / 2 - np.floor(t / 2) - np.float32(0.5))
    parts = 2 * (wave(xy - width / 2) - wave(xy + width / 2)) / width
    return np.float32(0.5) - np.float32(0.5) * parts[..., :1] * parts[..., 1:]


def _shadow_box(model: Any, data: Any, floor: Floor, eye: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the ground that a shape's shadow can fall on; the rest needs no rays."""
    shapes = _shapes(model)
    centre, stretch = data.geom_xpos[shapes], model.geom_rbound[shapes, None] * np.linalg.norm(SUN) / SUN[2]
    fall = centre[:, :2] - SUN[:2] / SUN[2] * (centre[:, 2:] - floor.height) - eye[:2]
    low, high = (fall - stretch).min(0, initial=np.inf), (fall + stretch).max(0, initial=-np.inf)
    coarse = floor.offset[::COARSE, ::COARSE]
    near = ((coarse > low) & (coarse < high)).all(-1)
    return _span(near.any(1)), _span(near.any(0))


def _span(mask: np.ndarray) -> slice:
    """From before the first True to after the last, of a mask of every `COARSE`-th pixel."""
    index = COARSE * np.flatnonzero(mask)
    return slice(max(index[0] - COARSE, 0), index[-1] + COARSE) if len(index) else slice(0, 0)


def _shapes(model: Any) -> np.ndarray:
    """`[G]`: visible shapes of finite size."""
    return (model.geom_group < 3) & (model.geom_rbound > 0)


def _outline(geom: np.ndarray) -> np.ndarray:
    """`[H, W]`: pixels beside one that shows another shape."""
    edge = np.zeros(geom.shape, bool)
    across, down = geom[:, 1:] != geom[:, :-1], geom[1:] != geom[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _softened(
    model: Any, data: Any, view: View, lookat: np.ndarray, eye: np.ndarray, rays: np.ndarray, behind: np.ndarray
) -> np.ndarray:
    """Colours `[R, 3]` of pixels on outlines: means over several rays, on what is behind the shapes."""
    total = np.zeros_like(behind)
    for shift in SAMPLES:
        hits = _cast(model, data, eye, rays + shift @ view.pixel)
        colour, seen = behind.copy(), hits.geom >= 0
        colour[seen] = _shade(model, data, lookat, eye, _only(hits, seen))
        total += colour
    return total / len(SAMPLES)
