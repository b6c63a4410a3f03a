"""README and the pages of the site: what they show is run, and what cannot be run here is at least a command there is.

Blocks of the tutorials and guides that are marked `{code-cell}` are run by `make docs`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.main import get_command

from ternary_vae.cli import app
from ternary_vae.experiments.description import Experiment
from ternary_vae.resolution.figures import GOALS
from ternary_vae.resolution.structure.ideal import ideal_exact_match
from ternary_vae.space import TWO_INPUT_TERNARY

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "publish"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*/*.md"))]
PAGES = [page for page in PAGES if page.parent.name != "results"]  # made when the site is built
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN_FROM_README = (
    "ternary-vae gate SUM",
    "ternary-vae gates --where 'commutative and sheffer' --near SUM --limit 5",
    "ternary-vae export embeddings codes.csv",
    "ternary-vae --help",
)


def blocks(text, kind):
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def console_lines(page):
    """The commands of a page's consoles, and those that its cells give to a shell."""
    text = page.read_text(encoding="utf-8")
    shown = [line for block in blocks(text, "console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in shown), f"{page}: a line without a prompt"
    return [line.removeprefix("$ ") for line in shown]


LINES = sorted({(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in console_lines(page)})


def test_readme_is_short():
    assert len(README.split()) <= 900


def test_a_release_has_one_version_and_one_date():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog.replace("## Unreleased\n", ""), re.MULTILINE)
    assert headings[0] == f"{version} - {citation['date-released']}"
    assert citation["version"] == version


def test_the_table_of_readme_is_what_reports_say():
    from published import readme_table

    start, end = "<!-- figures: made by scripts/publish/publish_reports.py -->", "<!-- end of figures -->"
    assert README.split(start)[1].split(end)[0].strip() == readme_table()


def test_every_goal_is_read_from_its_page():
    from published import goals

    assert list(goals()) == [goal.name for goal in GOALS]


@pytest.mark.parametrize("sigma", [0.2, 0.3, 0.4])
def test_the_limit_of_nine_axes_is_what_is_drawn(sigma):
    """Nine axes of three levels at the means of thirds of a normal, read back by the third in which they lie: 400,000
    draws have a standard deviation below 0.0008; the margin is five of them."""

    random = np.random.default_rng(0)
    sample = np.sort(random.normal(size=3_000_000))
    cuts, levels = sample[[1_000_000, 2_000_000]], sample.reshape(3, -1).mean(axis=1)
    wanted = random.integers(0, 3, size=(400_000, 9))
    met = np.digitize(levels[wanted] + sigma * random.normal(size=wanted.shape), cuts) == wanted
    assert met.all(axis=1).mean() == pytest.approx(ideal_exact_match(TWO_INPUT_TERNARY, sigma), abs=0.004)


@pytest.mark.parametrize("code", blocks(README, "python"))
def test_python_of_readme(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "19,683 of 19,683 gates exact" in done.stdout


@pytest.mark.parametrize("line", RUN_FROM_README)
def test_console_of_readme(line, tmp_path):
    assert ("README.md", line) in LINES
    arguments = [sys.executable, "-m", "ternary_vae.cli", *shlex.split(line)[1:]]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_console_line_is_a_command_there_is(page, line):
    program, *arguments = shlex.split(re.sub(r"^[A-Z_]+=\S+ ", "", line))
    if program == "ternary-vae":
        require_parsed(arguments)
    elif program == "make":
        assert re.search(rf"^{re.escape(arguments[0])}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        require_extras(arguments)
    elif program == "python":
        assert (ROOT / arguments[0]).exists()
    else:
        assert program in (".venv/bin/python", ".venv/bin/ruff", "hf")


def require_parsed(arguments):
    command = get_command(app)
    context = command.make_context("ternary-vae", ["--help"], resilient_parsing=True)
    if arguments == ["--help"]:
        return
    while hasattr(command, "get_command"):
        name, *arguments = arguments
        command = command.get_command(context, name)
        assert command is not None, f"no command {name}"
    command.make_context(name, arguments)


def require_extras(arguments):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for argument in arguments:
        for found in re.findall(r"ternary-vae\[(.*?)\]", argument):
            assert set(found.split(",")) <= set(extras)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
        made_by_the_build = "results/" in link
        assert "://" in link or made_by_the_build or (page.parent / link).exists(), link


def text_of(page):
    """A page with what it includes; of one that the build makes of a report, the report."""
    if page.parent.name == "results":
        made_by = (ROOT / "docs" / "_extensions" / "generated.py").read_text(encoding="utf-8")
        page = ROOT / re.search(rf'^    "{page.stem}": "(.+?)"', made_by, re.MULTILINE)[1]
    text = page.read_text(encoding="utf-8")
    for included in re.findall(r"^```\{include\} (\S+)$", text, re.MULTILINE):
        text += (page.parent / included).read_text(encoding="utf-8")
    return text


def test_what_is_included_begins_and_ends_where_a_page_says():
    marks = [
        (page.parent / included, mark)
        for page in (*PAGES, ROOT / "docs" / "index.md")
        for included, options in re.findall(
            r"^```\{include\} (\S+)\n((?::.*\n)*)", page.read_text(encoding="utf-8"), re.MULTILINE
        )
        for mark in re.findall(r'^:(?:start-after|end-before): "(.+)"$', options, re.MULTILINE)
    ]
    assert marks
    for included, mark in marks:
        assert mark in text_of(included), (included, mark)


def anchors(text):
    """Labels of a page, and its headings as GitHub and MyST make anchors of them."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,4} (.+)$", outside, re.MULTILINE)
    labels = re.findall(r"^\((.+)\)=$", outside, re.MULTILINE)
    return {*labels, *(re.sub(r"[^\w\- ]", "", heading.strip().lower().replace(" ", "-")) for heading in headings)}


def test_links_to_parts_of_pages_lead_to_a_heading_or_a_label():
    links = [
        (page, *link.split("#"))
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    ]
    assert len(links) > 5
    for page, target, anchor in links:
        assert anchor in anchors(text_of((page.parent / target).resolve() if target else page)), (page, target, anchor)


def test_sources_that_the_code_names_are_on_their_page():
    page = (ROOT / "docs" / "explanation" / "sources.md").read_text(encoding="utf-8")
    code = " ".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    name = r"[A-Z]\w+"
    cited = re.findall(rf"({name})(?:(?:, {name})* and {name}| et\s+al\.)?\s+\(?((?:19|20)\d\d)\b", code)
    assert len(cited) > 10
    for author, year in cited:
        assert re.search(rf"\| .*{author}\b.* {year}\b", page), f"{author} {year}"


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_of_the_site_is_run_when_it_is_built(page):
    assert not blocks(page.read_text(encoding="utf-8"), "python")


def test_the_experiment_that_is_shown_is_one():
    (shown,) = blocks((ROOT / "docs" / "how_to" / "experiments.md").read_text(encoding="utf-8"), "yaml")
    assert Experiment.model_validate(yaml.safe_load(shown)).name == "mine"
