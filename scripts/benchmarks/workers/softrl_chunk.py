"""softrl's compiled chunk on Brax's half cheetah at Brax's sizes: environment steps, physics and updates together."""

import jax

import softrl
from benchmarks import protocol
from benchmarks.workers import softrl_parts as parts
from softrl.training.assemble import assemble
from softrl.training.programs import compile_programs


def main() -> None:
    """Serves."""
    settings = protocol.settings()
    config = softrl.preset(
        "brax/halfcheetah",
        backend="spring",
        num_envs=settings["num_envs"],
        updates_per_step=settings["updates_per_step"],
        batch_size=settings["batch_size"],
        chunk_steps=settings["vector_steps"],
        replay_size=settings["replay_size"],
        learning_starts=0,
        # Brax's networks: two hidden layers of 256, twin critics, no LayerNorm; normalised observations.
        width=256,
        depth=2,
        layer_norm=False,
        num_critics=2,
        policy_delay=1,
        normalize_obs=True,
        n_step=1,
        eval_episodes=1,
    )
    programs = compile_programs(assemble(config))
    run = programs.init()

    def advance():
        nonlocal run
        run, _ = jax.block_until_ready(programs.chunk(run, programs.hypers))

    def checked():
        timed = protocol.clocked(advance, config.chunk_transitions)()
        parts.require_learning(run.learner.health)
        return timed

    about = {
        "versions": protocol.versions("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx"),
        "device": jax.local_devices()[0].device_kind,
        "compile_s": programs.seconds,
    }
    protocol.serve({"softrl": checked}, about)


if __name__ == "__main__":
    main()
