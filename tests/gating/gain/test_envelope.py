import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from noisegate_cli.gating.gain.envelope import Envelope
from tests.reference import envelope

masks = st.lists(st.booleans(), max_size=40)
lookaheads = st.integers(0, 4)
fades = st.sampled_from([0.0, 0.4, 1.0, 2.5, 6.0])
closed_gains = st.sampled_from([0.0, 0.25, 1.0])


def compute_gains(mask, *settings):
    array = np.array(mask, bool).reshape(-1, 1)
    return Envelope(*settings).process(array, last=True).ravel()


@given(masks, lookaheads, fades, fades, closed_gains)
def test_the_envelope_equals_the_reference(mask, lookahead, attack, release, closed):
    settings = (lookahead, attack, release, closed)
    assert_allclose(compute_gains(mask, *settings), envelope(mask, *settings), atol=1e-12)


@given(masks, lookaheads, fades, fades, st.lists(st.integers(0, 40), max_size=6))
def test_gains_do_not_depend_on_the_block_size(mask, lookahead, attack, release, cuts):
    array = np.array(mask, bool).reshape(-1, 1)
    parts = np.split(array, sorted(min(cut, len(array)) for cut in cuts))
    envelope = Envelope(lookahead, attack, release, 0.0)
    outputs = [envelope.process(part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    assert np.array_equal(
        np.concatenate(outputs).ravel(), compute_gains(mask, lookahead, attack, release, 0.0)
    )


def test_the_gate_is_fully_open_before_an_onset():
    mask = [False] * 10 + [True]
    assert compute_gains(mask, 3, 4.0, 0.0, 0.0)[7:].tolist() == [1, 1, 1, 1]


def test_the_closed_gain_is_reached_exactly():
    assert compute_gains([True] + [False] * 9, 0, 0.0, 4.0, 0.125)[4:].tolist() == [0.125] * 6


def test_fades_are_monotonic():
    gains = compute_gains([True] + [False] * 12, 0, 0.0, 9.7, 0.0)
    assert (np.diff(gains) <= 0).all()
