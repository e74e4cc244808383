"""Environment steps a second of Brax's own SAC, as it reports them itself (`training/sps`, its evaluations left out).

Brax trains in one call that cannot be paused, so the turns are taken in its progress callback: an epoch a turn.
"""

import sys

from benchmarks import protocol
from benchmarks.workers import brax_parts as parts

ENDLESS = 100_000
"""Epochs; the benchmark hangs up long before."""


def main() -> None:
    """Serves one variant, one epoch a request, however short that is."""
    settings = protocol.settings()
    epoch = settings["settings"]["num_envs"] * settings["vector_steps"]
    epochs = 0

    def take_turns(_: int, metrics: dict) -> None:
        nonlocal epochs
        if "training/sps" not in metrics:
            return  # the evaluation before training
        epochs += 1
        if epochs == 2:  # the first one compiled
            protocol.send({"ready": ["Brax"], "about": parts.about()})
        elif epochs > 2:
            protocol.send({"work": epoch, "seconds": epoch / float(metrics["training/sps"])})
        if epochs >= 2 and protocol.receive() is None:
            sys.exit()

    # One evaluation episode an epoch, outside of its clock.
    train = parts.trainer(settings["robot"], settings["backend"], **settings["settings"])
    train(num_timesteps=epoch * ENDLESS, num_evals=ENDLESS + 1, num_eval_envs=1, progress_fn=take_turns)


if __name__ == "__main__":
    main()
