"""Readers that leave before the program is done: pipes that are closed, terminals too."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ternary_vae import terminal
from ternary_vae.cli import output

SCRIPT = """
import sys
from ternary_vae.cli.output import say
from ternary_vae.terminal import notify_without_reader, outlast_readers
outlast_readers()
notify_without_reader("the run in r")
print("first", flush=True)
sys.stdin.readline()
for number in range(3):
    print(number, flush=True)
say("how to go on: λ", always=True)
sys.exit(7)
"""
NOTICE = "ternary-vae: nobody reads the output any more; the run in r goes on without it\n"


def left_by_its_reader(script, stderr=subprocess.PIPE, **variables):
    """Exit code and standard error of a program whose reader leaves after one line, as `head -1` does."""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
    )  # fmt: skip
    assert process.stdout.readline() == b"first\n"
    process.stdout.close()
    process.stdin.write(b"\n")
    process.stdin.close()
    said = ""
    if process.stderr is not None:
        with process.stderr:
            said = process.stderr.read().decode()
    return process.wait(), said


@pytest.mark.skipif(os.name != "posix", reason="pipes as here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_work_goes_on_and_what_must_be_said_is_said_on_standard_error(unbuffered):
    found = left_by_its_reader(SCRIPT, PYTHONUNBUFFERED=unbuffered)
    assert found == (7, NOTICE + "how to go on: λ\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes as here")
def test_nobody_reads_standard_error_either():
    assert left_by_its_reader(SCRIPT, stderr=subprocess.STDOUT) == (7, "")


@pytest.mark.skipif(os.name != "posix", reason="pipes as here")
def test_a_script_outlasts_its_readers_too():
    script = """
import sys
from ternary_vae.terminal import exit_code
def work():
    print("first", flush=True)
    sys.stdin.readline()
    print("second", flush=True)
sys.exit(exit_code("a_script", work))
"""
    assert left_by_its_reader(script) == (0, "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="terminals as here")
@pytest.mark.parametrize("ignored", [False, True], ids=["", "nohup"])
def test_a_terminal_that_is_closed(ignored, tmp_path):
    """The run is asked to stop, unless `nohup` had it outlast its terminal; what it prints then does no harm."""
    script = """
import os, signal, sys, time
from pathlib import Path
from ternary_vae.cli.output import say
from ternary_vae.terminal import outlast_readers
from ternary_vae.training.interruption import interruptions
outlast_readers()
with interruptions() as interruption:
    print("running", flush=True)
    while os.path.exists("open"):
        time.sleep(0.01)
    say("stopped", always=True)
    Path("asked").write_text(str(interruption.asked))
"""
    (tmp_path / "open").touch()
    ours, theirs = os.openpty()

    def begin():
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, preexec_fn=begin,
        env={**os.environ, "PYTHONPATH": str(Path(output.__file__).parents[2])},
    )  # fmt: skip
    os.close(theirs)
    try:
        assert b"running" in os.read(ours, 100)
        os.close(ours)  # which sends SIGHUP before it returns
        (tmp_path / "open").unlink()
        assert process.wait() == 0
    finally:
        process.kill()
    assert (tmp_path / "asked").read_text() == str(not ignored)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_no_reader_that_has_left():
    with terminal._Output("/dev/full", "w") as stream, pytest.raises(OSError, match="No space left"):
        stream.write(b"figures")


def test_streams_of_others_stay(monkeypatch):
    """A notebook's, or none at all."""
    notebook = io.StringIO()
    monkeypatch.setattr(sys, "stdout", notebook)
    monkeypatch.setattr(sys, "stderr", None)
    terminal.outlast_readers()
    output.say("how to go on", always=True)
    assert sys.stdout is notebook
    assert notebook.getvalue() == "how to go on\n"
    assert sys.stderr is None


@pytest.mark.parametrize(("encoding", "plain"), [("utf-8", True), ("latin-1", False)])
def test_json_loses_nothing_that_an_encoding_lacks(monkeypatch, encoding, plain):
    content = {"name": "Łukasiewicz", "σ": 0.3}
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors="replace"))
    output.print_json(content)
    sys.stdout.flush()
    assert json.loads(written.getvalue().decode(encoding)) == content
    monkeypatch.setattr(sys, "stdout", None)  # as where it is closed
    output.print_json(content)
    assert ("Łukasiewicz".encode() in written.getvalue()) == plain
