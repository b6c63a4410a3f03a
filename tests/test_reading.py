"""Files of others: whole, regular, of a size that can be meant, and one error for whatever JSON is not."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from ternary_vae.reading import as_text, file_bytes, parse_json


class TestFiles:
    def test_a_pipe_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="no regular file"):
            file_bytes(tmp_path / "pipe")

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs the device")
    def test_a_device_is_not_read(self):
        with pytest.raises(OSError, match="no regular file"):
            file_bytes(Path("/dev/zero"))

    def test_a_directory(self, tmp_path):
        with pytest.raises(OSError, match="it is a directory"):
            file_bytes(tmp_path)

    def test_a_file_too_large_is_not_read(self, tmp_path, monkeypatch):
        with open(tmp_path / "sparse", "wb") as file:
            file.truncate(2**30)
        monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it is read"))
        with pytest.raises(OSError, match="1,073,741,824 bytes; at most 1,000 are read"):
            file_bytes(tmp_path / "sparse", 1000)


@pytest.mark.parametrize(
    "content", ["λ\r\n".encode(), codecs.BOM_UTF8 + "λ\r\n".encode(), "λ\r\n".encode("utf-16"),
                codecs.BOM_UTF16_BE + "λ\r\n".encode("utf-16-be")],
)  # fmt: skip
def test_text_with_or_without_a_mark(content):
    assert as_text(content) == "λ\r\n"


@pytest.mark.parametrize("content", [b"\xff", b"\xff\xfea", b"\x80abc"])
def test_what_is_no_text(content):
    with pytest.raises(UnicodeDecodeError):
        as_text(content)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[NaN]", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("1e999", "too large"),
        ("9" * 400, "too large"),
        ("9" * 5000, "too large"),
        ('{"a": 1, "a": 1}', "given twice"),
        ("{", "Expecting"),
    ],
)
def test_what_is_no_json(text, says):
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_json_as_it_is():
    assert parse_json('{"a": [1, -2.5e-3, true, null, "λ"], "b": 123456789012345678901234567890}') == {
        "a": [1, -0.0025, True, None, "λ"],
        "b": 123456789012345678901234567890,
    }
