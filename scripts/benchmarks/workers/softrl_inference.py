"""Exact inference on tables, and the same recursion written by hand in numpy; streams one row a comparison.

The numpy loop is over models and over time and nothing else: a step is whole-array arithmetic on one model, in float64.
It comes in two kinds, with scipy's `logsumexp` and with plain numpy that never forms an exponential it does not need
(one a state and a matrix product, as softrl does where nothing underflows).
"""

import statistics
import time
from collections.abc import Callable
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from benchmarks import protocol
from softrl import inference

MODES = ("optimistic", "variational")


def main() -> None:
    """Measures what the settings ask for and streams it."""
    settings = protocol.settings()
    versions = {name: metadata.version(name) for name in ("jax", "numpy", "scipy")}
    protocol.send({"about": {"device": jax.devices()[0].device_kind, "platform": jax.default_backend(), **versions}})
    for mode in MODES:
        protocol.send({"table": "many", "mode": mode, **many_models(settings["many"], mode)})
    for mode in MODES:
        protocol.send({"table": "large", "mode": mode, **large_model(settings["large"], mode)})
    for horizon in settings["horizons"]:
        for states in settings["states"]:
            protocol.send({"table": "scan", "horizon": horizon, "states": states, **scans(horizon, states)})


def many_models(count: int, mode: str) -> dict:
    """One vmapped call over `count` models of S = 20, A = 5, T = 50 against Python loops over them; seconds."""
    models, horizon = random_models(count, 20, 5), 50
    row = {"models": count, "states": 20, "actions": 5, "horizon": horizon}
    for name, solve in (("scipy", messages_by_scipy), ("numpy", messages_by_numpy)):
        started = time.perf_counter()
        loop = [solve(*model, horizon, mode) for model in zip(*models, strict=True)]
        row[f"{name}_s"] = time.perf_counter() - started
    for bits in (32, 64):
        with jax.enable_x64(bits == 64):
            # Time first in the results, as the scan makes them: no copy is made to turn them round.
            batched = jax.jit(jax.vmap(lambda *model: messages(*model, horizon, mode), out_axes=1))
            row[f"compile_{bits}_s"], row[f"softrl_{bits}_s"], v = measure(batched, *map(jnp.asarray, models))
    difference = float(np.abs(v - np.array(loop)).max())
    if not difference < 1e-9:
        raise RuntimeError(f"softrl and numpy differ by {difference:.3g}: nothing to compare")
    return row | {"greatest_difference": difference}


def large_model(states: int, mode: str) -> dict:
    """One model of A = 10, T = 100, float32; seconds."""
    model = [jnp.asarray(x[0]) for x in random_models(1, states, 10)]
    compile_s, run_s, _ = measure(jax.jit(lambda *model: messages(*model, 100, mode)), *model)
    return {"states": states, "actions": 10, "horizon": 100, "compile_s": compile_s, "softrl_32_s": run_s}


def scans(horizon: int, states: int) -> dict:
    """The associative scan against the sequential one, A = 4, float32; seconds."""
    model, row = [jnp.asarray(x[0]) for x in random_models(1, states, 4)], {}
    for name, parallel in (("sequential", False), ("associative", True)):
        solve = jax.jit(lambda *model, parallel=parallel: messages(*model, horizon, "optimistic", parallel))
        row[f"{name}_compile_s"], row[f"{name}_s"], _ = measure(solve, *model)
    return row


def random_models(count: int, states: int, actions: int) -> tuple[np.ndarray, np.ndarray]:
    """Transitions `[count, S, A, S]` and rewards `[count, S, A]`, float64."""
    rng = np.random.default_rng(0)
    transition = rng.random((count, states, actions, states), dtype=np.float32).astype(np.float64) ** 4
    return transition / transition.sum(-1, keepdims=True), rng.normal(size=(count, states, actions))


def messages(
    transition: jax.Array, reward: jax.Array, horizon: int, mode: str, parallel: bool = False
) -> inference.Messages:
    """All of what `backward_messages` returns, so that nothing of it is optimised away."""
    start = jnp.full(transition.shape[0], 1 / transition.shape[0], transition.dtype)
    mdp = inference.TabularMDP(transition, reward, start)
    return inference.backward_messages(mdp, horizon, mode=mode, parallel=parallel)


def messages_by_scipy(transition: np.ndarray, reward: np.ndarray, horizon: int, mode: str) -> np.ndarray:
    """The recursion as one writes it with scipy; every Q, V and log policy is kept, as in softrl."""
    v, kept = np.zeros(len(reward)), []
    for _ in range(horizon):
        ahead = transition @ v if mode == "variational" else logsumexp(v[None, None], b=transition, axis=-1)
        q = reward + ahead
        v = logsumexp(q, axis=-1)
        kept.append((q, v, q - v[:, None]))
    return v


def messages_by_numpy(transition: np.ndarray, reward: np.ndarray, horizon: int, mode: str) -> np.ndarray:
    """The same without scipy's checks, the log-expectation as a matrix product."""
    v, kept = np.zeros(len(reward)), []
    for _ in range(horizon):
        if mode == "variational":
            q = reward + transition @ v
        else:
            top = v.max()
            q = reward + (np.log(transition @ np.exp(v - top)) + top)
        top = q.max(axis=1)
        v = np.log(np.exp(q - top[:, None]).sum(axis=1)) + top
        kept.append((q, v, q - v[:, None]))
    return v


def measure(function: Callable, *arguments: jax.Array) -> tuple[float, float, np.ndarray]:
    """Seconds to compile with a first run, median seconds of later runs, and the first values."""
    started = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    compile_s, runs = time.perf_counter() - started, []
    while len(runs) < 3 or (sum(runs) < 1.0 and len(runs) < 50):
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        runs.append(time.perf_counter() - started)
    return compile_s, statistics.median(runs), np.asarray(result.v[0])


if __name__ == "__main__":
    main()
