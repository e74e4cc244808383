"""What several tests of environments need."""

import pytest

from softrl.envs import playground


@pytest.fixture(scope="module")
def registry():
    """Playground's own."""
    pytest.importorskip("mujoco_playground", reason="large; SOFTRL_EXTRAS=playground scripts/test has it")
    return playground.library()
