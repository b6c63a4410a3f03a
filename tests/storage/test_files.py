"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ternary_vae.errors import UserError
from ternary_vae.storage import files
from ternary_vae.storage.files import (
    append_json_line,
    read_json,
    read_json_lines,
    require_absent,
    require_writable,
    write_atomically,
    write_bytes,
    write_json,
    write_text,
    write_together,
)


def failing(code):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    return fail


def test_writes_into_new_directories_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "λ = 0.7\n")
    assert path.read_bytes() == "λ = 0.7\n".encode()
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_a_failing_writer_leaves_the_old_file_and_no_temporary(tmp_path, error):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def write(file):
        file.write(b"half of the new")
        file.flush()
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("target", ["file", "absent"])
def test_a_link_counts_as_a_file_that_is_there(tmp_path, target):
    (tmp_path / "file").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    with pytest.raises(UserError, match="is there already"):
        require_absent(tmp_path / "free", link)


def test_a_failing_writer_of_a_new_file_leaves_none(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file", lambda file: 1 / 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, f": {os.strerror(errno.EIO)}$"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_changes_nothing(tmp_path, monkeypatch, call, code, says):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, call, failing(code))
    with pytest.raises(UserError, match=says) as caught:
        write_bytes(path, b"new")
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_no_permission_to_open_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.open", failing(errno.EACCES))
    with pytest.raises(UserError, match="no permission"):
        write_bytes(tmp_path / "file", b"new")
    with pytest.raises(UserError, match="no permission"):
        append_json_line(tmp_path / "rows.jsonl", {})
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_no_space_while_the_writer_writes(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(UserError, match="no space left"):
        write_atomically(path, failing(errno.ENOSPC))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_system_that_cannot_sync_directories_is_no_failure(tmp_path, monkeypatch):
    real = os.fsync

    def only_files(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match="a part of the path is a file"):
        write_bytes(tmp_path / "file" / "child", b"")
    with pytest.raises(UserError, match="a part of the path is a file"):
        write_bytes(tmp_path / "file" / "deeper" / "child", b"")
    with pytest.raises(UserError, match="it is a directory"):
        write_bytes(tmp_path / "directory", b"")
    for path in (tmp_path / "file" / "child", tmp_path / "file" / "deeper" / "child"):
        with pytest.raises(UserError, match=r"/file is a file, not a directory"):
            require_writable(path)
    require_writable(tmp_path / "new" / "deeper" / "child")
    assert sorted(os.listdir(tmp_path)) == ["directory", "file"]
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match=f"no permission in {tmp_path};"):
        require_writable(tmp_path / "new" / "deeper" / "child")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_pipes_and_devices_are_not_replaced(tmp_path):
    pipe, device = tmp_path / "pipe", tmp_path / "device"
    os.mkfifo(pipe)
    device.symlink_to("/dev/null")
    for path in (pipe, device):
        with pytest.raises(UserError, match="it is a pipe or a device; name a file"):
            write_bytes(path, b"new")
    for path in (pipe, device, Path("/dev/null"), Path("/dev/stdout")):
        with pytest.raises(UserError, match="it is a pipe or a device; name a file"):
            require_writable(path)
    assert pipe.is_fifo()
    assert device.is_symlink()


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_does_not_overwrite_what_came_while_it_was_written(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"first"), new=True)
    with pytest.raises(UserError, match="file: is there already and is not overwritten; name another place"):
        write_atomically(path, lambda file: file.write(b"second"), new=True)
    with pytest.raises(UserError, match="is there already"):
        write_together({tmp_path / name: "new" for name in ("free", "file")}, new=True)
    assert path.read_bytes() == b"first"
    write_together({tmp_path / name: "new" for name in ("one", "two")}, new=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "one", "two"]


def test_of_files_that_belong_together_only_new_ones_go_when_the_last_fails(tmp_path, monkeypatch):
    rename, fail = os.replace, failing(errno.EIO)
    monkeypatch.setattr(os, "replace", lambda old, new: (fail if new.name == "last" else rename)(old, new))
    (tmp_path / "before").write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*last"):
        write_together({tmp_path / name: "new" for name in ("before", "free", "last")})
    assert os.listdir(tmp_path) == ["before"]


