"""Stable-Baselines3's `train()` loop, PyTorch with as many threads as it chooses (one a core, or OMP_NUM_THREADS)."""

import torch
from stable_baselines3 import SAC
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
        if model.device.type == "cuda":
            torch.cuda.synchronize()

    about = {
        "versions": protocol.versions("stable-baselines3", "torch", "gymnasium", "numpy"),
        "device": str(model.device),
        "threads": torch.get_num_threads(),
    }
    protocol.serve({"Stable-Baselines3": protocol.clocked(train, updates)}, about)


if __name__ == "__main__":
    main()
