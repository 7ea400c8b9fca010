"""Excerpts and comparisons hold the samples of the whole recording."""

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import AudioError, Excerpt, SettingsError, gate_file
from noisegate_cli.api.excerpts import Cropper, SampleSpan, find_busiest
from noisegate_cli.api.output_pass import AlignedInput
from noisegate_cli.gating.segments import Segments
from noisegate_cli.gating.settings import GateSettings
from noisegate_cli.gating.turns import Turns
from tests.conftest import SPEECH, loud_and_quiet, read

HOP = GateSettings().timing(16000).hop_length


@pytest.mark.parametrize(
    ("start", "duration", "changes"),
    [
        (0.0, 2.0, {}),
        (3.3, 2.5, {}),
        (5.0, None, {"preset": "music"}),
        (10.9, 30.0, {"threshold": 0.02}),
        (4.0, 1.0, {"spectral": True}),
    ],
)
def test_an_excerpt_has_the_samples_of_the_whole_output(tmp_path, start, duration, changes):
    whole = gate_file(SPEECH, tmp_path / "whole.wav", residue=tmp_path / "wr.wav", **changes)
    part = gate_file(
        SPEECH,
        tmp_path / "part.wav",
        residue=tmp_path / "pr.wav",
        labels=tmp_path / "part.json",
        excerpt=Excerpt(start=start, duration=duration),
        **changes,
    )
    first = int(start * 16000) // HOP * HOP
    end = None if duration is None else first + round(duration * 16000)
    for one, other in (("part", "whole"), ("pr", "wr")):
        expected = read(tmp_path / f"{other}.wav")[first:end]
        assert np.array_equal(read(tmp_path / f"{one}.wav"), expected)
    assert part.excerpt == (first / 16000, pytest.approx((first + len(expected)) / 16000))
    assert part.output.samples == part.segments.length == len(expected)
    mask = whole.segments.compute_mask()[first // HOP :][: part.segments.frames]
    assert np.array_equal(part.segments.compute_mask(), mask)
    assert part.statistics.frames == len(mask)
    assert part.statistics.closed == np.count_nonzero(~mask)
    times = [cutoff.time + first / 16000 for cutoff in part.cutoffs.worst]
    assert set(times) <= {cutoff.time for cutoff in whole.cutoffs.worst}


def test_an_excerpt_without_a_start_is_where_the_gate_moves_most_often(tmp_path, write):
    quiet = 0.001 * np.random.default_rng(0).normal(0, 1, 16000 * 12)
    quiet[8 * 16000 :][: 3 * 16000 // 2] += np.tile(loud_and_quiet()[8000:20000], 2)
    source = write(quiet)
    result = gate_file(
        source, tmp_path / "out.wav", threshold=0.05, excerpt=Excerpt(duration=3), min_closed_ms=50
    )
    assert 6 < result.excerpt[0] < 9
    assert result.statistics.openings == 2
    assert len(read(tmp_path / "out.wav")) == 48000


def test_an_excerpt_of_a_gate_that_never_moves_is_the_beginning(tmp_path, write):
    result = gate_file(write(np.zeros(32000)), tmp_path / "out.wav", excerpt=Excerpt(duration=1))
    assert result.excerpt == (0.0, 1.0)


@given(st.lists(st.integers(1, 300), max_size=12), st.integers(1, 400))
def test_no_other_segment_has_more_edges(gaps, hops):
    timing = GateSettings().timing(16000)
    edges = np.cumsum(gaps[: len(gaps) // 2 * 2])
    frames = int(edges[-1] if len(edges) else 0) + 50
    runs = edges.reshape(-1, 2).astype(np.int64)
    segments = Segments((runs,), frames, (frames - 1) * HOP, 16000, timing, -np.inf)
    duration = hops * HOP / 16000
    start = find_busiest(segments, duration)
    moments = segments.seconds.ravel()
    moments = moments[(moments > 0) & (moments < segments.length / 16000)]

    def count(begin):
        return np.count_nonzero((moments >= begin) & (moments < begin + duration))

    # The lead before the first edge may cost the edges of a tenth of the excerpt.
    shorter = 0.9 * duration
    best = max(
        (np.count_nonzero((moments >= t) & (moments < t + shorter)) for t in moments), default=0
    )
    assert count(start) >= best or start + duration > segments.length / 16000 - 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a start, a duration, or both"),
        ({"start": -1.0}, "start -1 must be 0 s or more"),
        ({"duration": 0.0}, "duration 0 must be more than 0 s"),
    ],
)
def test_invalid_excerpts_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        Excerpt(**arguments)


def test_an_excerpt_after_the_end_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"it ends at 0:11.00, before the excerpt starts at 1:00"):
        gate_file(SPEECH, tmp_path / "out.wav", excerpt=Excerpt(start=60))
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("excerpt", [None, Excerpt(start=2, duration=7)])
def test_a_comparison_has_each_turn_before_and_after(tmp_path, excerpt):
    comparison = tmp_path / "ab.flac"
    gate_file(SPEECH, tmp_path / "out.wav", comparison=comparison, excerpt=excerpt)
    first = 2 * 16000 // HOP * HOP if excerpt else 0
    after = read(tmp_path / "out.wav")
    before = read(SPEECH)[first : first + len(after)]
    turn = 4 * 16000
    expected = []
    for start in range(0, len(after), turn):
        expected += [before[start : start + turn], after[start : start + turn]]
    assert np.array_equal(read(comparison), np.concatenate(expected))
    assert sf.info(comparison).subtype == "PCM_16"


def test_a_comparison_of_float_samples_is_exact(tmp_path, write):
    source = write(loud_and_quiet(), subtype="FLOAT")
    gate_file(source, tmp_path / "out.wav", comparison=tmp_path / "ab.wav", threshold=0.03)
    y, out, turns = (
        read(p, "float32") for p in (source, tmp_path / "out.wav", tmp_path / "ab.wav")
    )
    assert np.array_equal(turns, np.concatenate([y, out]))


@given(
    length=st.integers(0, 50),
    turn=st.integers(1, 20),
    start=st.integers(0, 60),
    duration=st.integers(1, 60),
    cuts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=5),
)
def test_blocks_of_any_length_are_aligned_and_cropped(length, turn, start, duration, cuts):
    """The gate returns samples later than it gets them."""
    y = np.arange(length)[:, None]
    span = SampleSpan(start, start + duration)
    inputs, cropper, turns = AlignedInput(), Cropper(span), Turns(turn)
    parts, read_to, returned = [], 0, 0
    for cut, lag in [*sorted(cuts), (length, 0)]:
        end = max(read_to, min(cut, length))
        is_last = cut == length and lag == 0 and end == length
        ready = max(returned, end - lag)
        before = inputs.process(y[read_to:end], ready - returned)
        kept = -y[returned:ready]
        before, kept = cropper.process(before, kept)
        read_to, returned = end, ready
        is_complete = is_last or cropper.is_complete
        parts.append(turns.process(before, kept, last=is_complete))
        if is_complete:
            break
    expected = []
    inside = y[start : start + duration]
    for i in range(0, len(inside), turn):
        expected += [inside[i : i + turn], -inside[i : i + turn]]
    assert np.array_equal(np.concatenate(parts), np.concatenate([y[:0], *expected]))
