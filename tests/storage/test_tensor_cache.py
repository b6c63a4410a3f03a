"""The tensor cache: what it gives back, what it refuses, and what it does when something is wrong."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fault_injection.processes import CONTEXT
from ternary_vae.errors import UserError
from ternary_vae.storage import cache_entry, files, tensor_cache
from ternary_vae.storage.tensor_cache import TensorCache, cache_directory

TENSOR = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> TensorCache:
    return TensorCache(tmp_path / "cache", report=said.append)


@pytest.mark.parametrize(
    "tensor",
    [
        TENSOR,
        TENSOR.double(),
        TENSOR.bfloat16(),
        TENSOR > 3,
        TENSOR.to(torch.int8),
        torch.tensor(7),
        torch.empty(0, 9),
        TENSOR.permute(2, 0, 1),
        TENSOR.clone().requires_grad_(),
        torch.tensor([float("nan"), float("inf"), -0.0]),
    ],
    ids=["float32", "float64", "bfloat16", "bool", "int8", "scalar", "empty", "strided", "with gradient", "not finite"],
)
def test_a_tensor_comes_back_to_the_bit(store: TensorCache, said: list[str], tensor: torch.Tensor) -> None:
    store.save("some", tensor, {"purpose": "a test"})
    actual = store.load("some")
    assert actual is not None
    loaded, metadata = actual
    assert (loaded.dtype, loaded.shape, loaded.requires_grad) == (tensor.dtype, tensor.shape, False)
    expected = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    assert torch.equal(loaded.reshape(-1).view(torch.uint8), expected)
    assert metadata == {"purpose": "a test"}
    assert said == []


def test_what_another_process_writes_a_moment_too_late_is_not_there(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_too_early(path: Path) -> Any:
        try:
            return cache_entry.read_entry(path)
        finally:
            TensorCache(store.directory).save("some", TENSOR)

    monkeypatch.setattr(tensor_cache, "read_entry", read_too_early)
    assert store.recall("some") is None
    assert store.recall("some") is not None
    assert said == []


def test_the_plans_interface(store: TensorCache) -> None:
    assert not store.exists("ops")
    assert store.load("ops") is None
    assert store.list_cache() == []
    assert not store.directory.exists()  # asking makes nothing
    store.save("ops", TENSOR, {"count": 24})
    assert store.exists("ops")
    (entry,) = store.list_cache()
    assert (entry.key, entry.shape, entry.dtype, entry.metadata) == ("ops", (2, 3, 4), "float32", {"count": 24})
    assert entry.size == store.path("ops").stat().st_size
    assert abs((datetime.now(UTC) - datetime.fromisoformat(entry.created)).total_seconds()) < 3600
    assert store.remove("ops") == entry.size
    assert not store.exists("ops")
    assert store.remove("ops") == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_from_and_to_a_cuda_device(store: TensorCache) -> None:
    store.save("some", TENSOR.cuda())
    actual = store.load("some", "cuda")
    assert actual is not None
    assert actual[0].is_cuda
    assert torch.equal(actual[0].cpu(), TENSOR)


def test_the_device_asked_for_is_where_a_tensor_goes(store: TensorCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a second device: `meta` is a real one without memory, and what is asked of any other is watched."""
    store.save("some", TENSOR, made_from={"code": "1"})
    actual = store.load("some", "meta", made_from={"code": "1"})
    assert actual is not None
    assert (actual[0].device.type, actual[0].shape, actual[0].dtype) == ("meta", TENSOR.shape, TENSOR.dtype)
    recalled = store.recall("some", torch.device("meta"), code="1")
    assert recalled is not None
    assert recalled.is_meta
    asked = []

    def watched(tensor: torch.Tensor, device: object) -> torch.Tensor:
        asked.append(device)
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", watched)
    actual = store.load("some", "cuda:1", made_from={"code": "1"})
    assert actual is not None
    assert torch.equal(actual[0], TENSOR)
    assert asked == ["cuda:1"]


