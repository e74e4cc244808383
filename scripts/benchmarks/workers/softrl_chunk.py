"""softrl's compiled chunk on Brax's half cheetah at Brax's sizes: environment steps, physics and updates together."""

from collections.abc import Callable
from functools import partial

import jax

import softrl
from benchmarks import protocol
from benchmarks.workers import softrl_parts as parts
from softrl.training.assemble import assemble
from softrl.training.members import chunk_members
from softrl.training.programs import RunPrograms, compile_programs


def sized(settings: dict) -> softrl.Config:
    """Brax's sizes and networks: two hidden layers of 256, twin critics, no LayerNorm; normalised observations."""
    return softrl.preset(
        "brax/halfcheetah",
        backend="spring",
        num_envs=settings["num_envs"],
        updates_per_step=settings["updates_per_step"],
        batch_size=settings["batch_size"],
        chunk_steps=settings["vector_steps"],
        replay_size=settings["replay_size"],
        learning_starts=0,
        width=256,
        depth=2,
        norm="none",
        num_critics=2,
        policy_delay=1,
        normalize_obs=True,
        n_step=1,
        eval_episodes=1,
    )


def variant(config: softrl.Config, programs: RunPrograms, chunk: Callable) -> protocol.Call:
    """One chunk after another from the start of a run."""
    run = programs.init()

    def advance():
        nonlocal run
        run, _ = jax.block_until_ready(chunk(run, programs.hypers))

    def checked():
        timed = protocol.clocked(advance, config.chunk_transitions)()
        parts.require_learning(run.learner.health)
        return timed

    return checked


def main() -> None:
    """Serves `softrl`, as it is shipped, and on a CPU the same with LLVM's best effort."""
    settings, device = protocol.settings(), jax.local_devices()[0]
    config = sized(settings)
    assembled = assemble(config)
    programs = compile_programs(assembled)
    variants = {"softrl": variant(config, programs, programs.chunk)}
    if device.platform == "cpu":
        step = partial(chunk_members, assembled.program, length=config.training.chunk_steps, how="sequential")
        slow = jax.jit(step, donate_argnums=0).lower(programs.abstract, programs.hypers).compile()
        variants["softrl, full LLVM"] = variant(config, programs, slow)
    about = {
        "versions": protocol.versions("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx"),
        "device": device.device_kind,
        "compile_s": programs.seconds,
    }
    protocol.serve(variants, about)


if __name__ == "__main__":
    main()
