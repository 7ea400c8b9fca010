"""Recordings on standard input and standard output, through real pipes."""

import io
import json
import os
import resource
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import AudioInfo, GateSettings, SettingsError, analyze_file, gate_file
from noisegate_cli.files.inputs.reader import probe
from noisegate_cli.files.outputs.stream import StreamEncoder
from noisegate_cli.files.pcm import convert_to_subtype, decode_pcm, encode_pcm
from noisegate_cli.files.raw_format import RAW_SUBTYPES, RawFormat
from noisegate_cli.gating.settings import PRESETS
from noisegate_cli.terminal.interrupts import EXIT_BROKEN_PIPE
from tests.conftest import GUITAR, SPEECH, as_type, loud_and_quiet, read, tone
from tests.files.containers.test_mpeg import remove_length_header
from tests.zoo import sound, write_with_chunks

NGATE = [sys.executable, "-m", "noisegate_cli"]


def run_piped(content, *arguments, **options):
    """Run ngate with `content` on standard input, and return its standard output."""
    command = [*NGATE, *map(str, arguments)]
    process = subprocess.run(command, input=content, capture_output=True, check=False, **options)
    assert process.returncode == 0, process.stderr
    return process.stdout


def live_settings(**changes):
    """Return the settings of a pipe with a given threshold."""
    return GateSettings(threshold=0.03, **changes).live


def test_piped_wav_equals_the_output_of_a_file(write, tmp_path):
    source = write(np.tile(loud_and_quiet(), 4), subtype="PCM_24")
    out = tmp_path / "piped.wav"
    out.write_bytes(run_piped(source.read_bytes(), "gate", "-", "-t", "0.03", "-o", "-"))
    gate_file(source, tmp_path / "file.wav", live_settings())
    assert out.read_bytes() == (tmp_path / "file.wav").read_bytes()


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\xf0\xff\x7f"])
def test_a_stream_without_a_length_stays_without_a_length(write, tmp_path, size):
    source = write(loud_and_quiet())
    content = bytearray(source.read_bytes())
    content[4:8] = content[40:44] = size
    out = run_piped(bytes(content), "gate", "-", "-t", "0.03", "-o", "-")
    assert out[4:8] == out[40:44] == b"\xff" * 4
    (tmp_path / "out.wav").write_bytes(out)
    gate_file(source, tmp_path / "file.wav", live_settings())
    assert np.array_equal(read(tmp_path / "out.wav"), read(tmp_path / "file.wav"))


@pytest.mark.parametrize("sample_type", RAW_SUBTYPES)
@pytest.mark.parametrize("order", ["le", "be"])
def test_raw_samples_of_every_type_are_gated(tmp_path, sample_type, order):
    subtype = RAW_SUBTYPES[sample_type]
    y = convert_to_subtype(sound()[:, None] * [1, 0.5], subtype)[0]
    content = encode_pcm(y, subtype, order == "be").tobytes()
    text = f"16000:2:{sample_type}{order}"
    (tmp_path / "in.raw").write_bytes(content)
    raw = RawFormat.parse(text)
    result = gate_file(tmp_path / "in.raw", tmp_path / "out.raw", live_settings(), raw=raw)
    assert (result.source.channels, result.source.samples) == (2, 16000)
    out = decode_pcm((tmp_path / "out.raw").read_bytes(), subtype, 2, order == "be")
    assert np.array_equal(out[:4000], y[:4000])
    assert np.abs(out[9800:9950]).max() == 0
    if order == "be" or sample_type == "s16":
        assert (
            run_piped(content, "gate", "-", "--raw", text, "-t", "0.03", "-o", "-")
            == (tmp_path / "out.raw").read_bytes()
        )


@pytest.mark.parametrize("extension", ["flac", "mka", "caf", "wav"])
def test_a_stream_can_be_written_to_a_file_with_tags(write, tmp_path, extension):
    content, out = write(loud_and_quiet()).read_bytes(), tmp_path / f"out.{extension}"
    arguments = ["gate", "-", "-t", "0.03", "-o", out, "--keep-mtime", "--json"]
    assert json.loads(run_piped(content, *arguments))["warnings"] == []
    assert gate_file(out, tmp_path / "again.wav").source.samples == 48000


