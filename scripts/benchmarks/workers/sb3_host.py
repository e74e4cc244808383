"""Stable-Baselines3's `learn` on a Gymnasium environment, one update a step."""

from stable_baselines3 import SAC

from benchmarks import protocol
from benchmarks.workers.gymnasium_parts import host_model


def main() -> None:
    """Serves."""
    settings = protocol.settings()
    model = host_model(SAC, settings)
    call = lambda: model.learn(settings["steps"], reset_num_timesteps=False)
    about = {"versions": protocol.versions("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy")}
    protocol.serve({"Stable-Baselines3": protocol.clocked(call, settings["steps"])}, about)


if __name__ == "__main__":
    main()
