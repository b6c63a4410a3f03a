"""One process at a time, on one machine or on several, whatever becomes of the one that was there before. No test
waits: time is a stand-in, and so is another machine."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
import threading

import pytest

from ternary_vae.errors import UserError
from ternary_vae.storage import lease
from ternary_vae.storage.lease import SECONDS_OF_SILENCE, Lease, holder, is_locked

DOING = "is training in it"


class Time:
    """A clock that only sleeping moves. `meanwhile` is what happens during the first sleep."""

    def __init__(self):
        self.now = 0.0
        self.meanwhile = lambda: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(lease, "time", clock)
    return clock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.lock"


@pytest.fixture
def here(monkeypatch):
    """A function: the machine that this process is on from now on."""

    def move(name):
        monkeypatch.setattr(lease, "machine", lambda: f"boot of {name}")
        monkeypatch.setattr(platform, "node", lambda: name)

    move("one")
    return move


def do_nothing(*arguments, **options):
    """Stands in for a lock that keeps nobody out."""


def refuse(*arguments, **options):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


NO_LOCKS = ["they do nothing", "the file system has none", "the system has none"]


@pytest.fixture(params=[*NO_LOCKS, "each machine has its own"])
def locks(request, monkeypatch):
    """The operating system's locks are of no use between two machines."""
    if request.param == "the system has none":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif request.param == "each machine has its own":
        monkeypatch.setattr(lease, "_lock", lambda path, descriptor: "ours")
    else:
        monkeypatch.setattr("fcntl.flock", do_nothing if request.param == "they do nothing" else refuse)


def taken(path):
    """A lease as a process holds it that has no time to touch it."""
    held = Lease(path, DOING)
    held._keep_touching = do_nothing
    held._toucher = type("Thread", (), {"start": do_nothing, "join": do_nothing})()
    held.__enter__()
    return held


def touch(path):
    before = path.stat().st_mtime
    os.utime(path, (before, before + 5))


def test_a_pipe_in_its_place_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    assert holder(path) == ""
    assert not is_locked(path)
    with pytest.raises(UserError, match=r"cannot lock .*run\.lock: it is no regular file"), Lease(path, DOING):
        raise AssertionError("held")
    assert list(path.parent.iterdir()) == [path]
    assert path.is_fifo()


class TestTwoMachines:
    def test_the_second_is_refused_as_soon_as_the_first_touches_its_lease(self, locks, here, clock, path):
        first = taken(path)
        here("two")
        clock.meanwhile = lambda: touch(path)
        with pytest.raises(UserError) as refused, Lease(path, DOING):
            raise AssertionError("held twice")
        assert str(refused.value) == (
            f"{path.parent}: process {os.getpid()} on one is training in it; let it finish, or stop it first"
        )
        assert clock.now < 5
        assert first.is_held()
        first.__exit__()
        assert list(path.parent.iterdir()) == []

    def test_a_dead_one_is_waited_for_and_succeeded(self, locks, here, clock, path, capsys):
        first = taken(path)
        here("two")
        with Lease(path, DOING) as second:
            assert second.is_held()
            assert not first.is_held()
            assert holder(path) == f"process {os.getpid()} on two"
        assert clock.now >= SECONDS_OF_SILENCE
        assert capsys.readouterr().err == (
            f"{path.parent}: process {os.getpid()} on one is training in it, unless it is dead: watching it for up to "
            "30 s\n"
        )
        assert list(path.parent.iterdir()) == []

    def test_one_that_is_long_dead_by_the_file_servers_clock_is_not_waited_for(self, locks, here, clock, path, capsys):
        taken(path)
        before = path.stat().st_mtime - 2 * SECONDS_OF_SILENCE
        os.utime(path, (before, before))
        here("two")
        with Lease(path, DOING) as second:
            assert second.is_held()
        assert clock.now <= 1
        assert capsys.readouterr().err == ""

    def test_one_that_ends_meanwhile(self, locks, here, clock, path):
        first = taken(path)
        here("two")
        clock.meanwhile = first.__exit__
        with Lease(path, DOING) as second:
            assert second.is_held()
        assert clock.now <= 1

    def test_of_two_that_wait_for_a_dead_one_only_one_gets_it(self, locks, here, clock, path):
        taken(path)
        os.utime(path, (0, 0))
        here("two")
        winner = "process 3 on three\nboot of three\nits own\n"
        clock.meanwhile = lambda: path.write_text(winner)  # had seen the dead one's too
        with pytest.raises(UserError, match="process 3 on three is training in it"), Lease(path, DOING):
            raise AssertionError("held twice")
        assert path.read_text() == winner

    def test_a_holder_that_stood_still_hears_of_its_successor_and_leaves_it_alone(self, locks, here, clock, path):
        first = taken(path)
        first.require()
        here("two")
        with Lease(path, DOING) as second:
            with pytest.raises(UserError) as raised:
                first.require()
            assert "this process stood still, was taken for dead" in str(raised.value)
            successor = f"process {os.getpid()} on two is training in it"
            assert f"{successor}; stopped, nothing more is written" in str(raised.value)
            first.__exit__()
            assert second.is_held()

    def test_a_holder_whose_successor_is_done_hears_of_it_too(self, here, path):
        first = taken(path)
        path.unlink()
        with pytest.raises(UserError, match="taken for dead, and another went on and is done"):
            first.require()


