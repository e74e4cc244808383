"""What resets cost: `env.step` with its refreshes against the simulator's own step, of the same members and actions.

Three contestants take turns, a stretch of steps each: `raw`, the simulator's step under two `vmap`s and nothing else;
`0`, softrl's environments, which reset when an episode ends; `T`, the same with first states that are made every T
steps by the clock. Members are those of one program, by `vmap`, as on an accelerator; the clock is not theirs. A single
member is not batched, as in a run.
"""

import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import softrl
from benchmarks import protocol
from softrl.envs.episodes import fresh
from softrl.training.compilation import compiler_options
from softrl.training.identity import surroundings
from softrl.training.members import joined, single
from softrl.types import Env, EnvState, Simulator

LENGTHS = {False: 40, True: 8}
"""Whether there are several members -> steps of a stretch, a divisor of the limits and a multiple of the intervals."""


class Contestant(NamedTuple):
    """run: `(state, actions [T, M, N, A], clock) -> (state, what it tells)`, a compiled stretch. state: where it is."""

    run: Callable[..., Any]
    state: Any


def stepped(env: Env, state: EnvState, actions: jax.Array, clock: jax.Array) -> tuple[EnvState, jax.Array]:
    """One member's stretch, as a run collects it. Returns: also which episodes ended, `[T, N]`."""

    def step(state, inputs):
        t, action = inputs
        if env.interval:
            bank = jax.lax.cond(t % env.interval == 0, env.refresh, lambda state: state.bank, state)
            state = state._replace(bank=bank)
        state = env.step(state, action)
        return state, state.terminated | state.truncated | ~state.valid

    return jax.lax.scan(step, state, (clock + jnp.arange(len(actions)), actions))


def whole(env: Env) -> Simulator:
    """The simulator that environments are made of, with its whole state."""
    pruned = env.step.args[0]  # of `episodes`
    return pruned.reset.args[1]


def raw(env: Env, sim: Any, actions: jax.Array, clock: jax.Array) -> tuple[Any, jax.Array]:
    """One member's stretch of physics alone: nothing ends, nothing is looked at."""
    step = jax.vmap(whole(env).step)

    def one(sim, action):
        sim, _, reward, _ = step(sim, action)
        return sim, reward

    return jax.lax.scan(one, sim, actions)


def begun(env: Env, key: jax.Array) -> Any:
    """The whole states in which the first episodes of one member begin."""
    return fresh(whole(env), env.spec.num_envs, key, jnp.zeros(env.spec.num_envs, jnp.uint32))[0]


def compiled(settings: dict) -> tuple[dict[str, Contestant], Env, float]:
    """All contestants in the same first states. Returns: also the environments with kept states; the seconds."""
    began = time.perf_counter()
    make = partial(softrl.preset, settings["env"], num_envs=settings["num_envs"])
    kept, made = (softrl.make_env(make(reset_interval=interval).env) for interval in (settings["interval"], 0))
    build = lambda function, *arguments: jax.jit(function).lower(*arguments).compile(compiler_options())
    keys = jax.random.split(jax.random.key(0), settings["members"])
    first = build(jax.vmap(kept.reset), keys)
    physics = build(jax.vmap(partial(begun, kept)), keys)
    actions, clock = drawn(kept, settings["members"], 0), jnp.int32(0)
    starts = {
        "raw": (partial(raw, kept), physics(keys)),
        "T": (partial(stepped, kept), first(keys)),
        "0": (partial(stepped, made), first(keys)._replace(bank=())),
    }
    contestants = {}
    for name, (function, state) in starts.items():
        batched = jax.jit(partial(all_members, function), donate_argnums=0)
        contestants[name] = Contestant(batched.lower(state, actions, clock).compile(compiler_options()), state)
    return contestants, kept, time.perf_counter() - began


def all_members(function: Callable, state: Any, actions: jax.Array, clock: jax.Array) -> tuple[Any, jax.Array]:
    """A stretch of all members, whose axis is the first of what it tells."""
    if actions.shape[1] == 1:
        return joined(function(single(state), actions[:, 0], clock))
    return jax.vmap(function, in_axes=(0, 1, None))(state, actions, clock)


def drawn(env: Env, members: int, stretch: int) -> jax.Array:
    """The actions of a stretch, `[T, M, N, A]`, evenly distributed."""
    key = jax.random.fold_in(jax.random.key(1), stretch)
    shape = (LENGTHS[members > 1], members, env.spec.num_envs, *env.spec.action.shape)
    return jax.block_until_ready(jax.random.uniform(key, shape, minval=-1.0, maxval=1.0))


class Race(NamedTuple):
    """contestants: where each is. stretches: that each has gone. ended: which episodes of `T` ended, a stretch each,
    `[T, M, N]`."""

    contestants: dict[str, Contestant]
    stretches: dict[str, int]
    ended: list[np.ndarray]


