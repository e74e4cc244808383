"""What a film shows: where the robot's parts are, where the camera stands, how things are coloured.

Both renderers (`raycast`, `opengl`) draw the same `Scene`. Positions come from the simulator's own link frames rather
than from joint angles through forward kinematics: the joints of Brax's `spring` and `positional` physics stretch
(measured: up to 10 cm on a halfcheetah), and a film should show what was simulated.
"""

import copy
from typing import Any, NamedTuple

import numpy as np

from softrl.errors import RenderError

FIELD_OF_VIEW = 45.0
"""Vertical, degrees."""

FILLED = 0.6
"""Share of the picture's height or width that the robot's greatest extent fills."""

TORSO = (0.33, 0.36, 0.42, 1.0)
LIMBS = (
    (0.90, 0.45, 0.13, 1.0),
    (0.10, 0.45, 0.70, 1.0),
    (0.00, 0.62, 0.45, 1.0),
    (0.80, 0.47, 0.65, 1.0),
    (0.94, 0.76, 0.20, 1.0),
)
"""Okabe and Ito's colours, told apart by colour-blind eyes too: one a limb, so that one sees which leg is where."""


class Camera(NamedTuple):
    """Where a film is seen from; None leaves a field to `scene`.

    azimuth: degrees; 90 looks along +y, so that a robot that runs along +x runs to the right.
    elevation: degrees; negative looks down. distance: metres from the robot. follow: whether the camera goes with it.
    """

    azimuth: float | None = None
    elevation: float | None = None
    distance: float | None = None
    follow: bool | None = None


class Scene(NamedTuple):
    """A film before it is drawn: T frames of a model of G shapes.

    model: `mujoco.MjModel`, a copy that was coloured. geom_xpos: `[T, G, 3]` and geom_xmat: `[T, G, 9]`, the shapes'
    frames in the world, named as the fields of `mujoco.MjData`. lookat: `[T, 3]`, what the camera looks at. distance:
    metres. azimuth, elevation: degrees. size: width and height in pixels.
    """

    model: Any
    geom_xpos: np.ndarray
    geom_xmat: np.ndarray
    lookat: np.ndarray
    distance: float
    azimuth: float
    elevation: float
    size: tuple[int, int]


def scene(model: Any, pos: np.ndarray, rot: np.ndarray, *, size: tuple[int, int], camera: Camera, fps: float) -> Scene:
    """The scene of a trajectory.

    The camera follows a robot that leaves its place, smoothly, and stands still before one that does not; it stands
    as near as the whole film allows, and looks down on robots that move in a plane parallel to the floor, otherwise
    from a little above their side.

    Args:
      model: `mujoco.MjModel`. pos: `[T, L, 3]` and rot: `[T, L, 4]` (w, x, y, z), frames of its L bodies but the world.
      size: width and height, pixels. fps: frames a second.
    Raises:
      RenderError: the frames are not of this model, or none is finite.
    """
    geom_xpos, geom_xmat = _shapes(model, *_finite(model, pos, rot))
    moving = _moving(model)
    path = _smooth(geom_xpos[:, moving].mean(1), window=fps) * np.array([1.0, 1.0, 0.0])
    middle, reach = _boxes(model, moving, geom_xpos, geom_xmat)
    extent = (middle[0] + reach[0]).max(0) - (middle[0] - reach[0]).min(0)
    # Farther over the floor than three quarters of its size.
    leaves = bool(np.ptp(path, axis=0).max() > 0.75 * extent.max())
    follow = leaves if camera.follow is None else camera.follow
    base = path if follow else np.zeros_like(path)
    middle = middle - base[:, None]
    low, high = (middle - reach).min((0, 1)), (middle + reach).max((0, 1))
    flat = (high - low)[2] < 0.45 * (high - low)[:2].min()
    elevation = float((-65.0 if flat else -14.0) if camera.elevation is None else camera.elevation)
    azimuth = float((105.0 if elevation > -45 else 90.0) if camera.azimuth is None else camera.azimuth)
    near = _distance(middle - (low + high) / 2, reach, axes(azimuth, elevation), size)
    distance = float(near if camera.distance is None else camera.distance)
    return Scene(_coloured(model), geom_xpos, geom_xmat, base + (low + high) / 2, distance, azimuth, elevation, size)


def axes(azimuth: float, elevation: float) -> np.ndarray:
    """The camera's axes in the world, rows right, up and forward `[3, 3]`; angles in degrees, as MuJoCo's."""
    a, e = np.radians([azimuth, elevation])
    forward = np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    right = np.array([np.sin(a), -np.cos(a), 0.0])
    return np.stack([right, np.cross(right, forward), forward])


def tile_edge(distance: float) -> float:
    """Edge of a floor tile, metres: one before a robot of about a metre, else the power of ten nearest to its size."""
    return float(10.0 ** np.round(np.log10(distance / 4)))


