"""Tests of sweeps trace the same tiny programs again and again; once a process is enough."""

import pytest

from softrl.sweep import batch
from tests.sweep import tiny


@pytest.fixture
def compiled_once(monkeypatch) -> None:
    """Sweeps of this test, and the others that ask for it, share compiled programs."""
    monkeypatch.setattr(batch, "prepare", tiny.prepare)
