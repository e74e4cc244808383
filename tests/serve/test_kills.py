"""What was acknowledged is stored, once and in order, however often the server and its actors are killed."""

import signal
import subprocess

import numpy as np
import pytest

from tests.serve import processes

ROWS = 8


@pytest.fixture
def started(monkeypatch):
    """Every process that the test starts; none outlives it, whatever fails."""
    children, real = [], subprocess.Popen

    def start(*arguments, **options):
        children.append(real(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    yield children
    for child in children:
        kill_dead(child)


def soak(tmp_path, environment, *, pushes: int, kills: int, interval: float) -> None:
    """Two actors feed one server, which is killed `kills` times, as is each actor; then replay is read."""
    directory, flags = tmp_path / "learner", ("--save-every", "0.5", "--updates-per-transition", "0.01")
    server, address = processes.start_server(directory, environment, "--address", "127.0.0.1:0", *flags)
    with (tmp_path / "second.txt").open("a") as second_out:
        first = processes.start_actor(address, 0, ROWS, pushes, interval, subprocess.PIPE)
        second = processes.start_actor(address, 1, ROWS, pushes, interval, second_out)
        steps = pushes // (2 * kills + 1)
        for kill in range(1, 2 * kills + 1):
            until(first, kill * steps)
            if kill % 2:
                kill_dead(server)
                server, _ = processes.start_server(directory, environment, "--address", address, *flags)
            else:
                kill_dead(first)
                first = processes.start_actor(address, 0, ROWS, pushes, interval, subprocess.PIPE)
                kill_dead(second)
                second = processes.start_actor(address, 1, ROWS, pushes, interval, second_out)
        until(first, pushes)
        with first, second:
            assert (first.wait(timeout=600), second.wait(timeout=600)) == (0, 0)
    server.send_signal(signal.SIGTERM)
    with server:
        assert "saved" in server.stdout.read() and server.wait(timeout=60) == 0
    stored, version = processes.stored_rows(directory)
    assert version > 0
    assert set(stored) == {0, 1}
    for index, numbers in stored.items():
        np.testing.assert_array_equal(numbers, np.arange(pushes * ROWS), err_msg=f"actor {index}: a gap or a duplicate")


def until(actor: subprocess.Popen, sequence: int) -> None:
    """Returns when the actor has been acknowledged this push."""
    while line := actor.stdout.readline():
        if int(line) >= sequence:
            return
    raise AssertionError(f"the actor ended with {actor.wait()} before push {sequence}")


def kill_dead(process: subprocess.Popen) -> None:
    """SIGKILL, and waits for the end; a pipe is closed unread."""
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


@pytest.mark.usefixtures("started")
def test_pushed_is_stored_over_a_kill_of_the_server_and_of_both_actors(tmp_path, user_environment):
    soak(tmp_path, user_environment, pushes=600, kills=1, interval=0.0)


@pytest.mark.slow
@pytest.mark.usefixtures("started")
def test_pushed_is_stored_in_ten_minutes_with_five_kills_of_each(tmp_path, user_environment):
    soak(tmp_path, user_environment, pushes=12_000, kills=5, interval=0.05)