def _write_over_and_over(path, enough):
    number = 0
    while not enough.is_set():
        write_bytes(path, bytes([number % 256]) * 200_000)
        number += 1


class TestFurtherNames:
    """The same content under several names."""

    @pytest.mark.parametrize("links", [True, False])
    def test_all_hold_the_content_and_nothing_else_is_left(self, links, tmp_path, monkeypatch):
        if not links:
            monkeypatch.setattr(os, "link", failing(errno.EPERM))
        latest, best = tmp_path / "latest", tmp_path / "best"
        write_bytes(latest, b"first", also=[best])
        write_bytes(latest, b"second", also=[tmp_path / "epoch_2"])
        assert (latest.read_bytes(), best.read_bytes()) == (b"second", b"first")
        assert (tmp_path / "epoch_2").read_bytes() == b"second"
        assert sorted(os.listdir(tmp_path)) == ["best", "epoch_2", "latest"]

    def test_they_come_before_the_file_itself(self, tmp_path, monkeypatch):
        order, replace = [], os.replace
        monkeypatch.setattr(os, "replace", lambda old, new: (order.append(new.name), replace(old, new)))
        write_bytes(tmp_path / "latest", b"x", also=[tmp_path / "epoch_2", tmp_path / "best"])
        assert order == ["epoch_2", "best", "latest"]

    @pytest.mark.parametrize("links", [True, False])
    def test_a_full_disk_leaves_no_temporary_and_the_file_as_it_was(self, links, tmp_path, monkeypatch):
        write_bytes(tmp_path / "latest", b"old")
        if not links:
            monkeypatch.setattr(os, "link", failing(errno.EPERM))
        monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
        with pytest.raises(UserError, match="no space left"):
            write_bytes(tmp_path / "latest", b"new", also=[tmp_path / "best"])
        assert (tmp_path / "latest").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["latest"]


def test_readers_meet_whole_files_only(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"\xff" * 200_000)
    context = multiprocessing.get_context("spawn")
    enough = context.Event()
    writer = context.Process(target=_write_over_and_over, args=(path, enough))
    writer.start()
    seen = set()
    try:
        while len(seen) < 50 and writer.is_alive():
            content = path.read_bytes()
            assert len(content) == 200_000
            assert len(set(content)) == 1
            seen.add(content[0])
    finally:
        enough.set()
        writer.join()
    assert writer.exitcode == 0
    assert len(seen) == 50
    assert os.listdir(tmp_path) == ["file"]


def test_json_holds_finite_numbers_only(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"rho": 0.7, "name": "λ"})
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(path, {"rho": number})
        with pytest.raises(ValueError, match="not JSON compliant"):
            append_json_line(tmp_path / "rows.jsonl", {"rho": number})
    assert read_json(path) == {"rho": 0.7, "name": "λ"}
    assert os.listdir(tmp_path) == ["file.json"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.text(), plain, max_size=3), max_size=5))
def test_json_and_json_lines_read_back_what_was_written(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("rows")
    write_json(directory / "all.json", rows)
    assert read_json(directory / "all.json") == rows
    for row in rows:
        append_json_line(directory / "rows.jsonl", row)
    assert read_json_lines(directory / "rows.jsonl") == rows


@pytest.mark.parametrize(
    ("content", "says"), [(b"{", "not valid JSON"), (b"\xff\xfe", "not valid JSON"), (None, "not found")]
)
def test_json_that_cannot_be_read(tmp_path, content, says):
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{says}; expected a record"):
        read_json(path, what="a record")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 200_000, "it is nested too deeply"),
        (b'{"rho": NaN}', "NaN is no number in JSON"),
        (b'{"rho": 1e999}', "a number is too large"),
        (b"9" * 5000, "a number is too large"),
        (b'{"a": 1, "a": 2}', "a key is given twice"),
    ],
)
def test_json_that_says_nothing(tmp_path, content, says):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"not valid JSON: {says}; expected a record"):
        read_json(path, what="a record")
    path.write_bytes(content + b"\n{}\n")
    with pytest.raises(UserError, match="line 1 is not a JSON object"):
        read_json_lines(path)


