"""Every tuned constant has a record in docs/tuning.md, and constants are patched correctly."""

import importlib

import numpy as np
import pytest

import noisegate_cli
from tests.benchmarks.constants import NEIGHBOURS, find_constants, neighbours, patched, scale
from tests.benchmarks.sweep import CRITERIA, Outcome, Sweep, compare, si_sdr
from tests.benchmarks.tuning import DOCUMENT, read_records, renew_record

TEXT = DOCUMENT.read_text(encoding="utf-8")
RECORDS = read_records(TEXT)
CONSTANTS = find_constants()
OPEN_ABOVE = "detection.signal_model.OPEN_ABOVE"


def test_every_constant_of_the_core_has_one_record():
    recorded = [record.constant for record in RECORDS]
    assert len(recorded) == len(set(recorded)), "a constant has two records"
    missing = set(CONSTANTS) - set(recorded)
    assert not missing, (
        f"{sorted(missing)} have no record in docs/tuning.md: add a row to the table of the module "
        "and run `make sweep SET=FOLDER`, or add a row under 'Constants that are not tuned'"
    )
    unknown = set(recorded) - set(CONSTANTS)
    assert not unknown, f"rename or delete the rows of {sorted(unknown)} in docs/tuning.md"


def test_records_have_the_values_in_the_code():
    for record in RECORDS:
        assert record.value == CONSTANTS[record.constant], (
            f"docs/tuning.md has another value of {record.constant}: run `make sweep SET=FOLDER`"
        )


def test_every_record_of_a_tuned_constant_has_a_sweep_and_a_verdict():
    for record in RECORDS:
        assert record.criterion in ("", "by ear", *CRITERIA), record.constant
        assert all(record.cells[2:]), f"run `make sweep SET=FOLDER` for {record.constant}"


def test_constants_with_chosen_neighbors_exist():
    assert set(NEIGHBOURS) <= set(CONSTANTS)


def test_a_patched_value_reaches_importing_modules_and_class_attributes():
    detector = "noisegate_cli.gating.detection.likelihood_detector"
    before = importlib.import_module(detector)
    with patched(OPEN_ABOVE, 7.5):
        module = importlib.import_module(detector)
        assert module.OPEN_ABOVE == module.LikelihoodDetector.open_above == 7.5
        assert module.CLOSE_BELOW == before.CLOSE_BELOW
    assert importlib.import_module(detector) is before
    assert before.LikelihoodDetector.open_above == CONSTANTS[OPEN_ABOVE]


def test_a_patched_value_changes_the_output_until_the_context_ends():
    rng = np.random.default_rng(0)
    y = rng.normal(0, 1, 32000) * np.repeat([0.2, 0.001, 0.2, 0.001], 8000)
    gated = noisegate_cli.gate(y, 16000)
    with patched(OPEN_ABOVE, 1e6):
        always_open = importlib.import_module("noisegate_cli.api.arrays").gate(y, 16000)
    assert not gated[10000:14000].any()
    # No frame is signal, so there is no model, and the gate stays open.
    np.testing.assert_array_equal(always_open, y)
    np.testing.assert_array_equal(noisegate_cli.gate(y, 16000), gated)


def test_a_constant_that_does_not_exist_is_an_error():
    with pytest.raises(AttributeError, match="NO_SUCH"), patched("timing.NO_SUCH", 1):
        importlib.import_module("noisegate_cli.gating.timing")


def test_each_constant_has_other_values_to_try():
    for constant, value in CONSTANTS.items():
        tried = neighbours(constant, value)
        assert len(tried) >= 2
        assert value not in tried


def test_scaled_integers_and_tuples_keep_their_type():
    assert [scale(2, factor) for factor in (0.5, 0.71, 1.41, 2)] == [1, 1, 3, 4]
    assert scale((100.0, 200.0), 0.71) == (71.0, 142.0)


def outcome(*balanced, lost=0.0, folders=None):
    values = np.column_stack([balanced, np.broadcast_to(lost, len(balanced))])
    digests = [str(value) for value in balanced]
    two_sided = np.ones(len(balanced), np.bool_)
    return Outcome(folders or ["a"] * len(balanced), values, digests, two_sided)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ((90, 91, 92, 93), "same"),
        ((91, 92, 93, 94.5), "better"),
        ((89, 90, 91, 91.5), "worse"),
        ((90.05, 91.06, 92.05, 93.06), "flat"),  # less than what counts
        ((95, 87, 93, 92), "flat"),  # within the scatter
        ((95, 75, 93, 93), "uneven"),  # within the scatter, but one is much worse
    ],
)
def test_a_difference_larger_than_its_scatter_is_significant(other, verdict):
    assert compare(CRITERIA["automatic"], outcome(90, 91, 92, 93), outcome(*other)) == verdict


def test_an_improvement_in_one_of_two_sets_does_not_count():
    folders = ["a"] * 6 + ["b"] * 2
    base = outcome(*[90] * 8, folders=folders)
    other = outcome(*[92, 91, 92, 91, 92, 91], 89.8, 89.9, folders=folders)
    assert compare(CRITERIA["automatic"], base, other) == "flat"
    assert compare(CRITERIA["automatic"], other, base) == "worse"


def test_an_improvement_at_the_cost_of_another_measure_is_a_trade_off():
    base, other = outcome(90, 91, 92, 93), outcome(91, 92, 93, 94.5, lost=(0, 0, 0, 2))
    assert compare(CRITERIA["automatic"], base, other) == "trade-off"


def test_updating_a_record_keeps_its_prose():
    record = next(r for r in RECORDS if r.constant == OPEN_ABOVE)
    sweep = Sweep(CRITERIA["automatic"], outcome(90, 91), {0.4: outcome(90, 90), 0.8: "fails"})
    text = renew_record(TEXT, OPEN_ABOVE, 0.25, sweep.cell, sweep.verdict)
    renewed = next(r for r in read_records(text) if r.constant == OPEN_ABOVE)
    assert renewed.value == 0.25
    assert renewed.cells[2:5] == record.cells[2:5]
    assert renewed.cells[5] == "0.4: −0.50 / 0 / 0; 0.8: fails"
    assert len(text.splitlines()) == len(TEXT.splitlines())


def test_si_sdr_is_the_level_of_independent_noise_and_ignores_the_scale():
    rng = np.random.default_rng(0)
    clean, noise = rng.normal(0, 1, (2, 100_000))
    for scaled in (1.0, 0.1):
        assert si_sdr(clean, scaled * (clean + 0.1 * noise)) == pytest.approx(20, abs=0.1)
