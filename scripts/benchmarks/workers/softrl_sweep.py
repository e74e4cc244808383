"""softrl's sweep driver on a probe, telling its own resident memory every few chunks."""

import os
from pathlib import Path

from benchmarks import protocol
from softrl import sweep

EVERY = 25
"""Chunks between two looks at the memory."""


def spec(chunks: int) -> dict:
    """Eight batches of four members that make so many chunks together."""
    steps = chunks // 8 * 64
    sizes = {"width": 16, "depth": 1, "num_envs": 8, "episode_length": 16, "batch_size": 32, "replay_size": 1024}
    often = {"chunk_steps": 8, "eval_every": 640, "eval_episodes": 2, "learning_starts": 64, "steps": steps}
    return {"seeds": 4, "base": {"env": "probe/bounded-lq", **sizes, **often}, "axes": {"gamma": _gammas()}}


def _gammas() -> list[float]:
    return [0.5 + 0.05 * i for i in range(8)]


def resident_mib() -> float:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Runs the sweep and streams."""
    settings, done = protocol.settings(), 0

    def listen(event: dict) -> None:
        nonlocal done
        if event["event"] == "chunk":
            done += 1
            if done % EVERY == 0:
                protocol.send({"chunk": done, "rss_mib": resident_mib()})

    sweep.run(spec(settings["chunks"]), Path(settings["out"]) / "sweep", per_batch=4, listener=listen)


if __name__ == "__main__":
    main()
