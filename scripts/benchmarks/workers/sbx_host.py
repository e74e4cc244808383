"""SBX's `learn` on a Gymnasium environment, one update a step."""

import jax
from sbx import SAC

from benchmarks import protocol
from benchmarks.workers.gymnasium_parts import host_model


def main() -> None:
    """Serves."""
    settings = protocol.settings()
    model = host_model(SAC, settings)

    def learn():
        model.learn(settings["steps"], reset_num_timesteps=False)
        jax.block_until_ready((model.policy.actor_state.params, model.policy.qf_state.target_params))

    packages = ("sbx-rl", "stable-baselines3", "jax", "jaxlib", "gymnasium", "mujoco", "numpy")
    protocol.serve({"SBX": protocol.clocked(learn, settings["steps"])}, {"versions": protocol.versions(*packages)})


if __name__ == "__main__":
    main()
