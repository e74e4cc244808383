"""Whether an exported policy acts as the live one does, on ordinary and on extreme observations."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from softrl import numpy_policy
from softrl.errors import ExportError
from softrl.numpy_network import Categorical, Scalar
from softrl.numpy_policy import NumpyPolicy

ROWS = 1024
LIMIT = 1e-5
"""Largest difference of an action, in units of half its range: twenty roundings of float32 after a tanh. Of discrete
actions: of their logits, relative to the largest; two that are equal but for rounding are a tie. Of a network of one
number: of that, relative to the largest and to 1."""


def observations(policy: NumpyPolicy, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Random observations by name, `[rows, ...]`: a quarter each within 1, 3, 30 and 10⁴ standard deviations.

    Without a normaliser, which would clip them, the spreads are 1, 2, 5 and 10: a network's own rounding grows with
    its inputs, and no two libraries add in the same order.
    """
    rng, found = np.random.default_rng(0), {}
    spreads = np.float32([1.0, 2.0, 5.0, 10.0] if policy.spec.normalizer is None else [1.0, 3.0, 30.0, 1e4])
    for entry, moments in zip(policy.spec.inputs, policy.moments, strict=True):
        noise = rng.standard_normal((rows, *entry.shape), np.float32)
        spread = np.resize(spreads, rows).reshape(rows, *[1] * len(entry.shape)) * noise
        found[entry.name] = spread if moments is None else moments[0][None] + moments[1][None] * spread
    return found


def nested(policy: NumpyPolicy, named: dict[str, np.ndarray]) -> Any:
    """Observations by name as the policy wants them: one array, or (nested) dictionaries."""
    return numpy_policy.nested({entry.path: named[entry.name] for entry in policy.spec.inputs})


def difference(policy: NumpyPolicy, live: Callable, exported: Callable, what: str) -> float:
    """The largest difference between two policies' actions, as `LIMIT` says.

    Args: `live`, `exported`: from observations by name to actions `[B, A]`, or discrete ones `[B]`.
    Raises: ExportError where it is more than `LIMIT`, or no number.
    """
    named = observations(policy)
    # In full precision: on an accelerator the live policy may round to TF32 or bfloat16.
    with jax.default_matmul_precision("highest"):
        expected = np.asarray(live(named))
    if isinstance(policy.spec.head, Categorical):
        largest = _lost(policy, named, exported(named), expected)
    elif isinstance(policy.spec.head, Scalar):
        largest = float(np.max(np.abs(exported(named) - expected)) / max(1.0, float(np.abs(expected).max())))
    else:
        half_range = 0.5 * (policy.arrays["action/high"] - policy.arrays["action/low"])
        largest = float(np.max(np.abs(exported(named) - expected) / half_range))
    if not largest <= LIMIT:
        raise ExportError(f"{what} acts otherwise than the live policy: by {largest:.3g}, at most {LIMIT:g} is allowed")
    return largest


def _lost(policy: NumpyPolicy, named: dict[str, np.ndarray], actions: np.ndarray, expected: np.ndarray) -> float:
    """By how much the logits of two policies' actions differ where the actions do, relative to logits above 1."""
    logits = policy.outputs([named[entry.name] for entry in policy.spec.inputs])
    one, other = (np.take_along_axis(logits, a[:, None].astype(np.int64), axis=1) for a in (actions, expected))
    return float(np.max(np.abs(one - other) / np.maximum(1.0, np.abs(logits).max(axis=1, keepdims=True))))
