"""The mask of the magnitude spectrogram equals librosa's, for any block size."""

import importlib
import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli import GateSettings, gate
from noisegate_cli.errors import AudioError
from noisegate_cli.gating.noise_profile import NoiseProfile
from noisegate_cli.gating.spectral.configuration import SpectralConfiguration
from noisegate_cli.gating.spectral.magnitude_mask import MASK_OPEN_POWER_RATIO, MagnitudeMask
from tests.conftest import FLOATS, GUITAR, PCM, SPEECH, as_type, examples
from tests.reference import masked_bins

RATE = 16000
MASK = GateSettings.preset("hard", spectral="mask", channels="separate")


def mask_in_blocks(y, gate_settings, block=None, live=False, profiles=None, rate=RATE):
    """Return `y`, shaped (samples, channels), masked in blocks."""
    gates = 1 if gate_settings.channels == "linked" else y.shape[1]
    noises = profiles or [None] * gates
    mask = MagnitudeMask(SpectralConfiguration(gate_settings, noises, rate, y.shape[1], live=live))
    block_length = block or max(1, len(y))
    starts = range(0, max(1, len(y)), block_length)
    return np.concatenate(
        [
            mask.process(y[start : start + block_length], start + block_length >= len(y))
            for start in starts
        ]
    )


def threshold_magnitude(level, frame_length):
    """Return the magnitude of a tone with the RMS `level` at the center of a bin."""
    return level * np.sqrt(2) * frame_length / 4


def scale_to_float(y):
    """Return floats with full scale 1.0, in the type that the mask uses internally."""
    if y.dtype == np.int16:
        return y.astype(np.float32) / 32768
    return y.astype(np.float64) / (2**31 if y.dtype == np.int32 else 1)


def round_to_integers(y, dtype):
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
    output = gate(y, rate, threshold=level, settings=MASK)
    for channel in range(y.shape[1]):
        samples = scale_to_float(y[:, channel])
        expected = masked_bins(samples, threshold_magnitude(level, frame), frame, hop)
        assert np.array_equal(output[:, channel], round_to_integers(expected, y.dtype))


@examples(60)
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
    gate_settings = replace(MASK, threshold=0.02, frame_length=frame, hop_length=hop)
    expected = masked_bins(scale_to_float(y), threshold_magnitude(0.02, frame), frame, hop)
    if subtype != "DOUBLE":
        # The last samples lie at the edge of a window, so their values may exceed full scale.
        expected = round_to_integers(expected, y.dtype)
    np.testing.assert_array_equal(mask_in_blocks(y[:, None], gate_settings)[:, 0], expected)


