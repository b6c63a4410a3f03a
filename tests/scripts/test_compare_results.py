"""Two tables of results whose comparison is known."""

from __future__ import annotations

import pytest
from scipy import special


@pytest.fixture
def compare(tmp_path, run_script):
    """A function: two lists of coverages → its exit code, standard output and standard error."""

    def run(*tables, epoch=400, options=()):
        paths = []
        for number, values in enumerate(tables):
            path = tmp_path / f"{number}.csv"
            lines = [f"resolution,{seed},400,coverage,{value}" for seed, value in enumerate(values)]
            path.write_text("\n".join(["arm,seed,epoch,measure,value", *lines, "plain,0,400,coverage,9"]) + "\n")
            paths.append(path)
        return run_script("analysis/compare_results.py", *paths, "--epoch", epoch, *options)

    return run


def test_welch_by_hand(compare):
    """Means 2 and 5, variances 1 and 4, three each: t = 3/√(5/3) with (5/3)²/((1/3)²/2 + (4/3)²/2) degrees of
    freedom."""
    degrees = (5 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (4 / 3) ** 2 / 2)
    p = 2 * special.stdtr(degrees, -3 / (5 / 3) ** 0.5)
    code, out, error = compare([1, 2, 3], [3, 5, 7])
    assert (code, error) == (0, "")
    assert out.splitlines()[1].split() == ["coverage", "2.00000", "3", "5.00000", "3", f"{p:.3f}"]


def test_pairs_by_hand(compare):
    """Differences −2, −3 and −4: their mean less and plus t(2)/√3 times their deviation 1."""
    half = special.stdtrit(2, 0.975) / 3**0.5
    p = 2 * special.stdtr(2, -3 * 3**0.5)
    code, out, error = compare([1, 2, 3], [3, 5, 7, 100], options=["--paired"])
    assert (code, error) == (0, "")
    expected = [
        "coverage",
        "2.00000",
        "5.00000",
        "3",
        "-3.00000",
        f"{-3 - half:.5f}",
        "to",
        f"{-3 + half:.5f}",
        f"{p:.3f}",
    ]
    assert out.splitlines()[1].split() == expected


def test_another_arm(compare):
    out = compare([1, 2], [1, 2], options=["--other-arm", "plain", "--paired"])[1]
    assert out.splitlines()[1].split() == ["coverage", "1.00000", "9.00000", "1", "-8.00000"]


def test_what_differs_by_rounding_alone_is_equal(compare):
    assert compare([1.0, 1.0], [1.0, 1 - 1e-16])[1].splitlines()[1].split()[-1] == "equal"


def test_of_arms_that_do_not_vary_nothing_is_tested(compare):
    """Their difference has no chance in it, and Welch's test divides by nought."""
    code, out, error = compare([1.0, 1.0, 1.0], [0.5, 0.5, 0.5])
    assert (code, error) == (0, "")
    assert out.splitlines()[1].split() == ["coverage", "1.00000", "3", "0.50000", "3"]


def test_bad_input_is_one_line(compare, tmp_path):
    code, out, error = compare([1, 2], [1, 2], epoch=3)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "holds nothing of arm 'resolution' at epoch 3" in error


def test_no_seed_in_both_is_one_line(tmp_path, run_script):
    for name, seed in (("one", 1), ("other", 2)):
        (tmp_path / f"{name}.csv").write_text(f"arm,seed,epoch,measure,value\nresolution,{seed},400,coverage,1\n")
    paths = tmp_path / "one.csv", tmp_path / "other.csv"
    code, out, error = run_script("analysis/compare_results.py", *paths, "--paired")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "no seed is in both tables" in error