def test_a_tensor_is_stored_through_the_cpu(store: TensorCache, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    move = torch.Tensor.to

    def watched(tensor: torch.Tensor, *arguments: object, **options: object) -> torch.Tensor:
        asked.append(arguments)
        return move(tensor, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(torch.Tensor, "to", watched)
    store.save("some", TENSOR)
    assert asked[0] == ("cpu",)
    with pytest.raises(UserError, match="cannot be stored"):  # nothing there to store
        store.save("none", torch.empty(3, device="meta"))


@pytest.mark.parametrize("device", ["cuda:99", "no such device"])
def test_a_device_that_is_not_there_is_one_line_and_work_goes_on(
    store: TensorCache, said: list[str], device: str
) -> None:
    path = store.save("some", TENSOR, made_from={"code": "1"})
    with pytest.raises(UserError, match=f"cannot be loaded onto device '{device}'"):
        store.load("some", device, made_from={"code": "1"})
    assert store.recall("some", device, code="1") is None
    assert len(said) == 1
    assert said[0].endswith("going on without the tensor cache")
    assert path.exists()


def test_an_entry_made_from_something_else_is_not_found(store: TensorCache) -> None:
    old = {"checkpoint": "a" * 64, "code": "1"}
    store.save("encodings", TENSOR, made_from=old)
    for changed in ({**old, "checkpoint": "b" * 64}, {**old, "code": "2"}, {"code": "1"}, {}):
        assert store.load("encodings", made_from=changed) is None
        assert not store.exists("encodings", made_from=changed)
    actual = store.load("encodings", made_from={"code": "1", "checkpoint": "a" * 64})  # order is nothing
    assert actual is not None
    assert torch.equal(actual[0], TENSOR)
    whole = store.load(store.list_cache()[0].key)  # whatever it was made from
    assert whole is not None
    assert torch.equal(whole[0], TENSOR)


def test_a_stale_entry_under_the_name_of_a_new_one_is_not_returned(store: TensorCache, said: list[str]) -> None:
    """Even one whose own header has been moved to the new name."""
    old, new = {"code": "1"}, {"code": "2"}
    store.save("encodings", TENSOR, made_from=old)
    os.replace(store.path("encodings", old), store.path("encodings", new))
    assert store.load("encodings", made_from=new) is None
    assert "under another name" in said[0]
    forged = cache_entry.entry_bytes(store.path("encodings", new).stem, TENSOR, old, {})
    store.path("encodings", new).write_bytes(forged)
    assert not store.exists("encodings", made_from=new)
    assert store.load("encodings", made_from=new) is None
    assert "made from something else" in said[1]


def test_a_loaded_tensor_is_a_private_aligned_map(store: TensorCache) -> None:
    """Writing into it changes no file; removing or replacing the file changes no tensor."""
    store.save("some", TENSOR)
    first, second = (store.load("some") for _ in range(2))
    assert first is not None and second is not None  # noqa: PT018
    assert first[0].data_ptr() % 64 == 0
    content = store.path("some").read_bytes()
    first[0].zero_()
    assert store.path("some").read_bytes() == content
    store.save("some", TENSOR + 1)
    store.remove("some")
    assert torch.equal(second[0], TENSOR)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "key",
    ["../x", "/etc/x", "a/b", "..", ".", "", ".hidden", "a\0b", "a\nb", "x" * 152, "~", "a\\b", "-x", "é", 5, None],
)
def test_a_key_cannot_leave_the_directory(store: TensorCache, tmp_path: Path, key: Any) -> None:
    for call in (lambda: store.save(key, TENSOR), lambda: store.load(key), lambda: store.exists(key),
                 lambda: store.remove(key)):  # fmt: skip
        with pytest.raises(UserError, match="cache key"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_an_entry_that_is_a_link_is_never_followed(store: TensorCache, said: list[str], tmp_path: Path) -> None:
    outside = TensorCache(tmp_path / "elsewhere")
    target = outside.save("some", TENSOR)
    content = target.read_bytes()
    store.save("other", TENSOR)
    link = store.path("some")
    link.symlink_to(target)
    assert not store.exists("some")
    assert store.load("some") is None
    assert "it is a link; set aside" in said[0]
    link.symlink_to(target)
    store.save("some", TENSOR + 1)
    assert not link.is_symlink()
    link.unlink()
    link.symlink_to(target)
    store.remove("some")
    assert target.read_bytes() == content
    assert [entry.key for entry in store.list_cache()] == ["other"]


def test_a_pipe_in_the_place_of_an_entry_does_not_block(store: TensorCache, said: list[str]) -> None:
    store.directory.mkdir()
    os.mkfifo(store.path("some"))
    assert store.load("some") is None
    assert "not a file" in said[0]


def _torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    "damage",
    [_torn, _flipped, lambda content: b"", lambda content: b"\xff" * 400, lambda content: content + b"more",
     lambda content: content.replace(b'\\"shape\\"', b'\\"shade\\"'), lambda content: b"\0" * len(content)],
    ids=["torn", "one bit", "empty", "noise", "longer", "header", "zeros"],
)  # fmt: skip
def test_a_damaged_entry_is_reported_set_aside_and_computed_again(
    store: TensorCache, said: list[str], damage: object
) -> None:
    path = store.save("some", TENSOR)
    damaged = damage(path.read_bytes())  # type: ignore[operator]
    path.write_bytes(damaged)
    assert store.load("some") is None
    assert len(said) == 1
    assert "set aside" in said[0]
    assert "\n" not in said[0]
    assert not path.exists()
    aside = path.with_name(path.name + ".damaged")
    assert aside.read_bytes() == damaged
    store.save("some", TENSOR)
    actual = store.load("some")
    assert actual is not None
    assert torch.equal(actual[0], TENSOR)
    assert store.verify()[1] == {aside.name: "set aside as damaged"}
    assert store.remove_leftovers() == len(damaged)
    assert store.verify()[1] == {}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "change",
    [{"metadata": []}, {"metadata": {"purpose": float("nan")}}, {"created": 5}, {"dtype": None}, {"shape": [2.0, 3, 4]},
     {"made_from": "x"}, {"sha256": [1]}],
    ids=str,
)  # fmt: skip
def test_a_header_of_other_types_is_damage(store: TensorCache, said: list[str], change: dict[str, object]) -> None:
    path = store.save("some", TENSOR)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["entry"])
    save_file({"tensor": TENSOR}, path, metadata={"entry": json.dumps({**header, **change})})
    assert (store.exists("some"), store.list_cache(), list(store.verify()[1])) == (False, [], [path.name])
    store.save("other", TENSOR)  # and describes what there is
    assert store.recall("some") is None
    assert len(said) == 1
    assert "set aside" in said[0]
    store.keep({"some": (TENSOR, {})})
    assert store.recall("some") is not None


