"""What resets cost: `env.step` with its refreshes against the simulator's own step, of the same members and actions.

Three contestants take turns, a stretch of steps each: `raw`, the simulator's step under two `vmap`s and nothing else;
`0`, softrl's environments, which reset when an episode ends; `T`, the same with first states that are made every T
steps by the clock. Members are those of one program, by `vmap`, as on an accelerator; the clock is not theirs.
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
from softrl.training.compilation import compiler_options
from softrl.training.identity import surroundings
from softrl.types import Env, EnvState

LENGTH = 40
"""Steps of a stretch: a divisor of the limits, a multiple of the intervals."""


class Contestant(NamedTuple):
    """run: `(state, actions [LENGTH, M, N, A], clock) -> (state, what it tells)`, compiled. state: where it is."""

    run: Callable[..., Any]
    state: Any


def stepped(env: Env, state: EnvState, actions: jax.Array, clock: jax.Array) -> tuple[EnvState, jax.Array]:
    """One member's stretch, as a run collects it. Returns: also which episodes ended, `[LENGTH, N]`."""

    def step(state, inputs):
        t, action = inputs
        if env.interval:
            bank = jax.lax.cond(t % env.interval == 0, env.refresh, lambda state: state.bank, state)
            state = state._replace(bank=bank)
        state = env.step(state, action)
        return state, state.terminated | state.truncated | ~state.valid

    return jax.lax.scan(step, state, (clock + jnp.arange(LENGTH), actions))


def raw(env: Env, sim: Any, actions: jax.Array, clock: jax.Array) -> tuple[Any, jax.Array]:
    """One member's stretch of physics alone: nothing ends, nothing is looked at."""
    # What `episodes` makes of a simulator has it as its first argument.
    step = jax.vmap(env.step.args[0].step)

    def one(sim, action):
        sim, _, reward, _ = step(sim, action)
        return sim, reward

    return jax.lax.scan(one, sim, actions)


def compiled(settings: dict) -> tuple[dict[str, Contestant], Env, float]:
    """All contestants in the same first states. Returns: also the environments with kept states; the seconds."""
    began = time.perf_counter()
    make = partial(softrl.preset, settings["env"], num_envs=settings["num_envs"])
    kept, made = (softrl.make_env(make(reset_interval=interval).env) for interval in (settings["interval"], 0))
    build = lambda function, *arguments: jax.jit(function).lower(*arguments).compile(compiler_options())
    keys = jax.random.split(jax.random.key(0), settings["members"])
    first = build(jax.vmap(kept.reset), keys)
    actions, clock = _actions(kept, settings["members"], 0), jnp.int32(0)
    starts = {
        "raw": (partial(raw, kept), first(keys).sim),
        "T": (partial(stepped, kept), first(keys)),
        "0": (partial(stepped, made), first(keys)._replace(bank=())),
    }
    contestants = {}
    for name, (function, state) in starts.items():
        members = jax.jit(jax.vmap(function, in_axes=(0, 1, None)), donate_argnums=0)
        contestants[name] = Contestant(members.lower(state, actions, clock).compile(compiler_options()), state)
    return contestants, kept, time.perf_counter() - began


def _actions(env: Env, members: int, stretch: int) -> jax.Array:
    key = jax.random.fold_in(jax.random.key(1), stretch)
    shape = (LENGTH, members, env.spec.num_envs, *env.spec.action.shape)
    return jax.block_until_ready(jax.random.uniform(key, shape, minval=-1.0, maxval=1.0))


def turn(
    contestants: dict[str, Contestant], actions: jax.Array, stretch: int
) -> tuple[dict[str, Contestant], dict[str, float], np.ndarray]:
    """A stretch of each, one after the other; who began last time comes last.

    Returns: the contestants; their seconds; which episodes of `T` ended, `[LENGTH, M, N]`.
    """
    names, clock = list(contestants), jnp.int32(stretch * LENGTH)
    first = stretch % len(names)
    new, spent, told = {}, {}, {}
    for name in names[first:] + names[:first]:
        run, state = contestants[name]
        began = time.perf_counter()
        state, told[name] = jax.block_until_ready(run(state, actions, clock))
        spent[name] = time.perf_counter() - began
        new[name] = Contestant(run, state)
    return {name: new[name] for name in names}, spent, np.moveaxis(np.asarray(told["T"]), 0, 1)


def fitting(limit: int, interval: int, step_s: float, budget_s: float) -> int:
    """Steps of a round that takes at most so many seconds: two episodes, one, or, where first states are made more
    often than that, as many whole intervals as there is time for; 0 where not even that fits."""
    most = int(budget_s / step_s)
    for steps in (2 * limit, limit):
        if steps <= most:
            return steps
    return most // LENGTH * LENGTH if interval < limit else 0


def shared(ended: np.ndarray, interval: int) -> tuple[int, int]:
    """Of the episodes that began behind ends `[T, ...]`, T from a refresh on: how many began in a state in which
    another one began, and how many there were. First states of an environment are the same between two refreshes."""
    whole = -(-len(ended) // interval) * interval
    padded = np.zeros((whole, *ended.shape[1:]), bool)
    padded[: len(ended)] = ended
    begun = padded.reshape(whole // interval, interval, *ended.shape[1:]).sum(axis=1)
    return int(begun[begun > 1].sum()), int(begun.sum())


def measured(settings: dict) -> dict[str, Any]:
    """Seconds of every round by contestant; freshness; what the programs took to compile."""
    contestants, env, compile_s = compiled(settings)
    limit, members, stretches = env.spec.episode_length, settings["members"], 0
    ended: list[np.ndarray] = []

    def go(count: int) -> dict[str, float]:
        nonlocal contestants, stretches
        total = dict.fromkeys(contestants, 0.0)
        for _ in range(count):
            contestants, spent, told = turn(contestants, _actions(env, members, stretches), stretches)
            total, stretches = {name: total[name] + spent[name] for name in total}, stretches + 1
            ended.append(told)
        return total

    go(1)  # warms up, and fills the bank
    step_s = sum(go(1).values()) / LENGTH
    steps = fitting(limit, env.interval, step_s, settings["seconds"] / settings["rounds"])
    if not steps:
        raise RuntimeError(f"a round of {limit:,} steps takes {limit * step_s:.0f} s: give --seconds")
    spent = [go(steps // LENGTH) for _ in range(settings["rounds"])]
    alike, begun = shared(np.concatenate(ended), env.interval)
    told = {"episode_length": limit, "interval": env.interval, "compile_s": compile_s, "steps": steps}
    rounds = {name: [one[name] for one in spent] for name in contestants}
    return told | {"rounds": rounds, "episodes": begun, "shared": alike, "clock": stretches * LENGTH}


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
