"""Models on the Hugging Face hub, as huggingface_hub moves them (`pip install 'ternary-vae[hub]'`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ternary_vae.errors import UserError, not_installed
from ternary_vae.pretrained.files import CARD, CONFIGURATION, WEIGHTS, ModelFiles, read_model, write_model

try:
    from huggingface_hub import ModelHubMixin, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
except ImportError:
    raise not_installed("models on the Hugging Face hub", "huggingface_hub", "hub") from None


class HubModel(ModelHubMixin):
    """The files of a model as the hub's mixin puts them there."""

    def __init__(self, files: ModelFiles) -> None:
        self.files = files

    def _save_pretrained(self, save_directory: Path) -> None:
        write_model(self.files, save_directory)


def download(name: str, revision: str | None = None) -> ModelFiles:
    """A model of the hub, or what is left of it in the hub's cache where there is no network.

    Raises:
        UserError: there is none, it cannot be reached, or as `read_model`.
    """
    with _reported(f"get {name}"):
        directory = snapshot_download(name, revision=revision, allow_patterns=[CONFIGURATION, WEIGHTS, CARD])
        return read_model(Path(directory))


def upload(files: ModelFiles, name: str, **options: Any) -> str:
    """Puts a model on the hub; options as `ModelHubMixin.push_to_hub` takes them. Returns its address.

    Raises:
        UserError: it cannot be reached, or does not allow it.
    """
    with _reported(f"put {name}"):
        return str(HubModel(files).push_to_hub(name, **options))


@contextmanager
def _reported(action: str) -> Iterator[None]:
    """Turns what huggingface_hub raises into one line."""
    try:
        yield
    except Exception as failure:
        known = isinstance(failure, (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError))
        # What the library that speaks HTTP raises passes through; which one it is depends on the version.
        if not known and type(failure).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
            raise
        raise UserError(
            f"cannot {action} on the Hugging Face hub: {failure}; check the name, the network and `hf auth login`"
        ) from None