def test_what_could_not_be_read_again_is_not_stored(store: TensorCache) -> None:
    with pytest.raises(UserError, match="cannot be stored: a number is too large"):
        store.save("some", TENSOR, {"count": 10**400})


def test_the_readme_forgets_an_entry_that_was_set_aside(store: TensorCache, said: list[str]) -> None:
    path = store.save("some", TENSOR)
    path.write_bytes(b"")
    store.load("some")
    assert path.name not in (store.directory / "README.md").read_text()


def test_damage_that_cannot_be_set_aside_is_said_as_it_is(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.save("some", TENSOR)
    path.write_bytes(b"")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tensor_cache.os, "replace", refuse)
    assert store.load("some") is None
    assert len(said) == 1
    assert "cannot be set aside: Permission denied; computed again" in said[0]
    assert path.exists()


def test_foreign_files_are_reported_and_left_alone(store: TensorCache) -> None:
    store.save("some", TENSOR)
    save_file({"weight": TENSOR}, store.directory / "foreign.safetensors")
    save_file({"tensor": TENSOR}, store.directory / "other.safetensors", {"entry": json.dumps({"format": "x"})})
    (store.directory / "notes.txt").write_text("mine")
    (store.directory / "folder").mkdir()
    assert [entry.key for entry in store.list_cache()] == ["some"]
    whole, wrong = store.verify()
    assert [entry.key for entry in whole] == ["some"]
    assert set(wrong) == {"foreign.safetensors", "other.safetensors", "notes.txt"}
    assert store.remove_leftovers() == 0
    assert (store.directory / "notes.txt").read_text() == "mine"


