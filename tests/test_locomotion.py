"""The committed results: files, published numbers and specs are whole, and the page shows what they make."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

import softrl
from softrl import cli_table
from softrl.config import to_json
from softrl.reporting.table import gather, published
from softrl.sweep import spec

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "experiments" / "locomotion"


def script(name: str):
    """A script of the experiments' folder, as a module."""
    loader = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    return module


def test_the_page_and_its_pictures_show_what_the_committed_results_make():
    page, text = script("page"), (ROOT / "docs" / "benchmarks.md").read_text()
    assert page.refreshed(text) == text, "run python experiments/locomotion/page.py"
    suites = page.PART.findall(text)
    assert sorted(suites) == sorted(entry.name for entry in (HERE / "results").iterdir())
    for suite in suites:
        with Image.open(page.picture(suite)) as picture:
            assert picture.text["Description"] == page.fingerprint(suite), f"the picture of {suite} is of other numbers"


def test_every_committed_result_is_finished_small_and_where_it_belongs():
    files = sorted((HERE / "results").rglob("*.json"))
    assert files
    for file in files:
        (one,) = gather.read(file)
        assert one.finished and not one.setting, file
        assert file.stat().st_size < 10_000, file
        name = f"{one.task.replace('/', '_')}_{one.seed}.json"
        folder = one.preset or one.algorithm.replace(" ", "-")
        assert file.relative_to(HERE / "results").parts == (one.suite, folder, name)
        assert {"commit", "versions", "machine", "device"} <= one.about.keys(), file
        assert one.task in (HERE / f"{one.suite}.toml").read_text()


def test_every_published_number_has_a_source_seeds_and_a_reason_where_it_is_not_comparable():
    columns = published.read(HERE / "published.toml")
    assert {"SAC", "CrossQ", "SimbaV2", "XQC", "FlashSAC"} <= {column.algorithm for column in columns}
    for column in columns:
        assert "github.com/" in column.source or "arXiv:" in column.source
        assert column.seeds >= 1 and column.numbers
        assert column.comparable or column.reason
        assert all(number.spread is not None for number in column.numbers)


@pytest.mark.parametrize("file", sorted(HERE.glob("*.toml")), ids=lambda file: file.stem)
def test_specs_are_sweeps_of_a_preset_and_its_environments(file):
    if file.name != "published.toml":
        one = spec.load(file)
        assert [axis.name for axis in one.axes] == ["env"] and len(one.seeds) == 3
        assert set(one.base) <= {"steps", "eval_episodes", "eval_every"}


def collect(monkeypatch, *words: object) -> int:
    """The script's exit code."""
    monkeypatch.setattr(sys, "argv", ["collect.py", *map(str, words)])
    return script("collect").main()


def test_collect_writes_finished_and_unfinished_runs_and_refuses_what_is_no_presets(tmp_path, monkeypatch, capsys):
    surroundings = {
        "commit": "abc",
        "versions": {"jax": "1"},
        "machine": {"device": "cpu", "system": "Linux-6-x86_64-x"},
    }
    for name, changes in {"whole": {}, "half": {"seed": 1}, "own": {"gamma": 0.5}}.items():
        config = softrl.preset("probe/bounded-lq", platform="cpu", steps=200, **changes)
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"config": to_json(config), **surroundings}))
        lines = [
            {"env_steps": at, "updates": at // 2, "eval": {"return_mean": [at / 10]}, "timing": {"wall_s": at / 50}}
            for at in ((0, 100) if name == "half" else (0, 100, 200))
        ]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    where = ["--suite", "s", "--note", "Said.", "--out", tmp_path / "results"]
    assert collect(monkeypatch, *where, tmp_path / "whole", tmp_path / "half") == 0
    first, second = (tmp_path / "results" / "s" / "tuned" / f"probe_bounded-lq_{seed}.json" for seed in (0, 1))
    assert capsys.readouterr().out.splitlines() == [f"{first} ", f"{second} unfinished: 100 of 200 steps"]
    (one,) = gather.read(first)
    assert one.finished and list(one.curve["return"]) == [0.0, 10.0, 20.0] and list(one.curve["seconds"]) == [0, 2, 4]
    assert one.about["machine"] == "Linux x86_64" and one.about["note"] == "Said."
    assert collect(monkeypatch, *where, tmp_path / "own") == 2
    assert "is no preset's run (gamma)" in capsys.readouterr().err


def test_peers_recorded_by_the_bench_stand_in_the_same_table_up_to_the_same_steps(tmp_path, monkeypatch, capsys):
    curve = {"env_steps": [0, 100, 200, 300], "updates": [0, 90, 190, 290], "return": [1.0, 2.0, 3.0, 4.0]}
    curve |= {"clock_s": [5.0, 6.0, 7.0, 8.0], "evaluated_s": [1.0, 2.0, 3.0, 4.0]}
    machine = {"machine": {"system": "Linux-6-x86_64-x"}, "commit": "abc"}
    record = {"robot": "Hopper-v5", "seed": 2, "steps": 200, "curve": curve, **machine}
    record["about"] = {"versions": {"sbx-rl": "1"}, "device": "cpu", "config": {}}
    for name, more in {"SBX SAC": {}, "softrl classic": {}, "Brax SAC": {"robot": "brax/hopper"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"contestant": name, **record, **more}))
    files = sorted(tmp_path.glob("*.json"))
    assert collect(monkeypatch, "--suite", "s", "--out", tmp_path / "results", *files) == 0
    peer, ours = (tmp_path / "results" / "s" / name / "gym_Hopper-v5_2.json" for name in ("SBX-SAC", "classic"))
    capsys.readouterr()
    (one,), (other,) = gather.read(peer), gather.read(ours)
    assert (one.algorithm, one.preset, other.algorithm, other.preset) == ("SBX SAC", "", "sac", "classic")
    assert one.finished and list(one.curve["env_steps"]) == [0, 100, 200] and list(one.curve["seconds"]) == [6, 8, 10]
    assert (tmp_path / "results" / "s" / "Brax-SAC" / "brax_hopper_2.json").exists()
    assert cli_table.table([str(tmp_path / "results")]) == 0
    table = capsys.readouterr().out
    assert "| SBX SAC " in table and "| sac classic " in table


def test_of_a_race_by_the_clock_as_many_steps_are_collected_as_are_asked_for(tmp_path, monkeypatch):
    curve = {name: [0, 100, 200, 300] for name in ("env_steps", "updates", "return", "clock_s", "evaluated_s")}
    record = {
        "contestant": "softrl tuned",
        "robot": "Hopper-v5",
        "seed": 0,
        "steps": 0,
        "curve": curve,
        "commit": "abc",
    }
    record |= {"machine": {"system": "Linux"}, "about": {"versions": {}, "device": "cpu", "config": {}}}
    (tmp_path / "race.json").write_text(json.dumps(record))
    words = ["--suite", "s", "--steps", 200, "--out", tmp_path / "results", tmp_path / "race.json"]
    assert collect(monkeypatch, *words) == 0
    (one,) = gather.read(tmp_path / "results" / "s" / "tuned" / "gym_Hopper-v5_0.json")
    assert one.finished and one.steps == 200 and list(one.curve["env_steps"]) == [0, 100, 200]
