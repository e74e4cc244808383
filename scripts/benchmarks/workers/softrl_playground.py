"""What one robot costs as softrl trains it, told stage by stage with the peak of this process's memory so far.

`import`: JAX, softrl and the simulator's library. `load`: its model. `trace`, `lower`, `compile`: two programs, `reset`
and a stretch of `step` with random actions, both softrl's own for all environments together, with true last
observations, truncation and kept first states; compiled as a run compiles them. `run`: the stretch again and again, and
what must hold of it. `film`: two seconds without any action, drawn.
"""

import resource
import statistics
import sys
import time
import traceback
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import protocol

FILM_S = 2.0
"""Length of a film."""


class Told(NamedTuple):
    """Of every step, all `[T, N]` bool. differs: whether `final_obs` and `obs` do."""

    terminated: Any
    truncated: Any
    valid: Any
    differs: Any


class Robot(NamedTuple):
    """An environment and its two programs, in whatever stage they are."""

    env: Any
    source: Any
    config: Any
    reset: Any = None
    stretch: Any = None


def imported(settings: dict) -> dict[str, Any]:
    """Imports what is needed, and says what numbers depend on."""
    from softrl.envs import playground
    from softrl.training.identity import surroundings

    if settings["env"].startswith("playground/"):
        playground.library()
    around = surroundings()
    return {"versions": around["versions"], "device": around["machine"]["device"]}


def loaded(settings: dict) -> tuple[Robot, dict[str, Any]]:
    """Makes the environments by softrl's defaults for this robot."""
    import softrl
    from softrl.envs import found

    config = softrl.preset(settings["env"], num_envs=settings["num_envs"]).env
    robot = Robot(softrl.make_env(config), found(config.env, config.kwargs), config)
    return robot, {"episode_length": config.episode_length, "reset_interval": robot.env.interval}


def stretch(env: Any, length: int, state: Any, key: Any, start: Any) -> tuple[Any, Told]:
    """`length` steps of actions drawn evenly, addressed by the step."""
    import jax
    import jax.numpy as jnp

    shape = (env.spec.num_envs, *env.spec.action.shape)

    def step(state, t):
        state = env.step(state, jax.random.uniform(jax.random.fold_in(key, t), shape, minval=-1.0, maxval=1.0))
        pairs = zip(jax.tree.leaves(state.final_obs), jax.tree.leaves(state.obs), strict=True)
        differs = [jnp.any((a != b).reshape(a.shape[0], -1), axis=1) for a, b in pairs]
        told = Told(state.terminated, state.truncated, state.valid, jnp.any(jnp.stack(differs), axis=0))
        return state, told

    return jax.lax.scan(step, state, start + jnp.arange(length))


def traced(robot: Robot, settings: dict) -> Robot:
    """Both programs, traced; the state of a step must be what a reset's is."""
    import jax
    import jax.numpy as jnp

    key, start = jax.random.key(0), jnp.int32(0)
    reset = jax.jit(robot.env.reset).trace(key)
    steps = jax.jit(partial(stretch, robot.env, settings["steps"]), donate_argnums=0).trace(reset.out_info, key, start)
    return robot._replace(reset=reset, stretch=steps)


def compiled(robot: Robot) -> tuple[Robot, dict[str, float]]:
    """Both programs, one after the other."""
    from softrl.training.compilation import compiler_options

    began = time.perf_counter()
    reset = robot.reset.compile(compiler_options())
    between = time.perf_counter()
    steps = robot.stretch.compile(compiler_options())
    told = {"reset_s": between - began, "steps_s": time.perf_counter() - between}
    return robot._replace(reset=reset, stretch=steps), told


def ran(robot: Robot, settings: dict) -> dict[str, Any]:
    """Rates, the median of repetitions after a first one, and what holds of all of them.

    reset_s: of all environments. steps_per_s: of all environments together, without resets.
    """
    import jax
    import jax.numpy as jnp

    seconds, told = [], []
    took, state = zip(*(_clocked(robot.reset, jax.random.key(i)) for i in range(3)), strict=True)
    state, first = state[-1], np.asarray(state[-1].steps)
    for i in range(1 + settings["repetitions"]):
        spent, (state, more) = _clocked(robot.stretch, state, jax.random.key(1), jnp.int32(i * settings["steps"]))
        seconds.append(spent)
        told.append(jax.device_get(more))
    whole = Told(*(np.concatenate(parts) for parts in zip(*told, strict=True)))
    rates = [settings["num_envs"] * settings["steps"] / spent for spent in seconds[1:]]
    rate = {"steps_per_s": statistics.median(rates), "rates": rates, "reset_s": statistics.median(took)}
    return rate | checks(whole, first, robot.config.episode_length) | {"not_finite": not_finite(state)}