def test_a_directory_that_is_a_link_or_a_file_is_refused(said: list[str], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for name, says in (("link", "is a link"), ("dangling", "is a link"), ("file", "is a file")):
        store = TensorCache(tmp_path / name, report=said.append)
        for call in (lambda s=store: s.save("some", TENSOR), lambda s=store: s.load("some"),
                     lambda s=store: s.exists("some"), lambda s=store: s.list_cache(),
                     lambda s=store: s.remove("some")):  # fmt: skip
            with pytest.raises(UserError, match=says):
                call()
    assert list((tmp_path / "real").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "real" / "large").write_bytes(b"x" * 2_000_000)
    TensorCache(tmp_path / "link", limit_megabytes=1, report=said.append).watch_budget()
    assert said == []  # not this program's


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "no space left"), (errno.EACCES, "no permission"), (errno.EROFS, "read-only")],
)
def test_what_cannot_be_written_is_one_line_and_work_goes_on(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(UserError, match=says):
        store.save("some", TENSOR)
    assert list(store.directory.iterdir()) == []  # nothing half written
    store.keep({"some": (TENSOR, {})})
    store.keep({"other": (TENSOR, {})})
    assert store.recall("some") is None
    assert len(said) == 1  # and not again
    assert says in said[0]
    assert "going on without writing to the tensor cache" in said[0]


def test_a_cache_that_cannot_be_written_is_still_read(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's, or one on a read-only file system."""
    store.keep({"some": (TENSOR, {})})

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.os, "fsync", refuse)
    store.keep({"other": (TENSOR, {})})
    assert store.recall("some") is not None
    assert len(said) == 1


@pytest.mark.skipif(os.name != "posix", reason="users")
class TestUsers:
    """One directory, several users."""

    def test_an_entry_that_its_owner_keeps_is_named_and_replaced(
        self, store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = store.save("some", TENSOR)
        other = store.save("other", TENSOR)

        def guarded(file: Path, *arguments: object) -> object:
            if file == path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return open(file, *arguments)  # type: ignore[call-overload]

        monkeypatch.setattr(cache_entry, "open", guarded, raising=False)
        assert store.recall("some") is None
        assert said == [
            f"{path}: not used, {tensor_cache._owner(path)} lets nobody else read it and could share it with "
            "chmod g+r; computed again"
        ]
        assert store.recall("other") is not None
        assert other.exists()
        monkeypatch.undo()
        store.keep({"some": (TENSOR + 1, {})})
        assert torch.equal(store.recall("some"), TENSOR + 1)  # type: ignore[arg-type]
        assert len(said) == 1

    def test_where_only_owners_replace_files_the_readme_of_another_stays(
        self, store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in a directory with the sticky bit."""
        store.save("some", TENSOR)
        readme, replace = store.directory / "README.md", os.replace
        before = readme.read_text(encoding="utf-8")

        def sticky(old: Path, new: Path) -> None:
            if new == readme:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            replace(old, new)

        monkeypatch.setattr(files.os, "replace", sticky)
        store.keep({"other": (TENSOR, {})})
        store.save("third", TENSOR)
        assert said == [f"{readme}: out of date, {tensor_cache._owner(readme)} lets nobody else replace it"]
        assert readme.read_text(encoding="utf-8") == before
        assert {entry.key for entry in store.list_cache()} == {"some", "other", "third"}

    def test_a_user_without_an_account_is_a_number(self, store: TensorCache, monkeypatch: pytest.MonkeyPatch) -> None:
        path = store.save("some", TENSOR)

        def unknown(_: object) -> str:
            raise KeyError("uid not found")

        monkeypatch.setattr(type(path), "owner", unknown)
        assert tensor_cache._owner(path) == f"user {path.lstat().st_uid}"

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be other users")
    def test_really(self) -> None:
        """Two users of one group, with the umask that shares with the group and the one that shares with nobody."""
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            for umask, sticky, expected in (
                (0o002, False, [0, 0]),
                (0o022, False, [0, 0]),
                (0o077, False, [0, 1]),
                (0o002, True, [0, 1]),
            ):
                directory = Path(place) / f"{umask:o}{sticky}"
                directory.mkdir()
                os.chown(directory, 60_001, 60_000)
                directory.chmod(0o3770 if sticky else 0o2770)
                assert [_as_user(user, umask, directory) for user in (60_001, 60_002)] == expected
                entries = list(directory.glob("*.safetensors"))
                assert {entry.stat().st_mode & 0o777 for entry in entries} == {0o666 & ~umask}
                assert {entry.stat().st_gid for entry in entries} == {60_000}


def _as_user(user: int, umask: int, directory: Path) -> int:
    """How many lines a user is told who recalls an entry, keeps it if it is not there, and keeps one of their own."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 99
    try:
        os.setgroups([60_000])
        os.setgid(user)
        os.setuid(user)
        os.umask(umask)
        said: list[str] = []
        store = TensorCache(directory, report=said.append)
        if store.recall("some") is None:
            store.keep({"some": (TENSOR, {})})
        store.keep({f"of-{user}": (TENSOR, {})})
        assert store.recall("some") is not None
        code = len(said)
    finally:
        os._exit(code)


def test_what_cannot_be_read_is_one_line_and_work_goes_on(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.save("some", TENSOR)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cache_entry, "open", refuse, raising=False)
    with pytest.raises(UserError, match=r"cannot read .*some\.safetensors: no permission"):
        store.load("some")
    assert store.recall("some") is None
    assert len(said) == 1
    assert path.exists()  # not what damage is
    assert store.list_cache() == []


def test_a_clock_that_is_wrong_decides_nothing(
    store: TensorCache, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=1)

    with monkeypatch.context() as patch:
        patch.setattr(cache_entry, "datetime", Tomorrow)
        path = store.save("some", TENSOR)
    for shift in (-(10**9), 10**9):
        os.utime(path, (time.time() + shift, time.time() + shift))
        actual = store.load("some")
        assert actual is not None
        assert torch.equal(actual[0], TENSOR)
    assert store.list_cache()[0].from_the_future
    assert store.leftovers() == []
    assert said == []


def test_what_a_killed_process_was_writing_is_a_leftover_after_an_hour(store: TensorCache) -> None:
    store.save("some", TENSOR)
    old, new = (store.directory / f".some.safetensors.{number}.0123abcd.tmp" for number in (1, 2))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert store.verify()[1] == {}
    other = store.directory / ".notes.tmp"
    other.write_bytes(b"of another program")
    os.utime(other, (0, 0))
    assert store.leftovers() == [old]
    assert store.remove_leftovers() == 4
    assert new.exists()
    assert other.exists()


def test_the_budget_is_watched_on_every_save_and_reported_once(tmp_path: Path, said: list[str]) -> None:
    store = TensorCache(tmp_path / "cache", limit_megabytes=0.05, report=said.append)
    store.save("small", torch.zeros(1000))
    assert said == []
    (store.directory / "notes.txt").write_text("x" * 30_000)  # counts too
    store.save("large", torch.zeros(10_000))
    store.save("more", torch.zeros(10))
    store.watch_budget()
    assert len(said) == 1
    assert "more than the limit of 0.05 MB; largest: large.safetensors (0.0 MB), notes.txt (0.0 MB)" in said[0]
    assert store.size() == sum(file.stat().st_size for file in store.directory.iterdir())


def test_the_readme_says_what_each_file_is_and_how_to_remake_it(store: TensorCache) -> None:
    remake = "python scripts/cache/encode_all.py --vae A --epoch 3"
    store.save("latents", TENSOR, {"purpose": "a|b", "remake": remake}, made_from={"checkpoint": "c" * 64})
    text = (store.directory / "README.md").read_text()
    file = store.path("latents", {"checkpoint": "c" * 64}).name
    assert f"| {file} | 0.00 MB | 2×3×4 float32 | a\\|b | checkpoint cccccccccccc | `{remake}` |" in text
    store.remove("latents", made_from={"checkpoint": "c" * 64})
    assert file not in (store.directory / "README.md").read_text()


def _a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "place",
    [lambda path: path.write_text("# My project\n"), lambda path: path.write_bytes(b"\xff"), Path.mkdir, _a_pipe],
    ids=["text", "bytes", "directory", "pipe"],
)
def test_a_readme_of_somebody_else_is_left_alone(store: TensorCache, said: list[str], place: object) -> None:
    store.directory.mkdir()
    readme = store.directory / "README.md"
    place(readme)  # type: ignore[operator]
    before = readme.lstat()
    store.save("some", TENSOR)
    store.keep({"other": (TENSOR, {})})
    store.remove("some")
    assert readme.lstat().st_mtime_ns == before.st_mtime_ns
    assert (readme.lstat().st_ino, readme.lstat().st_size) == (before.st_ino, before.st_size)
    assert said == []


def test_damaged_files_of_somebody_else_are_left_alone(store: TensorCache) -> None:
    store.save("some", TENSOR).write_bytes(b"")
    store.load("some")
    other = store.directory / "photo.damaged"
    other.write_text("mine")
    store.remove_leftovers()
    assert {path.name for path in store.directory.iterdir()} == {"README.md", other.name}


def test_entries_kept_together_are_described_once(store: TensorCache, monkeypatch: pytest.MonkeyPatch) -> None:
    described, write = [], tensor_cache.write_text
    monkeypatch.setattr(tensor_cache, "write_text", lambda *given: described.append(given) or write(*given))
    store.keep({})
    assert not store.directory.exists()
    store.keep({"first": (TENSOR, {"purpose": "one"}), "second": (TENSOR + 1, {"purpose": "two"})}, code="1")
    assert len(described) == 1
    for key, tensor, purpose in (("first", TENSOR, "one"), ("second", TENSOR + 1, "two")):
        loaded = store.load(key, made_from={"code": "1"})
        assert loaded is not None
        assert torch.equal(loaded[0], tensor)
        assert loaded[1] == {"purpose": purpose}
        assert f"| {purpose} |" in (store.directory / "README.md").read_text()


def test_where_the_directory_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tensor_cache.ENVIRONMENT_VARIABLE, raising=False)
    assert cache_directory() == Path("models/cached_tensors")
    assert cache_directory(None, "recipe") == Path("recipe")
    monkeypatch.setenv(tensor_cache.ENVIRONMENT_VARIABLE, "environment")
    assert cache_directory(None, "recipe") == Path("environment")
    assert cache_directory("option", "recipe") == Path("option")


def test_what_cannot_be_stored_is_one_line(store: TensorCache) -> None:
    for tensor, metadata in ((TENSOR.to_sparse(), {}), (TENSOR, {"x": float("nan")}), (TENSOR, {"x": object()})):
        with pytest.raises(UserError, match="cannot be stored"):
            store.save("some", tensor, metadata)
    for made_from in ({"x": float("nan")}, {"x": object()}):
        for call in (lambda made=made_from: store.save("some", TENSOR, made_from=made),
                     lambda made=made_from: store.load("some", made_from=made)):  # fmt: skip
            with pytest.raises(UserError, match="expected JSON values"):
                call()
    assert not store.directory.exists()


_ROUNDS = 24  # more than all others together remove entries: each finds some, whoever is slow


def _work(directory: str, number: int, problems: multiprocessing.Queue) -> None:
    """Writes, reads, lists and removes the same three keys as everybody else. What is in an entry says which."""
    torch.set_num_threads(1)
    said: list[str] = []
    store = TensorCache(directory, report=said.append)
    actual = 0
    try:
        for round_number in range(_ROUNDS):
            key = f"shared{(number + round_number) % 3}"
            store.save(key, torch.full((4000,), float(number)), {"writer": number})
            for entry in store.list_cache():
                loaded = store.load(entry.key)
                if loaded is not None:
                    actual += 1
                    tensor, metadata = loaded
                    if not bool((tensor == metadata["writer"]).all()):
                        said.append(f"half of one and half of another: {entry.key}")
            if round_number % 7 == 0:
                store.remove(key)
    except BaseException as failure:
        said.append(repr(failure))
    if not actual:
        said.append("read nothing")
    problems.put(said)


def test_many_processes_at_once_never_see_half(tmp_path: Path) -> None:
    problems = CONTEXT.Queue()
    workers = [CONTEXT.Process(target=_work, args=(str(tmp_path / "cache"), n, problems)) for n in range(4)]
    for worker in workers:
        worker.start()
    said = [problems.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert said == [[], [], [], []]
    store = TensorCache(tmp_path / "cache")
    whole, wrong = store.verify()
    assert wrong == {}
    assert whole
    left = {path.name for path in store.directory.iterdir()}
    assert left == {"README.md", *(f"{entry.key}.safetensors" for entry in whole)}
    readme = (store.directory / "README.md").read_text()
    assert all(f"| {entry.key}.safetensors |" in readme for entry in whole)