class TestOneMachine:
    def test_a_container_of_another_name_need_not_wait_for_a_killed_process(self, here, clock, path):
        """Containers have names and process numbers of their own, and one kernel with its locks."""
        code = (
            "import sys, pathlib; from ternary_vae.storage import lease; lease.machine = lambda: 'boot of one';"
            "held = lease.Lease(pathlib.Path(sys.argv[1]), ''); held.__enter__(); print('held', flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "held\n"
            assert is_locked(path)
            with pytest.raises(UserError, match=rf"process {process.pid} on "), Lease(path, DOING):
                raise AssertionError("held twice")
            process.kill()
        assert not is_locked(path)
        with Lease(path, DOING):
            assert holder(path) == f"process {os.getpid()} on one"
        assert clock.now == 0
        assert list(path.parent.iterdir()) == []

    def test_a_holder_that_ends_while_another_looks_may_be_succeeded_by_a_third(self, here, clock, path, monkeypatch):
        first, held = taken(path), []

        def end_and_succeed(looked_at):
            if not held:
                first.__exit__()
                held.append(taken(path))
            return seen(looked_at)

        seen = lease._seen
        monkeypatch.setattr(lease, "_seen", end_and_succeed)
        with pytest.raises(UserError, match="is training in it; let it finish"), Lease(path, DOING):
            raise AssertionError("held twice")
        assert held[0].is_held()
        held[0].__exit__()
        assert list(path.parent.iterdir()) == []

    @pytest.mark.parametrize("locks", NO_LOCKS, indirect=True)
    def test_without_locks_a_living_process_is_not_taken_for_dead(self, locks, here, clock, path):
        first = taken(path)
        clock.meanwhile = lambda: touch(path)
        with pytest.raises(UserError, match="is training in it; let it finish"), Lease(path, DOING):
            raise AssertionError("held twice")
        first.__exit__()

    def test_a_suspended_process_keeps_its_lease(self, here, clock, path):
        first = taken(path)
        os.utime(path, (0, 0))  # it has not touched it for long
        with pytest.raises(UserError, match="is training in it"), Lease(path, DOING):
            raise AssertionError("held twice")
        assert clock.now == 0
        first.__exit__()

    def test_without_hard_links(self, here, path, monkeypatch):
        def no_links(*arguments):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", no_links)
        with Lease(path, DOING) as first:
            assert first.is_held()
            with pytest.raises(UserError, match="is training in it"), Lease(path, DOING):
                raise AssertionError("held twice")
        assert list(path.parent.iterdir()) == []


def test_the_holder_touches_its_lease_as_long_as_it_is_its_own(path):
    held = taken(path)

    def touched_in_a_while():
        os.utime(path, (0, 0))
        answers = iter([False, True])  # time is up once, then all is over
        held._over.wait = lambda seconds: next(answers)
        Lease._keep_touching(held)
        return path.stat().st_mtime > 0

    assert touched_in_a_while()
    path.write_text("process 3 on three\n")
    assert not touched_in_a_while()


def test_it_is_touched_beside_what_the_holder_does(path, monkeypatch):
    touched = threading.Event()
    monkeypatch.setattr(Lease, "_keep_touching", lambda held: touched.set())
    with Lease(path, DOING):
        assert touched.wait(60)


def test_while_the_file_server_does_not_answer_nothing_is_given_up(path, monkeypatch):
    held, asked = taken(path), []

    def does_not_answer(*arguments, **options):
        asked.append(arguments)
        refuse()

    monkeypatch.setattr(type(path), "read_text", does_not_answer)
    held.require()
    assert len(asked) == 1


@pytest.mark.parametrize("left", ["", "process 1 on elsewhere\n", "\x00" * 80])
def test_what_says_nothing_of_its_machine_is_taken_for_another_ones(left, clock, path):
    path.write_text(left)
    with Lease(path, DOING) as held:
        assert held.is_held()
    assert clock.now >= SECONDS_OF_SILENCE


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_lease_that_cannot_be_written_is_one_line_and_leaves_nothing(error, path, monkeypatch):
    def fail(*arguments):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(UserError, match=f"cannot lock {path}: "), Lease(path, DOING):
        raise AssertionError("held nothing")
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == []


def test_a_directory_that_is_not_there_is_one_line(path):
    with pytest.raises(UserError, match="cannot lock"), Lease(path.parent / "no" / "lock", DOING):
        raise AssertionError("held nothing")
    assert holder(path) == ""
    assert not is_locked(path)
