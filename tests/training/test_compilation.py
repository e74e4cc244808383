"""How softrl compiles where the user has said nothing of it, and where they have."""

import jax
import pytest

from softrl.training.compilation import compiler_options

LEVEL = "xla_backend_optimization_level"


def test_programs_are_compiled_at_the_first_level(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS")
    assert compiler_options() == {LEVEL: 1}
    assert compiler_options(busy=False)[LEVEL] == 1


@pytest.mark.parametrize("busy", [True, False])
def test_what_xla_flags_sets_is_not_overruled(busy, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--{LEVEL}=2 --xla_cpu_use_fusion_emitters=true")
    assert compiler_options(busy=busy) == {}
    monkeypatch.setenv("XLA_FLAGS", f"--{LEVEL}=2")
    older = {} if busy or not jax.__version__.startswith("0.10.") else {"xla_cpu_use_fusion_emitters": False}
    assert compiler_options(busy=busy) == older
