"""Every input format is read, and every output format keeps what it can hold."""

import re
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioError, GateSettings, OutputError, OutputOptions, gate_file
from noisegate_cli.files.ffmpeg.decoder import PyavDecoder
from noisegate_cli.files.inputs.reader import AudioReader, probe
from noisegate_cli.files.outputs.target import default_output_path, output_info
from tests.conftest import as_type, read, read_blocks, tone
from tests.zoo import LIBSNDFILE_FORMATS, PYAV_FORMATS, RATE, encode, make_zoo, sound

AT_003 = GateSettings(threshold=0.03)
OPEN = GateSettings(threshold=0.03, range_db=0.0)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    return {path.name: path for path in make_zoo(folder)}


def read_samples(path):
    """Read a whole file through the library that ngate selects."""
    with AudioReader(path) as reader:
        return read_blocks(reader)


def read_with_pyav(path, dtype):
    """Read a whole file through PyAV."""
    with PyavDecoder(path) as decoder:
        blocks = [block.copy() for block, _ in decoder.blocks(10000)]
    samples = np.concatenate(blocks)
    if samples.dtype == dtype:
        return samples
    assert (samples.dtype, dtype) == (np.int16, np.int32)
    return samples.astype(np.int32) << 16


@pytest.mark.parametrize("name", [*LIBSNDFILE_FORMATS, *PYAV_FORMATS])
def test_every_format_is_gated_with_its_length_and_rate(zoo, tmp_path, name):
    source = zoo[name]
    result = gate_file(source, tmp_path / "out.wav", AT_003)
    rate = PYAV_FORMATS[name][3] if name in PYAV_FORMATS and not name.startswith("opus") else RATE
    rate = 48000 if name in ("opus.mka", "opus.webm") else rate
    # Formats that do not declare the padding of the encoder make it part of the recording.
    padding = 4096 if name in ("aac.aac", "ac3.ac3", "wma.wma", "layer2.mp2") else 300
    if name.startswith(("s", "u", "f", "a")) and name not in ("aac.aac", "ac3.ac3"):
        padding = 0
    info = sf.info(tmp_path / "out.wav")
    assert (info.samplerate, info.channels) == (rate, 1)
    assert abs(info.frames - rate) <= padding
    assert info.frames == result.source.samples == result.output.samples
    assert result.warnings == ()
    y = read(tmp_path / "out.wav", "float64")[:, 0]
    # The smallest companded sample is not exactly zero.
    max_quiet = 3e-4 if name.endswith("law.wav") else 0
    assert np.abs(y[round(0.5 * rate) : round(0.58 * rate)]).max() <= max_quiet
    # A shift by a few samples would lower the correlation.
    loud = slice(round(0.1 * rate), round(0.25 * rate))
    if name not in ("aac.aac", "ac3.ac3", "wma.wma", "layer2.mp2", "gsm.wav"):
        assert np.corrcoef(y[loud], sound(rate)[loud])[0, 1] > 0.99


EXACT = [
    ("s16.wav", "flac"),
    ("s16.wav", "m4a"),
    ("s16.wav", "wv"),
    ("s16.wav", "tta"),
    ("s16.wav", "mka"),
    ("s16.wav", "aiff"),
    ("s16.wav", "au"),
    ("s24.flac", "wav"),
    ("s24.flac", "m4a"),
    ("s24.flac", "wv"),
    ("s24.flac", "tta"),
    ("s24.flac", "mka"),
    ("s24.wav", "caf"),
    ("s32.wav", "wv"),
    ("f32.wav", "wv"),
    ("f64.wav", "wav"),
    ("flac.oga", "oga"),
    ("flac.mkv", "flac"),
    ("alac16.m4a", "m4a"),
    ("alac24.m4a", "flac"),
    ("wavpack.wv", "wv"),
    ("float.wv", "wav"),
    ("tta.tta", "tta"),
    ("pcm.mov", "wav"),
    ("ulaw.wav", "flac"),
    ("u8.wav", "wv"),
]


@pytest.mark.parametrize(("name", "extension"), EXACT)
def test_an_open_gate_is_lossless_between_containers(zoo, tmp_path, name, extension):
    out = tmp_path / f"out.{extension}"
    gate_file(zoo[name], out, OPEN)
    before = read_samples(zoo[name])
    # Where possible, another library reads the file than the one that wrote it.
    after = (
        read_with_pyav(out, before.dtype) if extension in ("flac", "wav", "caf", "tta") else None
    )
    if after is None:
        after = read_samples(out)
    if after.dtype != before.dtype:
        assert (after.dtype, before.dtype) == (np.int32, np.int16)
        before = before.astype(np.int32) << 16
    assert np.array_equal(after, before)


