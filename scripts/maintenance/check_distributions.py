"""Lists what the wheel and the source distribution hold, and holds it against what the repository tracks: a file too
many or too few ends with 1."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]


def expected() -> tuple[set[str], set[str]]:
    """Files of the wheel and of the source distribution, without those that the build writes."""
    output = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = [name for name in output.split("\0") if name and not name.startswith(".")]
    wheel = {name.removeprefix("src/") for name in tracked if name.startswith("src/")}
    wheel |= {f"ternary_vae/{name}" for name in tracked if name.startswith("configs/")}
    return wheel, set(tracked)


def contents(path: Path) -> dict[str, int]:
    """Names, without the directory that a source distribution is in, and bytes."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist()}
    with tarfile.open(path) as archive:
        return {
            PurePosixPath(*PurePosixPath(entry.name).parts[1:]).as_posix(): entry.size
            for entry in archive.getmembers()
            if entry.isfile()
        }


def differences(found: set[str], wanted: set[str], added: str) -> list[str]:
    """`added`: a pattern of what the build adds by itself."""
    more = sorted(name for name in found - wanted if not re.fullmatch(added, name))
    return [f"{name} should not be there" for name in more] + [f"{name} is missing" for name in sorted(wanted - found)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=ROOT / "dist")
    directory = parser.parse_args().directory
    wrong = []
    for pattern, wanted, added in zip(
        ("*.whl", "*.tar.gz"), expected(), (r"[^/]+\.dist-info/.*", r"PKG-INFO|\.gitignore")
    ):
        paths = sorted(directory.glob(pattern))
        if len(paths) != 1:
            print(f"check_distributions: {directory}: {len(paths)} files {pattern}, expected one", file=sys.stderr)
            sys.exit(2)
        files = contents(paths[0])
        print(f"{paths[0].name}: {paths[0].stat().st_size:,} bytes, {len(files)} files")
        print(*(f"  {size:>9,}  {name}" for name, size in sorted(files.items())), sep="\n")
        wrong += [f"{paths[0].name}: {line}" for line in differences(set(files), wanted, added)]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(bool(wrong))
