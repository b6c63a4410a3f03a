"""Loading and saving of trained models: `DualVAE.from_pretrained` and what belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from ternary_vae.devices import choose_device
from ternary_vae.errors import UserError
from ternary_vae.pretrained.configuration import Origin
from ternary_vae.pretrained.files import DEFAULT, ModelFiles, find_model, model_files, write_model


class Pretrained(nn.Module):
    """What a model needs to be loaded from and saved as the files of `ternary_vae.pretrained`.

    Attributes:
        origin: where the weights come from and what was measured of them, if that is known.
    """

    permeability: float
    architecture: dict[str, Any]
    origin: Origin | None = None

    @classmethod
    def from_pretrained(
        cls, name: str | Path = DEFAULT, *, revision: str | None = None, device: torch.device | str = "cpu"
    ) -> Self:
        """A trained model, in evaluation mode. Random numbers are left as they are.

        Args:
            name: a model that the package brings along ("resolution", the default recipe's), a directory that
                `save_pretrained` wrote, or owner/name on the Hugging Face hub (`pip install 'ternary-vae[hub]'`).
            revision: branch, tag or commit on the hub.
            device: as of `train`.

        Raises:
            UserError: there is no such model, or it is damaged, foreign or of another version; no such device.
        """
        chosen = choose_device(device)
        return cls._of_files(find_model(name, revision=revision)).to(chosen)

    def save_pretrained(self, directory: str | Path, *, origin: Origin | None = None) -> None:
        """Writes the model as config.json, model.safetensors (float32) and README.md, its card.

        Args:
            origin: for the card; the model's own unless given. What was measured of other weights is left out.

        Raises:
            UserError: the directory is a run's, holds something else, or cannot be written, or as `to_files`.
        """
        write_model(self.to_files(origin), Path(directory))

    def push_to_hub(self, name: str, **options: Any) -> str:
        """Puts the model on the Hugging Face hub as owner/name; options are those of huggingface_hub's `ModelHubMixin`.
        Returns its address.

        Raises:
            UserError: huggingface_hub is not installed, or the hub cannot be reached or refuses, or as `to_files`.
        """
        from ternary_vae.pretrained.hub import upload

        return upload(self.to_files(), name, **options)

    def to_files(self, origin: Origin | None = None) -> ModelFiles:
        """The model as its files would hold it.

        Raises:
            UserError: weights that are not finite, or sizes or a permeability that files cannot have.
        """
        arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in self.state_dict().items()}
        return model_files(arrays, self.architecture, self.permeability, origin or self.origin)

    @classmethod
    def _of_files(cls, files: ModelFiles) -> Self:
        with torch.device("meta"):  # no random weights are made only to be replaced
            model = cls(**files.configuration.architecture.model_dump())
        try:
            model.load_state_dict({name: torch.tensor(array) for name, array in files.arrays.items()}, assign=True)
        except RuntimeError as failure:
            raise UserError(f"{files.place}: the weights do not fit the model: {failure}") from None
        model.permeability = files.configuration.permeability
        model.origin = files.configuration.origin
        return model.eval()
