"""Random numbers on the host, by address: any call can be replayed."""

import numpy as np

EXPLORE, EVALUATE = 0, 1
"""What a draw on the host is for."""


def generator(words: np.ndarray, step: int, purpose: int) -> np.random.Generator:
    """The random numbers of one call of the device, or of one step of an evaluation.

    Args: `words`: `[2]` uint32, a key's; `step`: its first; `purpose`: `EXPLORE` or `EVALUATE`.
    """
    key = int(words[0]) << 32 | int(words[1])
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, purpose, step]))
