"""Gating a file against other tracks of the same session."""

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly

import noisegate_cli.samples
from noisegate_cli import AudioError, OutputError, SettingsError, analyze_file, gate, gate_file
from noisegate_cli.files.inputs import reader as reader_module
from tests.conftest import read
from tests.sessions import RATE, convolve, find_active, make_room, make_session

TRACKS, OWN = make_session(-12)


@pytest.fixture
def session(write):
    """Return the paths of two tracks of a session: the second one starts 1.5 s later."""
    return write(TRACKS[0], "host.wav"), write(TRACKS[1][round(1.5 * RATE) :], "guest.flac")


def bleed_closed_share(path):
    them, me = find_active(OWN[1], 0.01), find_active(OWN[0], 0.01)
    return 1 - find_active(read(path, "float32"), 1e-7)[them & ~me].mean()


def test_tracks_of_other_formats_rates_and_lengths_are_aligned(session, tmp_path):
    host, _ = session
    guest = tmp_path / "guest.mp3"
    places = np.arange(round(1.5 * 22050), len(TRACKS[1]) * 22050 // RATE) * RATE / 22050
    sf.write(guest, np.interp(places, np.arange(len(TRACKS[1])), TRACKS[1]), 22050)
    result = gate_file(host, tmp_path / "out.wav", against=[guest])
    (track,) = result.others
    # The encoder of an MP3 file adds up to 50 ms at the beginning if they are not removed.
    assert track.alignment.start_s == pytest.approx(1.5, abs=0.06)
    assert track.level_db == pytest.approx(-12, abs=3)
    assert bleed_closed_share(tmp_path / "out.wav") > 0.85


@pytest.mark.parametrize("spectral", [False, True])
def test_a_track_of_half_the_sample_rate_is_used_in_the_bands_that_it_has(
    session, write, tmp_path, spectral
):
    host, _ = session
    pairs = TRACKS[1][: len(TRACKS[1]) // 2 * 2].reshape(-1, 2)
    guest = write(pairs.mean(axis=1), "low.wav", rate=RATE // 2)
    result = gate_file(host, tmp_path / "out.wav", against=[guest], spectral=spectral)
    assert result.others[0].level_db == pytest.approx(-12, abs=3)
    assert result.bleed.closed_share > 0.2


@pytest.mark.parametrize("spectral", [False, True])
def test_files_and_arrays_against_others_give_the_same_samples_in_all_blocks(
    session, tmp_path, monkeypatch, spectral
):
    host, guest = session
    settings = {"spectral": spectral, "range_db": -30}
    expected = gate(read(host), RATE, against=[read(guest)], **settings)
    for block_bytes in (10_000, 77_778):
        for module in (noisegate_cli.samples, reader_module):
            monkeypatch.setattr(
                module,
                "block_length",
                lambda channels, dtype, size=block_bytes: size // (channels * dtype.itemsize),
            )
        gate_file(host, tmp_path / "out.wav", against=[guest], force=True, **settings)
        assert np.array_equal(read(tmp_path / "out.wav"), expected)


def test_the_spectral_gate_reduces_bleed_under_own_sound(session):
    me, them = find_active(OWN[0], 0.01), find_active(OWN[1], 0.01)

    def level_db(y, hops):
        frames = y[: len(y) // 160 * 160].reshape(-1, 160)
        return 10 * np.log10(np.mean(frames[hops] ** 2))

    # Whether the detector takes a quiet turn for an event is not tested here.
    y = gate(TRACKS[0], RATE, against=[TRACKS[1]], spectral=True, listen="all")
    before, after = TRACKS[0] - OWN[0], y - OWN[0]
    assert level_db(after, me & them) < level_db(before, me & them) - 1.5
    assert level_db(y, them & ~me) < level_db(TRACKS[0], them & ~me) - 18
    assert level_db(after, me & ~them) < level_db(OWN[0], me & ~them) - 25


def test_an_unrelated_track_is_not_used_and_a_warning_says_so(session, tmp_path, write):
    host, _ = session
    noise = write(np.random.default_rng(9).normal(0, 0.05, 5 * RATE), "noise.wav")
    result = gate_file(host, tmp_path / "out.wav", against=[noise])
    assert [
        warning for warning in result.warnings if "noise.wav' has no sound in common" in warning
    ]
    assert result.others[0].alignment is None
    assert np.array_equal(read(tmp_path / "out.wav"), gate(read(host), RATE))


def test_the_recording_itself_and_repeated_tracks_are_refused(session, tmp_path):
    host, guest = session
    with pytest.raises(SettingsError, match="is the recording itself"):
        gate_file(host, tmp_path / "out.wav", against=[guest, host])
    with pytest.raises(SettingsError, match="is given twice"):
        gate_file(host, tmp_path / "out.wav", against=[guest, guest])
    copy = tmp_path / "copy.flac"
    sf.write(copy, 0.5 * read(host, "float32"), RATE)
    with pytest.raises(AudioError, match=r"copy.flac' contains the same sound"):
        gate_file(host, tmp_path / "out.wav", against=[copy])
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_copy_whose_frames_lie_between_those_of_the_recording_is_refused(session, write, rate):
    host, guest = session
    copy = resample_poly(TRACKS[0], rate // 100, RATE // 100)
    path = write(copy[round(1.005 * rate) :], "copy.wav", rate=rate)
    with pytest.raises(AudioError, match=r"copy.wav' contains the same sound"):
        gate_file(host, host.with_name("out.wav"), against=[guest, path])


def test_two_microphones_of_one_talker_are_not_treated_as_copies(session, write):
    host, _ = session
    rng = np.random.default_rng(4)
    far = write(convolve(TRACKS[0], make_room(rng, 0)), "far.wav")
    result = gate_file(host, host.with_name("out.wav"), against=[far])
    assert "no bleed can be distinguished" in result.warnings[-1]


def test_other_tracks_are_never_overwritten(session):
    host, guest = session
    before = guest.read_bytes()
    with pytest.raises(OutputError, match="another track"):
        gate_file(host, guest, against=[guest], force=True)
    assert guest.read_bytes() == before


def test_errors_quote_the_track_that_cannot_be_read(session, tmp_path, write):
    host, _ = session
    with pytest.raises(AudioError, match=r"missing.wav' does not exist"):
        gate_file(host, tmp_path / "out.wav", against=[tmp_path / "missing.wav"])
    y = TRACKS[1].copy()
    y[70000] = np.nan
    with pytest.raises(AudioError, match=r"nan.wav': it has NaN"):
        gate_file(host, tmp_path / "out.wav", against=[write(y, "nan.wav", subtype="FLOAT")])


def test_a_file_whose_exclusive_channels_are_identical_is_refused(write):
    path = write(np.stack([TRACKS[0]] * 2, axis=1), "same.wav")
    with pytest.raises(AudioError, match=r"same.wav': channels 1 and 2 contain the same sound"):
        gate_file(path, channels="exclusive")
    assert not list(path.parent.glob("*_gated*"))
    with pytest.raises(AudioError, match=r"same.wav': channels 1 and 2 contain the same sound"):
        analyze_file(path, channels="exclusive", labels=path.with_suffix(".txt"))
