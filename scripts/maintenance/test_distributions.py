"""Installs the wheel in an environment of its own and uses it in an empty directory, away from the checkout: the
commands that need no training, a short run with its report, and README's first example. Prints what was run and how
long it took. Ends with 1 at the first command that fails."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = "export,frame,hub,scikit-learn"
COMMANDS = (
    "--version",
    "gate SUM",
    "gate PC0 --format verilog",
    "gates --where 'commutative and sheffer' --near SUM --limit 5",
    "gates --table '?--0?0-0+'",
    "gate --inputs 3 0",
    "atlas",
    "export embeddings codes.parquet",
    "export embeddings codes.csv",
    "export onnx onnx",
    "export projector projector",
    "train --epochs {epochs} --scale-phases --run-dir run",
    "report run",
    "export model run model",
    "atlas --model ./model --output own.html",
)


def run(command: list[object] | str, **options: object) -> float:
    """Runs a command to its end; returns its seconds. One that fails ends everything."""
    start = time.monotonic()
    shown = command if isinstance(command, str) else " ".join(map(str, command))
    print(f"$ {shown}", flush=True)
    arguments = command if isinstance(command, str) else list(map(str, command))
    code = subprocess.run(arguments, shell=isinstance(command, str), **options).returncode
    if code:
        print(f"test_distributions: {shown}: failed with exit code {code}", file=sys.stderr)
        sys.exit(1)
    return time.monotonic() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the wheel is, as `make dist` wrote it")
    parser.add_argument("--python", default=sys.executable, help="an interpreter (this one)")
    parser.add_argument("--torch", default="", help="a version of torch in place of the newest")
    parser.add_argument("--epochs", type=int, default=20, help="of the run (20)")
    options = parser.parse_args()
    wheels = sorted(options.directory.resolve().glob("*.whl"))
    if len(wheels) != 1:
        print(f"test_distributions: {options.directory}: {len(wheels)} wheels, expected one", file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as temporary:
        place, work = Path(temporary) / "environment", Path(temporary) / "work"
        work.mkdir()
        run([options.python, "-m", "venv", place])
        binaries = place / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [binaries / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, f"torch=={options.torch}" if options.torch else "torch"])
        run([*pip, f"{wheels[0]}[{EXTRAS}]"])
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment["PATH"] = os.pathsep.join([str(binaries), environment["PATH"]])
        (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
        given = {"cwd": work, "env": environment}
        seconds = {}
        for command in COMMANDS:
            line = f"ternary-vae {command.format(epochs=options.epochs)}"
            seconds[line] = run(line, **given)
        seconds["the example of README"] = run([binaries / "python", "-c", example], **given)
        version = "import sys, torch; print(f'Python {sys.version.split()[0]}, torch {torch.__version__}')"
        run([binaries / "python", "-c", version], **given)
        print(*(f"{taken:7.1f} s  {line}" for line, taken in seconds.items()), sep="\n")
        print(
            *(f"{path.stat().st_size:>11,} bytes  {path.name}" for path in sorted(work.iterdir()) if path.is_file()),
            sep="\n",
        )