def _finite(model: Any, pos: np.ndarray, rot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pos, rot = np.asarray(pos, np.float64), np.asarray(rot, np.float64)
    links = model.nbody - 1
    if pos.ndim != 3 or pos.shape[1:] != (links, 3) or rot.shape != (*pos.shape[:2], 4):
        raise RenderError(
            f"positions [T, {links}, 3] and rotations [T, {links}, 4] of one environment expected, "
            f"got {list(pos.shape)} and {list(rot.shape)}; take one environment out of the batch, and its own system"
        )
    good = np.isfinite(pos).all((1, 2)) & np.isfinite(rot).all((1, 2))
    frames = len(good) if good.all() else int(np.argmin(good))
    if frames == 0:
        raise RenderError("the trajectory has no finite state to show")
    return pos[:frames], rot[:frames]


def _shapes(model: Any, pos: np.ndarray, rot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World frames of all shapes from those of the bodies that hold them."""
    frames, body = len(pos), model.geom_bodyid
    pos = np.concatenate([np.zeros((frames, 1, 3)), pos], 1)[:, body]
    mat = np.concatenate([np.broadcast_to(np.eye(3), (frames, 1, 3, 3)), _matrix(rot)], 1)[:, body]
    turned = (mat @ _matrix(model.geom_quat)).reshape(frames, model.ngeom, 9)
    return pos + np.einsum("tgij,gj->tgi", mat, model.geom_pos), turned


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrices `[..., 3, 3]` of quaternions `[..., 4]`, (w, x, y, z)."""
    w, x, y, z = np.moveaxis(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def visible(model: Any) -> np.ndarray:
    """`[G]`: shapes of finite size that are shown."""
    return (model.geom_group < 3) & (model.geom_rbound > 0)


def _moving(model: Any) -> np.ndarray:
    """`[G]`: shapes that are seen and not welded to the world; all but the planes where there is none."""
    seen = visible(model)
    moving = seen & (model.body_weldid[model.geom_bodyid] != 0)
    if not seen.any():
        raise RenderError("the model has no shapes to show")
    return moving if moving.any() else seen


def _smooth(path: np.ndarray, window: float) -> np.ndarray:
    """`[T, 3]` without what happens within a `window` of frames: a Gaussian of a quarter of it, ends continued."""
    width = max(window / 4, 1e-6)
    half = int(np.ceil(3 * width))
    if len(path) < 2:
        return path
    weight = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
    # Odd reflection, so that a robot that is running when the film begins or ends stays in the middle.
    away = np.minimum(np.arange(1, half + 1), len(path) - 1)
    before, after = 2 * path[0] - path[away[::-1]], 2 * path[-1] - path[-1 - away]
    padded = np.concatenate([before, path, after])
    return np.stack([np.convolve(column, weight / weight.sum(), "valid") for column in padded.T], 1)


def _boxes(model: Any, shown: np.ndarray, pos: np.ndarray, mat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles and half extents `[T, S, 3]` of the boxes, parallel to the world's axes, around the shapes shown."""
    mat = mat[:, shown].reshape(len(mat), -1, 3, 3)
    centre, half = model.geom_aabb[shown, :3], model.geom_aabb[shown, 3:]
    return pos[:, shown] + np.einsum("tsij,sj->tsi", mat, centre), np.einsum("tsij,sj->tsi", np.abs(mat), half)


def _distance(middle: np.ndarray, reach: np.ndarray, view: np.ndarray, size: tuple[int, int]) -> float:
    """The nearest place from which the boxes fill no more than `FILLED` of the picture in any frame."""
    middle, reach = middle @ view.T, reach @ np.abs(view.T)
    slope = np.tan(np.radians(FIELD_OF_VIEW / 2)) * FILLED * np.array([size[0] / size[1], 1.0])
    return max(float(((np.abs(middle) + reach)[..., :2] / slope - middle[..., 2:]).max()), 1e-2)


def _coloured(model: Any) -> Any:
    """A copy of the model in which an uncoloured robot has one colour a limb, lit well, on an endless floor."""
    model = copy.copy(model)
    moving = _moving(model)
    model.vis.global_.fovy = FIELD_OF_VIEW
    model.geom_size[model.geom_type == 0, :2] = 0.0  # MuJoCo: an infinite plane
    materials = model.mat_rgba[model.geom_matid] if model.nmat else model.geom_rgba
    colours = np.where(model.geom_matid[:, None] >= 0, materials, model.geom_rgba)
    if len(np.unique(colours[moving], axis=0)) == 1:
        limb = _limbs(model)[model.geom_bodyid[moving]]
        model.geom_rgba[moving] = np.where(limb[:, None] < 0, TORSO, np.array(LIMBS)[limb % len(LIMBS)])
        model.geom_matid[moving] = -1
    return model


def _limbs(model: Any) -> np.ndarray:
    """`[B]`: −1 for bodies that hang on the world; every child of those, and of a body with several, begins a limb."""
    limb, count = np.full(model.nbody, -1), 0
    for body in range(1, model.nbody):
        parent = model.body_parentid[body]
        if parent == 0:
            continue
        limb[body] = limb[parent]
        if limb[parent] < 0 or (model.body_parentid == parent).sum() > 1:
            limb[body], count = count, count + 1
    return limb
