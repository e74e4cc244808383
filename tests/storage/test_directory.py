"""A run's directory: one process at a time, a config that survives, and differences by name."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from softrl.errors import CheckpointError, ConfigError
from softrl.storage import directory

_HOLD = """
import sys
from pathlib import Path
from softrl.storage import directory
claim = directory.claim(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def _start_holder(path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_let_in_after_a_kill(tmp_path):
    run = tmp_path / "runs" / "x"
    with _start_holder(run) as holder:
        with pytest.raises(CheckpointError, match=f"in use by process {holder.pid} "):
            directory.claim(run)
        holder.kill()
        holder.wait()
        with directory.claim(run):
            pass


def test_a_second_claim_in_the_same_process_is_refused_until_the_first_is_released(tmp_path):
    with (
        directory.claim(tmp_path / "x"),
        pytest.raises(CheckpointError, match=f"process {os.getpid()} "),
    ):
        directory.claim(tmp_path / "x")
    directory.claim(tmp_path / "x").release()


@pytest.mark.parametrize("name", ["file", "file/inside", "dangling"])
def test_a_path_that_is_a_file_or_leads_through_one_is_refused_by_the_name_of_what_is_in_the_way(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=f"{name.split('/')[0]} is not a directory"):
        directory.claim(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["a" * 300, "a\0b"])
def test_an_impossible_path_is_a_config_error(tmp_path, name):
    with pytest.raises(ConfigError):
        directory.claim(tmp_path / name)


@pytest.mark.parametrize("name", ["with space", "ünïcode-日本", "a" * 255, "deep/" * 40 + "x"])
def test_unusual_but_possible_paths_work(tmp_path, name):
    with directory.claim(tmp_path / name):
        directory.write_config(tmp_path / name, {"a": 1})
    assert directory.read_config(tmp_path / name) == {"a": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the next test stands in")
def test_a_read_only_parent_is_a_clear_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match=r"permission denied.*--out"):
        directory.claim(tmp_path / "x")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EROFS, "read-only file system.*--out"),
        (errno.EACCES, "permission denied.*--out"),
        (errno.ENOSPC, r"no space left on device \([\d,]+ bytes free\).*--out"),
        (errno.EIO, "input/output error"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "pwrite", "fsync"])
def test_a_refusing_file_system_is_a_clear_error_and_the_lock_is_let_go(tmp_path, monkeypatch, call, number, message):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(CheckpointError, match=message) as caught:
            directory.claim(tmp_path / "x")
        assert str(tmp_path / "x") in str(caught.value)
    directory.claim(tmp_path / "x").release()


def test_a_file_system_without_locks_warns_and_goes_on(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(directory.fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="no locks"):
        directory.claim(tmp_path / "x").release()


def test_a_config_comes_back_as_json_holds_it(tmp_path):
    config = {"hidden": (256, 256), "agent": {"alpha": None, "clip": float("inf")}, "out": Path("/a")}
    directory.write_config(tmp_path, config)
    expected = {"hidden": [256, 256], "agent": {"alpha": None, "clip": float("inf")}, "out": "/a"}
    assert directory.read_config(tmp_path) == expected
    assert directory.differences(config, expected) == []


def test_a_crash_while_the_config_is_written_leaves_the_old_one_and_no_litter(tmp_path, monkeypatch):
    directory.write_config(tmp_path, {"steps": 1})

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(CheckpointError, match=r"config\.json.*no space left"):
                directory.write_config(tmp_path, {"steps": 2})
    assert directory.read_config(tmp_path) == {"steps": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_config_is_a_clear_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        directory.read_config(tmp_path)


def test_a_directory_without_a_config_is_said_not_to_be_a_run(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run"):
        directory.read_config(tmp_path)


def test_differences_are_named_by_their_dotted_path_and_only_they():
    old = {"steps": 10, "env": {"name": "a", "size": 3}, "agent": {"hidden": [1, 2], "delay": 1}, "gone": 1}
    new = {"steps": 20, "env": {"name": "b", "size": 3.0}, "agent": {"hidden": (1, 3), "delay": True}, "came": 1}
    assert directory.differences(old, new) == ["agent.delay", "agent.hidden", "came", "env.name", "gone", "steps"]


def test_equal_configs_have_no_differences_however_their_numbers_are_written():
    old = {"lr": 1e-3, "nan": float("nan"), "shape": [1, 2], "huge": 2**60}
    assert directory.differences(old, {"nan": float("nan"), "lr": 0.001, "shape": (1.0, 2), "huge": 2**60}) == []
    assert directory.differences({"seed": 2**60}, {"seed": 2**60 + 1}) == ["seed"]
