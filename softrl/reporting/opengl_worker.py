"""Draws a scene with MuJoCo's OpenGL renderer, in a process of its own: `python opengl_worker.py FOLDER`.

A graphics driver is chosen by environment variables when MuJoCo is imported, and a broken one may crash the process;
neither should happen to a training run. This file imports nothing of softrl. FOLDER holds `model.mjb` and `scene.npz`
(see `opengl.frames`). On standard output: a line with the driver's name, then the frames' bytes.
"""

import os
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Draws the scene in the folder."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a driver prints must not come between the frames
    import mujoco
    import numpy as np

    model = mujoco.MjModel.from_binary_path(str(folder / "model.mjb"))
    scene = np.load(folder / "scene.npz", allow_pickle=False)
    width, height = (int(v) for v in scene["size"])
    _decorate(model, width, height, float(scene["tile"]))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    option, camera, sun = mujoco.MjvOption(), mujoco.MjvCamera(), np.array([0.35, 0.55, -0.76])
    # Shapes only: sites, tendons and the like would stay where the first pose had them.
    option.sitegroup[:] = option.tendongroup[:] = 0
    option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = False
    for name in ("distance", "azimuth", "elevation"):
        setattr(camera, name, float(scene[name]))
    with mujoco.Renderer(model, height, width) as renderer:
        from OpenGL import GL

        pipe.write(GL.glGetString(GL.GL_RENDERER).strip() + b"\n")
        pipe.flush()
        for xpos, xmat, lookat in zip(scene["geom_xpos"], scene["geom_xmat"], scene["lookat"], strict=True):
            data.geom_xpos[:], data.geom_xmat[:] = xpos, xmat
            if model.nlight:
                data.light_xpos[0], data.light_xdir[0] = lookat - 4 * sun, sun
            camera.lookat[:] = lookat
            renderer.update_scene(data, camera, option)
            pipe.write(renderer.render().tobytes())
    pipe.close()


def _decorate(model, width: int, height: int, tile: float) -> None:
    """Room for the picture, one sun, and light colours in the place of a black and white floor and a black sky."""
    import mujoco

    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.shadowsize = 2048  # enough for one robot, and a quarter of the work
    model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = 0.4, 0.3
    model.light_active[:] = 0
    if model.nlight:
        model.light_active[0], model.light_castshadow[0] = 1, 1
        model.light_type[0], model.light_mode[0] = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, 0
        model.light_diffuse[0], model.light_specular[0] = 0.6, 0.2
    if model.nmat:
        floors = model.geom_matid[model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE]
        model.mat_reflectance[:], model.mat_texuniform[floors[floors >= 0]] = 0, 1
        model.mat_texrepeat[floors[floors >= 0]] = 0.5 / tile  # a checkerboard picture is two tiles wide
    for texture in range(model.ntex):
        if model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            _recolour(model, texture, dark=(143, 181, 224), light=(230, 237, 245))
        elif model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_2D:
            _recolour(model, texture, dark=(168, 178, 194), light=(219, 224, 232))


def _recolour(model, texture: int, dark: tuple, light: tuple) -> None:
    """Replaces the greys of a texture: black by `dark`, white by `light`. Coloured ones stay as they are."""
    import numpy as np

    count = model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture]
    start = int(model.tex_adr[texture])
    pixels = model.tex_data[start : start + int(count)].reshape(-1, int(model.tex_nchannel[texture]))
    grey = pixels[:, :3].astype(np.float32)
    if np.ptp(grey, axis=1).max() < 60 and np.ptp(grey) > 0:
        share = (grey.mean(1, keepdims=True) - grey.min()) / np.ptp(grey)
        pixels[:, :3] = np.array(dark) * (1 - share) + np.array(light) * share


if __name__ == "__main__":
    main(Path(sys.argv[1]))
