"""SBX's `train()`: it samples all batches of a call at once on the host and scans over them in one jitted program."""

import jax
from sbx import SAC
from stable_baselines3.common.logger import configure

from benchmarks import protocol
from benchmarks.workers.gymnasium_parts import idle_model


def main() -> None:
    """Serves."""
    settings = protocol.settings()
    updates, batch = settings["updates_per_call"], settings["batch_size"]
    model = idle_model(SAC, settings)
    model.set_logger(configure(None, []))

    def train():
        model.train(gradient_steps=updates, batch_size=batch)
        jax.block_until_ready((model.policy.actor_state.params, model.policy.qf_state.target_params))

    about = {
        "versions": protocol.versions("sbx-rl", "stable-baselines3", "jax", "jaxlib", "flax", "optax", "numpy"),
        "device": jax.local_devices()[0].device_kind,
    }
    protocol.serve({"SBX": protocol.clocked(train, updates)}, about)


if __name__ == "__main__":
    main()
