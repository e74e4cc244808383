"""What the command line shows of a sweep: its plan, how its members fare while they train, and the table at the end."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from softrl.reporting.progress import Progress, number
from softrl.sweep.plan import Plan
from softrl.sweep.plan_text import text
from softrl.sweep.results import Result
from softrl.sweep.winner import Best, by_task, table

ROWS = 20
"""Settings that the table on the terminal shows; results.csv and the report have all."""


class SweepWatcher:
    """Turns the events of a sweep into progress on the terminal."""

    def __init__(self, stack: contextlib.ExitStack, console: Console):
        self.stack, self.console = stack, console
        self.progress: Progress | None = None
        self.members = 0
        self.steps: dict[str, int] = {}
        self.ended: dict[str, str] = {}
        self.best, self.best_member = -math.inf, ""
        self.batch: tuple[str, ...] = ()
        self.groups: dict[str, list[str]] = {}
        self.inexact: set[str] = set()
        self.begun: set[str] = set()
        self.compiled_s: list[float] = []

    def __call__(self, event: dict[str, Any]) -> None:
        """Shows one event of `softrl.sweep.driver` or of a launcher."""
        handle = getattr(self, f"_{event['event']}", None)
        if handle is not None:
            handle(event)

    def _planned(self, event: dict[str, Any]) -> None:
        plan: Plan = event["plan"]
        self.members = plan.members
        self.groups = {one.group.id: [member.id for member in one.group.members] for one in plan.groups}
        self.inexact = {member for one in plan.groups if not one.exact for member in self.groups[one.group.id]}
        for line in text(plan):
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        total = sum(group.env_steps for group in plan.groups)
        label = f"{plan.members:,} members"
        self.progress = self.stack.enter_context(Progress.open(total, label, console=self.console))

    def _begun(self, event: dict[str, Any]) -> None:
        if event["changed"]:
            self.progress.note(f"continues, but perhaps not bit for bit: {', '.join(event['changed'])} changed since")
        if event["lines"]:
            self._take(event["lines"])
            self.progress.note(f"going on with {len(self.steps):,} members that have begun")
            if self.inexact & {member for member in self.steps if member not in self.ended}:
                self.progress.note("those whose environments cannot be put back begin new episodes")
            self._show()

    def _lines(self, event: dict[str, Any]) -> None:
        self._take(event["lines"])
        self._show()

    def _batch(self, event: dict[str, Any]) -> None:
        self.batch = tuple(member.id for member in event["job"].members)
        self.begun.add(event["job"].group)

    def _connected(self, event: dict[str, Any]) -> None:
        cpus, gpus = (event["resources"].get(name, 0) for name in ("CPU", "GPU"))
        self.progress.note(f"Ray: {event['nodes']} machines, {cpus:g} CPUs, {gpus:g} GPUs")

    def _lost(self, event: dict[str, Any]) -> None:
        where = "/".join(event["directory"].parts[-2:])
        self.progress.note(f"{where} {event['became']} and goes on: {event['cause']}")

    def _compiled(self, event: dict[str, Any]) -> None:
        self.compiled_s.append(event["seconds"])
        self.progress.past.clear()  # no steps were made meanwhile
        self.progress.note(f"compiled in {event['seconds']:.1f} s")

    def _resumed(self, event: dict[str, Any]) -> None:
        for reason in event["rejected"]:
            self.progress.note(f"passed over a checkpoint: {reason}")

    def _chunk(self, event: dict[str, Any]) -> None:
        ahead = sum(max(event["env_steps"] - self.steps.get(member, 0), 0) for member in self.batch)
        rates = {name: event[name] for name in ("env_steps_per_s", "updates_per_s")}
        self._show(ahead, more=event["evaluates"], **rates)

    def _take(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["kind"] == "evaluation":
                self.steps[line["member"]] = max(line["step"], self.steps.get(line["member"], 0))
                if line["return_mean"] > self.best:
                    self.best, self.best_member = line["return_mean"], line["member"]
            elif line["kind"] in ("diverged", "stopped"):
                self.ended[line["member"]] = line["kind"]
                if line["kind"] == "diverged" and self.progress is not None:
                    self.progress.note(f"{line['member']} {line['cause']}")
            elif line["kind"] == "batch":
                self.ended |= {member: "done" for member in line["members"] if member not in self.ended}

    def _show(self, ahead: int = 0, **values: Any) -> None:
        self.progress.ahead = self._compiling()
        self.progress.update(env_steps=sum(self.steps.values()) + ahead, members=self._members(), **values)

    def _compiling(self) -> float:
        """Seconds for the groups that are still to be compiled, if each takes as long as those so far."""
        left = (name for name, members in self.groups.items() if not self.ended.keys() >= set(members))
        waiting = sum(name not in self.begun for name in left)
        return waiting * sum(self.compiled_s) / max(len(self.compiled_s), 1)

    def _members(self) -> str:
        kinds = list(self.ended.values())
        alive = sum(member not in self.ended for member in self.steps)
        parts = [f"{alive} alive", f"{kinds.count('diverged')} frozen", f"{kinds.count('done')} of {self.members} done"]
        if "stopped" in kinds:
            parts.insert(2, f"{kinds.count('stopped')} stopped")
        if math.isfinite(self.best):
            parts.append(f"best {number(self.best)} ({self.best_member})")
        return ", ".join(parts)


@contextlib.contextmanager
def sweeping(console: Console | None = None) -> Iterator[SweepWatcher]:
    """Progress of a sweep: a listener for `softrl.sweep.run`."""
    with contextlib.ExitStack() as stack:
        yield SweepWatcher(stack, console or Console(highlight=False))


def show_table(rows: list[Result], console: Console | None = None) -> None:
    """Prints, task by task, a row for each setting, the best interquartile mean first, and why members diverged.

    Members that a search stopped have made fewer steps, and have no row where others went the whole way.
    """
    console = console or Console(highlight=False)
    for some in by_task(rows).values():
        whole = [row for row in some if row.status != "stopped"]
        _show_settings(whole or some, console)
        if whole and len(whole) < len(some):
            console.print(f"and {len(some) - len(whole):,} members that were stopped on the way")
    for row in rows:
        if row.status == "diverged":
            console.print(f"{row.member.id} {row.cause} (by step {row.final_step:,})", markup=False, soft_wrap=True)


def _show_settings(rows: list[Result], console: Console) -> None:
    found = table(rows)
    setting = found[0].setting if found else {}
    axes = [name for name in setting if name != "env"]
    if "env" in setting:  # the same in all rows, and long
        console.print(setting["env"], style="bold", markup=False, soft_wrap=True)
    columns = [Column(name, overflow="fold") for name in axes]
    columns += [Column(name, no_wrap=True) for name in ("n", "mean", "IQM", "95 %", "best", "diverged")]
    shown = Table(*columns, box=None, header_style="bold")
    for cell in found[:ROWS]:
        spread = f"[{number(cell.low)}, {number(cell.high)}]" if math.isfinite(cell.low) else ""
        numbers = [str(cell.n), number(cell.mean), number(cell.iqm), spread, number(cell.best), str(cell.diverged)]
        shown.add_row(*[_spelled(cell.setting[name]) for name in axes], *[part.replace("[", r"\[") for part in numbers])
    console.print(shown)
    if len(found) > ROWS:
        console.print(f"and {len(found) - ROWS:,} settings more")


def in_one_line(best: Best) -> str:
    """The winner in one line."""
    cell = best.cell
    setting = ", ".join(f"{name} {_spelled(value)}" for name, value in cell.setting.items()) or "the base"
    spread = f" [{number(cell.low)}, {number(cell.high)}]" if math.isfinite(cell.low) else ""
    lost = f", {cell.diverged} diverged" if cell.diverged else ""
    return (
        f"{setting}: IQM {number(cell.iqm)}{spread}, n {cell.n}{lost}; best run {best.member.member.id}, "
        f"{number(best.member.final_return)}, in {best.directory}"
    )


def _spelled(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
