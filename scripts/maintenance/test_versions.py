"""Runs the tests with the oldest versions that pyproject.toml allows and with the newest, each in an environment of its
own, and prints a table of what was run. uv chooses the versions, pip installs them. Ends with 1 if a test failed.

With PyPI alone torch comes with its libraries for CUDA, several GB of them."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PYTHONS = {"oldest": ["3.11"], "newest": ["3.13", "3.12"]}  # the first that there is
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
NAME = "ternary-vae"  # the extra `dev` has all others that tests need
FIGURES = ("passed", "failed", "skipped")


def stop(why: str) -> NoReturn:
    print(f"test_versions: {why}", file=sys.stderr)
    sys.exit(2)


def run(*command: object, **options: object) -> None:
    """Runs a command to its end; one that fails ends everything."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, **options)
    if done.returncode:
        stop(f"{' '.join(map(str, command))}: failed with exit code {done.returncode}")


def python_of(which: str) -> str:
    """The interpreter of a column: the first of its versions that is on the path and runs."""
    for version in PYTHONS[which]:
        program = shutil.which(f"python{version}")
        if program and subprocess.run([program, "-c", ""], capture_output=True).returncode == 0:
            return program
    stop(f"{which}: no python{' or python'.join(PYTHONS[which])} found; put one on the PATH")


def environment(which: str, place: Path, torch: str | None) -> Path:
    """Makes the environment of a column anew; returns its interpreter."""
    program = python_of(which)
    run(program, "-m", "venv", "--clear", place)
    python = place / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "uv")
    chosen, given = place / "versions.txt", place / "given.txt"
    given.write_text(f"torch=={torch}\n" if torch else "")
    run(
        python, "-m", "uv", "pip", "compile", "pyproject.toml", "--extra", "dev", "--quiet", "--no-annotate",
        "--no-header", "--python", python, "--resolution", RESOLUTIONS[which], "--constraints", given,
        "--output-file", chosen, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    # As constraints, since another build of torch needs other packages; torch first, as the Makefile has it.
    run(*pip, "--constraint", chosen, "torch")
    run(*pip, "--constraint", chosen, "--editable", ".[dev]")
    return python


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def versions(python: Path) -> dict[str, str]:
    """Of Python and of what pyproject.toml names, as installed; what only the site needs is not."""
    output = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True
    )
    installed = {package["name"].lower().replace("_", "-"): package["version"] for package in json.loads(output.stdout)}
    extras = [line for extra, lines in project()["optional-dependencies"].items() if extra != "docs" for line in lines]
    names = {line.partition(">=")[0] for line in [*project()["dependencies"], *extras] if not line.startswith(NAME)}
    number = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {"Python": number, "torch": installed["torch"]} | {
        name: installed[name.replace("_", "-")] for name in sorted(names)
    }


def tested(python: Path, place: Path, arguments: list[str]) -> dict[str, int]:
    """How many tests passed, failed and were skipped."""
    results = place / "tests.xml"
    subprocess.run([python, "-m", "pytest", f"--junitxml={results}", *arguments], cwd=ROOT)
    if not results.exists():
        stop("pytest ended without running a test")
    suite = ElementTree.parse(results).getroot().find("testsuite").attrib
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return dict(zip(FIGURES, (int(suite["tests"]) - failed - skipped, failed, skipped)))


def table(columns: dict[str, dict[str, object]]) -> str:
    names = list(next(iter(columns.values())))
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(str(column[name]) for column in columns.values())} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="?", choices=list(PYTHONS), help="only these (default: one after the other)")
    parser.add_argument("--torch", help="a version of torch in place of the one that would be chosen")
    parser.add_argument("--place", type=Path, default=ROOT / ".versions", help="where environments go (.versions)")
    parser.add_argument("--tests", nargs=argparse.REMAINDER, default=[], help="all that follows is given to pytest")
    options = parser.parse_args()
    columns: dict[str, dict[str, object]] = {}
    for which in [options.which] if options.which else PYTHONS:
        place = options.place.resolve() / which
        python = environment(which, place, options.torch)
        columns[which] = versions(python) | tested(python, place, options.tests)
    print(table(columns))
    sys.exit(any(column["failed"] for column in columns.values()))
