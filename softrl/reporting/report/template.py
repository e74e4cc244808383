"""An empty page: style, script and what may not run on it; no file and no network beside it."""

import base64
import hashlib
import string
from collections.abc import Iterable
from pathlib import Path

from softrl import __version__
from softrl.reporting.report import svg
from softrl.reporting.report.svg import tag

HERE = Path(__file__).parent


def page(
    *, title: str, about: str, kind: str, command: str, sections: Iterable[str], tiles: str = "", notice: str = ""
) -> str:
    """A whole page. `sections`, `tiles`, `notice`: markup; the rest is text, whoever wrote it."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return string.Template((HERE / "template.html").read_text(encoding="utf-8")).substitute(
        title=svg.text(title),
        about=svg.text(about),
        kind=svg.text(kind),
        style=(HERE / "style.css").read_text(encoding="utf-8"),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        tiles=tiles,
        notice=notice,
        sections="\n".join(filter(None, sections)),
        version=svg.text(__version__),
        command=svg.text(command),
    )


def section(key: str, title: str, *children: str, lead: str = "") -> str:
    """A part of the page under a heading; `children` and `lead` are markup."""
    said = tag("p", lead, class_="lead") if lead else ""
    return tag("section", tag("h2", svg.text(title), id=key), said, *children, aria_labelledby=key)