def test_ffmpeg_agrees_on_every_bit(zoo, tmp_path):
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")

    # One process decodes all files.
    inputs, outputs, raw_paths = [], [], []
    for name, extension in EXACT:
        out = tmp_path / f"{name}.{extension}"
        gate_file(zoo[name], out, OPEN)
        is_float = name.startswith("f") and not name.startswith("flac")
        for path in (zoo[name], out):
            number = len(raw_paths)
            raw_paths.append(tmp_path / f"{number}.raw")
            inputs += ["-i", path]
            sample_format = "f64le" if is_float else "s32le"
            outputs += ["-map", f"{number}:a:0", "-f", sample_format, raw_paths[-1]]
    command = ["ffmpeg", "-v", "error", *map(str, inputs + outputs)]
    subprocess.run(command, check=True)
    contents = [path.read_bytes() for path in raw_paths]
    assert all(contents)
    for pair, before, after in zip(EXACT, contents[::2], contents[1::2], strict=True):
        assert before == after, pair


@pytest.mark.parametrize("extension", ["m4a", "opus", "ogg", "mp3", "webm"])
def test_a_lossy_output_has_the_length_of_the_input_and_no_delay(tmp_path, extension, write):
    rng = np.random.default_rng(0)
    y = np.convolve(rng.normal(0, 0.2, 100001), np.hanning(32) / 16)[:100001]
    source, out = write(y, rate=48000), tmp_path / f"out.{extension}"
    gate_file(source, out, OPEN)
    samples = read_samples(out)[:, 0]
    assert len(samples) == len(y)
    spectrum = np.fft.rfft(samples, 1 << 18) * np.conj(np.fft.rfft(y, 1 << 18))
    assert np.argmax(np.fft.irfft(spectrum)) == 0


DEFAULTS = {
    "s16.wav": ".wav",
    "s24.flac": ".flac",
    "vorbis.ogg": ".ogg",
    "opus.opus": ".opus",
    "layer3.mp3": ".mp3",
    "aac.m4a": ".m4a",
    "alac24.m4a": ".m4a",
    "aac.aac": ".m4a",
    "aac.mp4": ".mp4",
    "pcm.mov": ".mov",
    "opus.mka": ".mka",
    "opus.webm": ".webm",
    "flac.mkv": ".mkv",
    "flac.oga": ".oga",
    "wavpack.wv": ".wv",
    "tta.tta": ".tta",
    "wma.wma": ".flac",
    "ac3.ac3": ".flac",
    "layer2.mp2": ".flac",
    "s16.voc": ".voc",
}


@pytest.mark.parametrize(("name", "extension"), DEFAULTS.items())
def test_the_default_output_keeps_the_codec_or_is_lossless(zoo, name, extension):
    info = probe(zoo[name])
    output = default_output_path(info)
    assert output == zoo[name].with_name(f"{zoo[name].stem}_gated{extension}")
    written = output_info(info, output)
    assert written.subtype == info.subtype or not written.is_lossy


def test_integers_get_the_nearest_type_and_clipped_floats_a_warning(write, tmp_path):
    sf.write(tmp_path / "ulaw.wav", tone(1, 0.1), 16000, "ULAW")
    assert output_info(probe(tmp_path / "ulaw.wav"), tmp_path / "o.flac").subtype == "PCM_16"
    y = np.concatenate([tone(1, 0.1), [1.5, -2.0, 1.0]])
    source = write(y, subtype="FLOAT")
    float_result = gate_file(source, tmp_path / "o.wav", OPEN)
    assert float_result.warnings == ()
    assert np.array_equal(read(tmp_path / "o.wav", "float32"), read(source, "float32"))
    integer_result = gate_file(source, tmp_path / "o.flac", OPEN)
    assert integer_result.warnings[0].startswith("2 samples above full scale are clipped")
    assert read(tmp_path / "o.flac", "int32")[-3:-1].tolist() == [[(2**23 - 1) << 8], [-(2**31)]]


def test_floats_with_16_bit_values_are_converted_exactly(write, tmp_path):
    y = as_type(tone(1, 0.3), "PCM_16")
    source = write(y / np.float32(2**15), subtype="FLOAT")
    gate_file(source, tmp_path / "o.wav", OPEN, options=OutputOptions(subtype="PCM_16"))
    assert np.array_equal(read(tmp_path / "o.wav")[:, 0], y)


