"""The ledger: whole lines only, each key once, and a table that follows from them whatever their order."""

import contextlib
import math

import pytest

from softrl.errors import CheckpointError
from softrl.sweep import ledger, results
from softrl.sweep.batch import Job
from softrl.sweep.groups import Member
from softrl.sweep.ingest import lines
from softrl.sweep.ledger import Ledger
from softrl.training.config import Config
from softrl.training.records import EVALUATED

MEMBERS = tuple(Member(f"m{i}", "g0", "b0", i, {"critic_lr": 10.0**-i}) for i in range(3))
JOB = Job("g0", "b0", Config(), MEMBERS)


def record(step: int, returns: list[float], codes: list[int], search: dict | None = None) -> dict:
    """A line of a batch's metrics."""
    told = {name: [0.0] * 3 for name in EVALUATED} | {"return_mean": returns}
    line = {"env_steps": step, "updates": step // 2, "eval": told, "train": {}, "timing": {"wall_s": 1.0}}
    line["health"] = {"code": codes, "quarantined": [0, 0, 0]}
    return line if search is None else {**line, "search": search}


CURVES = [
    record(0, [1.0, 2.0, 3.0], [0, 0, 0]),
    record(10, [4.0, math.nan, 2.0], [0, 1, 0]),
    record(20, [3.0, 9.0, 5.0], [0, 1, 0]),
]


def test_a_line_is_kept_once_and_a_torn_one_not_at_all(tmp_path):
    with contextlib.closing(Ledger(tmp_path)) as open_:
        assert [line["key"] for line in open_.add([{"key": "a", "x": 1}, {"key": "b", "x": 2}])] == ["a", "b"]
        assert open_.add([{"key": "a", "x": 3}]) == []
    with open(tmp_path / "ledger.jsonl", "a") as file:
        file.write('{"key": "a", "x": 9}\n{"key": "c", "x"')
    with contextlib.closing(Ledger(tmp_path)) as open_:
        assert open_.keys == {"a", "b"}
        open_.add([{"key": "c", "x": math.nan}])
    assert [(line["key"], line["x"]) for line in ledger.read(tmp_path)[:2]] == [("a", 1), ("b", 2)]
    assert math.isnan(ledger.read(tmp_path)[2]["x"])


def test_a_damaged_ledger_is_told_by_its_line(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"key": "a"}\nrubbish\n{"key": "b"}\n')
    with pytest.raises(CheckpointError, match="line 2"):
        Ledger(tmp_path)


def test_a_diverged_members_lines_end_where_it_froze():
    found = lines(JOB, CURVES)
    assert [line["step"] for line in found if line["member"] == "m1"] == [0, 10, 10]
    assert [line["kind"] for line in found if line["member"] == "m1"][-1] == "diverged"
    assert len([line for line in found if line["member"] == "m0"]) == 3
    assert len({line["key"] for line in found}) == len(found)


def test_the_table_does_not_depend_on_the_order_of_the_ledger():
    ended = {"key": "g0/b0/finished", "kind": "batch", "group": "g0", "batch": "b0", "members": ["m0", "m1", "m2"]}
    found = [*lines(JOB, CURVES), ended]
    rows = [repr(results.gather(MEMBERS, list(order))) for order in (found, found[::-1])]
    assert rows[0] == rows[1]
    table = results.gather(MEMBERS, found)
    assert [row.status for row in table] == ["done", "diverged", "done"]
    assert [row.final_return for row in table][::2] == [3.0, 5.0] and math.isnan(table[1].final_return)
    assert [(row.best_return, row.best_step) for row in table] == [(4.0, 10), (2.0, 0), (5.0, 20)]


def test_a_copy_is_well_again_and_has_its_new_settings():
    search = {"parent": [0, 0, 2], "hypers": {"critic_lr": [1.0, 0.5, 0.01]}}
    revived = [CURVES[0], record(10, [4.0, 0.0, 2.0], [0, 1, 0], search), record(20, [3.0, 9.0, 5.0], [0, 0, 0])]
    row = results.gather(MEMBERS, lines(JOB, revived))[1]
    assert (row.status, row.final_return, row.changes) == ("training", 9.0, {"critic_lr": 0.5})


def test_a_member_that_freezes_again_has_no_lines_behind_it_whoever_is_revived_then():
    first, second = ({"parent": parent, "hypers": {}} for parent in ([0, 0, 2], [0, 1, 0]))
    steps = ((0, first), (10, second), (20, None))
    records = [record(step, [1.0] * 3, [0, 1, 0], search) for step, search in steps]
    found = [(line["kind"], line["step"]) for line in lines(JOB, records) if line["member"] == "m1"]
    assert found == [("evaluation", 0), ("diverged", 0), ("lineage", 0), ("evaluation", 10), ("diverged", 10)]


def test_a_result_before_and_during_training():
    assert results.gather(MEMBERS, [])[0].status == "waiting"
    assert results.gather(MEMBERS, lines(JOB, CURVES[:1]))[0].status == "training"
