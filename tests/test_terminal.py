"""Output in any encoding, odd sizes of a terminal, and paths in commands that are to be copied."""

from __future__ import annotations

import io
import os
import shlex
import sys

import pytest
from rich.console import Console

from ternary_vae.experiments.monitoring import Overview
from ternary_vae.terminal import forget_impossible_sizes, open_closed_streams, quoted, replace_what_cannot_be_shown
from ternary_vae.training.progress import Display, Lines


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("latin-1", b"? \xe9 \xff"),
        ("ascii", b"? ? \xff"),
        ("utf-8", b"\xce\xbb \xc3\xa9 \xff"),
        ("cp1252", b"? \xe9 \xff"),
    ],
)
def test_what_cannot_be_shown_is_replaced_and_names_of_files_keep_their_bytes(encoding, shown):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    replace_what_cannot_be_shown(stream, None, io.StringIO())
    print("λ é \udcff", file=stream, end="", flush=True)
    assert written.getvalue() == shown


@pytest.mark.parametrize(
    "watcher", [Lines, Display, lambda console: Overview(console, "", [])], ids=["lines", "panel", "experiment"]
)
def test_whoever_watches_from_python_sees_it_too(watcher):
    written = io.BytesIO()
    console = Console(file=io.TextIOWrapper(written, encoding="ascii"))
    watcher(console).console.print("ρ 0.10")
    console.file.flush()
    assert written.getvalue() == b"? 0.10\n"


@pytest.mark.parametrize("size", ["abc", "0", "-5", "²", "", "99999999999", "8 0"])
def test_a_size_that_is_none_is_forgotten(monkeypatch, size):
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, size)
    monkeypatch.setenv("COLUMNS", "120")
    forget_impossible_sizes()
    assert "LINES" not in os.environ
    assert "TERMINAL_WIDTH" not in os.environ
    assert os.environ["COLUMNS"] == "120"


@pytest.mark.parametrize("path", ["a b", "it's", "a\nb", "😀", "$x", "plain/run"])
def test_a_path_in_a_command_is_one_word(path):
    assert shlex.split(quoted(path)) == [path]


def test_a_stream_that_is_closed_leads_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    open_closed_streams()
    with sys.stdin, sys.stdout:
        print("nobody reads this", flush=True)
        assert sys.stdin.read() == ""
        assert os.get_inheritable(sys.stdout.fileno())


def test_a_path_in_a_command_is_no_option():
    assert quoted("-x y") == "'./-x y'"
