"""softrl's shipped host loop, `softrl train gym/…` without evaluations: as shipped, a step a call, and waiting.

Networks as published, without LayerNorm, as the peers have them; the observation normaliser stays on.
"""

from benchmarks import protocol
from softrl.presets import preset
from softrl.training.assemble import assemble
from softrl.training.programs import compile_programs


def variant(settings: dict, **changes: object) -> protocol.Call:
    """Whole chunks of a run that is past its warm-up."""
    steps = settings["steps"]
    config = preset(
        f"gym/{settings['env']}",
        norm="none",
        batch_size=settings["batch_size"],
        replay_size=settings["replay_size"],
        learning_starts=settings["batch_size"],
        chunk_steps=steps,
        eval_episodes=1,
        **changes,
    )
    programs = compile_programs(assemble(config))
    run = programs.init()

    def chunk():
        nonlocal run
        run, _ = programs.chunk(run, programs.hypers)
        if int(run.learner.health.code[0]):
            raise RuntimeError("the learner froze; its speed says nothing")

    return protocol.clocked(chunk, steps)


def main() -> None:
    """Serves `softrl`, `softrl, a step a call` and `softrl, waiting`."""
    settings = protocol.settings()
    variants = {
        "softrl": variant(settings),
        "softrl, a step a call": variant(settings, train_freq=1),
        "softrl, waiting": variant(settings, train_freq=1, overlap=False),
    }
    protocol.serve(variants, {"versions": protocol.versions("softrl", "jax", "jaxlib", "gymnasium", "mujoco", "numpy")})


if __name__ == "__main__":
    main()
