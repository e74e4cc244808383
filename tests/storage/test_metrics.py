"""metrics.jsonl: no gap, no duplicate, nothing lost but a torn last line."""

import json
import math
import os
import resource
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from softrl.errors import CheckpointError
from softrl.storage import metrics


def test_truncating_to_the_offset_of_a_checkpoint_leaves_no_gap_and_no_duplicate(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.open_log(path)
    offsets = [metrics.write(log, {"step": step, "timing": {"wall_s": 0.1 * step}}) for step in range(5)]
    metrics.close(log)
    undisturbed = path.read_bytes()

    for at, offset in enumerate(offsets[:-1]):
        log = metrics.open_log(path, offset)
        for step in range(at + 1, 5):
            assert metrics.write(log, {"step": step, "timing": {"wall_s": 0.1 * step}}) == offsets[step]
        metrics.close(log)
        assert path.read_bytes() == undisturbed


def test_offset_zero_starts_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    metrics.close(metrics.open_log(path, 0))
    assert path.read_bytes() == b""


@pytest.mark.parametrize("torn", [b'{"step": 3', b"\0" * 7, b"\xff\xfe", b'{"step": 3}x\n', b"\0\0\n", b"[1]\n"])
def test_a_torn_last_line_is_dropped_by_reading_and_by_appending(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + torn)
    assert metrics.read(path) == [{"step": 1}, {"step": 2}]
    log = metrics.open_log(path)
    metrics.write(log, {"step": 3})
    metrics.close(log)
    assert metrics.read(path) == [{"step": 1}, {"step": 2}, {"step": 3}]


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_log_without_a_whole_line_is_empty(tmp_path, content):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    assert metrics.read(path) == []
    metrics.close(metrics.open_log(path))
    assert path.read_bytes() == b""


def test_damage_before_the_last_line_is_an_error_that_names_the_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n\0\0\0\n{"step": 3}\n')
    with pytest.raises(CheckpointError, match="line 2"):
        metrics.read(path)


def test_non_finite_numbers_are_strict_json_and_come_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.open_log(path)
    metrics.write(log, {"nan": math.nan, "up": math.inf, "down": -math.inf, "list": [np.float32("nan"), 1.0]})
    metrics.close(log)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(path.read_text(), parse_constant=refuse)["up"] == "Infinity"
    (record,) = metrics.read(path)
    assert math.isnan(record["nan"]) and math.isnan(record["list"][0])
    assert (record["up"], record["down"]) == (math.inf, -math.inf)


def test_arrays_are_written_as_the_numbers_they_hold(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.open_log(path)
    text = "a\nb\r\u2028ü"
    metrics.write(log, {"jax": jnp.arange(3), "numpy": np.float32(0.1), "flag": np.bool_(True), "text": text})
    metrics.close(log)
    expected = {"jax": [0, 1, 2], "numpy": float(np.float32(0.1)), "flag": True, "text": text}
    assert metrics.read(path) == [expected]


def test_what_json_cannot_hold_is_refused_by_name_and_nothing_is_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.open_log(path)
    with pytest.raises(TypeError, match=r"value\.timing\.when"):
        metrics.write(log, {"step": 1, "timing": {"when": object()}})
    with pytest.raises(TypeError, match="strings"):
        metrics.write(log, {1: 1})
    metrics.close(log)
    assert path.read_bytes() == b""


def test_a_log_that_is_shorter_than_its_checkpoint_says_is_refused_untouched(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n')
    with pytest.raises(CheckpointError, match=r"12 bytes.* 99"):
        metrics.open_log(path, 99)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_an_offset_inside_a_line_is_refused_untouched(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n')
    with pytest.raises(CheckpointError, match="changed"):
        metrics.open_log(path, 5)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_a_full_disk_is_a_clear_error_and_leaves_the_log_as_it_was(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = metrics.open_log(path)
    metrics.write(log, {"step": 1})
    before = path.read_bytes()
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl.*--out"):
            metrics.write(log, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    metrics.write(log, {"step": 2})
    metrics.close(log)
    assert metrics.read(path) == [{"step": 1}, {"step": 2}]


def test_every_line_is_flushed_to_the_disk_before_its_offset_is_returned(tmp_path, monkeypatch):
    log = metrics.open_log(tmp_path / "metrics.jsonl")
    flushed = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(os.fstat(fd).st_size), real(fd))[1])
    offset = metrics.write(log, {"step": 1})
    metrics.close(log)
    assert flushed == [offset]


def test_a_missing_log_and_a_folder_in_its_place_are_clear_errors(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        metrics.read(tmp_path / "metrics.jsonl")
    with pytest.raises(CheckpointError, match="cannot open the metrics log"):
        metrics.open_log(tmp_path)
