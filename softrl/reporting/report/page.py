"""The page: everything put together, with no file and no network beside it."""

import base64
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from softrl import units
from softrl.errors import CheckpointError
from softrl.reporting import media
from softrl.reporting.report import curves, data, effects, read_run, read_sweep, svg, tables, template
from softrl.reporting.report.data import Group, Report
from softrl.reporting.report.svg import tag
from softrl.sweep import folder

Grouped = Mapping[str, list[Group]]
"""Robot -> its settings, best first."""

PANELS = 9
"""Small charts of training quantities at most."""


def read(directory: str | Path) -> Report:
    """The report on a sweep's or a run's directory.

    Raises: CheckpointError where it is neither, or damaged.
    """
    directory = Path(directory)
    if folder.exists(directory):
        return read_sweep.read(directory)
    if not (directory / "config.json").exists():
        raise CheckpointError(
            f"{directory} is neither a run nor a sweep: it has no config.json and no sweep.json; "
            "give the directory that `softrl train` or `softrl sweep` wrote to"
        )
    return read_run.read(directory)


def write(report: Report, path: str | Path) -> Path:
    """Writes the page; it appears whole or not at all.

    Raises: RenderError where the file cannot be written.
    """
    path, page = Path(path), html(report)
    with media.whole(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def html(report: Report) -> str:
    """The page as text. Whatever a run's files hold is shown as text and can neither run nor load anything."""
    grouped = {task: data.groups(tuple(m for m in report.members if m.task == task)) for task in report.tasks}
    sections = [_best(report), *_tasks(report, grouped), _members(report), _failures(report), _config(report)]
    return template.page(
        title=report.title,
        about=report.about,
        kind={"sweep": "Sweep", "run": "Training run"}[report.kind],
        command=report.command,
        sections=sections,
        tiles=_tiles(report, grouped),
        notice=_notice(report),
    )


def _tiles(report: Report, grouped: Grouped) -> str:
    """The most important numbers."""
    members = report.members
    diverged = sum(member.status == "diverged" for member in members)
    steps = sum(float(member.steps[-1]) for member in members if len(member.steps))
    best, tiles = data.best(members), []
    if len(report.tasks) < 2 and best is None:
        tiles.append(("best return", "–", "no evaluation"))
    elif len(report.tasks) < 2:
        whose = f"member {best.id}" if len(members) > 1 else f"at step {best.peak_step:,}"
        tiles.append(("best return", svg.number(best.peak), whose))
    groups = grouped.get(report.tasks[0], []) if len(report.tasks) == 1 else []
    if 0 < len(groups) < len(members):
        top = groups[0]
        said = f"{svg.number(top.cell.low)} to {svg.number(top.cell.high)}" if math.isfinite(top.cell.low) else top.name
        tiles.append(("best setting", svg.number(top.cell.iqm), said))
    if len(members) > 1:
        tiles.append(("members", f"{len(members):,}", f"{len(report.tasks)} robot{'s' * (len(report.tasks) > 1)}"))
        tiles.append(("diverged", f"{diverged:,}", f"{100 * diverged / len(members):.0f} % of members"))
    tiles.append(("environment steps", svg.compact(steps), "all members" if len(members) > 1 else "in all"))
    if report.seconds is not None:
        tiles.append(("time", units.duration(report.seconds), "wall clock"))
    return "".join(
        tag("div", tag("dt", svg.text(n)), tag("dd", svg.text(v)), tag("dd", svg.text(s), class_="small"))
        for n, v, s in tiles
    )


def _notice(report: Report) -> str:
    open_ = sum(member.status in ("training", "waiting") for member in report.members)
    if not open_:
        return ""
    done = len(report.members) - open_
    said = f"Not finished: {done:,} of {len(report.members):,} members are done." if report.kind == "sweep" else ""
    return tag("p", said or "Not finished: this run has steps to go.", class_="notice", role="status")


def _best(report: Report) -> str:
    """The best of every robot; the film is the first one's."""
    found = data.bests(report.members)
    if not found:
        return ""
    title = "Best policy" if len(report.members) == 1 else "Best member" + (" of each robot" if found[1:] else "")
    listed, *others = (_facts(report, best) for best in found)
    if report.video is None:
        said = tag("p", svg.text(report.film), class_="faint") if report.film else ""
        return template.section("best", title, listed, *others, said)
    return template.section("best", title, tag("div", _film(report.video, report.film), listed, class_="best"), *others)


def _facts(report: Report, best: data.Member) -> str:
    facts = {"return": svg.number(best.peak), "env": best.task, **best.setting, "seed": best.seed}
    facts |= {"member": best.id} if len(report.members) > 1 else {"at step": f"{best.peak_step:,}"}
    facts |= {} if report.held_out is None else {"return on new episodes": svg.number(report.held_out)}
    items = [tag("div", tag("dt", svg.text(n)), tag("dd", svg.text(data.value_text(v)))) for n, v in facts.items()]
    return tag("dl", *items, class_="facts")


def _film(video: bytes, about: str) -> str:
    encoded = base64.b64encode(video).decode()
    if video.startswith(b"GIF"):
        picture = tag("img", src=f"data:image/gif;base64,{encoded}", alt=about)
    else:
        source = tag("source", src=f"data:video/mp4;base64,{encoded}", type="video/mp4")
        picture = tag("video", source, controls=True, loop=True, muted=True, playsinline=True, aria_label=about)
    return tag("figure", picture, tag("figcaption", svg.text(about)))


def _tasks(report: Report, grouped: Grouped) -> list[str]:
    """For each robot: curves, effects, the table of settings."""
    parts = []
    lead = (
        "Interquartile mean over members of the last evaluation (undiscounted return of the deterministic policy), "
        "with a 95 % stratified bootstrap interval. Members that diverged count with the policy that they stopped with."
    )
    for index, (task, groups) in enumerate(grouped.items()):
        members = tuple(member for group in groups for member in group.members)
        key, suffix = f"t{index}", f": {task}" if len(grouped) > 1 else ""
        parts += [_curves(report, groups, key, suffix), _effects(report, members, key, suffix)]
        if 1 < len(groups) < len(members):  # otherwise the members' table says it all
            table = tables.settings(groups, report.axes)
            parts.append(template.section(f"{key}settings", f"Settings{suffix}", table, lead=lead))
    return parts


def _curves(report: Report, groups: list[Group], key: str, suffix: str) -> str:
    drawing, cut = curves.figure(groups, "return_mean", y_name="evaluation return", key=key)
    if not drawing:
        return ""
    alone, solo = len(groups) == 1, len(groups[0].members) == 1
    if alone and solo:
        lead = "Deterministic policy; the band is ± one standard deviation over the episodes of an evaluation."
    elif alone:
        lead = "Interquartile mean over the members with its 95 % interval; each member is a grey line."
    elif all(len(group.members) == 1 for group in groups):
        lead = "One member a setting."
    else:
        lead = "Interquartile mean over the members of each setting with its 95 % interval."
    if len(groups) > curves.COLOURED:
        more = min(len(groups) - curves.COLOURED, curves.GREY)
        lead += f" The best {curves.COLOURED} settings in colour, {more} more in grey."
    if cut:
        lead += " What lies far below or above the others is cut off."
    main = tag("figure", drawing, _legend(groups) if not alone else "", class_="chart")
    return template.section(f"{key}curves", f"Learning curves{suffix}", main, _panels(report, groups, key), lead=lead)


def _legend(groups: list[Group]) -> str:
    items = []
    for i, group in enumerate(groups[: curves.COLOURED]):
        label = tables._swatch(i) + svg.text(group.name)
        items.append(tag("li", tag("button", label, type="button", data_series=i, aria_pressed="false")))
    return tag("ul", *items, class_="legend", aria_label="Settings in colour, best first")


def _panels(report: Report, groups: list[Group], key: str) -> str:
    drawn = []
    for index, (name, about) in enumerate(list(report.training.items())[:PANELS]):
        picture, _ = curves.figure(groups, name, y_name=about, key=f"{key}p{index}", panel=True)
        if picture:
            caption = tag("figcaption", tag("b", svg.text(name)), " ", svg.text(about))
            drawn.append(tag("figure", caption, picture, class_="chart"))
    return tag("div", *drawn, class_="panels") if drawn else ""


def _effects(report: Report, members: tuple[data.Member, ...], key: str, suffix: str) -> str:
    drawn = []
    for index, axis in enumerate(report.axes):
        if picture := effects.figure(axis, members, key=f"{key}e{index}"):
            drawn.append(tag("figure", tag("figcaption", tag("b", svg.text(axis.name))), picture, class_="chart"))
    if not drawn:
        return ""
    lead = (
        "Return of the last evaluation by one setting, all others as they came: a dot for each member, a cross for "
        "each that diverged, and interquartile means with their 95 % intervals."
    )
    return template.section(f"{key}effects", f"Effects{suffix}", tag("div", *drawn, class_="panels"), lead=lead)


def _members(report: Report) -> str:
    if len(report.members) == 1:
        return template.section("evaluations", "Evaluations", tables.evaluations(report.members[0], report.brief))
    return template.section(
        "members", "Members", tables.members(report.members, report.axes, tasks=len(report.tasks) > 1)
    )


def _failures(report: Report) -> str:
    failed = [member for member in report.members if member.status == "diverged"]
    none = tag("p", "None: every member kept learning.", class_="faint")
    return template.section("diverged", "Diverged", tables.failures(failed) if failed else none)


def _config(report: Report) -> str:
    marked = [axis.name for axis in report.axes] + (["env"] if len(report.tasks) > 1 else [])
    versions = dict(report.surroundings.get("versions") or {})
    machine = {"commit": report.surroundings.get("commit") or "unknown", **(report.surroundings.get("machine") or {})}
    opened: Callable[[str, str], str] = lambda name, body: tag("details", tag("summary", name), body)
    return template.section(
        "config",
        "Configuration",
        opened("Settings", tables.pairs(report.config, "Base configuration", marked=marked)),
        opened("Versions", tables.pairs(versions, "Versions of what the numbers depend on")),
        opened("Machine", tables.pairs(machine, "Commit and machine")),
    )
