"""The experiment of a thousand members, with a handful."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep import tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_large_sweeps_command_kills_goes_on_and_finds_the_same_table(tmp_path, user_environment):
    (tmp_path / "spec.toml").write_text(tiny.toml(tiny.spec({"critic_lr": [1e-3, 3e-3]}, seeds=2)))
    script, places = (
        ROOT / "experiments/large_sweep/run.py",
        ["--out", str(tmp_path / "out"), "--figures", str(tmp_path)],
    )
    command = [sys.executable, str(script), "--spec", str(tmp_path / "spec.toml"), "--kills", "1", *places]
    subprocess.run(command, env=user_environment, cwd=ROOT, check=True)
    told = json.loads((tmp_path / "large_sweep.json").read_text())
    assert (told["members"], told["kills"]) == (4, 1) and "4 members" in told["plan"][0]
