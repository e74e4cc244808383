"""A run over several hosts: two processes on loopback hold half of it each, and it is the run of one."""

import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from softrl.errors import ConfigError
from softrl.training import hosts
from tests.training import host_worker

ROOT = Path(__file__).resolve().parents[2]
COUNT = 2


def test_wrong_numbers_are_refused_before_anybody_waits():
    with pytest.raises(ConfigError, match=r"index must be in \[0, 2\), got 2"):
        hosts.join("127.0.0.1:1", count=2, index=2)
    with pytest.raises(ConfigError, match="host:port of process 0, got 'somewhere'"):
        hosts.join("somewhere", count=2, index=0)


def test_a_process_that_has_begun_cannot_join_any_more():
    jax.devices()
    with pytest.raises(ConfigError, match="process 0 of 1 could not join"):
        hosts.join(f"127.0.0.1:{free_port()}", count=1, index=0)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_a_run_over_two_hosts_is_the_run_of_one(tmp_path, user_environment):
    address, path = f"127.0.0.1:{free_port()}", tmp_path / "run.npz"
    flags = f"{user_environment['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    environment = dict(user_environment, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    command = [sys.executable, "-m", "tests.training.host_worker", address, str(COUNT)]
    processes = [
        subprocess.Popen(
            [*command, str(index), str(path)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
        )
        for index in range(COUNT)
    ]
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * COUNT, "\n".join(told)[-2000:]
    alone = [np.asarray(hosts._plain(leaf)) for leaf in jax.tree.leaves(host_worker.after_two_chunks(None))]
    with np.load(path) as file:
        spread = [file[name] for name in file.files]
    assert len(spread) == len(alone)
    for one, other in zip(alone, spread, strict=True):
        # Gradients are summed in another order over devices: float32 rounding, amplified by 64 Adam steps.
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)