@pytest.mark.parametrize("extension", ["ogg", "opus", "m4a", "flac", "mka", "wv", "wav"])
def test_channels_keep_their_speaker_positions(tmp_path, extension):
    # Each speaker of 5.1 has a different tone, the subwoofer a low one.
    hz = np.array([300, 600, 900, 60, 1500, 1800])
    y = 0.1 * np.sin(2 * np.pi * hz * np.arange(48000)[:, None] / 48000)
    source, out = tmp_path / "in.wav", tmp_path / f"out.{extension}"
    encode(source, y, "wav", "pcm_s16le", "s16", 48000)
    assert probe(source).channel_mask == 0x3F
    gate_file(source, out, OPEN)
    for samples in (read_samples(out), read_with_pyav(out, read_samples(out).dtype)):
        spectra = np.abs(np.fft.rfft(samples[:48000], axis=0))
        assert np.argmax(spectra, axis=0).tolist() == hz.tolist()
    with PyavDecoder(out) as decoder:
        assert decoder.info.channel_mask == 0x3F


def test_a_video_without_audio_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "film.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 64, 48
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(stream.encode(None))
    with pytest.raises(AudioError, match="it has no audio track"):
        gate_file(tmp_path / "film.mp4")


def test_a_truncated_m4a_is_gated_with_a_warning(tmp_path, write):
    whole, cut = tmp_path / "whole.m4a", tmp_path / "cut.m4a"
    import av

    options = {"movflags": "+faststart"}
    with av.open(str(whole), "w", format="ipod", options=options) as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.float32(sound(RATE, 4.0)).reshape(1, -1), "flt", "mono"
        )
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 2 // 3])
    result = gate_file(cut, tmp_path / "out.wav", AT_003)
    assert 1.5 < result.source.duration < 3
    assert "of 4.0" in result.warnings[0]
    assert "are missing" in result.warnings[0]


def test_a_damaged_mp3_is_read_beyond_the_damage(tmp_path):
    source = tmp_path / "in.mp3"
    with sf.SoundFile(source, "w", 44100, 1, "MPEG_LAYER_III", format="MP3") as file:
        file.write(np.tile(sound(44100), 6))
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    source.write_bytes(content)
    result = gate_file(source, tmp_path / "out.wav", AT_003)
    assert result.source.duration > 5
    assert "is damaged" in result.warnings[0]


