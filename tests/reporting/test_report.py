"""Reports: what is told is what was measured, of sweeps and runs, finished or not."""

import json
import math
import os
import re

import numpy as np
import pytest

from softrl import cli
from softrl.errors import CheckpointError, ConfigError, RenderError
from softrl.reporting import report
from softrl.reporting.report import best_video, curves, data, effects, frame, page, svg, tables
from softrl.reporting.report.data import Axis, Member
from softrl.storage import directory, metrics
from softrl.sweep import batch, groups, ledger
from softrl.training.config import Config
from tests.reporting import sweeps

GRID = {
    "seeds": 3,
    "base": {"env": "probe/bounded-lq", "steps": 45_056},
    "axes": {"temperature": [0.02, 0.1, 0.5], "critic_lr": {"log": [1e-4, 1e-2], "n": 2}},
}


def member(index: int, returns, *, task: str = "probe/bounded-lq", status: str = "done", **setting) -> Member:
    returns = np.array(returns, float)
    series = {"return_mean": returns, "return_std": np.ones_like(returns)}
    return Member(f"m{index}", task, index, setting, 100.0 * np.arange(len(returns)), series, status)


def test_a_sweep_is_read_as_its_ledger_tells_it(tmp_path):
    out = sweeps.made(tmp_path / "grid", GRID, looks=5, diverging=True, unfinished=2)
    told = report.read(out)
    assert told.kind == "sweep" and told.title == "grid"
    assert told.axes == (Axis("temperature", True), Axis("critic_lr", True))
    assert len(told.members) == 18
    looks = [line for line in ledger.read(out) if line.get("member") == "m04" and line["kind"] == "evaluation"]
    (four,) = (m for m in told.members if m.id == "m04")
    np.testing.assert_array_equal(four.series["return_mean"], [line["return_mean"] for line in looks])
    assert four.setting == {"temperature": 0.02, "critic_lr": 0.01} and four.seed == 1
    assert four.peak == max(line["return_mean"] for line in looks) and four.final == looks[-1]["return_mean"]
    diverged = [m for m in told.members if m.status == "diverged"]
    assert [m.id for m in diverged] == ["m11"] and "not finite" in diverged[0].cause and diverged[0].at == 2 * 4096
    assert [m.id for m in told.members if m.status == "waiting"] == ["m16", "m17"]
    # Two batches of 8 with 5 evaluations that end after 13 s each; the third has not begun.
    assert told.seconds == 26.0


def test_settings_share_their_seeds_and_robots_keep_apart():
    some = (
        *(member(i, [0, 10 + i], gamma=0.9) for i in range(4)),
        *(member(i, [0, 100 + i], gamma=0.99) for i in range(4)),
    )
    first, second = data.groups(some)
    assert (first.name, first.cell.iqm, second.name, second.cell.iqm) == ("gamma 0.99", 101.5, "gamma 0.9", 11.5)
    assert data.best(some).id == "m3" and data.best(some).peak == 103


def test_settings_that_agree_in_four_digits_are_two():
    some = [member(0, [1.0], gamma=0.99995), member(1, [100.0], gamma=0.99999)]
    assert [group.name for group in data.groups(tuple(some))] == ["gamma 0.99999", "gamma 0.99995"]
    assert len(effects._places(Axis("gamma", log=False), some)[0]) == 2


def test_a_curve_is_the_interquartile_mean_of_those_who_were_there():
    group = data.groups((member(0, [1, 2, 3]), member(1, [3, 4]), member(2, [5, math.nan])))[0]
    curve = curves.over_members(group, "return_mean")
    np.testing.assert_array_equal(curve.steps, [0, 100, 200])
    np.testing.assert_array_equal(curve.middle, [3, 3, 3])
    assert np.isnan(curve.low[2]) and 1 <= curve.low[0] < 3 < curve.high[0] <= 5


def test_a_diverged_member_goes_on_counting_with_the_policy_that_it_stopped_with():
    group = data.groups((member(0, [10, 10, 10]), member(1, [-30], status="diverged")))[0]
    np.testing.assert_array_equal(curves.over_members(group, "return_mean").middle, [-10, -10, -10])


def test_an_effect_is_the_mean_over_everything_else_and_shows_every_member_and_failure():
    some = [member(i, [0, value + i], status="diverged" if i == 0 else "done", lr=lr, width=8 * (i + 1))
            for lr, value in ((1e-4, 10), (1e-3, 30), (1e-2, 20)) for i in range(4)]  # fmt: skip
    drawing = effects.figure(Axis("lr", True), some, key="e")
    assert drawing.count('class="dot"') == 12 and drawing.count('class="cross"') == 3
    assert "0.001: 31.5 of 4" in drawing and 'class="through"' in drawing
    assert effects.figure(Axis("lr", True), [member(0, [], lr=1.0)], key="e") == ""


