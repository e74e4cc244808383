"""The examples under experiments/plug_in do what they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "plug_in"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_point_arrives_with_the_help_of_demonstrations():
    assert example("demonstrations").main(1200) >= 0.9


def test_the_actor_loop_is_twenty_lines():
    lines = (FOLDER / "actor_loop.py").read_text().partition("def main")[2].partition("if __name__")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 20


@pytest.mark.slow
def test_the_actor_loop_swings_the_pendulum_up():
    assert example("actor_loop").main(5_000) > -400.0  # a random policy's return is about −1,200, the best about −150
