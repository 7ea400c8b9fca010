import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.gating.frames.stft import InverseStft, Stft, compute_bin_powers
from tests.conftest import examples

RNG = np.random.default_rng(7)


def noise(samples):
    return RNG.normal(0, 0.1, samples).astype(np.float32)


def compute_spectra(y, frame, hop):
    """Return the transform and the spectra of the same frames as librosa's."""
    transform, frames = Stft(frame, hop), len(y) // hop + 1
    padded = np.pad(y, (frame // 2, frame))
    return transform, transform.compute_spectra(padded, frames)


@pytest.mark.parametrize(("frame", "hop"), [(512, 128), (1024, 512), (400, 100), (64, 8)])
@pytest.mark.parametrize("length", [5000, 5120, 700, 1])
def test_spectra_equal_librosa_stft(frame, hop, length):
    y = noise(length)
    spectra = compute_spectra(y, frame, hop)[1].T
    expected = librosa.stft(y, n_fft=frame, hop_length=hop)
    assert spectra.shape == expected.shape
    assert np.abs(spectra - expected).max() < 2e-5


@pytest.mark.parametrize(("frame", "hop"), [(512, 128), (400, 100), (64, 8)])
@pytest.mark.parametrize("length", [5000, 5120, 300, 1])
def test_the_inverse_of_modified_spectra_equals_librosa_istft(frame, hop, length):
    transform, spectra = compute_spectra(noise(length), frame, hop)
    spectra *= RNG.random(spectra.shape, np.float32)
    output = InverseStft(transform, 1).process([spectra], last=True)[:length, 0]
    expected = librosa.istft(spectra.T, n_fft=frame, hop_length=hop, length=length)
    assert np.abs(output - expected).max() < 2e-6


@examples(30)
@given(cuts=st.lists(st.integers(0, 60), max_size=4), channels=st.integers(1, 3))
def test_the_inverse_does_not_depend_on_the_batch_size(cuts, channels):
    transform = Stft(64, 16)
    spectra = [transform.compute_spectra(noise(2000), 60) for _ in range(channels)]
    expected = InverseStft(transform, channels).process(spectra, last=True)
    inverse, ends = InverseStft(transform, channels), [*sorted(cuts), 60]
    parts, start = [], 0
    for end in ends:
        parts.append(inverse.process([spectrum[start:end] for spectrum in spectra], last=False))
        start = end
    parts.append(inverse.process([spectrum[60:] for spectrum in spectra], last=True))
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_the_inverse_returns_each_channel_where_it_belongs():
    transform = Stft(64, 16)
    spectra = [transform.compute_spectra(noise(2000), 60), np.zeros((60, 33), np.complex64)]
    both = InverseStft(transform, 2).process(spectra, last=True)
    alone = InverseStft(transform, 1).process(spectra[:1], last=True)
    np.testing.assert_array_equal(both[:, :1], alone)
    assert not both[:, 1].any()


@pytest.mark.parametrize(("frame", "hop"), [(512, 256), (64, 8)])
def test_frames_with_one_gain_for_all_bins_need_no_transform(frame, hop):
    transform, y = Stft(frame, hop), noise(10_000)
    spectra, edge, frames = transform.compute_spectra(y, 30), 11, 30
    spectra[edge:] *= np.float32(0.25)
    expected = InverseStft(transform, 1).process([spectra], last=True)
    windowed = transform.window_frames(y[edge * hop :], frames - edge, gain=0.25)
    inverse = InverseStft(transform, 1)
    output = inverse.process_runs([[spectra[:edge], windowed]], frames, last=True)
    # The last hop is divided by a window that ends with zero.
    assert np.abs(output - expected)[:-hop].max() < 1e-7


def test_bin_powers_of_a_tone_match_the_scale_factors():
    transform = Stft(1024, 256)
    tone = (0.25 * np.sqrt(2) * np.cos(2 * np.pi * 100 * np.arange(1024) / 1024)).astype(np.float32)
    bin_powers = compute_bin_powers(transform.compute_spectra(tone, 1))[0]
    assert np.sqrt(bin_powers.max() / transform.tone_power) == pytest.approx(0.25, rel=1e-5)
    # The scale factor removes the mean square of the window.
    assert bin_powers.sum() * transform.mean_square_per_power == pytest.approx(0.25**2, rel=1e-5)
