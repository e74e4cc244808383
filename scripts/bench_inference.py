#!/usr/bin/env python
"""How fast exact inference on tables is, against the same recursion in numpy and scipy.

    python scripts/bench_inference.py [--out bench_inference.json] [--quick]

Three tables: many small models in one compiled call, one large model, and the associative scan against the sequential
one. Times are medians of several runs after compilation; compilation is reported apart.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from softrl import inference

MODES = ("optimistic", "variational")
SPEEDUP_BAR = 50.0  # 1,000 models of S = 20, A = 5, T = 50 against the scipy loop
SECONDS_BAR = 2.0  # one model of S = 1,000, A = 10, T = 100, on two cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench_inference.json"), help="where the JSON goes")
    parser.add_argument("--quick", action="store_true", help="smaller problems: only that it runs")
    arguments = parser.parse_args()
    result = {
        "machine": machine(),
        "many": many_models(50 if arguments.quick else 1000),
        "large": large_model(100 if arguments.quick else 1000),
        "scan": scans((64,) if arguments.quick else (1000, 4096), (8,) if arguments.quick else (8, 16, 32, 64)),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {arguments.out}")


def machine() -> dict:
    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy", "scipy")}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = jax.devices()[0]
    print(f"{device.platform} {device.device_kind}, {cores} cores, {versions}")
    return {"device": device.device_kind, "platform": device.platform, "cores": cores, **versions}


def many_models(count: int) -> list[dict]:
    """One vmapped call over `count` models against a Python loop over them."""
    states, actions, horizon = 20, 5, 50
    models = random_models(count, states, actions)
    rows = []
    print(f"\n{count} models, S={states}, A={actions}, T={horizon}; seconds")
    print("mode          scipy loop  numpy loop  softrl f32  softrl f64   float64 against scipy, numpy")
    for mode in MODES:
        row = {"mode": mode, "models": count, "states": states, "actions": actions, "horizon": horizon}
        for name, log_sum in (("scipy", logsumexp), ("numpy", plain_logsumexp)):
            started = time.perf_counter()
            loop = [messages_in_numpy(*model, horizon, mode, log_sum) for model in zip(*models, strict=True)]
            row[f"{name}_s"] = time.perf_counter() - started
        for bits in (32, 64):
            with jax.enable_x64(bits == 64):
                solve = jax.jit(jax.vmap(lambda *model, mode=mode: first_values(*model, horizon, mode)))
                arrays = [jnp.asarray(x) for x in models]
                row[f"compile_{bits}_s"], row[f"softrl_{bits}_s"], v = measure(solve, *arrays)
        row["greatest_difference"] = float(np.abs(v - np.array(loop)).max())
        row["speedup_scipy"], row["speedup_numpy"] = (
            row[f"{name}_s"] / row["softrl_64_s"] for name in ("scipy", "numpy")
        )
        row["bar"], row["passes"] = SPEEDUP_BAR, row["speedup_scipy"] >= SPEEDUP_BAR
        rows.append(row)
        times = "".join(f"{row[name]:12.4f}" for name in ("scipy_s", "numpy_s", "softrl_32_s", "softrl_64_s"))
        ratios = f"{row['speedup_scipy']:6.0f} x {row['speedup_numpy']:6.1f} x"
        print(f"{mode:12}{times}   {ratios}  compile {row['compile_64_s']:.2f}")
    return rows


def large_model(states: int) -> list[dict]:
    actions, horizon, rows = 10, 100, []
    model = [jnp.asarray(x[0]) for x in random_models(1, states, actions)]
    print(f"\none model, S={states}, A={actions}, T={horizon}, float32; seconds (bar {SECONDS_BAR:g})")
    for mode in MODES:
        compile_s, run_s, _ = measure(jax.jit(lambda *model, mode=mode: first_values(*model, horizon, mode)), *model)
        row = {"mode": mode, "states": states, "actions": actions, "horizon": horizon}
        rows.append(row | {"seconds": run_s, "compile_s": compile_s, "bar": SECONDS_BAR, "passes": run_s < SECONDS_BAR})
        print(f"{mode:12} {run_s:8.3f}  compile {compile_s:.2f}")
    return rows


def scans(horizons: tuple[int, ...], sizes: tuple[int, ...]) -> list[dict]:
    rows = []
    print("\noptimistic messages, A=4, float32; milliseconds\n  T     S   sequential  associative  ratio")
    for horizon in horizons:
        for states in sizes:
            model = [jnp.asarray(x[0]) for x in random_models(1, states, 4)]
            row = {"horizon": horizon, "states": states}
            for name, parallel in (("sequential", False), ("associative", True)):
                solve = lambda *model, parallel=parallel, horizon=horizon: first_values(
                    *model, horizon, "optimistic", parallel
                )
                row[f"{name}_compile_s"], row[f"{name}_s"], _ = measure(jax.jit(solve), *model)
            row["ratio"] = row["sequential_s"] / row["associative_s"]
            rows.append(row)
            times = f"{1e3 * row['sequential_s']:12.2f} {1e3 * row['associative_s']:12.2f}"
            print(f"{horizon:5d} {states:4d} {times} {row['ratio']:6.2f}")
    return rows


def random_models(count: int, states: int, actions: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    transition = rng.random((count, states, actions, states), dtype=np.float32).astype(np.float64) ** 4
    return transition / transition.sum(-1, keepdims=True), rng.normal(size=(count, states, actions))


def first_values(
    transition: jax.Array, reward: jax.Array, horizon: int, mode: str, parallel: bool = False
) -> jax.Array:
    start = jnp.full(transition.shape[0], 1 / transition.shape[0], transition.dtype)
    mdp = inference.TabularMDP(transition, reward, start)
    return inference.backward_messages(mdp, horizon, mode=mode, parallel=parallel).v[0]


def messages_in_numpy(
    transition: np.ndarray, reward: np.ndarray, horizon: int, mode: str, log_sum: Callable
) -> np.ndarray:
    """The recursion as one writes it in numpy; it keeps every Q and V, as the library does."""
    v, kept = np.zeros(len(reward)), []
    for _ in range(horizon):
        expected = transition @ v if mode == "variational" else log_sum(v[None, None], b=transition, axis=-1)
        q = reward + expected
        v = log_sum(q, axis=-1)
        kept.append((q, v, q - v[:, None]))
    return v


def plain_logsumexp(x: np.ndarray, axis: int, b: np.ndarray | float = 1.0) -> np.ndarray:
    top = x.max(axis=axis, keepdims=True)
    return np.log((b * np.exp(x - top)).sum(axis=axis)) + top.squeeze(axis)


def measure(function: Callable, *arguments: jax.Array) -> tuple[float, float, np.ndarray]:
    """Seconds to compile with a first run, median seconds of later runs, and the result."""
    started = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    compile_s, runs = time.perf_counter() - started, []
    while len(runs) < 3 or (sum(runs) < 1.0 and len(runs) < 50):
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        runs.append(time.perf_counter() - started)
    return compile_s, statistics.median(runs), np.asarray(result)


if __name__ == "__main__":
    main()
