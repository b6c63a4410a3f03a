"""The dual VAE: two encoders, two decoders, cross-injection, and the ensemble that answers for both."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Int8, Real, Shaped
from torch import Tensor, nn

from ternary_vae.model.ensemble import combine, logits_to_tables, strategy_named
from ternary_vae.model.injection import CrossInjection
from ternary_vae.model.networks import DecoderA, DecoderB, Encoder, Sizes
from ternary_vae.model.pretrained import Pretrained
from ternary_vae.model.statenet import StateNet
from ternary_vae.operations import require_tables
from ternary_vae.pretrained.networks import Side
from ternary_vae.recipe import Recipe
from ternary_vae.space import Space


class Posteriors(NamedTuple):
    """Diagonal Gaussian posteriors of both VAEs: means and log-variances."""

    mu_a: Float[Tensor, "n latent"]
    logvar_a: Float[Tensor, "n latent"]
    mu_b: Float[Tensor, "n latent"]
    logvar_b: Float[Tensor, "n latent"]

    def of(self, vae: Side) -> tuple[Float[Tensor, "n latent"], Float[Tensor, "n latent"]]:
        """Mean and log-variance of one VAE.

        Raises:
            ValueError: if vae is neither "A" nor "B".
        """
        if vae not in ("A", "B"):
            raise ValueError(f"vae is 'A' or 'B', got {vae!r}")
        return self[:2] if vae == "A" else self[2:]


class DualVAE(Pretrained, nn.Module):
    """VAE-A (50,203 parameters), VAE-B (117,499) and StateNet (1,068): 168,770 in the plan's version;
    translated injection adds 512, adaptive ρ adds 33.

    Args:
        injection: "plain" or "translated", see `CrossInjection`.
        adaptive_rho: whether StateNet also corrects ρ.
        translation_units: hidden units of each translation, see `CrossInjection`.
        middle_value_b: the value in the middle of VAE-B's axes, see `Encoder`; of VAE-A's it is 0.
        values, inputs: of the operations, see `Space`.
        latent_dimensions, width: follow from the space unless given, see `Sizes`.
        decoder_a_width: factor of the hidden layers of VAE-A's decoder, see `Sizes`.

    Raises:
        UserError: there is no such space.
        ValueError: there is no such injection, or no networks of such sizes, see `Sizes`.

    Attributes:
        space: the space of the operations.
        sizes: of the networks.
        permeability: the ρ that coupled decoding uses unless told otherwise; set by training and by loading.
        architecture: what it was made with.
    """

    def __init__(
        self,
        injection: Literal["plain", "translated"] = "plain",
        adaptive_rho: bool = False,
        *,
        translation_units: int = 0,
        middle_value_b: int = 0,
        values: int = 3,
        inputs: int = 2,
        latent_dimensions: int | None = None,
        width: float | None = None,
        decoder_a_width: float = 1.0,
    ) -> None:
        super().__init__()
        self.space = Space(values, inputs)
        self.sizes = sizes = Sizes.of(self.space, latent_dimensions, width, decoder_a_width)
        self.encoder_A = Encoder(sizes=sizes)
        self.decoder_A = DecoderA(sizes)
        self.encoder_B = Encoder(middle_value_b, sizes)
        self.decoder_B = DecoderB(sizes)
        self.injection = CrossInjection(injection, translation_units, sizes.latent_dimensions)
        self.state_net = StateNet(adaptive_rho)
        self.permeability = 0.0
        self.architecture = {
            "injection": injection,
            "adaptive_rho": adaptive_rho,
            "translation_units": translation_units,
            "middle_value_b": middle_value_b,
            "values": values,
            "inputs": inputs,
            "latent_dimensions": latent_dimensions,
            "width": width,
            "decoder_a_width": decoder_a_width,
        }

    @classmethod
    def of(cls, recipe: Recipe) -> DualVAE:
        """The model that a recipe describes, at random weights."""
        named = {**recipe.model.model_dump(), **recipe.space.model_dump()}
        return cls(**named, adaptive_rho=recipe.permeability.adaptive)

    def encode(self, x: Shaped[Tensor, "n entries"]) -> Posteriors:
        """Posteriors of truth tables given as the space's values (any number type), such as −1, 0, 1; what lies between
        them is encoded too.

        Raises:
            ValueError: if x is not of shape (n, entries).
        """
        entries = self.space.entries
        if x.ndim != 2 or x.shape[1] != entries:
            raise ValueError(f"expected truth tables of shape (n, {entries}), got {tuple(x.shape)}")
        x = self.space.as_input(x.to(self.encoder_A.fc_mu.weight.dtype))
        return Posteriors(*self.encoder_A(x), *self.encoder_B(x))

    def decode(self, z: Real[Tensor, "*n latent"], vae: Side = "A") -> Float[Tensor, "*n entries values"]:
        """Logits of the classes, from the lowest value to the highest, for each entry, decoded by one VAE from its own
        latent. Whole numbers will do.

        Raises:
            ValueError: if vae is neither "A" nor "B".
        """
        if vae not in ("A", "B"):
            raise ValueError(f"vae is 'A' or 'B', got {vae!r}")
        z = self._with_fractions(z)
        return self.decoder_A(z) if vae == "A" else self.decoder_B(z)

    def decode_coupled(
        self, z_a: Real[Tensor, "*n latent"], z_b: Real[Tensor, "*n latent"], rho: float | Tensor | None = None
    ) -> tuple[Float[Tensor, "*n entries values"], Float[Tensor, "*n entries values"]]:
        """Logits of both VAEs from cross-injected latents; ρ is the model's own unless given."""
        z_a, z_b = self._with_fractions(z_a), self._with_fractions(z_b)
        mixed_a, mixed_b = self.injection(z_a, z_b, self.permeability if rho is None else rho)
        return self.decoder_A(mixed_a), self.decoder_B(mixed_b)

    def _with_fractions(self, z: Real[Tensor, "*n latent"]) -> Float[Tensor, "*n latent"]:
        """Latents in a format of fractions: layers take their weights to the format of what they read."""
        return z if z.is_floating_point() else z.to(self.encoder_A.fc_mu.weight.dtype)

    def forward(
        self,
        x: Shaped[Tensor, "n entries"],
        use_ensemble: bool = False,
        ensemble_strategy: str = "best_of_two",
        *,
        rho: float | Tensor | None = None,
        temperature_a: float | Tensor = 1.0,
        temperature_b: float | Tensor = 1.0,
        generator: torch.Generator | None = None,
    ) -> dict[str, Any]:
        """Encode, draw latents, inject, decode (plan, section 1).

        In training mode latents are drawn and cross-injected. In evaluation mode the answer is deterministic: z = μ,
        and each decoder reads its own latent unless `rho` is given; the ensemble then costs no second decoding.

        Args:
            x: truth tables as the space's values.
            use_ensemble: add the ensemble's reconstruction. Ignored in training mode, as in the plan.
            rho: permeability, a number or one a row (n, 1). By default the model's own in training mode, 0 in
                evaluation mode.
            temperature_a, temperature_b: scale of the posterior noise in training mode, z = μ + T·σ·ε.

        Returns:
            logits_A, logits_B (n, entries, values); mu_A, logvar_A, z_A and the same for B (n, latent); and with the
            ensemble ensemble_reconstruction (n, entries) and ensemble_strategy.

        Raises:
            ValueError: as `ensemble_reconstruct`.
        """
        posteriors = self.encode(x)
        z_a, z_b = posteriors.mu_a, posteriors.mu_b
        if self.training:
            z_a = draw_latents(z_a, posteriors.logvar_a, temperature_a, generator)
            z_b = draw_latents(z_b, posteriors.logvar_b, temperature_b, generator)
        alone = rho is None and not self.training
        logits_a, logits_b = (self.decoder_A(z_a), self.decoder_B(z_b)) if alone else self.decode_coupled(z_a, z_b, rho)
        outputs: dict[str, Any] = {
            "logits_A": logits_a,
            "logits_B": logits_b,
            "mu_A": posteriors.mu_a,
            "logvar_A": posteriors.logvar_a,
            "z_A": z_a,
            "mu_B": posteriors.mu_b,
            "logvar_B": posteriors.logvar_b,
            "z_B": z_b,
        }
        if use_ensemble and not self.training:
            decoded = (logits_a.detach(), logits_b.detach()) if alone else None
            with torch.no_grad():
                outputs["ensemble_reconstruction"] = self._ensemble(x, posteriors, ensemble_strategy, decoded)
            outputs["ensemble_strategy"] = ensemble_strategy
        return outputs

    @torch.no_grad()
    def ensemble_reconstruct(
        self, x: Shaped[Tensor, "n entries"], strategy: str = "best_of_two"
    ) -> Int[Tensor, "n entries"]:
        """Both VAEs answer together, decoding posterior means (plan, section 1), by a strategy of `model.ensemble`.

        Raises:
            ValueError: unknown strategy, or x not of shape (n, entries).
        """
        return self._ensemble(x, self.encode(x), strategy)

    def reconstruct(
        self, x: Shaped[Tensor, "n entries"], strategy: str | None = "best_of_two", vae: Side | None = None
    ) -> Int8[Tensor, "n entries"]:
        """Reconstruction: the ensemble by default; with `vae` that VAE alone, with `strategy=None` VAE-B.

        Raises:
            ValueError: an ensemble strategy beside a VAE, an unknown VAE, an entry that is none of the space's values,
                or as `ensemble_reconstruct`.
        """
        require_tables(x, self.space)
        if vae is None and strategy is not None:
            return self.ensemble_reconstruct(x, strategy)
        if strategy not in (None, "best_of_two"):
            raise ValueError(f"strategy {strategy!r} asks both VAEs, and vae={vae!r} one; give either")
        with torch.no_grad():
            mu, _ = self.encode(x).of(vae or "B")
            return logits_to_tables(self.decode(mu, vae or "B"))

    @torch.no_grad()
    def sample(
        self, count: int, vae: Literal["A", "B", "both"] = "both", generator: torch.Generator | None = None
    ) -> Int8[Tensor, "count entries"]:
        """Operations decoded (argmax) from prior draws z ~ N(0, I). "both": the first half (rounded up) by A,
        the rest by B.

        Raises:
            ValueError: negative count or unknown vae.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, got {count}")
        if vae not in ("A", "B", "both"):
            raise ValueError(f"vae is 'A', 'B' or 'both', got {vae!r}")
        weight = self.encoder_A.fc_mu.weight
        z = torch.randn(
            count, self.sizes.latent_dimensions, generator=generator, device=weight.device, dtype=weight.dtype
        )
        if vae != "both":
            return logits_to_tables(self.decode(z, vae))
        half = (count + 1) // 2
        return torch.cat([logits_to_tables(self.decode(z[:half], "A")), logits_to_tables(self.decode(z[half:], "B"))])

    def _ensemble(
        self,
        x: Shaped[Tensor, "n entries"],
        posteriors: Posteriors,
        strategy: str,
        decoded: tuple[Float[Tensor, "n entries values"], Float[Tensor, "n entries values"]] | None = None,
    ) -> Int[Tensor, "n entries"]:
        """The ensemble's answer; `decoded` are the logits of the posterior means, if they are there already."""
        logits_a, logits_b = decoded or (self.decoder_A(posteriors.mu_a), self.decoder_B(posteriors.mu_b))
        coupled: tuple[Tensor, ...] = ()
        if "coupled" in strategy_named(strategy).needs:
            coupled = self.decode_coupled(posteriors.mu_a, posteriors.mu_b)
        return combine(x, logits_a, logits_b, strategy, coupled)


def draw_latents(
    mu: Float[Tensor, "*n latent"],
    logvar: Float[Tensor, "*n latent"],
    temperature: float | Tensor = 1.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "*n latent"]:
    """z = μ + T·σ·ε with ε ~ N(0, I)."""
    noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
    return mu + temperature * torch.exp(0.5 * logvar) * noise
