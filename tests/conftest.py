"""What holds for all tests: none of them uses or fills the tensor cache of the directory that they are started in, and
each uses one core, since small tensors gain nothing from more and threads that wait for each other lose much on a busy
machine. A test that is about threads sets their number itself."""

from __future__ import annotations

import gc
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import config

from few_draws import FEW_DOTS, draw_few
from in_browser import ARGUMENTS, READY, new_context, watched_page
from type_checks import begin_test, install

# What is imported and collected stays to the end. Looking for garbage in it again and again takes much of the time.
gc.disable()

# Workers, and every process that a test starts, would else compile the package anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Shapes and types in signatures are true: every call is held against them. Processes that tests start are not.
install()

_VARIABLE = "TERNARY_VAE_CACHE_DIR"

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before PyTorch starts, and for all processes

# Help is plain text, whatever the caller's terminal or its CI.
os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
os.environ.pop("FORCE_COLOR", None)

# A script starts background jobs with Ctrl-C ignored, and nohup ignores the end of a terminal. The program inherits and
# respects both; the tests of signals are about a program that was started in the foreground.
for _number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

# How fast a machine is, and what else it does, is no property of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # Python's own 700, 10, 10 take a fifth of the time of what builds graphs
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    begin_test()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(tmp_path_factory.mktemp("cache") / "cached_tensors")
    yield
    del os.environ[_VARIABLE]
    if before is not None:
        os.environ[_VARIABLE] = before


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    """After a test that sets the number of PyTorch's threads there is one again."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium: its shell where there is one, which takes four fifths of the time, else the whole browser.
    Without either its tests are skipped, but not where CI is set."""
    playwright = pytest.importorskip("playwright.sync_api") if not os.environ.get("CI") else __import__(
        "playwright.sync_api", fromlist=["sync_playwright"]
    )  # fmt: skip
    executable = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS, timeout=0)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page and waits until it is drawn; afterwards nothing may have been fetched or gone wrong."""
    contexts, troubles = [], []

    def opened(path: Path, expected: str = "nothing", **options: Any) -> Any:
        context = new_context(browser, **options)
        contexts.append(context)
        page = watched_page(context, troubles, expected)
        page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_function(READY)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not held against calls: for tests of what functions themselves say to wrong arguments."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks that draw a fiftieth and time once, and figures of few dots."""
    draw_few(monkeypatch.setattr)


@pytest.fixture(scope="module")
def coarse_figures() -> Iterator[int]:
    """Figures of `FEW_DOTS` an inch; this is how many those of a print have."""
    from ternary_vae.reports import figures

    with pytest.MonkeyPatch.context() as patch:
        print_quality = figures.DPI
        patch.setattr(figures, "DPI", FEW_DOTS)
        yield print_quality


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function: arguments of `ternary-vae` → (exit code, standard output, standard error), through the real entry
    point."""
    from ternary_vae import cli
    from ternary_vae.signals import signals_to_stop

    def run(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ternary-vae", *map(str, arguments)])
        before = {number: signal.getsignal(number) for number in signals_to_stop()}
        try:
            with pytest.raises(SystemExit) as ending:
                cli.main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return ending.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(run_command: Callable[..., Any]) -> Callable[..., str]:
    """A function: arguments of `ternary-vae` → the one line on standard error. Checks the exit code too."""

    def run(*arguments: Any) -> str:
        code, out, error = run_command(*arguments)
        assert (code, out, error.count("\n")) == (2, "", 1), error
        assert error.startswith("ternary-vae: ")
        return error.strip()

    return run


@pytest.fixture
def printed(run_command: Callable[..., Any]) -> Callable[..., str]:
    """A function: arguments of `ternary-vae` → what it prints, on either stream, when it ends with `code`."""

    def run(*arguments: Any, code: int = 0) -> str:
        ended, out, error = run_command(*arguments)
        assert ended == code, out + error
        return out + error

    return run


@pytest.fixture
def run_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """A function: a script below `scripts/` and its arguments → (exit code, standard output, standard error), in this
    process, where everything is imported already."""

    def run(script: str, *arguments: Any) -> tuple[int, str, str]:
        path = str(Path(__file__).parents[1] / "scripts" / script)
        monkeypatch.setattr("sys.argv", [path, *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            runpy.run_path(path, run_name="__main__")
        return ending.value.code, *capsys.readouterr()

    return run
