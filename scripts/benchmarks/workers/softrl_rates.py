"""Parts of `scripts/bench accelerator`, told one by one: a part that fails says why, and the next one follows.

`machine`: matrix products and memory traffic a second, measured. `cost`: what one update of one member costs. `rate`:
environment steps and updates a second of a whole training chunk, as `softrl.train` compiles it, for many members.

All programs are compiled at once, by threads, before the first rate is measured: one after the other they would take
most of the time that there is, and beside a measurement they would be in its way.
"""

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import jax

import softrl
from benchmarks import protocol
from benchmarks.counted import products
from benchmarks.workers import softrl_parts as parts
from benchmarks.workers.matmul import chain, copy
from softrl.clock import Clock
from softrl.training import devices
from softrl.training.assemble import assemble, member_hypers
from softrl.training.learn import learn
from softrl.training.members import single
from softrl.training.programs import RunPrograms, compile_programs
from softrl.training.state import init_learner


def configured(settings: dict, precision: str, members: int = 1) -> softrl.Config:
    """The run of a part; here alone a preset and a precision are asked for."""
    changes = {"seeds": members, "precision": precision, **settings["changes"]}
    return softrl.preset(settings["env"], name=settings["preset"], **changes)


def machine(settings: dict) -> dict:
    """Floating point operations a second in both precisions, and bytes a second."""
    size, length = (1024, 4) if jax.local_devices()[0].platform == "cpu" else (8192, 4)
    size, megabytes = (size // 4, 16) if settings["tiny"] else (size, 256)
    calls = {name: chain(1, size, length, name) for name in ("float32", "bfloat16")} | {"bytes": copy(megabytes)}
    rates = {}
    for name, call in calls.items():
        call()  # compiles
        work, seconds = protocol.repeated(call, settings["seconds"])
        rates[name] = work / seconds
    return rates


def cost(settings: dict, precision: str) -> dict:
    """Floating point operations of the matrix products of one update, and operations and bytes as XLA counts them.

    XLA counts those of the compiled program, where nothing is known of products that a library makes, and of a branch
    the dearest. An update has no loop, whose body XLA would count once.
    """
    assembled = assemble(configured(settings, precision))
    program, hypers = assembled.program._replace(updates_per_step=1), single(member_hypers(assembled))
    clock, learner = jax.eval_shape(
        lambda key: (Clock.start(), init_learner(program, key, hypers)), jax.random.key(0, impl="threefry2x32")
    )
    improve = lambda clock, learner, hypers: learn(program, clock, learner, hypers)[:2]
    asked = products(jax.make_jaxpr(improve)(clock, learner, hypers).jaxpr)
    compiled = jax.jit(improve).lower(clock, learner, hypers).compile().cost_analysis() or {}
    return {"products": asked, "flops": compiled.get("flops"), "bytes": compiled.get("bytes accessed")}


def programs(settings: dict, precision: str, members: int) -> tuple[softrl.Config, RunPrograms]:
    """The run of a rate, compiled."""
    config = configured(settings, precision, members)
    return config, compile_programs(assemble(config))


def rate(settings: dict, made: tuple[softrl.Config, RunPrograms]) -> dict:
    """Environment steps and gradient updates a second, all members; compile seconds; how many devices take part."""
    config, compiled = made
    run, members = compiled.init(), config.training.seeds

    def advance():
        nonlocal run
        run, _ = jax.block_until_ready(compiled.chunk(run, compiled.hypers))

    advance()  # warms up
    before = int(run.clock.update)
    chunks, seconds = protocol.repeated(protocol.clocked(advance, 1), settings["seconds"])
    parts.require_learning(run.learner.health)
    mesh = None if jax.local_devices()[0].platform == "cpu" else devices.make_mesh(members, 1)
    return {
        "env_steps_per_s": members * chunks * config.chunk_transitions / seconds,
        "updates_per_s": members * (int(run.clock.update) - before) / seconds,
        "compile_s": compiled.seconds,
        "devices": 1 if mesh is None else mesh.size,
    }


def told(part: dict, measure: Callable[[], dict]) -> dict:
    """What a part measured, or why it failed, in one line."""
    began = time.perf_counter()
    try:
        found = measure()
    except Exception as error:  # whatever it is, out of memory for example: the next part may do better
        found = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    return part | found | {"took_s": time.perf_counter() - began}


def main() -> None:
    """Measures the `parts` of its settings, one after the other."""
    settings, device = protocol.settings(), jax.local_devices()[0]
    versions = protocol.versions("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx")
    about = {"device": device.device_kind, "platform": device.platform, "count": len(jax.local_devices())}
    protocol.send({"kind": "about", **about, "versions": versions})
    compiled = [part for part in settings["parts"] if part["kind"] != "machine"]
    if len(compiled) < len(settings["parts"]):
        protocol.send(told({"kind": "machine"}, partial(machine, settings)))
    with ThreadPoolExecutor() as pool:
        makers = {"cost": cost, "rate": programs}
        found = [
            pool.submit(makers[part["kind"]], settings, **{name: x for name, x in part.items() if name != "kind"})
            for part in compiled
        ]
        wait(found)
    for part in compiled:
        made = found.pop(0)  # and so nobody keeps it
        measure = made.result if part["kind"] == "cost" else lambda made=made: rate(settings, made.result())
        protocol.send(told(part, measure))
        del made, measure
        gc.collect()  # a failed part's arrays may hang on a cycle
        jax.clear_caches()


if __name__ == "__main__":
    main()
