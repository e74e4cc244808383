"""Strict JAX for every test, decided before jax is imported.

Eight virtual CPU devices, so that sharding is tested on any machine; no silent `(B,) - (B, 1)` broadcasts; programs
compiled in a quarter of the time, since most of them run for a second, and kept in the repository's own `.cache/`, so
that a second run compiles next to nothing.
"""

import gc
import os
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.memory import GIBIBYTE, give_back

ROOT = Path(__file__).resolve().parents[1]
QUICK = ["--xla_backend_optimization_level=0"]
if version("jax").startswith("0.10."):  # later releases do not know the flag
    QUICK.append("--xla_cpu_use_fusion_emitters=false")
XLA_FLAGS = ["--xla_force_host_platform_device_count=8", *QUICK]
USER_XLA_FLAGS = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag not in XLA_FLAGS]  # of a worker
SETTINGS = {
    "XLA_FLAGS": " ".join([*USER_XLA_FLAGS, *XLA_FLAGS]),
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
    """`--slow` runs the minutes-long tests too, and every variant of the others."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too (kills, learning, variants)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests marked slow unless they were asked for."""
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(scope="module")
def compiled_once() -> Iterator[None]:
    """Runs and learners of a file that asks for it share compiled programs, also with those of other files."""
    from tests import compiled

    with pytest.MonkeyPatch.context() as patch:
        compiled.share(patch)
        yield


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported stays: Python looks for garbage among what tests make, and not after every 700 objects.

    Tracing makes millions of them that are not garbage; a tenth of its time went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


PEAKS = pytest.StashKey[dict[str, float]]()


@pytest.fixture(scope="module", autouse=True)
def memory_given_back() -> Iterator[None]:
    """Behind a file's last test, forgets every compiled program if the process has grown large.

    JAX keeps programs as long as the process lives, but other files hardly call them, and what two files share comes
    back from the cache on disk. A file adds up to 1.2 GiB, so that a worker stays below 2.5 GB.
    """
    yield
    give_back()


def peak_memory() -> float:
    """The most memory that this process has held, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIBIBYTE


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells its peak to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak_memory"] = peak_memory()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Keeps what a worker of xdist told; one that crashed has told nothing."""
    told = getattr(node, "workeroutput", {})
    if "peak_memory" in told:
        node.config.stash.setdefault(PEAKS, {})[node.gateway.id] = told["peak_memory"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line: the most memory that each process with tests in it has held."""
    peaks = config.stash.get(PEAKS, {"pytest": peak_memory()})
    terminalreporter.line("peak memory: " + ", ".join(f"{name} {peak:.1f} GiB" for name, peak in sorted(peaks.items())))


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment variables for a subprocess that should see what a user sees: one device, JAX's own strictness.

    Programs are compiled as here, so that both have the same bits, and kept in the same cache.
    """
    environment = dict(os.environ, XLA_FLAGS=" ".join([*USER_XLA_FLAGS, *QUICK]))
    del environment["JAX_NUMPY_RANK_PROMOTION"]
    return environment