def test_a_flac_damaged_in_the_middle_stays_in_sync(tmp_path):
    source = tmp_path / "in.flac"
    y = as_type(np.tile(sound(44100), 6), "PCM_16")
    sf.write(source, y, 44100, "PCM_16")
    content = bytearray(source.read_bytes())
    content[len(content) // 2 :][:64] = bytes(64)
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    source.write_bytes(content)
    result = gate_file(source, tmp_path / "out.wav", OPEN)
    assert result.source.samples == len(y)
    assert re.fullmatch(
        r"it is damaged: 0\.\d\d s at [23]\.\d\d s are replaced with silence",
        *result.warnings,
    )
    out = read(tmp_path / "out.wav")[:, 0]
    missing = np.flatnonzero(out != y)
    assert 0 < len(missing) <= 3 * 4608
    assert not out[missing[0] : missing[-1]].any()


def test_a_header_that_declares_no_samples_is_ignored_with_a_warning(write):
    source = write(sound(), rate=RATE)
    content = bytearray(source.read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    source.write_bytes(content)
    result = gate_file(source, settings=AT_003)
    assert result.source.samples == RATE
    assert result.warnings[0].startswith("its header says that it is empty")


def test_an_empty_recording_is_gated_without_a_warning(tmp_path, write):
    source = write(sound()[:0])
    content = source.read_bytes() + b"LIST\x04\0\0\0INFO"
    source.write_bytes(content)
    result = gate_file(source, settings=AT_003)
    assert (result.source.samples, result.warnings) == (0, ())


def test_a_second_data_chunk_causes_a_warning(write):
    source = write(sound(), rate=RATE)
    content = source.read_bytes()
    source.write_bytes(content + content[36:])
    result = gate_file(source, settings=AT_003)
    assert result.source.samples == RATE
    assert result.warnings == ("it contains a second recording of 1.00 s, which is ignored",)


def test_a_recording_with_two_audio_tracks_reports_which_one_was_gated(tmp_path):
    import av

    with av.open(str(tmp_path / "in.mka"), "w", format="matroska") as file:
        streams = [file.add_stream("flac", rate=RATE, layout="mono") for _ in range(2)]
        y = as_type(sound(), "PCM_16").reshape(1, -1)
        packets = []
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(y, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            packets += [*stream.encode(frame), *stream.encode(None)]
        file.mux(packets)
    result = gate_file(tmp_path / "in.mka", settings=AT_003)
    assert (result.source.track, len(result.source.tracks)) == (1, 2)


def test_an_implausible_header_is_refused(tmp_path, write):
    source = write(tone(1, 0.1))
    content = bytearray(source.read_bytes())
    for channels, rate in ((1024, 48000), (1, 4_000_000), (600, 384000)):
        content[22:24] = channels.to_bytes(2, "little")
        content[24:28] = rate.to_bytes(4, "little")
        content[32:34] = (2 * channels).to_bytes(2, "little")
        source.write_bytes(content)
        with pytest.raises(
            AudioError, match=f"{channels} channels at {rate} Hz, which is impossible"
        ):
            gate_file(source)


@pytest.mark.parametrize(("channels", "rate"), [(32, 384000), (1, 8000), (8, 96000)])
def test_many_channels_and_high_rates_are_preserved(tmp_path, channels, rate):
    y = np.tile(sound(rate, 0.2)[:, None], (1, channels))
    source = tmp_path / "in.wav"
    sf.write(source, y, rate, "PCM_24")
    result = gate_file(source, tmp_path / "out.wav", AT_003)
    assert (result.output.channels, result.output.sample_rate) == (channels, rate)
    assert sf.info(tmp_path / "out.wav").frames == len(y)


def test_a_playlist_opens_no_other_file(tmp_path, write):
    other = write(sound())
    for name, text in (
        ("a.m3u8", f"#EXTM3U\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n"),
        ("b.wav", f"ffconcat version 1.0\nfile {other}\n"),
        ("c.m4a", f"concat:{other}|{other}"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="is not a readable recording"):
            gate_file(tmp_path / name)


def test_a_format_that_only_ffmpeg_knows_is_refused_with_a_message(tmp_path):
    path = encode(tmp_path / "in.mxf", sound(48000), "mxf_opatom", "pcm_s16le", "s16", 48000)
    with pytest.raises(AudioError, match=r"recording \(its format is not supported\)"):
        gate_file(path)


def test_wav_needs_neither_pyav_nor_mutagen(write):
    code = (
        "import sys; from noisegate_cli.terminal.cli import run; run(sys.argv[1:]);"
        "print([m for m in ('av', 'mutagen') if m in sys.modules])"
    )
    for name in ("in.wav", "in2.flac"):
        source = write(sound(), name)
        out = subprocess.check_output([sys.executable, "-c", code, "gate", source, "-q"], text=True)
        assert out == ("[]\n" if name == "in.wav" else "['mutagen']\n")


def test_a_sample_type_that_pyav_cannot_write_is_refused(write, tmp_path):
    with pytest.raises(
        OutputError, match="cannot store FLOAT: M4A with 1 channel can have ALAC_16"
    ):
        gate_file(write(sound()), tmp_path / "o.m4a", options=OutputOptions(subtype="FLOAT"))


def test_a_lossy_codec_can_be_selected(write, tmp_path):
    options = OutputOptions(subtype="AAC")
    result = gate_file(write(sound()), tmp_path / "o.m4a", AT_003, options=options)
    assert result.output.subtype == probe(tmp_path / "o.m4a").subtype == "AAC"


@pytest.mark.parametrize("extension", ["mp3", "ogg", "opus", "m4a", "webm"])
def test_a_lossy_output_has_about_the_bit_rate_of_the_input(tmp_path, extension, write):
    # Noise needs the full bit rate of every encoder.
    noise = np.random.default_rng(0).normal(0, 0.2, (480000, 2))
    source = write(noise, rate=48000)
    first_output, second_output = tmp_path / f"good.{extension}", tmp_path / f"again.{extension}"
    options = OutputOptions(subtype="AAC" if extension == "m4a" else None)
    first = gate_file(source, first_output, OPEN, options=options)
    rate = 8 * first_output.stat().st_size / 10
    assert rate == pytest.approx(first.output.bit_rate, rel=0.35)
    gate_file(first_output, second_output, OPEN)
    assert 8 * second_output.stat().st_size / 10 == pytest.approx(rate, rel=0.25)
