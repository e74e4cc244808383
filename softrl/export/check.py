"""Whether an exported policy acts as the live one does, on ordinary and on extreme observations."""

from collections.abc import Callable

import jax
import numpy as np

from softrl.errors import ExportError
from softrl.numpy_policy import NumpyPolicy, moments

ROWS = 1024
LIMIT = 1e-5
"""Largest difference of an action, in units of half its range: twenty roundings of float32 after a tanh."""


def observations(policy: NumpyPolicy, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Random observations by name, `[rows, ...]`: a quarter each within 1, 3, 30 and 10⁴ standard deviations.

    Without a normaliser, which would clip them, the spreads are 1, 2, 5 and 10: a network's own rounding grows with
    its inputs, and no two libraries add in the same order.
    """
    rng, found = np.random.default_rng(0), {}
    spreads = np.float32([1.0, 3.0, 30.0, 1e4] if policy.spec.normalize_obs else [1.0, 2.0, 5.0, 10.0])
    for name, shape in policy.spec.inputs:
        mean, variance = (policy.arrays[moment] for moment in moments(policy.spec, name))
        noise = rng.standard_normal((rows, *shape), np.float32)
        spread = np.resize(spreads, rows).reshape(rows, *[1] * len(shape))
        found[name] = mean[None] + np.sqrt(variance)[None] * spread * noise
    return found


def nested(policy: NumpyPolicy, named: dict[str, np.ndarray]) -> dict | np.ndarray:
    """Observations by name as the policy wants them: one array, or (nested) dictionaries."""
    if not policy.spec.nested:
        return named["obs"]
    tree: dict = {}
    for name, value in named.items():
        *path, last = name.split("/")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def difference(policy: NumpyPolicy, live: Callable, exported: Callable, what: str) -> float:
    """The largest difference between two policies' actions, in units of half their range.

    Args: `live`, `exported`: from observations by name to actions `[B, A]`.
    Raises: ExportError where it is more than `LIMIT`, or no number.
    """
    named = observations(policy)
    # In full precision: on an accelerator the live policy may round to TF32 or bfloat16.
    with jax.default_matmul_precision("highest"):
        expected = np.asarray(live(named))
    half_range = 0.5 * (policy.arrays["action/high"] - policy.arrays["action/low"])
    largest = float(np.max(np.abs(exported(named) - expected) / half_range))
    if not largest <= LIMIT:
        raise ExportError(f"{what} acts otherwise than the live policy: by {largest:.3g}, at most {LIMIT:g} is allowed")
    return largest
