"""The mask of the magnitude spectrogram is librosa's formula, whatever the blocks are."""

import importlib
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate_cli import GateSettings, gate
from noisegate_cli.errors import AudioError
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral.magnitude_mask import MASK_OPEN_POWER_RATIO, MagnitudeMask
from tests.conftest import FLOATS, GUITAR, PCM, SPEECH, as_type
from tests.reference import masked_bins

RATE = 16000
MASK = GateSettings.preset("hard", spectral="mask", channels="separate")


def masked(y, chosen, block=None, live=False, profiles=None, rate=RATE):
    """Return `y`, shaped (samples, channels), masked in blocks."""
    gates = 1 if chosen.channels == "linked" else y.shape[1]
    mask = MagnitudeMask(chosen, profiles or [None] * gates, rate, y.shape[1], live=live)
    size = block or max(1, len(y))
    starts = range(0, max(1, len(y)), size)
    return np.concatenate([mask.process(y[s : s + size], s + size >= len(y)) for s in starts])


def threshold_magnitude(level, frame_length):
    """Return the magnitude of a tone with the RMS `level` at the centre of a bin."""
    return level * np.sqrt(2) * frame_length / 4


def in_librosas_type(y):
    """Return floats with full scale 1.0 in the type that the mask calculates in."""
    if y.dtype == np.int16:
        return y.astype(np.float32) / 32768
    return y.astype(np.float64) / (2**31 if y.dtype == np.int32 else 1)


def as_integers(y, dtype):
    """Round and clip floats with full scale 1.0 to an integer type."""
    limits = np.iinfo(dtype)
    scaled = np.rint(y.astype(np.float32 if dtype == np.int16 else float) * (limits.max + 1))
    return np.clip(scaled, limits.min, limits.max)


@pytest.mark.parametrize("level", [0.0003, 0.003, 0.03])
@pytest.mark.parametrize("path", [SPEECH, GUITAR], ids=["speech", "guitar"])
def test_real_recordings_equal_one_call_of_librosa(path, level):
    y, rate = sf.read(path, dtype="int16", always_2d=True, frames=200000)
    timing = MASK.timing(rate)
    frame, hop = timing.frame_length, timing.hop_length
    ours = gate(y, rate, threshold=level, settings=MASK)
    for channel in range(y.shape[1]):
        samples = in_librosas_type(y[:, channel])
        expected = masked_bins(samples, threshold_magnitude(level, frame), frame, hop)
        assert np.array_equal(ours[:, channel], as_integers(expected, y.dtype))


@settings(max_examples=60)
@given(
    length=st.one_of(
        st.sampled_from([1, 2, 31, 32, 33, 63, 64, 65, 4095, 4096, 4097]), st.integers(1, 9000)
    ),
    frame_and_hop=st.sampled_from([(64, 32), (64, 16), (64, 2), (100, 25), (512, 128)]),
    subtype=st.sampled_from(["PCM_16", "PCM_32", "DOUBLE"]),
    seed=st.integers(0, 99),
)
def test_any_length_equals_one_call_of_librosa(length, frame_and_hop, subtype, seed):
    frame, hop = frame_and_hop
    y = as_type(np.random.default_rng(seed).normal(0, 0.1, length), subtype)
    chosen = replace(MASK, threshold=0.02, frame_length=frame, hop_length=hop)
    expected = masked_bins(in_librosas_type(y), threshold_magnitude(0.02, frame), frame, hop)
    if subtype != "DOUBLE":
        # The last samples hang on the edge of a window, so their values may exceed full scale.
        expected = as_integers(expected, y.dtype)
    np.testing.assert_array_equal(masked(y[:, None], chosen)[:, 0], expected)


