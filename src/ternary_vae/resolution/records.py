"""The schema of benchmark records: what is written to disk, and nothing else is. Reading one back is lossless."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ternary_vae.descriptions import Section
from ternary_vae.errors import UserError, shown
from ternary_vae.recipe import Recipe, TruthTables
from ternary_vae.storage.files import read_json, require_writable, write_text

SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0, le=1)]
Draws = Annotated[int, Field(ge=1)]


class Environment(Section):
    """Where a record was measured."""

    python: str
    torch: str
    platform: str
    device: str
    threads: int


class Header(Section):
    """What was measured, from what, by what."""

    schema_version: Literal[1] = SCHEMA_VERSION
    recipe: str
    recipe_fingerprint: str
    training_seed: int
    benchmark_seed: int
    epoch: int
    source: Literal["native", "v5.5"]
    checkpoint_hash: str
    code_version: str
    environment: Environment
    measured_at: str
    """Time of measurement, ISO 8601. With `elapsed_seconds` and the section `inference_overhead` all that differs
    between two measurements of one checkpoint, see `comparable`."""
    elapsed_seconds: float
    """Of the measurement, start to end; of two benchmarks measured side by side each has half."""


class Interval(Section):
    """Mean of repeats with a 95% interval (Student's t over the repeats)."""

    mean: float
    low: float
    high: float
    standard_deviation: float
    repeats: int


class Sampled(Section):
    """A share that was measured on operations drawn at random: of how many, and its exact 95% interval (Clopper and
    Pearson 1934)."""

    operations: Draws
    low: Share
    high: Share


class Reconstruction(Section):
    """Posterior means decoded alone, over all operations, or over those drawn where they cannot be listed. Errors are
    wrong entries."""

    exact_match_rate: Share
    sampled: Sampled | None = None
    """Null where all operations were measured."""
    mean_bit_error: float
    median_bit_error: float
    max_bit_error: int
    zero_error_count: int
    error_histogram: dict[int, int]


class LatentSeparation(Section):
    """Distances between posterior means of different operations, Euclidean, in latent units."""

    mean_distance: float
    minimum_distance: float
    mean_nearest_distance: float
    mean_posterior_standard_deviation: float
    separation_ratio: float
    """Mean nearest distance over mean posterior standard deviation."""
    latent_norm_mean: float
    latent_norm_standard_deviation: float


class Coverage(Section):
    """Share of all operations met in `draws` prior draws."""

    coverage_rate: Share
    """Mean over the repeats."""
    coverage_limit: Share
    """1 − (1 − 1/K)^draws, what a perfectly uniform model is expected to reach."""
    unique_operations: float
    draws: Draws
    interval: Interval


class CoveragePoint(Section):
    draws: Draws
    coverage_rate: Share
    coverage_limit: Share


class SamplingCoverage(Section):
    """Coverage of one VAE alone; decoded (argmax) is the headline, categorical rewards collapse."""

    decoded: Coverage
    categorical: Coverage
    by_draws: list[CoveragePoint]
    """Decoded coverage against the number of draws."""


class Uniformity(Section):
    """How evenly one VAE's decoded prior draws lie over the space, by coincidences (the birthday paradox): the draws
    that agree with each other estimate the sum of all squared probabilities, Σp² (Arora, Risteski and Zhang
    2018, "Do GANs learn the distribution?"). It needs no list of operations."""

    draws: Draws
    coincident_pairs: int
    expected_pairs: float
    """Of a perfectly uniform model."""
    effective_share: float | None
    """1/(K·Σp²), which is 1 of a uniform model and 1/2 of one uniform on half of the space; null without any pair."""
    low: float
    high: float | None
    """95% interval of a count whose variance is `dispersion` times its mean; null where it has no upper end."""
    dispersion: float = 1.0
    """The variance of the number of pairs over a Poisson number's, above 1 where many draws meet in one operation."""
    information_bits: float
    """At least so much does a decoded operation tell of its draw, −log2 Σp² at the interval's low end."""
    largest_entry_deviation: Share
    """Of how often a value is met in an entry from 1/values, the largest over values and entries."""
    largest_pair_deviation: Share
    """Of how often two values are met in two entries from 1/values²."""
    margin: float
    """What the draws' own noise would make of either, with 95% confidence, were the model uniform."""


class Interpolation(Section):
    """Straight lines between pairs of posterior means."""

    valid_rate: Share
    """The plan's rate, 1 by construction, since any argmax is an operation."""
    between_rate: Share
    """Share of interpolated operations every entry of which lies between the two ends' entries."""
    pairs: int
    steps: int


class NearestNeighbor(Section):
    """The nearest other posterior mean of every operation."""

    hamming_1_rate: Share
    mean_hamming: float


class OneEntryStep(Section):
    """How far the code moves when one entry of the table changes, Euclidean, in latent units."""

    mean_distance: float
    share_of_mean_distance: float
    """Over the mean distance between operations."""
    nearer_than_others: Share
    """Steps that are shorter than the distance to any other operation measured that is more than one entry away."""
    operations: int


class Dimensionality(Section):
    """Spectrum of the covariance of all posterior means."""

    participation_ratio: float
    dimensions_95: int
    dimensions_99: int
    efficiency: float
    """Participation ratio over the latent dimensions."""


class HeldOut(Section):
    """Exact match on operations that training never saw; null where the recipe trains on all."""

    validation_exact_match_rate: Share | None
    test_exact_match_rate: Share | None
    validation_count: int
    test_count: int


class Information(Section):
    """Mutual information between prior draw and decoded operation, in bits, of log2 of all operations. The decoding is
    deterministic, so it is the entropy of the decoded operation."""

    mutual_information_bits: float
    limit_bits: float
    draws: Draws
    estimator: str


class CurvePoint(Section):
    sigma: Annotated[float, Field(ge=0)]
    exact_match_rate: Share


class ResolutionCurve(Section):
    """Exact match of z = μ + σ·ε against σ."""

    points: list[CurvePoint]
    half_sigma: float | None
    """σ at which exact match falls to one half, linearly interpolated; null if it never does on the grid, or starts
    below."""


class VaeResolution(Section):
    """One VAE alone. Coverage, the nearest neighbour and the estimate of information need a list of all operations and
    are null where there is none; uniformity and the step of one entry are null in records of earlier versions."""

    reconstruction: Reconstruction
    latent_separation: LatentSeparation
    sampling_coverage: SamplingCoverage | None
    uniformity: Uniformity | None = None
    interpolation: Interpolation
    nearest_neighbor: NearestNeighbor | None
    one_entry_step: OneEntryStep | None = None
    dimensionality: Dimensionality
    held_out: HeldOut
    information: Information | None
    resolution_curve: ResolutionCurve


class IsolatedRecord(Section):
    """`manifold_resolution_{N}.json`: each VAE alone."""

    kind: Literal["isolated"] = "isolated"
    header: Header
    space: TruthTables = TruthTables()
    vae_a: VaeResolution
    vae_b: VaeResolution


class ExactMatch(Section):
    exact_match_rate: Share
    sampled: Sampled | None = None


class EnsembleReconstruction(Section, extra="allow"):
    """Every ensemble strategy (`model.ensemble.STRATEGIES`), decoding posterior means, over the operations measured.
    The plan's are in every record; others are in those written since they exist."""

    __pydantic_extra__: dict[str, ExactMatch]

    best_of_two: ExactMatch
    voting: ExactMatch
    confidence_weighted: ExactMatch
    majority: ExactMatch


class EnsembleUnderNoise(Section, extra="allow"):
    """Every ensemble strategy under the latent noise of `ComplementaryCoverage`, with 16 draws an operation."""

    __pydantic_extra__: dict[str, ExactMatch]


class CrossInjectedSampling(Section):
    """Decoded coverage of both VAEs together, half the draws each, from mixed prior draws. The figures on this level
    use the plan's additive mix."""

    rho: float
    coverage_rate: Share
    coverage_limit: Share
    unique_operations: float
    draws: Draws
    interval: Interval
    prior_preserving: Coverage
    by_draws: list[CoveragePoint]


class ComplementaryCoverage(Section):
    """Which operations are at home in which VAE: fewer wrong entries; ties by exactness under the same latent noise."""

    complementarity_score: Share | None
    """min(n_A, n_B)/max(n_A, n_B); null when 0/0."""
    complementarity_score_by_errors: Share | None
    """The strict version, by wrong entries alone; null when 0/0."""
    home_a: int
    home_b: int
    home_neither: int
    share_a: Share | None
    """n_A/(n_A + n_B); the plan asks for 0.4 to 0.6; null when 0/0."""
    errors_a_fewer: int
    errors_b_fewer: int
    noise_sigma: float
    noise_draws: Draws
    exact_under_noise_a: Share
    exact_under_noise_b: Share
    exact_under_noise_ensemble: Share
    """At least one of the two exact (best of two)."""
    ensemble_gain: float
    """Ensemble's exact match under noise less the better single VAE's."""
    ensemble_gain_by_chance: float
    """The gain that two VAEs of the same rates would have if they failed independently of each other."""
    ensemble_gain_if_shuffled: float | None = None
    """The gain of the same two VAEs under the same noise, were it chance which operations are hard for each. More is
    gained where what is hard for one is easy for the other. Null in records of earlier versions, and for one draw."""


class LatentCoupling(Section):
    """Pearson correlation of μ_A and μ_B, dimension by dimension, over all operations; Euclidean distance."""

    mean_correlation: float
    mean_absolute_correlation: float
    mean_distance: float


class CoupledReconstruction(Section):
    """Decoding of cross-injected posterior means at the checkpoint's own ρ."""

    rho: float
    exact_match_rate_a: Share
    exact_match_rate_b: Share
    sampled_a: Sampled | None = None
    sampled_b: Sampled | None = None


class InferenceOverhead(Section):
    """Ensemble forward over plain forward, all operations in one batch: a pass, and what the ensemble adds to it, each
    the fastest of its repeats; on a CPU processor time of one core. Times vary from one measurement to the next."""

    plain_milliseconds: float
    ensemble_milliseconds: float
    time_overhead: float
    """Ensemble over plain, less one."""
    memory_overhead: float | None
    """Peak memory of the ensemble's forward over the plain one, less one."""


class CoupledRecord(Section):
    """`coupled_resolution_{N}.json`: both VAEs together."""

    kind: Literal["coupled"] = "coupled"
    header: Header
    space: TruthTables = TruthTables()
    ensemble_reconstruction: EnsembleReconstruction
    ensemble_under_noise: EnsembleUnderNoise | None = None
    """Null in records of earlier versions."""
    cross_injected_sampling_rho_05: CrossInjectedSampling | None
    """This, the next and `covers_everything` need a list of all operations and are null where there is none."""
    cross_injected_sampling_rho_07: CrossInjectedSampling | None
    complementary_coverage: ComplementaryCoverage
    latent_coupling: LatentCoupling
    coupled_reconstruction: CoupledReconstruction
    inference_overhead: InferenceOverhead
    covers_everything: bool | None
    """Whether 195,000 decoded draws of each VAE alone meet all operations, both VAEs."""


def comparable(record: Section) -> dict[str, Any]:
    """A record as plain data without what depends on the moment of measuring: the time of day, the time it took and
    the cost of inference. Two measurements of one checkpoint with one seed are equal in it, byte for byte as JSON."""
    return record.model_dump(
        mode="json", exclude={"header": {"measured_at", "elapsed_seconds"}, "inference_overhead": True}
    )


def write_record(path: Path, record: Section) -> None:
    """Writes a record as JSON, atomically.

    Raises:
        UserError: if the place cannot be written.
    """
    write_text(Path(path), record.model_dump_json(indent=1) + "\n")


def require_place_of_record(path: Path, recipe: Recipe, record: type[Section]) -> None:
    """Says before something long is measured that its record could not be written there. Only a record of the same
    kind, recipe and seed is overwritten.

    Raises:
        UserError: as `require_writable`; something else is there, or cannot be read.
    """
    require_writable(path)
    if not path.exists():
        return
    instead = "move it away, or name another place with --output"
    content = read_json(path, what=f"a benchmark record, as nothing else is overwritten; {instead}")
    header = _header_of(content)
    fingerprint, seed = header.get("recipe_fingerprint"), header.get("training_seed")
    if fingerprint is None or seed is None:
        raise UserError(f"{path}: exists and is no benchmark record; {instead}")
    if (fingerprint, seed) != (recipe.fingerprint(), recipe.seed):
        raise UserError(
            f"{path}: is a record of another run ({shown(fingerprint)}, seed {shown(seed)}; this is "
            f"{recipe.fingerprint()!r}, seed {recipe.seed}) and is not overwritten; {instead}"
        )
    kind = record.model_fields["kind"].default
    if (found := content.get("kind", kind)) != kind:
        raise UserError(
            f"{path}: is a record of another kind ({shown(found)}; this is {kind!r}) and is not overwritten; {instead}"
        )


def read_isolated_record(path: str | Path) -> IsolatedRecord:
    """Reads `manifold_resolution_{N}.json`.

    Raises:
        UserError: missing, not JSON, another schema version, NaN, or another kind of record.
    """
    return read_record(Path(path), IsolatedRecord)


def read_coupled_record(path: str | Path) -> CoupledRecord:
    """Reads `coupled_resolution_{N}.json`; errors as `read_isolated_record`."""
    return read_record(Path(path), CoupledRecord)


def read_record(path: Path, schema: type[Any]) -> Any:
    """Reads a record of a schema; errors as `read_isolated_record`."""
    content = read_json(path, what="a benchmark record: measure the checkpoint again")
    version = _header_of(content).get("schema_version")
    if version != SCHEMA_VERSION:
        found = "no schema version" if version is None else f"schema version {version}"
        raise UserError(f"{path}: {found}; this program reads version {SCHEMA_VERSION}: measure the checkpoint again")
    try:
        # Strictly, since else true would be a share of 1; from JSON, which has keys of text alone.
        return schema.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ": ".join(filter(None, [str(path), ".".join(map(str, error["loc"]))]))
        raise UserError(
            f"{where}: {error['msg']} (found {shown(error['input'])}); measure the checkpoint again"
        ) from None


def _header_of(content: Any) -> dict[str, Any]:
    """The header of what was read as a record; empty where there is none."""
    header = content.get("header") if isinstance(content, dict) else None
    return header if isinstance(header, dict) else {}
