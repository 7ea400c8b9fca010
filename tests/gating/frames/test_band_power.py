import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.levels import FrameRmsMeter

RATE = 16000


def powers_of(y, edges, frame=512, hop=128, rate=RATE, oversampling=4):
    bands = BandPowerExtractor(edges, rate, frame, hop, oversampling)
    batches = bands.create_batcher().process(y, last=True)
    return np.concatenate([bands.compute(frames, samples) for _, frames, samples in batches])


def tone(hz, rms=0.5, rate=RATE, seconds=1.0):
    t = np.arange(round(seconds * rate)) / rate
    return (rms * np.sqrt(2) * np.sin(2 * np.pi * hz * t))[:, None]


@given(
    length=st.integers(0, 3000),
    frame_and_hop=st.sampled_from([(16, 4), (16, 2), (8, 4)]),
    margin=st.sampled_from([0, 2, 8]),
    cuts=st.lists(st.integers(0, 3000), max_size=5),
)
def test_batches_hold_the_same_samples_however_they_arrive(length, frame_and_hop, margin, cuts):
    frame, hop = frame_and_hop
    y = np.arange(1, length + 1, dtype=np.int32)[:, None]
    padded = np.concatenate([np.zeros(frame // 2), y[:, 0], np.zeros(2 * frame + margin)])
    batches, got = FrameBatcher(frame, hop, margin), []
    parts = np.split(y, sorted(min(c, length) for c in cuts))
    for i, part in enumerate(parts):
        got += list(batches.process(part, last=i == len(parts) - 1))
    assert [index for index, _, _ in got] == list(range(len(got)))
    assert sum(frames for _, frames, _ in got) == length // hop + 1
    for index, frames, samples in got:
        start = index * frames_per_batch(hop) * hop
        expected = padded[start : start + (frames - 1) * hop + frame + margin]
        assert np.array_equal(samples[: len(expected), 0], expected)
        assert not samples[len(expected) :].any()


def test_all_bands_together_have_the_level_of_the_frame():
    y = np.random.default_rng(0).normal(0, 0.1, (RATE, 2))
    powers = powers_of(y, [0, 500, 2000, 8000], frame=1024, hop=256)
    level = FrameRmsMeter(1024, 256).process(y, last=True)
    # The window weighs the samples, so that single frames differ; their mean doesn't.
    together = np.sqrt(powers.sum(axis=2).mean(axis=0))
    assert together == pytest.approx(np.sqrt((level**2).mean(axis=0)), rel=0.02)


@pytest.mark.parametrize("hz", [300, 1000, 3500])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_a_tone_inside_a_band_keeps_its_level_at_every_rate(hz, rate):
    frame = 1 << (rate // 25).bit_length()
    powers = powers_of(tone(hz, rate=rate), [250, 3900], frame, frame // 4, rate)
    middle = np.sqrt(powers[8:-8, 0, 0])
    assert middle == pytest.approx(np.full(len(middle), 0.5), rel=0.01)


@pytest.mark.parametrize("hz", [50, 120, 5500, 9000, 18000])
def test_a_tone_outside_of_a_band_is_turned_down_by_20_db(hz):
    powers = powers_of(tone(hz, rate=44100), [250, 4000], 2048, 512, 44100)
    assert np.sqrt(powers[8:-8].max()) < 0.05


def test_the_rate_is_only_halved_where_the_hop_allows_it():
    y = np.random.default_rng(0).normal(0, 0.1, (4800, 1))
    assert powers_of(y, [100, 1000], frame=30, hop=3, rate=48000).shape == (1601, 1, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_samples_of_every_type_have_the_same_powers(dtype):
    y = tone(1000)
    typed = y.astype(dtype) if "float" in dtype else (y * np.iinfo(dtype).max).astype(dtype)
    assert powers_of(typed, [500, 2000]) == pytest.approx(powers_of(y, [500, 2000]), rel=1e-3)


@pytest.mark.parametrize("bits", [16, 32])
def test_full_scale_stays_in_range_at_the_lowest_of_rates(bits):
    rate, frame = 192000, 65536
    y = (tone(15, 0.5, rate, 1.2) * (2 ** (bits - 1) - 1)).astype(f"int{bits}")
    powers = powers_of(y, [1, 30], frame, frame // 2, rate, oversampling=2)
    assert np.sqrt(powers[3:-3, 0, 0]) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("hop", [1, 64, 512, 4096, 1 << 18])
def test_a_batch_is_a_power_of_two_and_spans_no_more_than_it_must(hop):
    frames = frames_per_batch(hop)
    assert frames in (8, 16, 32, 64, 128, 256)
    assert frames == 8 or frames * hop <= 1 << 18


def test_samples_beyond_all_measure_are_no_warning():
    assert not np.isfinite(powers_of(np.full((4000, 1), 1e300), [100, 1000])).all()
