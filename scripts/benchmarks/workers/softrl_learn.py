"""softrl's shipped `learn`: sampling from its replay, normaliser and health included, one jitted call of U updates."""

import jax

from benchmarks import protocol
from benchmarks.workers import softrl_parts as parts
from softrl.clock import Clock
from softrl.training.compilation import compiler_options
from softrl.training.health import Health
from softrl.training.learn import learn
from softrl.training.state import LearnerState


def variant(settings: dict, options: dict[str, int]) -> protocol.Call:
    """`learn` compiled with these options of XLA."""
    sizes, updates = parts.wished(settings), settings["updates_per_call"]
    program, hypers = parts.program(sizes, updates), parts.hypers(sizes)
    key = jax.random.key(0)
    learner = LearnerState(program.agent.init(key, hypers.agent), program.replay.init(), Health.good(), key)
    learner, clock = jax.jit(lambda learner: parts.filled(program, sizes, learner, Clock.start()))(learner)
    step = jax.jit(lambda clock, learner: learn(program, clock, learner, hypers)[:2], donate_argnums=(0, 1))
    step = step.lower(clock, learner).compile(compiler_options=options)

    def run():
        nonlocal clock, learner
        clock, learner = jax.block_until_ready(step(clock, learner))

    def checked():
        timed = protocol.clocked(run, updates)()
        parts.require_learning(learner.health)
        return timed

    return checked


def main() -> None:
    """Serves `softrl`, as it is shipped, and on a CPU the same with LLVM's best effort."""
    settings, device = protocol.settings(), jax.local_devices()[0]
    variants = {"softrl": variant(settings, compiler_options())}
    if device.platform == "cpu":
        variants["softrl, full LLVM"] = variant(settings, {})
    about = {
        "versions": protocol.versions("softrl", "jax", "jaxlib", "flax", "optax", "numpy"),
        "device": device.device_kind,
        "platform": device.platform,
    }
    protocol.serve(variants, about)


if __name__ == "__main__":
    main()