def test_given_noise_sets_the_threshold_of_each_bin():
    rng = np.random.default_rng(1)
    y, noise = rng.normal(0, 0.02, (5 * RATE, 1)), rng.normal(0, 0.01, 3 * RATE)
    timing = MASK.timing(RATE)
    frame, hop = timing.frame_length, timing.hop_length
    frames = np.lib.stride_tricks.sliding_window_view(noise, frame)[:: frame // 2]
    n = np.arange(frame)
    spectra = np.fft.rfft(frames * np.sin(np.pi * n / frame) ** 2)
    open_above = np.sqrt(MASK_OPEN_POWER_RATIO * np.mean(np.abs(spectra) ** 2, axis=0))[:, None]
    output = gate(y, RATE, settings=MASK, y_noise=noise[:, None])[:, 0]
    differences = np.abs(output - masked_bins(y[:, 0], open_above, frame, hop))
    # The mean noise is computed in float32, so a bin at the threshold may fall on either side.
    assert np.quantile(differences, 0.99) < 1e-9
    assert differences.max() < 1e-3


@examples(50)
@given(
    length=st.one_of(st.sampled_from([0, 1, 255, 256, 257, 511, 513]), st.integers(0, 9000)),
    block=st.integers(1, 4000),
    hop=st.sampled_from([None, 16, 64, 128]),
    reduction=st.sampled_from([0.0, 6.0, np.inf]),
    channels=st.sampled_from(["linked", "separate"]),
    live=st.booleans(),
    has_noise=st.booleans(),
    subtype=st.sampled_from([*PCM, *FLOATS]),
)
def test_output_does_not_depend_on_the_block_size(
    length, block, hop, reduction, channels, live, has_noise, subtype
):
    gate_settings = replace(
        MASK, frame_length=256, hop_length=hop, reduction_db=reduction, channels=channels
    )
    profiles = None
    if has_noise:
        profiles = [NoiseProfile((1e-7, 2e-7), 8000.0, "given")] * (1 + (channels == "separate"))
    else:
        gate_settings = replace(gate_settings, threshold=0.01)
    y = as_type(np.random.default_rng(length).normal(0, 0.1, (length, 2)) * [1.0, 0.1], subtype)
    expected = mask_in_blocks(y, gate_settings, profiles=profiles)
    assert expected.shape == y.shape
    assert expected.dtype == y.dtype
    assert np.array_equal(mask_in_blocks(y, gate_settings, block, live, profiles), expected)


@pytest.mark.parametrize("offset", [-5, -4, -1, 0, 1, 3, 4])
def test_recordings_that_end_with_a_batch_equal_one_call_of_librosa(offset):
    y = np.random.default_rng(0).normal(0, 0.1, 2 * 128 * 4 + offset)
    gate_settings = replace(MASK, threshold=0.02, frame_length=16, hop_length=4)
    expected = masked_bins(y, threshold_magnitude(0.02, 16), 16, 4)
    for block in (None, 1, 100):
        assert np.array_equal(mask_in_blocks(y[:, None], gate_settings, block)[:, 0], expected)


def test_linked_channels_share_a_mask_by_their_rms_magnitude():
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.1, (4000, 1))
    linked = replace(MASK, channels="linked", threshold=0.01)
    out = mask_in_blocks(noise * [1.0, 0.01], linked)
    np.testing.assert_allclose(out[:, 1], 0.01 * out[:, 0], rtol=0, atol=1e-15)
    level = 0.01 / np.sqrt((1 + 0.01**2) / 2)
    mono = mask_in_blocks(noise, replace(MASK, threshold=level))
    np.testing.assert_allclose(out[:, 0], mono[:, 0], atol=1e-12)


def test_closed_bins_have_the_gain_of_the_reduction():
    y = np.random.default_rng(5).normal(0, 0.1, (4000, 1))
    hard = mask_in_blocks(y, replace(MASK, threshold=0.01))
    softer = mask_in_blocks(y, replace(MASK, threshold=0.01, reduction_db=20.0))
    np.testing.assert_allclose(softer, hard + 0.1 * (y - hard), atol=1e-12)


def test_a_channel_without_a_noise_profile_is_unchanged():
    y = np.random.default_rng(6).normal(0, 0.1, (4000, 2))
    out = mask_in_blocks(y, MASK, profiles=[None, NoiseProfile((1e-5, 1e-5), 8000.0, "given")])
    np.testing.assert_allclose(out[:, 0], y[:, 0], atol=1e-12)
    assert np.abs(out[:, 1] - y[:, 1]).max() > 0.01


def test_a_missing_cache_folder_for_librosa_is_an_error_with_a_remedy(monkeypatch):
    class Uncached(ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("cannot cache function '__o_fold': no locator available")

    module = "noisegate_cli.gating.spectral.magnitude_mask"
    monkeypatch.setitem(sys.modules, "librosa", Uncached("librosa"))
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(AudioError, match="set the environment variable NUMBA_CACHE_DIR"):
        importlib.import_module(module)


def test_24_bit_samples_stay_24_bit():
    y = as_type(np.random.default_rng(7).normal(0, 0.1, (4000, 1)), "PCM_24")
    by_level = replace(MASK, threshold=0.01)
    mask = MagnitudeMask(SpectralConfiguration(by_level, [None], RATE, quantization_step=256))
    out = mask.process(y, last=True)
    assert out.any()
    assert not (out % 256).any()