def test_noise_that_is_given_sets_the_threshold_of_each_bin():
    rng = np.random.default_rng(1)
    y, room = rng.normal(0, 0.02, (5 * RATE, 1)), rng.normal(0, 0.01, 3 * RATE)
    timing = MASK.timing(RATE)
    frame, hop = timing.frame_length, timing.hop_length
    frames = np.lib.stride_tricks.sliding_window_view(room, frame)[:: frame // 2]
    n = np.arange(frame)
    spectra = np.fft.rfft(frames * np.sin(np.pi * n / frame) ** 2)
    opens = np.sqrt(MASK_OPEN_POWER_RATIO * np.mean(np.abs(spectra) ** 2, axis=0))[:, None]
    ours = gate(y, RATE, settings=MASK, y_noise=room[:, None])[:, 0]
    differs = np.abs(ours - masked_bins(y[:, 0], opens, frame, hop))
    # The mean noise is computed in float32, so a bin at the threshold may fall on either side.
    assert np.quantile(differs, 0.99) < 1e-9
    assert differs.max() < 1e-3


@settings(max_examples=50)
@given(
    length=st.one_of(st.sampled_from([0, 1, 255, 256, 257, 511, 513]), st.integers(0, 9000)),
    block=st.integers(1, 4000),
    hop=st.sampled_from([None, 16, 64, 128]),
    reduction=st.sampled_from([0.0, 6.0, np.inf]),
    channels=st.sampled_from(["linked", "separate"]),
    live=st.booleans(),
    by_noise=st.booleans(),
    subtype=st.sampled_from([*PCM, *FLOATS]),
)
def test_output_does_not_depend_on_blocks(
    length, block, hop, reduction, channels, live, by_noise, subtype
):
    chosen = replace(
        MASK, frame_length=256, hop_length=hop, reduction_db=reduction, channels=channels
    )
    profiles = None
    if by_noise:
        profiles = [NoiseProfile((1e-7, 2e-7), 8000.0, "given")] * (1 + (channels == "separate"))
    else:
        chosen = replace(chosen, threshold=0.01)
    y = as_type(np.random.default_rng(length).normal(0, 0.1, (length, 2)) * [1.0, 0.1], subtype)
    whole = masked(y, chosen, profiles=profiles)
    assert whole.shape == y.shape
    assert whole.dtype == y.dtype
    assert np.array_equal(masked(y, chosen, block, live, profiles), whole)


@pytest.mark.parametrize("beyond", [-5, -4, -1, 0, 1, 3, 4])
def test_recordings_that_end_where_a_batch_does_equal_one_call_of_librosa(beyond):
    y = np.random.default_rng(0).normal(0, 0.1, 2 * 128 * 4 + beyond)
    chosen = replace(MASK, threshold=0.02, frame_length=16, hop_length=4)
    expected = masked_bins(y, threshold_magnitude(0.02, 16), 16, 4)
    for block in (None, 1, 100):
        assert np.array_equal(masked(y[:, None], chosen, block)[:, 0], expected)


def test_linked_channels_share_a_mask_by_their_rms_magnitude():
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.1, (4000, 1))
    linked = replace(MASK, channels="linked", threshold=0.01)
    out = masked(noise * [1.0, 0.01], linked)
    np.testing.assert_allclose(out[:, 1], 0.01 * out[:, 0], rtol=0, atol=1e-15)
    level = 0.01 / np.sqrt((1 + 0.01**2) / 2)
    alone = masked(noise, replace(MASK, threshold=level))
    np.testing.assert_allclose(out[:, 0], alone[:, 0], atol=1e-12)


def test_closed_bins_have_the_gain_of_the_reduction():
    y = np.random.default_rng(5).normal(0, 0.1, (4000, 1))
    hard = masked(y, replace(MASK, threshold=0.01))
    softer = masked(y, replace(MASK, threshold=0.01, reduction_db=20.0))
    np.testing.assert_allclose(softer, hard + 0.1 * (y - hard), atol=1e-12)


def test_a_channel_without_a_noise_profile_is_unchanged():
    y = np.random.default_rng(6).normal(0, 0.1, (4000, 2))
    out = masked(y, MASK, profiles=[None, NoiseProfile((1e-5, 1e-5), 8000.0, "given")])
    np.testing.assert_allclose(out[:, 0], y[:, 0], atol=1e-12)
    assert np.abs(out[:, 1] - y[:, 1]).max() > 0.01


def test_a_missing_cache_folder_for_librosa_is_an_error_that_says_what_to_do(monkeypatch):
    class Uncached(ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("cannot cache function '__o_fold': no locator available")

    module = "noisegate_cli.gating.spectral.magnitude_mask"
    monkeypatch.setitem(sys.modules, "librosa", Uncached("librosa"))
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(AudioError, match="set the environment variable NUMBA_CACHE_DIR"):
        importlib.import_module(module)


def test_24_bits_stay_24():
    y = as_type(np.random.default_rng(7).normal(0, 0.1, (4000, 1)), "PCM_24")
    mask = MagnitudeMask(replace(MASK, threshold=0.01), [None], RATE, quantization_step=256)
    out = mask.process(y, last=True)
    assert out.any()
    assert not (out % 256).any()
