"""Double precision for the exact solvers, and only here: the rest of the suite runs as users run."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def float64() -> Iterator[None]:
    """Every test of this folder computes in float64 unless it opens `jax.enable_x64(False)` itself."""
    with jax.enable_x64(True):
        yield
