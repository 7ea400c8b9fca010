"""The bit rate and the quality of lossy outputs, and lossy files that are copied."""

import os

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, OutputOptions, SettingsError, gate_file
from noisegate_cli.files.formats import usual_name
from noisegate_cli.files.outputs.rate_control import RATE_LIMITS, parse_bit_rate
from noisegate_cli.terminal.cli import run
from tests.zoo import encode, sound

AT_003 = GateSettings(threshold=0.03)
STAYS_OPEN = GateSettings(threshold=1e-9)
EXTENSIONS = {"AAC": "m4a", "MPEG_LAYER_III": "mp3", "OPUS": "opus", "VORBIS": "ogg"}


@pytest.fixture
def noise(write):
    return write(np.random.default_rng(0).normal(0, 0.2, (48000, 2)), rate=48000)


@pytest.mark.parametrize(
    ("text", "bit_rate"),
    [
        ("128k", 128_000),
        ("128", 128_000),
        ("96 kbit/s", 96_000),
        (64_000, 64_000),
        ("12,5k", 12_500),
        ("fast", None),
        ("-5k", None),
        ("0", None),
    ],
)
def test_a_bit_rate_has_one_reading(text, bit_rate):
    if bit_rate is None:
        with pytest.raises(SettingsError, match="is not a bit rate: give one such as 128k"):
            parse_bit_rate(text)
    else:
        assert parse_bit_rate(text) == bit_rate


@pytest.mark.parametrize("subtype", EXTENSIONS)
def test_an_output_has_about_the_given_bit_rate(tmp_path, noise, subtype):
    out = tmp_path / f"out.{EXTENSIONS[subtype]}"
    for bit_rate in (96_000, 160_000):
        gate_file(noise, out, AT_003, options=OutputOptions(bit_rate=bit_rate), force=True)
        assert 8 * out.stat().st_size == pytest.approx(bit_rate, rel=0.4)


@pytest.mark.parametrize("rate_kbps", [64, 96, 128])
def test_an_mp3_has_the_given_bit_rate_also_where_it_is_silent(tmp_path, write, rate_kbps):
    sound = np.random.default_rng(0).normal(0, 0.2, (10, 44100, 1))
    sound[::2] = 0
    source, out = write(sound.reshape(-1, 1), rate=44100), tmp_path / "out.mp3"
    gate_file(source, out, AT_003, options=OutputOptions(bit_rate=f"{rate_kbps}k"))
    assert 8 * out.stat().st_size / 10 == pytest.approx(1000 * rate_kbps, rel=0.02)
    assert sf.info(out).frames == 441000
    again = gate_file(out, settings=AT_003).output.path
    assert 8 * again.stat().st_size / 10 == pytest.approx(1000 * rate_kbps, rel=0.02)


@pytest.mark.parametrize("subtype", EXTENSIONS)
def test_a_bit_rate_that_the_codec_does_not_have_is_refused(tmp_path, noise, subtype):
    out = tmp_path / f"out.{EXTENSIONS[subtype]}"
    limits = RATE_LIMITS[subtype]
    channels = 2 if limits.per_channel else 1
    codec = usual_name(subtype)
    for bit_rate in (limits.minimum * channels - 1000, limits.maximum * channels + 1000):
        with pytest.raises(OutputError, match=f"out of range for {codec} .*: give bit_rate= "):
            gate_file(noise, out, AT_003, options=OutputOptions(bit_rate=bit_rate))


@pytest.mark.parametrize(("extension", "worse", "better"), [("mp3", 9, 0), ("ogg", 0, 10)])
def test_a_better_quality_makes_a_larger_file(tmp_path, noise, extension, worse, better):
    sizes = []
    for quality in (worse, 5, better):
        out = tmp_path / f"{quality}.{extension}"
        gate_file(noise, out, AT_003, options=OutputOptions(quality=quality))
        sizes.append(out.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


def test_the_command_line_refuses_what_does_not_fit_in_one_line(tmp_path, noise, capsys):
    for arguments, message in (
        (["-o", "out.flac", "--bitrate", "128k"], "is lossless (FLAC PCM_16): omit --bitrate"),
        (["-o", "out.opus", "--quality", "5"], "Opus in Ogg has no quality scale: give --bitrate"),
        (["-o", "out.mp3", "--quality", "10"], "give --quality 0 to 9 (0 is the best)"),
        (["-o", "out.mp3", "--bitrate", "fast"], "bit rate 'fast' is not a bit rate"),
        (["--bitrate", "96k", "--quality", "5"], "use either --bitrate or --quality, not both"),
    ):
        out = [str(tmp_path / a) if a.startswith("out") else a for a in arguments]
        assert run(["gate", str(noise), "-t", "0.03", *out]) in (1, 2)
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


def test_a_lossless_residue_has_no_bit_rate(tmp_path, noise):
    options = OutputOptions(bit_rate="96k")
    residue = tmp_path / "residue.wav"
    gate_file(noise, tmp_path / "out.mp3", AT_003, residue=residue, options=options)
    assert residue.stat().st_size > 4 * 48000


@pytest.mark.parametrize("extension", EXTENSIONS.values())
def test_a_lossy_file_that_the_gate_does_not_change_is_copied(tmp_path, noise, extension):
    source = tmp_path / f"in.{extension}"
    gate_file(noise, source, AT_003, options=OutputOptions(bit_rate="128k"))
    os.utime(source, (1e9, 1e9))
    options = OutputOptions(keep_mtime=True)
    result = gate_file(source, settings=STAYS_OPEN, options=options)
    assert result.is_copied
    assert result.output.path.read_bytes() == source.read_bytes()
    assert result.output.path.stat().st_mtime == 1e9


@pytest.mark.parametrize("extension", EXTENSIONS.values())
def test_a_lossy_file_is_reencoded_if_anything_else_changes(tmp_path, noise, extension):
    source = tmp_path / f"in.{extension}"
    gate_file(noise, source, AT_003, options=OutputOptions(bit_rate="128k"))
    for settings, kept, out in (
        (STAYS_OPEN, OutputOptions(bit_rate="96k"), source.with_name(f"rate.{extension}")),
        (STAYS_OPEN, OutputOptions(), tmp_path / "other.mka"),
        (GateSettings(threshold=0.9), OutputOptions(), source.with_name(f"closed.{extension}")),
    ):
        other = gate_file(source, out, settings, options=kept)
        assert not other.is_copied
        assert other.output.path.read_bytes() != source.read_bytes()


def test_a_lossless_file_is_never_copied(tmp_path, noise):
    assert not gate_file(noise, tmp_path / "out.wav", STAYS_OPEN).is_copied


def test_the_summary_reports_that_a_file_is_copied(tmp_path, capsys):
    source = tmp_path / "in.m4a"
    encode(source, sound(), "ipod", "aac", "fltp", 16000, title="Song")
    assert run(["gate", str(source), "-t", "-180dB"]) == 0
    assert "the gate stays open: the file is copied, not re-encoded" in capsys.readouterr().err


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_kbps", [64, 128, 175, 192, 210, 224, 240, 256, 320])
def test_an_mp3_is_as_loud_as_the_input(tmp_path, write, rate_kbps, channels):
    tone = 0.99 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)[:, None].repeat(channels, 1)
    out = tmp_path / "out.mp3"
    options = OutputOptions(bit_rate=f"{rate_kbps}k")
    gate_file(write(tone, rate=44100), out, STAYS_OPEN, options=options)
    middle = slice(8000, -8000)
    written = sf.read(out, always_2d=True)[0][middle]
    assert rms(written) == pytest.approx(rms(tone[middle]), rel=0.003)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples)))