def test_piped_au_stays_au(tmp_path):
    stream = io.BytesIO()
    sf.write(stream, sound(), 16000, "PCM_16", format="AU")
    (tmp_path / "out.au").write_bytes(
        run_piped(stream.getvalue(), "gate", "-", "-t", "0.03", "-o", "-")
    )
    assert sf.info(tmp_path / "out.au").format == "AU"
    assert sf.info(tmp_path / "out.au").frames == 16000


def test_a_pipe_with_an_automatic_threshold_equals_the_output_of_a_file(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    out = run_piped(SPEECH.read_bytes(), "gate", "-", "-o", "-", env=environment)
    assert list(tmp_path.iterdir()) == []
    gate_file(SPEECH, tmp_path / "out.wav")
    assert out == (tmp_path / "out.wav").read_bytes()


def test_formats_that_cannot_be_streamed_can_be_piped(tmp_path):
    out = run_piped(GUITAR.read_bytes(), "gate", "-", "-t", "0.03", "-o", "-", "--format", "flac")
    (tmp_path / "out.flac").write_bytes(out)
    gate_file(GUITAR, tmp_path / "file.flac", GateSettings(threshold=0.03))
    assert np.array_equal(read(tmp_path / "out.flac"), read(tmp_path / "file.flac"))
    command = ["analyze", "-", "--json"]
    data = json.loads(run_piped(GUITAR.read_bytes(), *command))
    assert (data["file"], data["format"]) == ("-", "FLAC")


def test_the_header_of_a_stream_is_written_with_the_first_samples():
    class Sink(io.BytesIO):
        writes = ()

        def write(self, octets):
            self.writes = (*self.writes, len(octets))
            return super().write(octets)

    info = AudioInfo(Path("-"), 16000, 1, 30, "WAV", "PCM_16", "FILE")
    sink = Sink()
    encoder = StreamEncoder(sink, info)
    for samples in (0, 10, 20):
        encoder.write(np.zeros((samples, 1), np.int16))
    encoder.close()
    header_size = len(sink.getvalue()) - 60
    assert header_size >= 44
    assert sink.writes == (header_size + 20, 40)


def test_standard_output_has_the_chunks_and_the_length_of_a_file(tmp_path):
    write_with_chunks(tmp_path / "in.wav", sound())
    out = run_piped(b"", "gate", tmp_path / "in.wav", "-t", "0.03", "-o", "-")
    gate_file(tmp_path / "in.wav", tmp_path / "out.wav", GateSettings(threshold=0.03))
    assert out == (tmp_path / "out.wav").read_bytes()


def test_a_length_that_is_only_estimated_is_not_written_to_a_stream(tmp_path):
    y = np.concatenate([tone(1, 1e-4), np.random.default_rng(0).normal(0, 0.2, 80000)])
    with sf.SoundFile(
        tmp_path / "in.mp3", "w", 16000, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE"
    ) as file:
        file.write(y)
    remove_length_header(tmp_path / "in.mp3")
    samples = gate_file(tmp_path / "in.mp3", tmp_path / "out.wav", live_settings()).output.samples
    assert probe(tmp_path / "in.mp3").samples != samples
    (tmp_path / "piped.wav").write_bytes(
        run_piped(b"", "gate", tmp_path / "in.mp3", "-t", "0.03", "-o", "-")
    )
    piped = gate_file(tmp_path / "piped.wav", tmp_path / "again.wav", live_settings())
    assert (piped.source.samples, piped.warnings) == (samples, ())


def feed(block, rate, max_delay, *arguments):
    """Pipe samples through a gate, a tenth of a second at a time, and check its delay.

    Before the next part, all samples but the last `max_delay` must have been received.
    """
    command = [*NGATE, "gate", "-", "-o", "-", "-q", "--raw", f"{rate}:1:s16", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        received, stdout = 0, process.stdout.fileno()
        try:
            for start in range(0, len(block), rate // 10):
                part = block[start : start + rate // 10]
                process.stdin.write(part.tobytes())
                process.stdin.flush()
                while received < start + len(part) - max_delay:
                    assert select.select([stdout], [], [], 60)[0], (
                        f"stuck with {received} samples out"
                    )
                    received += len(os.read(stdout, 1 << 16)) // 2
        except AssertionError:
            process.kill()
            raise
        process.stdin.close()
        tail = process.stdout.read()
    assert received + len(tail) // 2 == len(block)
    assert process.returncode == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_the_delay_of_a_pipe_is_at_most_a_frame_a_hop_and_the_lookahead(preset):
    settings = GateSettings.preset(preset, threshold=0.03)
    timing = settings.timing(16000)
    max_delay = timing.frame_length + timing.hop_length
    max_delay += 16 * settings.lookahead_ms
    block = as_type(np.tile(loud_and_quiet(), 2), "PCM_16")
    feed(block, 16000, max_delay, "-t", "0.03", "-p", preset)


def test_the_delay_of_a_spectral_pipe_with_known_noise_is_at_most_1_6_s(tmp_path):
    rng = np.random.default_rng(0)
    sf.write(tmp_path / "room.wav", rng.normal(0, 0.01, 44100), 44100)
    block = as_type(rng.normal(0, 0.1, 4 * 44100), "PCM_16")
    options = ["-t", "0.03", "--spectral", "--noise", tmp_path / "room.wav"]
    feed(block, 44100, 1.61 * 44100, *options)


def test_the_summary_shows_the_delay(write):
    command = [*NGATE, "gate", "-", "-t", "0.03", "-o", "-"]
    content = write(loud_and_quiet()).read_bytes()
    summary = subprocess.run(
        command, input=content, capture_output=True, check=True
    ).stderr.decode()
    assert "delay      at most 64 ms" in summary
    assert "warning" not in summary
    assert "a hold of 200 ms replaces --min-closed" in summary


def test_a_closed_output_pipe_ends_the_gate_quietly(write):
    source = write(np.tile(loud_and_quiet(), 20))
    for arguments in (["gate", source, "-o", "-"], ["gate", source, "-t", "0.03", "-o", "-"]):
        command = [*NGATE, *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout.read(100)[:4] == b"RIFF"
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == EXIT_BROKEN_PIPE


def test_a_truncated_stream_is_gated_with_a_warning(write):
    content = write(loud_and_quiet()).read_bytes()[:-32000]
    command = [*NGATE, "gate", "-", "-t", "0.03", "-o", "-"]
    process = subprocess.run(command, input=content, capture_output=True, check=True)
    assert len(process.stdout) == len(content)
    assert (
        "warning    it is truncated: 1.00 s of the length in its header are missing"
        in process.stderr.decode()
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "standard input is empty"), (b"hello, world" * 9, "is not a readable recording")],
)
@pytest.mark.parametrize("threshold", ["0.03", "auto"])
def test_a_stream_that_is_not_a_recording_is_refused(content, message, threshold):
    command = [*NGATE, "gate", "-", "-t", threshold, "-o", "-"]
    process = subprocess.run(command, input=content, capture_output=True, check=False)
    assert (process.returncode, process.stdout) == (1, b"")
    errors = process.stderr.decode()
    assert errors.count("\n") == 1
    assert message in errors


def test_samples_and_json_cannot_both_be_on_standard_output(write):
    source = str(write(sound()))
    process = subprocess.run(
        [*NGATE, "gate", source, "-o", "-", "--json"], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert "both write to standard output" in process.stderr


@pytest.mark.parametrize(
    "text", ["44100", "44100:1", "a:b:s16", "0:1:s16", "44100:1:s17", "1:2:3:4"]
)
def test_an_invalid_raw_format_is_refused(text):
    with pytest.raises(SettingsError, match=f"raw '{text}' is not RATE:CHANNELS:TYPE"):
        RawFormat.parse(text)


@pytest.mark.parametrize(
    "values", [("s16",), (44100,), (44100, 1, "s16"), ("44100", 1, "PCM_16"), (44100, 0, "PCM_16")]
)
def test_an_invalid_raw_format_object_is_refused(values):
    with pytest.raises(SettingsError) as refused:
        RawFormat(*values)
    assert f"RawFormat(sample_rate={values[0]!r}" in str(refused.value)
    assert "give for example RawFormat(44100, 1, 'PCM_16')" in str(refused.value)


def test_python_takes_a_raw_format_as_text(tmp_path):
    source = tmp_path / "in.raw"
    source.write_bytes(np.rint(sound() * 2**15).astype("<i2").tobytes())
    raw = RawFormat(16000, 1, "PCM_16")
    levels = [analyze_file(source, raw=value).levels.samples for value in (raw, "16000:1:s16")]
    assert levels == [16000, 16000]
    result = gate_file(source, tmp_path / "out.wav", threshold=0.03, raw="16000:1:s16")
    assert result.source.samples == 16000
    for raw, message in (
        (16000, "raw 16000 is not a RawFormat"),
        ("16000", "is not RATE:CHANNELS"),
    ):
        with pytest.raises(SettingsError, match=message):
            gate_file(source, tmp_path / "out2.wav", threshold=0.03, raw=raw)


def test_the_temporary_copy_of_standard_input_is_private(tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no such modes")
    command = [*NGATE, "gate", "-", "-o", "-", "-q"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        process.stdin.write(SPEECH.read_bytes()[:50000])
        process.stdin.flush()
        # Python first creates and removes another file, to check that it can write here.
        while not (copies := list(tmp_path.glob("ngate-*"))):
            time.sleep(0.01)
        assert stat.S_IMODE(copies[0].stat().st_mode) == 0o600
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_file_named_with_a_hyphen_is_a_file(tmp_path, write, monkeypatch):
    shutil.copy(write(sound()), tmp_path / "-")
    monkeypatch.chdir(tmp_path)
    command = [*NGATE, "gate", "./-", "-o", "out.wav", "-q"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    assert sf.info("out.wav").frames == 16000


@pytest.mark.parametrize("program", ["sox", "ffmpeg"])
def test_streams_from_and_to_other_programs_work(program, tmp_path, write):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    source, out = write(loud_and_quiet(), subtype="PCM_24"), tmp_path / "out.wav"
    if program == "sox":
        before = ["sox", "-V1", str(source), "-t", "wav", "-"]
        after = ["sox", "-V1", "-t", "wav", "-", str(out)]
    else:
        quiet = ["ffmpeg", "-v", "error", "-nostdin"]
        before = [*quiet, "-i", str(source), "-c:a", "pcm_s24le", "-f", "wav", "-"]
        after = ["ffmpeg", "-v", "error", "-i", "-", "-c:a", "pcm_s24le", str(out)]
    first = subprocess.Popen(before, stdout=subprocess.PIPE)
    gate = subprocess.Popen(
        [*NGATE, "gate", "-", "-t", "-30dB", "-o", "-", "-q"],
        stdin=first.stdout,
        stdout=subprocess.PIPE,
    )
    first.stdout.close()
    last = subprocess.run(after, stdin=gate.stdout, check=True, capture_output=True)
    gate.stdout.close()
    assert (first.wait(), gate.wait(), last.stderr) == (0, 0, b"")
    gate_file(source, tmp_path / "file.wav", live_settings())
    assert np.array_equal(read(out, "int32"), read(tmp_path / "file.wav", "int32"))


def test_nan_and_infinite_samples_of_a_stream_are_refused_or_zeroed(write):
    y = np.concatenate([tone(1, 0.1), [np.nan, np.inf], tone(1, 0.1)]).astype("<f4")
    arguments = ["gate", "-", "--raw", "16000:1:f32", "-t", "0.03", "-o", "-"]
    out = np.frombuffer(run_piped(y.tobytes(), *arguments, "--nonfinite", "zero"), "<f4")
    assert np.array_equal(out, np.where(np.isfinite(y), y, 0))
    process = subprocess.run(
        [*NGATE, *arguments], input=y.tobytes(), capture_output=True, check=False
    )
    assert process.returncode == 1
    assert "sample 16000 is NaN" in process.stderr.decode()


@pytest.mark.parametrize("extension", ["flac", "opus", "ogg", "mp3", "m4a", "webm", "aiff", "wav"])
def test_standard_output_has_the_format_of_the_given_extension(write, tmp_path, extension):
    source = write(sound(48000), rate=48000)
    out, expected = tmp_path / f"out.{extension}", tmp_path / f"expected.{extension}"
    out.write_bytes(run_piped(b"", "gate", source, "-t", "0.03", "-o", "-", "--format", extension))
    gate_file(source, expected, GateSettings(threshold=0.03))
    piped_info, file_info = probe(out), probe(expected)
    assert (piped_info.format, piped_info.subtype) == (file_info.format, file_info.subtype)
    assert piped_info.samples == file_info.samples


@pytest.mark.parametrize(
    ("container", "channels", "rate"),
    [
        ("wav", 65535, 4_000_000_000),
        ("wav", 1024, 100_000),
        ("au", 1024, 100_000),
        ("au", 1, 4_000_000_000),
    ],
)
def test_an_implausible_stream_is_refused_as_a_file_is(container, channels, rate):
    header = (
        struct.pack("<4sI4s4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16)
        + struct.pack("<HHIIHH", 1, channels, rate, 0, channels * 2 % 65536, 16)
        + struct.pack("<4sI", b"data", 0)
        if container == "wav"
        else struct.pack(">4s5I", b".snd", 24, 0xFFFFFFFF, 3, rate, channels)
    )
    for command in (["gate", "-", "-t", "0.03", "-o", "-"], ["analyze", "-"]):
        process = subprocess.run(
            [*NGATE, *command], input=header + bytes(1000), capture_output=True, check=False
        )
        assert (process.returncode, process.stdout) == (1, b"")
        assert process.stderr.count(b"\n") == 1
        assert (
            b"which is impossible" in process.stderr
            or b"not a readable recording" in process.stderr
        )


def test_an_implausible_raw_format_is_refused():
    for text in ("4000000000:1:s16", "48000:1025:s16", "44100:1000:s16", f"{10**30}:1:s16"):
        with pytest.raises(SettingsError, match=f"raw '{text}' means .* which is impossible"):
            RawFormat.parse(text)


@pytest.mark.parametrize("extension", ["wav", "flac", "fifo"])
def test_a_named_pipe_receives_the_output_and_stays(write, tmp_path, extension):
    source, out = write(sound()), tmp_path / f"out.{extension}"
    os.mkfifo(out)
    arguments = ["gate", source, "-t", "0.03", "-q", "-o", out]
    process = subprocess.run([*NGATE, *map(str, arguments)], capture_output=True, check=False)
    assert process.returncode == 1
    assert b"--force" in process.stderr
    with subprocess.Popen([*NGATE, *map(str, arguments), "-f"]) as process:
        content = out.read_bytes()
    assert process.returncode == 0
    assert stat.S_ISFIFO(out.stat().st_mode)
    expected = tmp_path / f"expected.{extension.replace('fifo', 'wav')}"
    gate_file(source, expected, GateSettings(threshold=0.03))
    assert content == expected.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [source.name, out.name, expected.name]
    )


def test_a_device_receives_the_output_and_stays(write):
    source = write(sound())
    for options in ([], ["--format", "flac"]):
        command = [*NGATE, "gate", str(source), "-t", "0.03", "-f", "-o", "/dev/full", *options]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 1
        assert process.stderr == "ngate: '/dev/full' cannot be written: No space left on device\n"
        assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
        command[command.index("/dev/full")] = "/dev/null"
        assert subprocess.run([*command, "-q"], check=False).returncode == 0
        assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_named_pipe_in_the_output_tree_of_a_batch_is_refused(write, tmp_path):
    source = write(sound(), "in/a.wav")
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "a.wav")
    command = [*NGATE, "batch", str(source.parent), "-o", str(tmp_path / "out"), "-f", "-j1", "-q"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert process.returncode == 1
    assert "is a named pipe or a device: remove it" in process.stderr


def test_a_full_temporary_directory_is_reported(write, tmp_path):
    source = write(np.tile(sound(), 20))
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # noqa: E731
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    for options, message in (
        (["-", "-o", "-"], "File too large: set TMPDIR to a folder with more room"),
        ([str(source), "-o", "-", "--format", "flac"], "cannot be written: File too large"),
    ):
        process = subprocess.run(
            [*NGATE, "gate", *options],
            input=source.read_bytes(),
            capture_output=True,
            check=False,
            preexec_fn=limit,
            env=environment,
        )
        assert (process.returncode, process.stdout) == (1, b"")
        assert f"'{tmp_path / 'tmp'}" in process.stderr.decode()
        assert message in process.stderr.decode()
        assert process.stderr.count(b"\n") == 1
        assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"text", (), "standard input is not a readable recording"),
        (SPEECH.read_bytes()[:30], (), "standard input is not a readable recording"),
        (SPEECH.read_bytes(), ("--track", "3"), "standard input has one audio track"),
        (SPEECH.read_bytes(), ("--start", "100"), "standard input: it ends at 0:11.00"),
        (SPEECH.read_bytes(), ("--against", "-"), "standard input is the recording itself"),
    ],
)
def test_errors_name_standard_input(tmp_path, content, arguments, message):
    command = [*NGATE, "gate", "-", "-o", tmp_path / "out.wav", *arguments]
    process = subprocess.run(command, input=content, capture_output=True, check=False)
    assert process.returncode
    assert process.stderr.decode().startswith(f"ngate: {message}")