def test_values_without_an_order_are_not_joined_by_a_line():
    some = [member(i, [float(i)], activation=name) for i, name in enumerate(["relu", "tanh", "relu", "tanh"])]
    drawing = effects.figure(Axis("activation", False), some, key="e")
    assert 'class="through"' not in drawing and ">relu<" in drawing and ">tanh<" in drawing


def test_many_random_values_are_binned_for_the_line_and_stay_where_they_are():
    lr = np.geomspace(1e-5, 1e-1, 80)
    places, log, ordered = effects._places(Axis("lr", True), [member(i, [1.0], lr=float(x)) for i, x in enumerate(lr)])
    assert log and ordered and [len(place.members) for place in places] == [10] * 8
    np.testing.assert_allclose(places[0].dots(Axis("lr", True)), lr[:10])
    np.testing.assert_allclose(places[0].x, math.sqrt(lr[4] * lr[5]))


@pytest.mark.parametrize("low, high, about", [(0, 1, 5), (-3.2, 17, 5), (0, 4e6, 4), (1e-7, 3e-7, 5), (99, 101, 3)])
def test_ticks_are_round_inside_and_neither_few_nor_many(low, high, about):
    ticks = svg.Scale(low, high, 0, 100).ticks(about)
    assert all(low <= tick <= high for tick in ticks) and about / 2 <= len(ticks) <= 2 * about + 1
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    assert float(f"{steps[0]:.1e}".split("e")[0]) in (1, 2, 2.5, 5)


@pytest.mark.parametrize("low, high", [(1e-5, 1e-1), (1e-3, 3e-2), (0.9, 1.1), (2, 9), (1e-12, 1e12)])
def test_logarithmic_ticks_are_inside_and_few(low, high):
    ticks = svg.Scale(low, high, 0, 100, log=True).ticks()
    assert 2 <= len(ticks) <= 9 and all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)


def test_a_scale_puts_equal_factors_at_equal_distances_only_where_it_is_logarithmic():
    log, even = svg.Scale(1, 100, 0, 200, log=True), svg.Scale(0, 100, 0, 200)
    assert (log(1), round(log(10), 9), log(100)) == (0, 100, 200) and even(10) == 20
    assert math.isnan(log(-1)) and math.isnan(log(0)) and math.isnan(even(math.inf))


@pytest.mark.parametrize(
    "value, told, tick",
    [(0, "0", "0"), (12345.6, "12,346", "12.35k"), (-3.14159, "−3.14", "−3.142"), (1.5e-5, "1.5e-5", "1.5e-5"),
     (2.5e6, "2.5M", "2.5M"), (-1e4, "−10,000", "−10k")],
)  # fmt: skip
def test_numbers_are_told_in_the_digits_that_one_compares_by(value, told, tick):
    assert svg.number(value) == told and svg.compact(value) == tick
    assert svg.number(None) == svg.number(math.nan) == "–"


