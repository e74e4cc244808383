"""The example of two actor processes and one server runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_actors_feed_one_server(user_environment):
    command = [sys.executable, str(ROOT / "experiments" / "plug_in" / "two_actors.py"), "--steps", "300"]
    environment = user_environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("actor-0: step") == done.stdout.count("actor-1: step") == 1
    assert "with 600 transitions" in done.stdout and "return of the mode" in done.stdout
