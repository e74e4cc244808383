"""An actor whose rows say which they are, so that a test can read in replay whether each is there once.

python tests/serve/actor.py ADDRESS NAME INDEX ROWS PUSHES [SECONDS BETWEEN THEM]
"""

import sys
import threading

import numpy as np

from softrl.serve.client import Client


def rows(index: int, sequence: int, count: int) -> dict[str, np.ndarray]:
    """Push number `sequence` of actor `index`: row r has obs [index, r, 0] and next_obs [index, r + 1, 0]."""
    number = np.arange((sequence - 1) * count, sequence * count, dtype=np.float32)
    column = lambda values: np.stack([np.full(count, index, np.float32), values, np.zeros(count, np.float32)], axis=1)
    return {
        "obs": column(number),
        "action": np.zeros((count, 2), np.float32),
        "reward": number / 1e6,
        "terminated": np.zeros(count, bool),
        "next_obs": column(number + 1),
    }


def main() -> None:
    """Pushes from where the server has the actor's last push up to PUSHES, pulling a policy now and then."""
    address, name, index, count, pushes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    pace = threading.Event()
    interval = float(sys.argv[6]) if len(sys.argv) > 6 else 0.0
    with Client(address, name) as client:
        while client.sequence < pushes:
            pushed = client.push(rows(index, client.sequence + 1, count))
            print(pushed.sequence, flush=True)
            pace.wait(interval)
            if pushed.sequence % 50 == 1:
                assert client.pull()(np.zeros(3)).shape == (2,)
    heavy = {"jax", "flax", "softrl.learner", "softrl.agents"} & set(sys.modules)
    assert not heavy, f"an actor must not need {heavy}"


if __name__ == "__main__":
    main()
