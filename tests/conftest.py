"""Strict JAX for every test, decided before jax is imported.

Four virtual CPU devices, so that sharding is tested on any machine; no silent `(B,) - (B, 1)` broadcasts; compiled
programs kept in the repository's own `.cache/`, so that a second run compiles next to nothing.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
FOUR_DEVICES = "--xla_force_host_platform_device_count=4"
USER_XLA_FLAGS = os.environ.get("XLA_FLAGS", "").replace(FOUR_DEVICES, "").strip()  # a worker inherits our own change
SETTINGS = {
    "XLA_FLAGS": f"{USER_XLA_FLAGS} {FOUR_DEVICES}".strip(),
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax-tests"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

if "jax" in sys.modules:
    raise RuntimeError("jax was imported before tests/conftest.py could configure it; start pytest without that plugin")
os.environ.update(SETTINGS)

# A first example may compile for seconds, and a failure found here must be found again on every machine.
settings.register_profile(
    "softrl", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("softrl")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slow` runs the minutes-long tests too."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too (kills, learning)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests marked slow unless they were asked for."""
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment variables for a subprocess that should see what a user sees: one device, JAX's own strictness.

    Only the compilation cache is kept, because a test that starts softrl several times should compile once.
    """
    environment = dict(os.environ, XLA_FLAGS=USER_XLA_FLAGS)
    del environment["JAX_NUMPY_RANK_PROMOTION"]
    return environment
