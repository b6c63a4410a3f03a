"""Runs of other spaces than the plan's, from training to report: small ones, which are listed, and large ones."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from itertools import pairwise

import pytest
import torch

from spaces import _first_held
from ternary_vae.acceleration.fleet import Fleet
from ternary_vae.errors import UserError
from ternary_vae.formats import number
from ternary_vae.model import DualVAE
from ternary_vae.operations import measured_operations, operation_index
from ternary_vae.recipe import load_recipe
from ternary_vae.reports import write_reports
from ternary_vae.reports.comparison import write_comparison
from ternary_vae.reports.spaces import first_exact, pooled
from ternary_vae.resolution import kept, measure, uniformity
from ternary_vae.resolution.complementarity import NoiseOutcome
from ternary_vae.resolution.figures import MEASURES
from ternary_vae.resolution.intervals import poisson_interval
from ternary_vae.resolution.measure import measure_coupled, measure_isolated
from ternary_vae.resolution.records import write_record
from ternary_vae.space import Space
from ternary_vae.space_recipe import recipe_for_space
from ternary_vae.splits import hashed
from ternary_vae.storage.checkpoints import load_checkpoint
from ternary_vae.storage.runs import RunDirectory
from ternary_vae.training import evaluation
from ternary_vae.training.epoch import Trainer
from ternary_vae.training.evaluation import evaluate

LARGE_SPACES = [(3, 3), (4, 2), (2, 5)]
QUICK = {"data.epoch_operations": 1000, "evaluation.sample": 300, "optimizer.first_batches.epochs": 0}


@pytest.fixture
def quick_benchmarks(monkeypatch, few_draws):
    """Benchmarks of a few hundred operations and draws."""
    monkeypatch.setattr(kept, "SAMPLE", 400)
    monkeypatch.setattr(measure, "_FEW", 200)
    monkeypatch.setattr(measure, "FEW_UNDER_NOISE", 50)
    monkeypatch.setattr(uniformity, "MOST_DRAWS", 3000)


@pytest.fixture
def recipe_of(small_recipe):
    def make(space, epochs=2, **changes):
        values, inputs = space
        dotted = {key.replace(".", "__"): value for key, value in QUICK.items()}
        return small_recipe(epochs=epochs, **{"space__values": values, "space__inputs": inputs, **dotted, **changes})

    return make


def layer(*widths):
    """Parameters of linear layers from one width to the next."""
    return sum(before * after + after for before, after in pairwise(widths))


@pytest.mark.parametrize("space", [(3, 2), (2, 2), (3, 3), (2, 5)])
def test_the_plans_space_has_the_plans_networks_and_others_grow_with_their_entries(space):
    model = DualVAE.of(load_recipe("ternary_v5_5", overrides={"space.values": space[0], "space.inputs": space[1]}))
    entries, logits = space[0] ** space[1], space[0] ** space[1] * space[0]

    def units(of_the_plan, growth):
        return max(8, 8 * round(of_the_plan * growth / 8))

    root, latent = (entries / 9) ** 0.5, math.ceil(1.75 * entries)
    a, b, c = (units(each, root) for each in (256, 128, 64))
    narrow, wide, hidden = units(32, entries / 9), units(64, entries / 9), units(128, root)
    encoder = layer(entries, a, b, c) + 2 * layer(c, latent)
    decoder_a = layer(latent, narrow, wide, logits)
    decoder_b = layer(latent, hidden) + 4 * layer(hidden, hidden) + layer(hidden, logits)
    statenet = sum(parameter.numel() for parameter in model.state_net.parameters())
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == 2 * encoder + decoder_a + decoder_b + statenet
    if space == (3, 2):
        assert found == 168_770
    posteriors = model.encode(torch.zeros(5, entries))
    assert posteriors.mu_a.shape == (5, latent)
    assert model.decode(posteriors.mu_a, "A").shape == (5, entries, space[0])


def test_a_recipe_may_give_the_sizes():
    model = DualVAE.of(load_recipe(overrides={"model.latent_dimensions": 11, "model.width": 0.5}))
    assert model.sizes.latent_dimensions == 11
    assert model.encoder_A.encoder[0].out_features == 128


def test_a_recipe_may_make_the_decoder_of_vae_a_wider():
    """And nothing else, beside what follows from the space: of 16 entries 32 · 16/9 · 3 and 64 · 16/9 · 3 units, to
    multiples of eight, where they would be 56 and 112."""
    wide = DualVAE.of(load_recipe("four_valued"))
    plain = DualVAE.of(load_recipe("four_valued", overrides={"model.decoder_a_width": 1.0}))
    assert [layer.out_features for layer in wide.decoder_A.decoder[::2]] == [168, 344, 64]
    assert [layer.out_features for layer in plain.decoder_A.decoder[::2]] == [56, 112, 64]
    shapes = [
        {n: p.shape for n, p in model.named_parameters() if "decoder_A" not in n and "state_net" not in n}
        for model in (wide, plain)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("space", [(4, 1), (2, 3), (3, 3)])
def test_an_epoch_of_any_space(space, recipe_of):
    recipe = recipe_of(space)
    trainer = Trainer(recipe)
    row = trainer.train_epoch()
    assert torch.isfinite(torch.tensor(row["terms"]["loss"]))
    assert sum(len(batch) for batch in trainer.plan.batches) == 1000
    measured = evaluate(trainer.averaged, recipe, 1)
    assert 0 <= measured["exact_match_a"] <= 1
    assert (measured["coverage"] is None) == (not trainer.space.is_enumerable())


@pytest.mark.parametrize("space", LARGE_SPACES)
def test_every_epoch_of_a_large_space_has_operations_of_its_own_and_none_that_are_held_out(space, recipe_of):
    trainer = Trainer(recipe_of(space, data__train_share=0.5, data__validation_share=0.0))
    drawn = []
    for _ in range(2):
        trainer.plan_epoch()
        tables = trainer.classes + trainer.space.lowest
        drawn.append(operation_index(tables, trainer.space))
    assert all(float(hashed(indices, trainer.recipe.seed).max()) < 0.5 for indices in drawn)
    assert len(set(torch.cat(drawn).tolist())) == 2000


def test_skewed_operations_are_trained_on_from_their_epoch_on():
    late = {"data.skewed_share": 0.5, "data.skewed_delay_epochs": 1}
    trainer = Trainer(load_recipe("three_inputs", overrides=QUICK | late))
    constants = []
    for epoch in (0, 1):
        trainer.epochs_completed = epoch
        rows = trainer.draw_epoch()
        constants.append(int((trainer.classes[rows] == trainer.classes[rows, :1]).all(dim=1).sum()))
    assert constants[0] == 0
    assert constants[1] > 10  # 27 expected, of 1,000


def test_a_run_is_resumed_to_the_same_bits(recipe_of, quick_train, quick_resume, tmp_path):
    """Of a space that cannot be listed; `test_resuming.py` has runs of those that can."""
    quick_train(recipe_of((3, 3), epochs=3), tmp_path / "whole")
    quick_train(recipe_of((3, 3), epochs=2), tmp_path / "parts")
    quick_resume(tmp_path / "parts", epochs=3)
    whole, parts = (
        load_checkpoint(tmp_path / name / "checkpoints" / "latest.safetensors") for name in ("whole", "parts")
    )
    assert all(torch.equal(whole.model[name], tensor) for name, tensor in parts.model.items())


@pytest.mark.parametrize("space", [(2, 2), (3, 3)])
def test_runs_at_once_train_on_the_operations_of_their_own_seeds(space, recipe_of):
    def recipes():
        return [recipe_of(space, data__train_share=0.5).model_copy(update={"seed": seed}) for seed in (3, 4)]

    together, alone = ([Trainer(recipe) for recipe in recipes()] for _ in range(2))
    Fleet(together).train_epoch([0, 1])
    for trainer, own in zip(together, alone):
        own.train_epoch()
        assert torch.equal(trainer.classes, own.classes)
        # Rounding may turn a first step of Adam around where a gradient is nearly 0: the mean is held, not each weight.
        pairs = zip(trainer.model.parameters(), own.model.parameters())
        differences = torch.cat([(one - other).detach().abs().flatten() for one, other in pairs])
        assert float(differences.mean()) < 1e-5
    # Runs of two spaces are no stack, whatever else they share.
    different = [Trainer(recipe_of((3, 2))), Trainer(recipe_of(space))]
    assert len(Fleet(different).train_epoch([0, 1])) == 2


@pytest.mark.parametrize(
    ("space", "homes", "share", "ratio"), [((3, 3), 1, None, None), ((3, 3), 100, 0.75, 1 / 3), ((2, 3), 1, 1.0, 0)]
)
def test_homes_so_few_that_chance_gives_them_say_nothing_of_a_sample(
    space, homes, share, ratio, recipe_of, monkeypatch
):
    def home_under_noise(noise):
        """Of the first, each fourth is at home in B."""
        place = torch.arange(len(noise.both))
        return torch.where(place % 4 == 3, -1, 1) * (place < homes)

    def decode_under_noise(model, posteriors, some, *_):
        """Of ten draws two are exact in A alone, three in B alone and one in both."""
        return NoiseOutcome(*(torch.full((len(some.tables),), times) for times in (2, 3, 1)), 10)

    monkeypatch.setattr(evaluation, "home_under_noise", home_under_noise)
    monkeypatch.setattr(evaluation, "decode_under_noise", decode_under_noise)
    recipe = recipe_of(space, evaluation__noise_cycle=1)
    row = evaluate(Trainer(recipe).model, recipe, 1)
    assert (row["share_a"], row["complementarity"]) == (share, ratio)
    assert (row["exact_under_noise_a"], row["exact_under_noise_b"]) == (0.3, 0.4)


@pytest.mark.parametrize("space", [(2, 2), (3, 1), (3, 3), (2, 5)])
def test_a_run_is_measured_and_reported(space, recipe_of, quick_train, quick_benchmarks, tmp_path):
    quick_train(recipe_of(space), tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    checkpoint = load_checkpoint(run.checkpoint(2))
    alone, both = measure_isolated(checkpoint), measure_coupled(checkpoint)
    assert json.loads(alone.model_dump_json())["space"] == {"values": space[0], "inputs": space[1]}
    listed = Space(*space).is_enumerable()
    for vae in (alone.vae_a, alone.vae_b):
        assert (vae.sampling_coverage is None) == (vae.information is None) == (not listed)
        assert (vae.reconstruction.sampled is None) == listed
        assert vae.uniformity.draws > 0
        assert vae.one_entry_step.operations == (Space(*space).operations if listed else 200)
        share = MEASURES["effective_share_a" if vae is alone.vae_a else "effective_share_b"]
        assert share.bounds(alone) == (vae.uniformity.low, vae.uniformity.high)
        assert sum(vae.reconstruction.error_histogram.values()) == (Space(*space).operations if listed else 400)
    assert (both.covers_everything is None) == (not listed)
    homes, between = both.complementary_coverage, MEASURES["complementarity_score"].bounds(both)
    assert homes.home_a + homes.home_b + homes.home_neither == (Space(*space).operations if listed else 50)
    assert (between is None) == (listed or not homes.home_a + homes.home_b)
    if between:
        assert between.low <= homes.complementarity_score <= between.high
    if space == (3, 3):  # operations are drawn, and the same ones again
        assert measure_isolated(checkpoint).vae_a == alone.vae_a
    write_record(run.isolated_record(2), alone)
    write_record(run.coupled_record(2), both)
    written = {path.name: path for path in write_reports(run)}
    text = next(path for name, path in written.items() if name.endswith(".md")).read_text()
    what = (
        f"all {Space(*space).operations:,} operations"
        if listed
        else "operations drawn at random, the same at every milestone"
    )
    assert f"Exact match over {what}, posterior means decoded.\n" in text  # the plan expects nothing
    assert (" of 400 operations drawn at random exactly. Complementarity is **" in text) == (not listed)
    for name, vae in zip("AB", (alone.vae_a, alone.vae_b) if not listed else ()):
        even = vae.uniformity
        assert f"| VAE-{name} | {even.draws:,} | {even.coincident_pairs:,} | {number(even.expected_pairs)} | " in text
    assert "19,683" not in text
    assert "Of ternary operations of two inputs the plan expects" in text
    assert "/checkpoints/epoch_2.safetensors --output " in text  # braces around one number are taken as they are
    page = written["index.html"].read_text()
    assert "19,683" not in page
    assert (">Effective share of the space, B<" in page) == (" of 400 (at least " in page) == (not listed)
    assert (">Coverage, ρ = 0.7<" in page) == listed
    assert page.count(">95%<") == (1 if listed else 3)
    if space in ((2, 2), (3, 3)):
        # Beside itself, too, where nothing is covered since nothing can be listed.
        shutil.copytree(run.path, tmp_path / "again")
        compared, _ = write_comparison([run, RunDirectory(tmp_path / "again")], tmp_path / "COMPARISON.md")
        assert ("a uniform model covers" in compared.read_text()) == listed
    if space != (2, 2):
        with pytest.raises(UserError, match=r"trained on .* recipe .* is of 2 values and 2 inputs; choose a recipe"):
            Trainer(recipe_of((2, 2))).restore(checkpoint)


@pytest.mark.parametrize("space", [(2, 2), (2, 5)])
def test_what_seeds_of_a_space_reached_is_published(
    space, recipe_of, quick_train, quick_benchmarks, run_script, tmp_path, monkeypatch
):
    monkeypatch.setattr("ternary_vae.reports.spaces.SKEWED", 500)
    listed = Space(*space).is_enumerable()
    skewed = {} if listed else {"data__skewed_share": 0.1, "data__skewed_delay_epochs": 1}
    quick_train(recipe_of(space, **skewed), tmp_path / "run", benchmark_milestones=True)
    output = tmp_path / "README.md"
    options = ("--output", output, "--draws", 3000, "--beside", tmp_path / "run")
    assert run_script("publish/publish_spaces.py", tmp_path / "run", *options)[0] == 0
    text = output.read_text()
    assert ("of all operations, posterior means" in text) == ("Coverage of VAE-A" in text) == listed
    assert ("400 operations drawn at random" in text) == ("All pairs together" in text) == (not listed)
    assert f"{Space(*space).operations:,} operations" in text
    assert "--beside RUN --draws 3000`, recipe" in text
    of_skewed = "Here 500 are drawn" in text and "So is 10.00% of what is trained on from epoch 1 on" in text
    assert of_skewed == ("Named gates and constants (constant 0, constant 1)" in text) == (not listed)
    seed, *others = (line.split("|") for line in text.splitlines() if line.startswith("| 42 |"))
    assert len(others) == 3  # two VAEs, and coverages or what is skewed
    assert seed[-2].strip() == "1.00"  # as long as itself
    goals = {row[1].strip(): row for line in text.splitlines() if len(row := line.split("|")) == 6}
    as_long = next(row for name, row in goals.items() if name.startswith("Training, over that of"))
    assert as_long[2:5] == (
        [" ≤ 0.3 ", " **1.00** ✗ (seed 42) ", " 0 of 1 "] if listed else [" ≤ 4 ", " **1.00** ✓ (seed 42) ", " 1 of 1 "]
    )
    assert goals["Exact match of VAE-A"][4] == " 0 of 1 "  # after two epochs
    assert any(name.startswith("Coverage of both") for name in goals) == listed


@pytest.mark.parametrize(
    ("exact", "first"), [("", None), ("110", None), ("111", 1), ("01101110", 5), ("0111111", 2), ("01100110", None)]
)
def test_exact_for_three_epochs_in_a_row(exact, first):
    assert _first_held([one == "1" for one in exact]) == first


@pytest.mark.parametrize(
    ("space", "every", "cycle", "turns"),
    [((2, 3), 1, 8, 7), ((2, 3), 5, 8, 7), ((2, 3), 7, 8, 7), ((2, 3), 10, 16, 15), ((2, 2), 1, 16, 15),
     ((2, 2), 1, 1, 1), ((3, 1), 1, 8, 8), ((3, 1), 5, 8, 8), ((3, 1), 8, 8, 8), ((3, 1), 1, 6, 5)],
)  # fmt: skip
def test_a_cycle_of_evaluations_measures_all_under_noise(recipe_of, monkeypatch, space, every, cycle, turns):
    recipe = recipe_of(space, evaluation__every=every, evaluation__noise_cycle=cycle)
    operations = measured_operations(Space(*space), 0, torch.Generator())
    measured, decode = [], evaluation.decode_under_noise

    def decode_and_note(model, posteriors, some, *more):
        measured.append(some)
        return decode(model, posteriors, some, *more)

    monkeypatch.setattr(evaluation, "decode_under_noise", decode_and_note)
    model = DualVAE(values=space[0], inputs=space[1])
    for epoch in range(every, every * (turns + 1), every):
        evaluation._under_noise(model, recipe, epoch, operations, torch.Generator())
    listed = [some.indices.tolist() for some in measured]
    assert sorted(itertools.chain(*listed)) == list(range(len(operations.tables)))
    if space == (2, 3):
        assert all((some.tables != some.tables[0]).any(dim=0).all() for some in measured)
    if (space, cycle) == ((3, 1), 8):  # as published recipes have it
        assert listed[0] == list(range(every % 8 if every < 8 else 1, 27, 8))


def test_epochs_that_were_not_measured_end_no_row_of_exact_ones():
    def rows(*exact):
        pairs = enumerate(exact, start=1)
        return [{"epoch": epoch, "exact_match_a": one, "exact_match_b": one and 1.0} for epoch, one in pairs]

    assert first_exact(rows(1.0, None, 0.5, None, 1.0, None, None, 1.0)) == 5
    assert first_exact(rows(1.0, None, 1.0, None)) == 1
    assert first_exact(rows(1.0, None, 0.9)) is first_exact(rows(None)) is first_exact([{"epoch": 1}]) is None


def test_pairs_of_all_seeds_are_counted_together():
    def of(draws):
        indices = torch.tensor(draws)
        return uniformity.uniformity_of_counts(*indices.unique(return_counts=True), Space(2, 2))

    # Three and one pairs of four draws each, of six that may coincide, each in one of sixteen cases.
    share, low, high = pooled([of([3, 3, 3, 5]), of([1, 1, 2, 4])])
    assert share == pytest.approx(12 / 16 / 4)
    assert (low, high) == pytest.approx(tuple(12 / 16 / bound for bound in reversed(poisson_interval(4))))
    assert pooled([of([1, 2])])[::2] == (None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space.values": 3, "space.inputs": 4}, "2\\^63 that an index of 64 bits tells apart"),
        ({"space.values": 6, "space.inputs": 2}, "2\\^63"),
        ({"space.values": 1}, "space.values"),
        ({"space.inputs": 3, "data.train_share": 0.001}, "train_share: at least 0.01 of a space that cannot be listed"),
        (
            {"space.values": 5, "objective.prior_information.subset_entries": 7},
            "subset_entries: 7 entries of 5 values are 78,125 cells, and at most 65,536 are counted",
        ),
        ({"space.inputs": 0}, "space.inputs"),
    ],
)
def test_a_space_too_small_or_too_large(changes, message):
    with pytest.raises(UserError, match=message):
        load_recipe(overrides=changes)


def test_a_table_of_another_length():
    with pytest.raises(ValueError, match=r"expected truth tables of shape \(n, 27\), got \(1, 9\)"):
        DualVAE(inputs=3).encode(torch.zeros(1, 9))


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("one_input", (3, 1)),
        ("two_valued_two_inputs", (2, 2)),
        ("two_valued_three_inputs", (2, 3)),
        ("two_valued_four_inputs", (2, 4)),
        ("two_valued_five_inputs", (2, 5)),
        ("three_inputs", (3, 3)),
        ("four_valued", (4, 2)),
        ("five_valued", (5, 2)),
    ],
)
def test_a_recipe_of_another_space_says_what_follows_from_its_size(name, space):
    """Beside the rules only which epochs are benchmarked."""
    recipe, derived = load_recipe(name), recipe_for_space(*space)
    content, expected = (each.model_dump(exclude={"name", "description"}) for each in (recipe, derived))
    for one in (content, expected):
        del one["evaluation"]["milestones"]
    # A space that cannot be listed has epochs of as many operations without a setting.
    assert content["data"].pop("epoch_operations") in (None, expected["data"].pop("epoch_operations"))
    assert content == expected
    assert Trainer(recipe).epoch_operations == Trainer(derived).epoch_operations
