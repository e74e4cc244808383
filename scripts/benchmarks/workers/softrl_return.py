"""Evaluation returns of a softrl training run as `softrl train` runs it, with checkpoints, told as they come.

`evaluated_s` are the seconds that evaluations took so far: from the end of the chunk behind which one comes (or of
compiling) until its line is written, checkpoint included. `in_memory` trains as `softrl.train` without a directory.
An older commit's softrl, which has one algorithm and prints nothing, is understood, too.
"""

import inspect
import time
from collections.abc import Callable

import jax

import softrl
from benchmarks import protocol
from softrl.errors import ConfigError


def main() -> None:
    """Trains on `env` by its `preset` with `changes`, into the directory `out`."""
    settings = protocol.settings()
    try:
        own = {"algorithm": settings["algorithm"]} if "algorithm" in settings else {}
        config = softrl.preset(settings["env"], name=settings.get("preset", "tuned"), **own, **settings["changes"])
    except ConfigError as error:
        protocol.refuse(str(error))
    packages = ("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx")
    protocol.send(
        {
            "event": "about",
            "versions": protocol.versions(*packages),
            "device": jax.local_devices()[0].device_kind,
            "config": softrl.config.to_json(config),
        }
    )
    out = None if settings.get("in_memory") else settings["out"]
    silent = {"progress": False} if "progress" in inspect.signature(softrl.train).parameters else {}
    softrl.train(config, out=out, listener=listener(), **silent)


def listener() -> Callable[[dict], None]:
    """Tells evaluations, and how long they took so far."""
    evaluated, since = 0.0, time.perf_counter()

    def hear(event: dict) -> None:
        nonlocal evaluated, since
        now = time.perf_counter()
        if event["event"] == "evaluation":
            evaluated += now - since
            tell(event["record"], evaluated)
        elif event["event"] != "saved":  # a part of the evaluation that it belongs to
            since = now

    return hear


def tell(record: dict, evaluated: float) -> None:
    """One evaluation."""
    protocol.send(
        {
            "event": "evaluation",
            "env_steps": record["env_steps"],
            "updates": record["updates"],
            "return": record["eval"]["return_mean"][0],
            "stochastic_return": record["eval"]["stochastic_return_mean"][0],
            "compile_s": record["timing"]["compile_s"],
            "evaluated_s": evaluated,
        }
    )


if __name__ == "__main__":
    main()