def turn(race: Race, names: list[str], draw: Callable[[int], jax.Array]) -> tuple[Race, dict[str, float]]:
    """A stretch of these contestants, one after the other, each with the actions that `draw` has for its number.

    Returns: also their seconds.
    """
    contestants, stretches, ended, spent = dict(race.contestants), dict(race.stretches), list(race.ended), {}
    for name in names:
        (run, state), at = contestants[name], stretches[name]
        actions = draw(at)
        clock = jnp.int32(at * len(actions))
        began = time.perf_counter()
        state, told = jax.block_until_ready(run(state, actions, clock))
        spent[name] = time.perf_counter() - began
        contestants[name], stretches[name] = Contestant(run, state), at + 1
        if name == "T":
            ended.append(np.moveaxis(np.asarray(told), 0, 1))
    return Race(contestants, stretches, ended), spent


def lap(race: Race, stretches: dict[str, int], draw: Callable[[int], jax.Array]) -> tuple[Race, dict[str, float]]:
    """A round: so many stretches of each, one in turn of all that are not through; who began last time comes last.

    Returns: also seconds a stretch.
    """
    total = dict.fromkeys(stretches, 0.0)
    for stretch in range(max(stretches.values())):
        names = [name for name, wanted in stretches.items() if stretch < wanted]
        first = stretch % len(names)
        race, spent = turn(race, names[first:] + names[:first], draw)
        total |= {name: total[name] + seconds for name, seconds in spent.items()}
    return race, {name: seconds / stretches[name] for name, seconds in total.items()}


def fitting(limit: int, often: bool, stretch_s: dict[str, float], budget_s: float) -> dict[str, int]:
    """Stretches of a round that takes at most so many seconds, by contestant.

    Args: `limit`: of an episode, in stretches; `often`: whether first states are made more than once in one;
    `stretch_s`: seconds of a stretch of each.

    Half of the time is for `0`, at most two episodes: its resets are spread over all steps. The others share the other
    half: two episodes, one, or, where first states are made more often than that, as much as there is time for. Empty
    where not even that fits.
    """
    most, dear = (int(0.5 * budget_s / seconds) for seconds in (stretch_s["raw"] + stretch_s["T"], stretch_s["0"]))
    wanted = next((whole for whole in (2 * limit, limit) if whole <= most), most if often else 0)
    found = {"raw": wanted, "T": wanted, "0": min(dear, 2 * limit)}
    return found if all(found.values()) else {}


def shared(ended: np.ndarray, interval: int) -> tuple[int, int]:
    """Of the episodes that began behind ends `[T, ...]`, T from a refresh on: how many began in a state in which
    another one began, and how many there were. First states of an environment are the same between two refreshes."""
    whole = -(-len(ended) // interval) * interval
    padded = np.zeros((whole, *ended.shape[1:]), bool)
    padded[: len(ended)] = ended
    begun = padded.reshape(whole // interval, interval, *ended.shape[1:]).sum(axis=1)
    return int(begun[begun > 1].sum()), int(begun.sum())


def measured(settings: dict) -> dict[str, Any]:
    """Seconds a step in every round by contestant; freshness; what the programs took to compile."""
    contestants, env, compile_s = compiled(settings)
    length, limit = LENGTHS[settings["members"] > 1], env.spec.episode_length
    draw = partial(drawn, env, settings["members"])
    race = Race(contestants, dict.fromkeys(contestants, 0), [])
    race, _ = turn(race, list(contestants), draw)  # warms up, and fills the bank
    race, stretch_s = turn(race, list(contestants), draw)
    told = {"episode_length": limit, "interval": env.interval, "compile_s": compile_s}
    print(told, stretch_s, flush=True)
    stretches = fitting(limit // length, env.interval < limit, stretch_s, settings["seconds"] / settings["rounds"])
    if not stretches:
        slow = ", ".join(f"{name} {1000.0 * seconds / length:.0f}" for name, seconds in stretch_s.items())
        raise RuntimeError(f"no time for a round within {settings['seconds']:g} s; milliseconds a step: {slow}")
    rounds: list[dict[str, float]] = []
    for _ in range(settings["rounds"]):
        race, stretch_s = lap(race, stretches, draw)
        rounds.append({name: seconds / length for name, seconds in stretch_s.items()})
    alike, begun = shared(np.concatenate(race.ended), env.interval)
    steps = {name: some * length for name, some in stretches.items()}
    by_name = {name: [one[name] for one in rounds] for name in contestants}
    clock = race.stretches["T"] * length
    return told | {"steps": steps, "step_s": by_name, "episodes": begun, "shared": alike, "clock": clock}


def main() -> None:
    """Measures what its settings say."""
    settings, around = protocol.settings(), surroundings()
    try:
        told = measured(settings)
    except Exception as error:  # whatever it is, out of memory for example
        traceback.print_exc()
        protocol.refuse(f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])
    shipped = softrl.preset(settings["env"]).env.reset_interval
    about = {"versions": around["versions"], "device": around["machine"]["device"]}
    protocol.send({**told, "shipped": shipped, **about})


if __name__ == "__main__":
    main()