def test_json_of_other_editors_and_no_file_at_all(tmp_path):
    path = tmp_path / "file.json"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text('{"λ": 1}\r\n', encoding=encoding)
        assert read_json(path) == {"λ": 1}
    path.unlink()
    os.mkfifo(path)
    for read in (read_json, read_json_lines):
        with pytest.raises(UserError, match="no regular file"):
            read(path)


def test_a_directory_is_no_json_file(tmp_path):
    with pytest.raises(UserError, match="it is a directory"):
        read_json(tmp_path)


class TestJsonLines:
    ROWS = ({"epoch": 1, "note": "λ1"}, {"epoch": 2, "note": "ρ → 0.7"})

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "rows.jsonl"
        for row in self.ROWS:
            append_json_line(path, row)
        return path

    def test_a_missing_file_has_no_rows(self, tmp_path):
        assert read_json_lines(tmp_path / "rows.jsonl") == []

    def test_cut_at_every_byte_the_whole_lines_before_it_are_read_and_writing_goes_on(self, path):
        content = path.read_bytes()
        ends = [number for number, byte in enumerate(content) if byte == ord("\n")]
        for length in range(len(content) + 1):
            path.write_bytes(content[:length])
            whole = list(self.ROWS[: sum(end <= length for end in ends)])
            assert read_json_lines(path) == whole, length
            append_json_line(path, {"epoch": 9})
            assert read_json_lines(path) == [*whole, {"epoch": 9}], length
            assert path.read_bytes().endswith(b'{"epoch": 9}\n')

    def test_an_unfinished_line_longer_than_a_block_is_dropped(self, path):
        with open(path, "ab") as file:
            file.write(b'{"note": "' + b"x" * 10_000)
        append_json_line(path, {"epoch": 3})
        assert read_json_lines(path) == [*self.ROWS, {"epoch": 3}]

    @pytest.mark.parametrize("damage", [b"{broken\n", b"[1]\n", b"7\n", b'{"note": "\xff"}\n'])
    def test_damage_in_a_whole_line_is_named_not_skipped(self, path, damage):
        path.write_bytes(damage + path.read_bytes())
        with pytest.raises(UserError, match="line 1 is not a JSON object"):
            read_json_lines(path)

    def test_blank_lines_are_no_rows(self, path):
        path.write_bytes(b"\n" + path.read_bytes() + b"\r\n")
        assert read_json_lines(path) == list(self.ROWS)

    def test_no_space_for_a_line(self, path, monkeypatch):
        monkeypatch.setattr(files, "open", failing(errno.ENOSPC), raising=False)
        with pytest.raises(UserError, match="no space left"):
            append_json_line(path, {"epoch": 3})
        monkeypatch.undo()
        assert read_json_lines(path) == list(self.ROWS)

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_a_full_disk_is_one_line(self):
        with pytest.raises(UserError, match="no space left"):
            append_json_line(Path("/dev/full"), {"epoch": 3})

    def test_one_line_a_row(self, path):
        append_json_line(path, {"note": "two\nlines"})
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == 3
        assert json.loads(lines[-1]) == {"note": "two\nlines"}


class TestLock:
    """On a directory."""

    def test_one_at_a_time(self, tmp_path):
        entered = threading.Event()

        def waiting():
            with files.locked(tmp_path):
                entered.set()

        with files.locked(tmp_path):
            thread = threading.Thread(target=waiting)
            thread.start()
            assert not entered.wait(0.2)  # long enough for what is not locked out, and never too short for what is
        thread.join()
        assert entered.is_set()

    def test_a_place_that_cannot_be_opened_is_one_line(self, tmp_path):
        with pytest.raises(UserError, match="cannot lock"), files.locked(tmp_path / "no"):
            raise AssertionError("held nothing")

    def test_where_there_are_no_locks_work_goes_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fcntl.flock", failing(errno.ENOLCK))
        with files.locked(tmp_path):
            pass
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with files.locked(tmp_path):
            pass
