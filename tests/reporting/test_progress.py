"""Progress: plain lines for files, a live bar for terminals, both without rounding or wrapping away what was told."""

import io

import numpy as np
from rich.console import Console

from softrl.reporting import show
from softrl.reporting.progress import LINES, Progress, number
from softrl.training.assemble import assemble
from tests import tiny


def plain():
    """A console that is no terminal, 80 wide."""
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def shown(console) -> list[str]:
    """Lines printed so far."""
    return console.file.getvalue().splitlines()


def test_lines_for_a_file_are_plain_and_few():
    console = plain()
    with Progress.open(10_000, "brax/ant", console=console) as progress:
        for step in range(0, 10_001, 10):
            progress.update(env_steps=step, updates=step, env_steps_per_s=1234.5, updates_per_s=67.89)
    lines = shown(console)
    assert len(lines) == LINES
    assert lines[-1].startswith("100 %  10,000 of 10,000 steps")
    assert "1,234 steps/s  67.9 updates/s  10,000 updates" in lines[-1]
    assert "\x1b" not in console.file.getvalue()


def test_every_evaluation_has_a_line():
    console = plain()
    with Progress.open(1_000_000, "brax/ant", console=console) as progress:
        progress.update(compile_s=12.3)
        progress.update(env_steps=10, updates=0, eval_return=-3.25)
        progress.update(env_steps=20, updates=0)
        progress.update(env_steps=20, updates=0, eval_return=float("nan"))
    lines = shown(console)
    assert len(lines) == 2
    assert "return -3.25" in lines[0]
    assert "compiled in 12 s" in lines[0]
    assert "return not finite" in lines[1]


def test_counters_beyond_32_bits_are_exact():
    console = plain()
    with Progress.open(2**40, "brax/ant", console=console) as progress:
        progress.update(env_steps=2**40 - 1, updates=2**35 + 1, eval_return=1.0)
    assert "99 %  1,099,511,627,775 of 1,099,511,627,776 steps" in shown(console)[0]
    assert "34,359,738,369 updates" in shown(console)[0]


def test_time_to_go_follows_the_latest_rate_of_this_session():
    seconds = iter(range(0, 10_000, 2))
    console = plain()
    with Progress.open(10_000, "brax/ant", console=console) as progress:
        progress.clock = lambda: float(next(seconds))
        progress.update(env_steps=4_000, eval_return=0.0)  # resumed there: that is not this session's speed
        progress.update(env_steps=4_100, eval_return=0.0)
        for step in range(4_200, 10_001, 100):
            progress.update(env_steps=step)
    lines = shown(console)
    assert "left" not in lines[0]
    assert lines[1].endswith("1 min 58 s left")  # 5,900 steps at 50 a second
    assert "left" not in lines[-1]


def test_notes_are_printed_as_they_are_and_not_wrapped():
    text = "runs/[bold]brackets[/bold]/" + "long" * 40
    console = plain()
    with Progress.open(10, "brax/ant", console=console) as progress:
        progress.note(text)
    assert shown(console) == [text]


def test_a_terminal_shows_a_bar_the_numbers_and_keeps_the_notes():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with Progress.open(2**33, "brax/[ant] × 8 seeds", console=console) as progress:
        progress.note("a note that stays")
        progress.update(compile_s=3.0, env_steps=2**32, updates=7, env_steps_per_s=1e4, eval_return=12.5)
    text = console.file.getvalue()
    for part in ("a note that stays", "brax/[ant] × 8 seeds", "50%", "return 12.5", "10,000 steps/s", "7 updates"):
        assert part in text, part


def test_a_run_of_no_steps_divides_nothing():
    for terminal in (False, True):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with Progress.open(0, "brax/ant", console=console) as progress:
            progress.update(env_steps=0, eval_return=1.0)


def test_numbers_read_well():
    assert [number(x) for x in (0.0, 0.01234, 9.876, 12.34, 999.9, 1234.5, -56789.0)] == [
        "0", "0.0123", "9.88", "12.3", "999.9", "1,234", "-56,789",
    ]  # fmt: skip


def test_steps_that_were_left_out_and_evaluations_that_are_not_finite_are_told():
    line = {"env_steps": 64, "timing": {"wall_s": 1.0}, "health": {"quarantined": [3, 4]}}
    told = show.summary([line | {"eval": {"return_mean": [np.nan]}}, line | {"eval": {"return_mean": [5.0]}}])
    assert told == "return 5.0 (best 5.0) after 64 steps, 1 s; 7 steps were left out, of non-finite numbers"


def told(config, members=None) -> str:
    """What the plan of a run says."""
    console = plain()
    assembled = assemble(config, members=members)
    with Progress.open(1, "probe", console=console) as progress:
        show.RunWatcher(progress)({"event": "assembled", "assembled": assembled, "memory": "a run of 1 MiB"})
    return console.file.getvalue()


def test_a_run_that_ends_before_learning_starts_says_so():
    assert "nothing will be learned: learning_starts is 512 of 256 steps" in told(
        tiny.config(steps=256, learning_starts=512)
    )
    assert "nothing will be learned" not in told(tiny.config())


def test_steps_that_are_no_whole_chunks_are_told():
    config = tiny.config()
    chunk = config.chunk_transitions
    assert f"{chunk:,} steps for {chunk - 1:,}, in whole chunks of {chunk:,}" in told(tiny.config(steps=chunk - 1))
    assert "whole chunks" not in told(tiny.config(steps=2 * chunk))


def test_a_title_has_the_seeds_that_the_members_have():
    assert "seeds 0 to 1:" in told(tiny.config(seed=0, seeds=2))
    assert "2 members, seeds 7, 3:" in told(tiny.config(seeds=2), [{"seed": 7}, {"seed": 3}])
    assert "2 members, seeds 7:" in told(tiny.config(seeds=2), [{"seed": 7}, {"seed": 7, "gamma": 0.5}])
    assert "6 members, 5 seeds:" in told(tiny.config(seeds=6), [{"seed": s} for s in (9, 9, 1, 2, 3, 4)])
