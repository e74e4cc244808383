"""`scripts/bench compat`: softrl.compat.sb3 with Stable-Baselines3's own callbacks, environments and loggers."""

import argparse
import os
import subprocess

from benchmarks import protocol, report

TESTS = "tests/compat/test_stable_baselines3.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


def run(options: argparse.Namespace) -> dict:
    """Runs the tests in the peers' environment. Raises: RuntimeError: one failed."""
    result = report.header("compat", vars(options).copy())
    root = protocol.SCRIPTS.parent
    # Without the project's own conftest and options, whose libraries are not there.
    command = [protocol.PYTHON["peers"], "-m", "pytest", "-q", "--noconftest", "-o", "filterwarnings=", TESTS]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    if done.returncode:
        raise RuntimeError(f"{TESTS} failed")
    return result