def test_one_run_far_below_does_not_flatten_all_others():
    kept, cut = frame.robust([*range(10, 30), -1e6], [*range(10, 30), -1e6])
    assert cut and min(kept) == 10
    assert frame.robust([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == ([1, 2, 3, 4, 5], False)


def test_a_line_breaks_where_there_is_no_number_and_a_lone_point_is_a_dot():
    drawn = svg.line([(0, 0), (1, 1), (2, math.nan), (3, 3), (4, math.inf), (5, 5), (6, 6)])
    assert drawn == '<path d="M0 0L1 1M3 3h0M5 5L6 6"/>'


def test_whatever_stands_in_a_file_is_text():
    hostile = "<script>\"&'</script>"
    assert "<script" not in svg.tag("p", svg.text(hostile), title=hostile)
    for markup in (tables.words(hostile).markup, tables.pairs({hostile: hostile}, hostile)):
        assert "<script" not in markup


def test_every_number_of_the_table_can_be_sorted_by():
    some = tuple(member(i, [float(value)], gamma=g) for i, (g, value) in enumerate([(0.9, 5), (0.99, math.nan)]))
    html = tables.members(some, [Axis("gamma", False)], tasks=False)
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.S)[1:]
    keys = [
        dict(zip(re.findall(r'data-label="(.*?)"', row), re.findall(r'data-key="(.*?)"', row), strict=True))
        for row in rows
    ]
    assert [row["return"] for row in keys] == ["5.0", ""], "best first, the one without a number last"
    assert [row["gamma"] for row in keys] == ["0.9", "0.99"]


def run_directory(out, members: int, codes):
    out.mkdir()
    env, training = {"env": "probe/bounded-lq"}, {"seed": 3, "seeds": members, "steps": 300}
    directory.write_config(
        out, {"config": {"env": env, "training": training}, "versions": {"jax": "1"}, "commit": None}
    )
    log = metrics.open_log(out / "metrics.jsonl", 0)
    for i in range(4):
        values = [float(10 * i + m) for m in range(members)]
        metrics.write(log, {"env_steps": 100 * i, "eval": {"return_mean": values, "return_std": values},
                            "train": {"entropy": values} if i else {}, "health": {"code": codes[i]},
                            "timing": {"wall_s": 2.5 * i}})  # fmt: skip
    metrics.close(log)
    return out


def test_a_run_is_read_from_its_metrics(tmp_path):
    told = report.read(run_directory(tmp_path / "cheetah", 2, [[0, 0], [0, 0], [0, 1], [0, 1]]))
    assert told.kind == "run" and [m.seed for m in told.members] == [3, 4] and told.seconds == 7.5
    assert [m.status for m in told.members] == ["done", "diverged"] and told.members[1].at == 200
    np.testing.assert_array_equal(told.members[1].series["return_mean"], [1, 11, 21, 31])
    np.testing.assert_array_equal(told.members[0].series["entropy"], [np.nan, 10, 20, 30])
    html = page.html(told)
    assert "Diverged" in html and "probe/bounded-lq" in html and "jax" in html


def test_a_runs_members_have_the_seeds_and_settings_that_they_were_given(tmp_path):
    directory = run_directory(tmp_path / "own", 2, [[0, 0]] * 4)
    about = json.loads((directory / "config.json").read_text())
    about["config"]["hypers"], own = {"gamma": 0.99}, [{"seed": 7, "gamma": 0.9}, {"seed": 11}]
    (directory / "config.json").write_text(json.dumps({**about, "members": own}))
    told = report.read(directory)
    assert [(one.seed, one.setting["gamma"]) for one in told.members] == [(7, 0.9), (11, 0.99)]
    assert told.axes == (Axis("gamma", log=False),) and "gamma 0.9" in page.html(told)


def test_a_page_stands_alone_and_appears_whole_or_not_at_all(tmp_path):
    out = sweeps.made(tmp_path / "grid", GRID, looks=3, unfinished=18)
    path = report.write(report.read(out), tmp_path / "new" / "page.html")
    html = path.read_text()
    assert html.startswith("<!doctype html>") and "Not finished: 0 of 18" in html
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html) and "@import" not in html and "url(http" not in html
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "file").touch()
    with pytest.raises(RenderError, match="cannot write"):
        report.write(report.read(out), tmp_path / "file" / "page.html")


def test_a_directory_that_is_neither_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"neither a run nor a sweep.*give the directory"):
        report.read(tmp_path)


def test_a_sweep_without_a_body_says_why_there_is_no_video(tmp_path):
    out = sweeps.made(tmp_path / "grid", GRID, looks=3)

    def load(home):
        assert home == data.best(report.read(out).members).home
        raise ConfigError("probe/bounded-lq has no body to film")

    home = data.best(report.read(out).members).home
    told = report.with_video(report.read(out), out, load, print)
    assert told.video is None and "no run directory" in told.film
    home.mkdir(parents=True)
    (home / "config.json").touch()
    told = report.with_video(report.read(out), out, load, print)
    assert told.video is None and "has no body to film" in page.html(told)
    best = data.best(told.members)
    (out / f"replay-{best.id}-{best.peak_step}.mp4").write_bytes(b"a film")
    assert report.with_video(report.read(out), out, load, print).video == b"a film"


def test_a_halved_members_policy_is_where_its_best_evaluation_was(tmp_path):
    best = member(3, [1.0, 9.0, 5.0])._replace(home=tmp_path / "g0" / "b0")
    for rung, steps in (("r0", [0, 100]), ("r1", [100, 200])):
        where = tmp_path / "g0" / rung
        batch.write(where, batch.Job("g0", rung, Config(), (groups.Member("m3", "g0", rung, 0, {}),)))
        log = metrics.open_log(where / "metrics.jsonl", 0)
        for step in steps[1:]:
            metrics.write(log, {"env_steps": step})
        metrics.close(log)
    assert best_video._home(best) == tmp_path / "g0" / "r0"
    with pytest.raises(CheckpointError, match="no run directory"):
        best_video._home(best._replace(id="m4"))


def test_thousands_of_members_are_one_page(tmp_path):
    generator = np.random.default_rng(0)
    some = tuple(member(i, generator.normal(size=3), lr=float(10 ** generator.uniform(-5, -1))) for i in range(2_000))
    told = data.Report("sweep", "t", "a", (Axis("lr", True),), some, {}, (), {}, {}, None, "c")
    html = page.html(told)
    assert html.count("<tr>") > 2_000 and len(html) < 3.2e6


def test_softrl_report_writes_beside_the_run(tmp_path, capsys):
    out = run_directory(tmp_path / "cheetah", 1, [[0]] * 4)
    with pytest.raises(SystemExit) as done:
        cli.main(["report", str(out), "--no-video"])
    assert done.value.code == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html") and os.path.getsize(out / "report.html") > 10_000
    with pytest.raises(SystemExit) as done:
        cli.main(["report", str(tmp_path)])
    assert done.value.code == 2
    assert "neither a run nor a sweep" in capsys.readouterr().err
