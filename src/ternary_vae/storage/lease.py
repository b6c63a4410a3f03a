"""Leases: one process at a time works in a directory, also where several machines share it.

A lease is a file that says who holds it. The operating system's lock on that file decides among the processes of one
machine, containers included, and goes with its process however that dies. Many shared file systems do not show such
locks to other machines, so the holder also touches the file every few seconds. A lease that another machine left, or
one where there are no such locks, is taken over once it has not been touched for a while, by the clock of the file
server or for as long as the process that wants it has watched. Clocks of two machines are never compared.
"""

from __future__ import annotations

import os
import platform
import secrets
import sys
import threading
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, Self

from ternary_vae.errors import UserError
from ternary_vae.reading import file_bytes, require_regular
from ternary_vae.storage.files import reported

SECONDS_BETWEEN_TOUCHES = 5.0
SECONDS_OF_SILENCE = 30.0
_SECONDS_BETWEEN_LOOKS = 1.0


def holder(path: Path) -> str:
    """Who holds a lease, or held it last: "process 123 on name"; empty if that is not known."""
    try:
        return file_bytes(path).decode().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def is_locked(path: Path) -> bool:
    """Whether a process of this machine holds a lease, as far as the operating system's locks tell."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _lock(path, descriptor) == "another's"
    finally:
        os.close(descriptor)


class Lease:
    """One lease, taken once: holds the file `path`, in a directory that exists, until the block ends or this process
    does, however it dies. Who comes within half a minute of the death of a holder on another machine watches for the
    rest of it first, and says so on standard error.

    Args:
        doing: what a holder does: "is training in it".

    Raises:
        UserError: as the block begins, if another process holds it or the place cannot be written.
    """

    def __init__(self, path: Path, doing: str) -> None:
        self.path, self.doing = Path(path), doing
        self._token = secrets.token_hex(8)
        self._descriptor = -1
        self._over = threading.Event()
        self._toucher = threading.Thread(target=self._keep_touching, name="lease", daemon=True)

    def __enter__(self) -> Self:
        own = self.path.with_name(f".{self.path.name}.{self._token}.tmp")
        try:
            with reported("lock", self.path):
                # Whole and locked before others know of it.
                self._hold(own, os.open(own, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
                while not (self._named(own) or self._taken_over(own)):
                    pass
        except BaseException:
            self._close()
            raise
        finally:
            with suppress(OSError):
                own.unlink()
        self._toucher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the lease back. One that another has taken over stays theirs."""
        self._over.set()
        self._toucher.join()
        with suppress(OSError):
            if self.is_held():
                self.path.unlink()
        self._close()

    def is_held(self) -> bool:
        """Whether it still is this process's; taken to be so while the file server does not answer."""
        try:
            return self._token in self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def require(self) -> None:
        """To be called before anything is written.

        Raises:
            UserError: another process has taken over, since this one stood still; or the lease was removed.
        """
        if not self.is_held():
            if not self.path.exists():
                raise UserError(
                    f"{self.path.parent}: was moved or removed; or this process stood still, was taken for dead, and "
                    f"another went on and is done; {self.path.name} is gone; stopped, nothing more is written"
                )
            who = holder(self.path)
            raise UserError(
                f"{self.path.parent}: this process stood still, was taken for dead, and "
                f"{who or 'another process'} {self.doing if who else 'took over'}; stopped, nothing more is written"
            )

    def _named(self, own: Path) -> bool:
        """Gives what is `own` the lease's name, unless somebody has it."""
        try:
            os.link(own, self.path)
        except FileExistsError:
            return False
        except (OSError, AttributeError):  # no hard links here, or none in this system's Python
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return False
            self._hold(self.path, descriptor)
        return True

    def _taken_over(self, own: Path) -> bool:
        """Takes the place of a holder that is dead; False if nobody holds the lease any more.

        Raises:
            UserError: the holder lives.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            left = _seen(self.path)
            lock = _lock(self.path, descriptor)
            if lock == "another's":
                raise self._refusal()
            is_dead = lock == "ours" and left.machine == machine()
            if not is_dead:
                self._watch(left, own)
            if _seen(self.path) != left:  # somebody was faster
                raise self._refusal()
        except FileNotFoundError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._hold(self.path, descriptor)
        if not is_dead:
            time.sleep(_SECONDS_BETWEEN_LOOKS)  # somebody else may have watched as long; who wrote last has it
        if not self.is_held():  # or what was opened is another's by now, given back since, and a third has its name
            raise self._refusal()
        return True

    def _watch(self, left: _Seen, own: Path) -> None:
        """Returns once the holder has not touched the lease for too long.

        Raises:
            UserError: it lives.
            FileNotFoundError: it has given the lease back.
        """
        until = time.monotonic() + SECONDS_OF_SILENCE
        announced = False
        while time.monotonic() < until:
            with suppress(FileNotFoundError):
                os.utime(own)
                if own.stat().st_mtime - left.touched > SECONDS_OF_SILENCE:
                    return
            if not announced:
                announced = True
                who = holder(self.path) or "another process"
                print(
                    f"{self.path.parent}: {who} {self.doing}, unless it is dead: watching it for up to "
                    f"{SECONDS_OF_SILENCE:.0f} s",
                    file=sys.stderr,
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            if _seen(self.path) != left:
                raise self._refusal()

    def _refusal(self) -> UserError:
        who = holder(self.path) or "another process"
        return UserError(f"{self.path.parent}: {who} {self.doing}; let it finish, or stop it first")

    def _hold(self, path: Path, descriptor: int) -> None:
        """Writes into an open file who holds it, and locks it where there are locks.

        Raises:
            UserError: another has locked it.
        """
        self._close()
        self._descriptor = descriptor
        content = f"process {os.getpid()} on {platform.node()}\n{machine()}\n{self._token}\n".encode()
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, os.write(descriptor, content))  # shortened last: a full disk leaves what was there
        lock = _lock(path, descriptor)
        if lock == "another's":
            raise self._refusal()
        if lock == "none":
            self._close()  # Windows removes no file that is open

    def _keep_touching(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_TOUCHES):
            with suppress(OSError):
                if self.is_held():
                    os.utime(self.path)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Seen(NamedTuple):
    """What a lease looked like: any change of it is a sign of life.

    Attributes:
        touched: by the file server's clock, in seconds.
    """

    content: str
    touched: float

    @property
    def machine(self) -> str:
        return [*self.content.splitlines(), "", ""][1]


def _seen(path: Path) -> _Seen:
    """What a lease looks like now. Opened afresh: that is when a network file system asks its server.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file.
    """
    require_regular(path)
    with open(path, "rb") as file:
        touched = os.fstat(file.fileno()).st_mtime
        with suppress(OSError):  # some systems let nobody read what is locked
            return _Seen(file.read().decode("utf-8", errors="replace"), touched)
        return _Seen("", touched)


def _lock(path: Path, descriptor: int) -> Literal["ours", "another's", "none"]:
    """Asks for the operating system's lock on an open file; "none" where there are none, or where they keep nobody
    out."""
    try:
        import fcntl
    except ImportError:
        return "none"

    def is_refused(asking: int) -> bool:
        try:
            fcntl.flock(asking, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        return False

    try:
        if is_refused(descriptor):
            return "another's"
        second = os.open(path, os.O_RDWR)
        try:
            return "ours" if is_refused(second) else "none"
        finally:
            os.close(second)
    except OSError:
        return "none"


@cache
def machine() -> str:
    """The same for all processes, and all containers, that share the operating system's locks, until it starts again;
    different on every other machine."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{platform.node()}-{uuid.getnode():x}"
