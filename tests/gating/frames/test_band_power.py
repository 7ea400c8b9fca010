import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.frames.band_power import BandPowerExtractor
from noisegate_cli.gating.frames.framing import FrameBatcher, frames_per_batch
from noisegate_cli.gating.frames.levels import FrameRmsMeter

RATE = 16000


def compute_band_powers(y, edges, frame=512, hop=128, rate=RATE, oversampling=4):
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
def test_batches_do_not_depend_on_the_block_sizes(length, frame_and_hop, margin, cuts):
    frame, hop = frame_and_hop
    y = np.arange(1, length + 1, dtype=np.int32)[:, None]
    padded = np.concatenate([np.zeros(frame // 2), y[:, 0], np.zeros(2 * frame + margin)])
    batcher, batches = FrameBatcher(frame, hop, margin), []
    parts = np.split(y, sorted(min(cut, length) for cut in cuts))
    for i, part in enumerate(parts):
        batches += list(batcher.process(part, last=i == len(parts) - 1))
    assert [index for index, _, _ in batches] == list(range(len(batches)))
    assert sum(frames for _, frames, _ in batches) == length // hop + 1
    for index, frames, samples in batches:
        start = index * frames_per_batch(hop) * hop
        expected = padded[start : start + (frames - 1) * hop + frame + margin]
        assert np.array_equal(samples[: len(expected), 0], expected)
        assert not samples[len(expected) :].any()


@given(
    length=st.integers(0, 200),
    frame_and_hop=st.sampled_from([(16, 4), (16, 2), (8, 4)]),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
def test_both_ends_are_mirrored_whatever_the_block_sizes(length, frame_and_hop, cuts):
    frame, hop = frame_and_hop
    y = np.arange(1, length + 1, dtype=np.int32)
    # The samples of a very short recording are mirrored once; beyond them are zeros.
    before = np.pad(y[: frame // 2], (0, max(0, frame // 2 - length)))[::-1]
    extended = np.concatenate([before, y])
    padded = np.concatenate([extended, extended[::-1][: frame // 2]])
    batcher, frame_samples = FrameBatcher(frame, hop, mirrors=True), []
    parts = np.split(y[:, None], sorted(min(cut, length) for cut in cuts))
    for i, part in enumerate(parts):
        for _, frames, samples in batcher.process(part, last=i == len(parts) - 1):
            frame_samples += [samples[hop * k : hop * k + frame, 0] for k in range(frames)]
    expected = [padded[hop * k : hop * k + frame] for k in range(length // hop + 1)]
    assert np.array_equal(frame_samples, expected)


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_a_hum_has_no_power_in_a_high_band_where_the_recording_begins_and_ends(phase):
    y = 0.5 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE + phase)[:, None]
    levels = np.sqrt(compute_band_powers(y, [1000, 4000])[:, 0, 0])
    assert levels.max() < 0.5 * 10 ** (-45 / 20)


def test_the_sum_of_all_bands_equals_the_frame_level():
    y = np.random.default_rng(0).normal(0, 0.1, (RATE, 2))
    powers = compute_band_powers(y, [0, 500, 2000, 8000], frame=1024, hop=256)
    levels = FrameRmsMeter(1024, 256).process(y, last=True)
    # The window weights the samples, so single frames differ, but not their mean.
    band_levels = np.sqrt(powers.sum(axis=2).mean(axis=0))
    assert band_levels == pytest.approx(np.sqrt((levels**2).mean(axis=0)), rel=0.02)


@pytest.mark.parametrize("hz", [300, 1000, 3500])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_a_tone_inside_a_band_keeps_its_level_at_every_rate(hz, rate):
    frame = 1 << (rate // 25).bit_length()
    powers = compute_band_powers(tone(hz, rate=rate), [250, 3900], frame, frame // 4, rate)
    levels = np.sqrt(powers[8:-8, 0, 0])
    assert levels == pytest.approx(np.full(len(levels), 0.5), rel=0.01)


@pytest.mark.parametrize("hz", [50, 120, 5500, 9000, 18000])
def test_a_tone_outside_a_band_is_attenuated_by_20_db(hz):
    powers = compute_band_powers(tone(hz, rate=44100), [250, 4000], 2048, 512, 44100)
    assert np.sqrt(powers[8:-8].max()) < 0.05


def test_the_rate_is_halved_only_if_the_hop_is_divisible():
    y = np.random.default_rng(0).normal(0, 0.1, (4800, 1))
    assert compute_band_powers(y, [100, 1000], frame=30, hop=3, rate=48000).shape == (1601, 1, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_samples_of_every_type_have_the_same_powers(dtype):
    y = tone(1000)
    converted = y.astype(dtype) if "float" in dtype else (y * np.iinfo(dtype).max).astype(dtype)
    assert compute_band_powers(converted, [500, 2000]) == pytest.approx(
        compute_band_powers(y, [500, 2000]), rel=1e-3
    )


@pytest.mark.parametrize("bits", [16, 32])
def test_full_scale_does_not_overflow_at_the_lowest_rate(bits):
    rate, frame = 192000, 65536
    y = (tone(15, 0.5, rate, 1.2) * (2 ** (bits - 1) - 1)).astype(f"int{bits}")
    powers = compute_band_powers(y, [1, 30], frame, frame // 2, rate, oversampling=2)
    assert np.sqrt(powers[3:-3, 0, 0]) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("hop", [1, 64, 512, 4096, 1 << 18])
def test_the_size_of_a_batch_is_a_bounded_power_of_two(hop):
    frames = frames_per_batch(hop)
    assert frames in (8, 16, 32, 64, 128, 256)
    assert frames == 8 or frames * hop <= 1 << 18


def test_samples_whose_power_overflows_cause_no_warning():
    assert not np.isfinite(compute_band_powers(np.full((4000, 1), 1e300), [100, 1000])).all()
