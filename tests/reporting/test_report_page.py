"""The page in a real browser: it loads without a network and without complaints, sorts, fits a phone, can be seen."""

import io

import numpy as np
import pytest
from PIL import Image

from softrl.reporting import report
from softrl.reporting.table import comparison, gather, write
from tests.reporting import sweeps
from tests.reporting.browser import chromium

GRID = {
    "seeds": 4,
    "base": {"env": "probe/bounded-lq", "steps": 45_056},
    "axes": {"temperature": [0.02, 0.1, 0.5], "critic_lr": {"log": [1e-4, 1e-2], "n": 4}},
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for all tests of this file."""
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A sweep's page."""
    out = sweeps.made(tmp_path_factory.mktemp("sweep") / "temperature", GRID, diverging=True)
    film = io.BytesIO()
    Image.new("RGB", (64, 36), "teal").save(film, "GIF")
    told = report.read(out)._replace(video=film.getvalue(), film="the best policy at work")
    return report.write(told, out / "report.html")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_loads_without_a_network_or_a_complaint_and_fits(browser, page, width, scheme):
    browser.open(page, width=width, scheme=scheme)
    assert browser.complaints() == []
    assert (
        browser.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length")
        == 0
    )
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    picture = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"))
    assert picture.shape[1] == width and picture.shape[0] > 1_500
    dark = np.median(picture) < 60
    assert dark == (scheme == "dark"), "the paper follows the system's colours"
    assert picture.std() > 8, "something is drawn"


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_around(browser, page):
    browser.open(page, width=1280)
    rows = "section[aria-labelledby=t0settings] tbody tr"
    heading = "section[aria-labelledby=t0settings] th button"
    names = [text.lower() for text in browser.texts(heading)]
    column = names.index("critic_lr")
    cells = f"{rows} td:nth-child({column + 1})"
    assert len(browser.texts(rows)) == 12
    browser.click(heading, column)
    values = [float(text) for text in browser.texts(cells)]
    assert values == sorted(values, reverse=True) and values[0] > values[-1]
    browser.click(heading, column)
    assert [float(text) for text in browser.texts(cells)] == sorted(values)
    sort = browser.run(
        "return document.querySelectorAll(arguments[0])[arguments[1]].ariaSort", f"{rows.split()[0]} th", column
    )
    assert sort == "ascending"
    assert browser.complaints() == []


def test_a_long_table_is_cut_until_one_asks_for_the_rest(browser, page):
    browser.open(page, width=1280)
    rows = "[...document.querySelectorAll('section[aria-labelledby=members] tbody tr')]"
    visible = f"return {rows}.filter(row => !row.hidden).length"
    assert browser.run(visible) == 25
    browser.click("section[aria-labelledby=members] .more")
    assert browser.run(visible) == 48


def test_pressing_a_setting_in_the_legend_leaves_its_line_alone(browser, page):
    browser.open(page, width=1280)
    browser.click(".legend button", 2)
    assert browser.run("return [...document.querySelectorAll('svg.wide .series.on')].map(e => e.dataset.series)") == [
        "2"
    ]
    browser.click(".legend button", 2)
    assert browser.run("return document.querySelectorAll('.legend [aria-pressed=true]').length") == 0


def test_every_picture_says_what_it_shows_and_every_table_has_a_name(browser, page):
    browser.open(page, width=1280)
    pictures = "[...document.querySelectorAll('svg[role=img],img,video')]"
    assert browser.run(f"return {pictures}.length") > 5
    assert browser.run(f"return {pictures}.every(picture => picture.getAttribute('aria-label') || picture.alt)")
    assert browser.run("return [...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)")
    assert browser.run("return [...document.querySelectorAll('th')].every(t => t.scope)")
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    unique = (
        "const ids = [...document.querySelectorAll('[id]')].map(e => e.id); return ids.length === new Set(ids).size"
    )
    assert browser.run(unique)


def test_somebody_elses_sweep_cannot_run_or_load_anything(browser, tmp_path):
    hostile = '"><script>document.title = "owned"</script><img src=x onerror="document.title = \'owned\'">'
    out = sweeps.made(
        tmp_path / "sweep",
        {**GRID, "axes": {}},
        looks=3,
        surroundings={
            "versions": {hostile: hostile},
            "commit": hostile,
            "machine": {"device": hostile, "devices": 1, "system": hostile},
        },
    )
    told = report.read(out)
    told = told._replace(title=hostile, about=hostile, command=hostile, film=hostile)
    browser.open(report.write(told, tmp_path / "report.html"), width=390)
    assert "owned" not in (browser.run("return document.title") or "").replace(hostile, "")
    assert browser.run("return document.querySelectorAll('main script, main img, header script').length") == 0
    assert browser.complaints() == []


def test_a_table_of_many_runs_fits_a_phone_and_sorts(browser, tmp_path):
    grid = {
        "seeds": 3,
        "base": {"steps": 45_056},
        "axes": {"temperature": [0.02, 0.5], "env": ["probe/death", "probe/bounded-lq"]},
    }
    made = comparison.compare(gather.read(sweeps.made(tmp_path / "sweep", grid)))
    page = write.write(made, tmp_path / "table.html", "softrl table sweep")
    for width in (360, 1280):
        browser.open(page, width=width, scheme="light")
        assert browser.complaints() == []
        assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    first = "section[aria-labelledby=g0] tbody tr td:nth-child(2)"
    browser.run("document.querySelectorAll('section[aria-labelledby=g0] th button')[1].click()")
    keys = [float(cell.partition(" ")[0].replace("−", "-").replace(",", "")) for cell in browser.texts(first)]
    assert keys == sorted(keys, reverse=True)
