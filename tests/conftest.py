"""What holds for all tests: none of them uses or fills the tensor cache of the directory that they are started in, and
each uses one core, since small tensors gain nothing from more and threads that wait for each other lose much on a busy
machine. A test that is about threads sets their number itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

_VARIABLE = "TERNARY_VAE_CACHE_DIR"

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts, and for every process that a test starts

# A script starts background jobs with Ctrl-C ignored, and nohup ignores the end of a terminal. The program inherits and
# respects both; the tests of signals are about a program that was started in the foreground.
for _number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

# How fast a machine is, and what else it does, is no property of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(tmp_path_factory.mktemp("cache") / "cached_tensors")
    yield
    del os.environ[_VARIABLE]
    if before is not None:
        os.environ[_VARIABLE] = before
