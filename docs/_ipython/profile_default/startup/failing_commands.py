"""In the pages of the site a command that fails ends the page: `!` alone does not look at exit codes."""

import subprocess

from IPython import get_ipython


def system(command: str) -> None:
    """Runs a command of a shell and shows what it says.

    Raises:
        RuntimeError: its exit code is not 0.
    """
    shell = get_ipython()
    done = subprocess.run(
        shell.var_expand(command, depth=2), shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout, end="")
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {command}")


get_ipython().system = system
