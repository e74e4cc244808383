"""Sinks: what a run and a sweep measure arrives once, member by member, and a broken sink costs nobody a run."""

import sys
from types import SimpleNamespace

import pytest

from softrl.config import change
from softrl.errors import ConfigError
from softrl.reporting import sinks
from softrl.reporting.sinks import scalars, tensorboard
from softrl.sweep import folder, ledger
from softrl.training.config import Config
from tests.reporting import sweeps
from tests.reporting.test_report import GRID


def record(step: int, members: int):
    return {
        "env_steps": step,
        "updates": 7,
        "eval": {"return_mean": [float(step + m) for m in range(members)], "length_mean": [float("nan")] * members},
        "train": {"entropy": [0.5 * m for m in range(members)]} if step else {},
        "health": {"code": [0] * members},
        "timing": {"wall_s": 1.5},
    }


class Memory:
    """A sink that remembers, and fails when asked to."""

    def __init__(self, fails=()):
        self.calls, self.fails = [], fails

    def __getattr__(self, name):
        def call(*arguments):
            if name in self.fails:
                raise OSError("the disk is full")
            self.calls.append((name, *arguments))

        return call


def opened(monkeypatch, tmp_path, sink, notes):
    monkeypatch.setitem(sinks.MODULES, "memory", "memory_sink")
    monkeypatch.setitem(sys.modules, "memory_sink", SimpleNamespace(open_sink=lambda path: sink))
    return sinks.opened(("memory",), tmp_path, notes.append)


class Assembled:
    """What the event of a beginning run holds, as far as a sink looks."""

    config = change(Config(), seeds=2, seed=5)
    members = None


def test_a_runs_records_arrive_member_by_member(tmp_path, monkeypatch):
    sink, notes = Memory(), []
    with opened(monkeypatch, tmp_path, sink, notes) as listen:
        listen({"event": "assembled", "assembled": Assembled(), "memory": ""})
        listen({"event": "chunk", "env_steps": 1})
        listen({"event": "evaluation", "record": record(64, 2)})
    (_, one, config), (_, two, _), first, second, *ends = sink.calls
    assert (one, two, config["seed"], config["gamma"]) == ("member0", "member1", 5, Config().hypers.gamma)
    assert first[:3] == ("write", "member0", 64) and second[:3] == ("write", "member1", 64)
    assert ends == [("end", "member0"), ("end", "member1")]
    assert second[3] == {
        "updates": 7.0, "eval/return_mean": 65.0, "train/entropy": 0.5, "health/code": 0.0, "timing/wall_s": 1.5
    }, "what is not finite is left out"  # fmt: skip
    assert notes == []


def test_members_are_told_by_what_they_have_of_their_own():
    own = [{"seed": 7, "gamma": 0.9}, {"seed": 11, "gamma": 0.95}]
    told = [config for _, config in scalars.runs_of(Assembled.config, own)]
    assert [(config["seed"], config["gamma"]) for config in told] == [(7, 0.9), (11, 0.95)]


def test_a_solo_run_needs_no_member_in_its_name():
    ((name, values),) = scalars.of_record(record(0, 1))
    assert name == "" and values["eval/return_mean"] == 0.0


def test_a_sweeps_lines_arrive_once_however_the_launcher_chatters(tmp_path, monkeypatch):
    out = sweeps.made(tmp_path / "grid", GRID, looks=3, diverging=True)
    lines, sink = ledger.read(out), Memory()
    with opened(monkeypatch, tmp_path, sink, []) as listen:
        listen({"event": "begun", "sweep": folder.read(out), "lines": [], "changed": []})
        listen({"event": "evaluation", "record": record(64, 8)})
        listen({"event": "lines", "lines": lines})
    begun = [call for call in sink.calls if call[0] == "begin"]
    written = [call for call in sink.calls if call[0] == "write"]
    assert len(begun) == 18 and begun[0] == ("begin", "m00", {"temperature": 0.02, "critic_lr": 1e-4, "seed": 0})
    looks = [line for line in lines if line["kind"] == "evaluation"]
    assert [call[1:3] for call in written if "health/diverged" not in call[3]] == [
        (line["member"], line["step"]) for line in looks
    ]
    assert [call[1] for call in written if "health/diverged" in call[3]] == ["m11"]
    assert {call[1] for call in sink.calls if call[0] == "end"} == {line["member"] for line in looks}


def test_a_sink_that_fails_is_named_once_and_left_out(tmp_path, monkeypatch):
    sink, notes = Memory(fails=("write",)), []
    with opened(monkeypatch, tmp_path, sink, notes) as listen:
        for step in range(3):
            listen({"event": "evaluation", "record": record(step, 1)})
    assert len(notes) == 1 and "memory failed" in notes[0] and "the disk is full" in notes[0]


def test_an_unknown_sink_is_named_with_the_nearest():
    assert sinks.parse_sinks("tensorboard, wandb,") == ("tensorboard", "wandb") and sinks.parse_sinks("") == ()
    with pytest.raises(ConfigError, match=r"unknown sink 'tensorbord'; did you mean 'tensorboard'"):
        sinks.parse_sinks("tensorbord")


@pytest.mark.filterwarnings("ignore")  # what TensorBoard warns of is not ours
def test_tensorboard_reads_what_was_written(tmp_path, monkeypatch):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    monkeypatch.setattr(tensorboard, "OPEN", 1)
    with sinks.opened(("tensorboard",), tmp_path, pytest.fail) as listen:
        listen({"event": "assembled", "assembled": Assembled(), "memory": ""})
        for step in (0, 64, 2**33):
            listen({"event": "evaluation", "record": record(step, 2)})
    for member in range(2):
        events = reader.EventAccumulator(str(tmp_path / "tensorboard" / f"member{member}")).Reload()
        told = [(event.step, event.value) for event in events.Scalars("eval/return_mean")]
        # TensorBoard keeps float32: 2³³ + 1 is 2³³ there.
        assert told == [(0, member), (64, 64 + member), (2**33, 2.0**33)]
        assert "config/text_summary" in events.Tags()["tensors"]


@pytest.mark.filterwarnings("ignore")  # what W&B warns of is not ours
def test_wandb_without_a_login_is_refused_before_training(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="no wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    refused = pytest.raises(ConfigError, match=r"the sink wandb: .*WANDB_MODE=offline")
    with refused, sinks.opened(("wandb",), tmp_path / "cheetah", pytest.fail):
        pass
    wandb.teardown()  # it reads its settings once a process


@pytest.mark.filterwarnings("ignore")  # what W&B warns of is not ours
def test_wandb_keeps_a_run_a_member_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="no wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with sinks.opened(("wandb",), tmp_path / "cheetah", pytest.fail) as listen:
        (tmp_path / "cheetah").mkdir()
        listen({"event": "assembled", "assembled": Assembled(), "memory": ""})
        for step in (0, 64):
            listen({"event": "evaluation", "record": record(step, 2)})
    wandb.teardown()  # its own process writes when it likes, and at the latest when ours exits
    files = sorted((tmp_path / "cheetah" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2
    for file in files:
        content = file.read_bytes()
        assert b"eval/return_mean" in content and b"cheetah/member" in content and b"gamma" in content