def _clocked(call: Any, *arguments: Any) -> tuple[float, Any]:
    import jax

    began = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    return time.perf_counter() - began, result


def checks(told: Told, first: np.ndarray, limit: int) -> dict[str, int]:
    """Of a run from episode steps `first` `[N]` on: how many episodes fell, were cut and were spoiled; how many rows
    were cut at another step than the limit or not cut there (`cut_wrong`); and at how many ends the last observation is
    the next episode's first one, or elsewhere is not that of the next step (`last_wrong`)."""
    ended = told.terminated | told.truncated | ~told.valid
    cut_wrong, steps = 0, first.copy()
    for t in range(len(ended)):
        steps = steps + 1
        due = (steps == limit) & ~told.terminated[t] & told.valid[t]
        cut_wrong += int(np.sum(due != told.truncated[t]))
        steps[ended[t]] = 0
    return {
        "fell": int(told.terminated.sum()),
        "cut": int(told.truncated.sum()),
        "spoiled": int((~told.valid).sum()),
        "cut_wrong": cut_wrong,
        "last_wrong": int(np.sum(told.differs != ended)),
    }


def not_finite(state: Any) -> list[str]:
    """Where a state has numbers that are not finite."""
    import jax
    import jax.numpy as jnp

    leaves = jax.tree.leaves_with_path((state.obs, state.sim, state.reward))
    numbers = [(path, leaf) for path, leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return [jax.tree_util.keystr(path) for path, leaf in numbers if not np.isfinite(np.asarray(leaf)).all()]


def filmed(robot: Robot, settings: dict) -> dict[str, Any]:
    """Rolls two seconds out and draws them. seconds_a_frame: of drawing and writing, without the roll-out."""
    import jax.numpy as jnp

    from softrl.reporting import video

    still = lambda obs: jnp.zeros(robot.env.spec.action.shape)
    began = time.perf_counter()
    seen = robot.source.film(still, robot.config, seed=0, steps=_film_steps(robot))
    between, notes = time.perf_counter(), []
    path = video.poses(seen.model, seen.pos, seen.rot, settings["film"], fps=seen.fps, note=notes.append)
    drawing, frames = time.perf_counter() - between, -(-len(seen.pos) // max(1, int(np.ceil(seen.fps / video.MAX_FPS))))
    rolled = {"rolled_s": between - began, "drawn_s": drawing, "frames": frames, "seconds_a_frame": drawing / frames}
    return rolled | {"file": path.name, "notes": notes}


def _film_steps(robot: Robot) -> int:
    from softrl.envs import playground

    its = playground.library().get_default_config(robot.config.env.partition("/")[2])
    return round(FILM_S / (its.ctrl_dt * robot.config.action_repeat))


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def stages(settings: dict) -> Any:
    """Yields each stage's name and a function of the robot so far -> (robot, what to tell)."""
    yield "import", lambda robot: (robot, imported(settings))
    yield "load", lambda robot: loaded(settings)
    yield "trace", lambda robot: (traced(robot, settings), {})
    yield "lower", lambda robot: (robot._replace(reset=robot.reset.lower(), stretch=robot.stretch.lower()), {})
    yield "compile", compiled
    yield "run", lambda robot: (robot, ran(robot, settings))
    yield "film", lambda robot: (robot, filmed(robot, settings))


def main() -> None:
    """Tells the stages that its settings want, until one fails."""
    settings, robot = protocol.settings(), None
    for name, stage in stages(settings):
        if name not in settings["stages"]:
            continue
        began = time.perf_counter()
        try:
            robot, told = stage(robot)
        except Exception as error:  # whatever it is: this robot ends here, and says so in a line
            traceback.print_exc()
            said = " ".join(str(error).split())
            protocol.refuse(f"{type(error).__name__}: {said}"[:200])
        protocol.send({"stage": name, "took_s": time.perf_counter() - began, "peak_mib": peak_mib(), **told})


if __name__ == "__main__":
    main()
