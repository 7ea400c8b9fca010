import errno
import io
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import (
    AudioError,
    GateSettings,
    GateStream,
    OutputError,
    OutputOptions,
    SettingsError,
    analyze,
    analyze_file,
    gate,
    gate_file,
    segments,
)
from noisegate_cli.files.containers import variable_fields
from noisegate_cli.gating.detection.verdict import Verdict
from tests.conftest import GUITAR, SPEECH, as_type, loud_and_quiet, read, tone

AT_003 = GateSettings(threshold=0.03)
FORMATS = [
    ("WAV", "PCM_U8", ".wav"),
    ("WAV", "PCM_16", ".wav"),
    ("WAV", "PCM_24", ".wav"),
    ("WAV", "PCM_32", ".wav"),
    ("WAV", "FLOAT", ".wav"),
    ("WAV", "DOUBLE", ".wav"),
    ("WAV", "ULAW", ".wav"),
    ("WAVEX", "PCM_24", ".wav"),
    ("RF64", "PCM_16", ".wav"),
    ("FLAC", "PCM_S8", ".flac"),
    ("FLAC", "PCM_16", ".flac"),
    ("FLAC", "PCM_24", ".flac"),
    ("AIFF", "PCM_24", ".aiff"),
    ("CAF", "PCM_16", ".caf"),
    ("CAF", "PCM_24", ".caf"),
    ("W64", "FLOAT", ".w64"),
    ("AU", "PCM_16", ".au"),
]


@pytest.mark.parametrize(("container", "subtype", "extension"), FORMATS)
def test_a_file_keeps_its_sample_type_and_its_open_parts_exactly(
    tmp_path, container, subtype, extension
):
    source, output = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    y = loud_and_quiet()
    with sf.SoundFile(source, "w", 16000, 1, subtype, format=container) as file:
        file.write(y)
    result = gate_file(source, output, AT_003)
    info = sf.info(output)
    assert (info.format, info.subtype, info.samplerate, info.frames) == (
        container,
        subtype,
        16000,
        len(y),
    )
    before, after = (read(p, "int32" if "24" in subtype else "float64") for p in (source, output))
    assert np.array_equal(after[:16000], before[:16000])
    # The smallest companded sample is not exactly zero.
    assert np.abs(after[22000:30000]).max() <= (2e-4 if subtype == "ULAW" else 0)
    assert result.statistics.openings == 2


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS", "MPEG_LAYER_III"])
def test_a_coded_file_keeps_its_format_and_length(tmp_path, subtype):
    extension = {"VORBIS": ".ogg", "OPUS": ".opus", "MPEG_LAYER_III": ".mp3"}[subtype]
    source, output = tmp_path / f"in{extension}", tmp_path / f"out{extension}"
    container = "MP3" if extension == ".mp3" else "OGG"
    with sf.SoundFile(source, "w", 16000, 1, subtype, format=container) as file:
        file.write(loud_and_quiet())
    gate_file(source, output, AT_003)
    assert sf.info(output).subtype == subtype
    out = read(output, "float32")
    assert len(out) == len(read(source))
    assert np.abs(out[23000:29000]).max() < 1e-3


def test_files_and_arrays_give_the_same_output(tmp_path, monkeypatch):
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 10000)
    gate_file(GUITAR, tmp_path / "out.flac", AT_003)
    monkeypatch.setattr("noisegate_cli.samples.BLOCK_BYTES", 1 << 30)
    samples, rate = sf.read(GUITAR, dtype="int16")
    assert np.array_equal(gate(samples, rate, threshold=0.03), read(tmp_path / "out.flac"))


def test_output_and_residue_sum_exactly_to_the_input(write, tmp_path):
    source = write(loud_and_quiet(), subtype="PCM_24")
    out, residue = tmp_path / "out.wav", tmp_path / "rest.wav"
    result = gate_file(source, out, GateSettings(threshold=0.03, range_db=-9), residue=residue)
    assert result.residue == residue
    y, output, removed = (read(path, "int32") for path in (source, out, residue))
    assert removed.any()
    assert np.array_equal(output + removed, y)


def test_the_default_output_is_next_to_the_input(write):
    source = write(loud_and_quiet(), "two.dots.v1.wav")
    assert gate_file(source).output.path == source.with_name("two.dots.v1_gated.wav")


def test_the_extension_selects_the_format(write, tmp_path):
    source = write(loud_and_quiet(), subtype="FLOAT")
    gate_file(source, tmp_path / "out.flac", AT_003)
    assert (sf.info(tmp_path / "out.flac").format, sf.info(tmp_path / "out.flac").subtype) == (
        "FLAC",
        "PCM_24",
    )


@pytest.mark.parametrize("name", ["out", "out.xyz"])
def test_an_unknown_extension_is_refused(write, tmp_path, name):
    with pytest.raises(OutputError, match=r"end the name in one of \.wav"):
        gate_file(write(tone(1, 0.1)), tmp_path / name, AT_003)


@pytest.mark.parametrize(
    ("name", "given"), [("out.wav", "mp3"), ("out.ogg", "opus"), ("out.mkv", "mka")]
)
def test_a_name_and_a_format_that_contradict_each_other_are_refused(write, tmp_path, name, given):
    source, out = write(loud_and_quiet()), tmp_path / name
    with pytest.raises(SettingsError, match=f"format='{given}' contradicts .* ends in .{given}"):
        gate_file(source, out, AT_003, options=OutputOptions(format=given))
    assert not out.exists()


@pytest.mark.parametrize(("name", "given"), [("out.aif", "aiff"), ("OUT.WAV", "wav")])
def test_a_name_and_a_format_may_mean_the_same(write, tmp_path, name, given):
    source, out = write(loud_and_quiet()), tmp_path / name
    assert gate_file(source, out, AT_003, options=OutputOptions(format=given)).output.path == out


@pytest.mark.parametrize("field", ["bit_rate", "format", "subtype", "quality", "suffix"])
def test_a_field_of_the_output_options_as_a_parameter_gets_a_hint(write, field):
    with pytest.raises(TypeError, match=rf"give options=OutputOptions\({field}=\.\.\.\)"):
        gate_file(write(loud_and_quiet()), settings=AT_003, **{field: "128k"})


def test_tags_are_kept(tmp_path):
    source, output = tmp_path / "in.flac", tmp_path / "out.flac"
    with sf.SoundFile(source, "w", 16000, 1, "PCM_16") as file:
        file.title, file.artist = "Inaugural", "J. F. K."
        file.write(tone(1, 0.1))
    gate_file(source, output, AT_003)
    with sf.SoundFile(output) as file:
        assert (file.title, file.artist) == ("Inaugural", "J. F. K.")


def test_the_input_is_unchanged(write):
    source = write(loud_and_quiet())
    before = source.read_bytes(), source.stat().st_mtime_ns
    gate_file(source, settings=AT_003)
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before


def test_the_input_is_never_overwritten_not_even_through_a_link_or_with_force(write):
    source = write(loud_and_quiet())
    link = source.with_name("link.wav")
    link.symlink_to(source)
    for output in (source, link, source.parent / "." / source.name):
        with pytest.raises(OutputError, match="is the input, which is never overwritten"):
            gate_file(source, output, AT_003, force=True)
    with pytest.raises(OutputError, match="is the input"):
        gate_file(source, residue=source, settings=AT_003, force=True)


def test_an_existing_output_is_kept_unless_forced(write):
    source = write(loud_and_quiet())
    output = source.with_name("out.wav")
    output.write_text("precious")
    with pytest.raises(OutputError, match="already exists: force=True overwrites it"):
        gate_file(source, output, AT_003)
    assert output.read_text() == "precious"
    gate_file(source, output, AT_003, force=True)
    assert sf.info(output).frames == 48000


def test_output_and_residue_must_be_different_files(write, tmp_path):
    with pytest.raises(OutputError, match="is already the output"):
        gate_file(write(tone(1, 0.1)), tmp_path / "o.wav", AT_003, residue=tmp_path / "o.wav")


def test_an_error_in_the_middle_leaves_no_files(write):
    y = np.concatenate([tone(60, 0.1), [np.nan], tone(1, 0.1)]).astype(np.float32)
    source = write(y, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"in\.wav': sample 960000 is NaN: .* nonfinite='zero'"):
        gate_file(source, settings=AT_003, residue=source.with_name("rest.wav"))
    assert [p.name for p in source.parent.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("extension", [".wav", ".flac"])
def test_a_file_size_limit_leaves_no_files(write, extension):
    resource = pytest.importorskip("resource")
    source = write(np.random.default_rng(0).normal(0, 0.1, 16000 * 30), f"in{extension}")
    size = source.stat().st_size

    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    command = [sys.executable, "-m", "noisegate_cli", "gate", str(source), "-t", "0.03"]
    process = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limit_file_size, check=False
    )
    assert process.returncode == 1
    assert "cannot be written" in process.stderr
    assert process.stderr.count("\n") == 1
    assert [p.name for p in source.parent.iterdir()] == [source.name]


def test_an_output_that_another_process_creates_is_kept(write):
    source = write(np.tile(loud_and_quiet(), 60))
    output = source.with_name("out.wav")

    def create_output(share):
        output.write_text("precious")

    with pytest.raises(OutputError, match="already exists"):
        gate_file(source, output, AT_003, progress=create_output)
    assert output.read_text() == "precious"
    assert len(list(source.parent.iterdir())) == 2


@pytest.mark.parametrize("failing", ["out.flac", "rest.flac", "ab.flac"])
def test_no_output_appears_if_one_of_them_cannot_be_completed(
    failing, write, tmp_path, monkeypatch
):
    clear = variable_fields.clear_variable_fields
    source, folder = write(tone(1, 0.2)), tmp_path / "new"
    paths = {name: folder / f"{name}.flac" for name in ("out", "rest", "ab")}

    def clear_until_the_disk_is_full(path, info):
        if info.path.name == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        clear(path, info)

    monkeypatch.setattr(variable_fields, "clear_variable_fields", clear_until_the_disk_is_full)
    with pytest.raises(OutputError, match=rf"{failing}' cannot be written: No space left"):
        gate_file(
            source,
            paths["out"],
            AT_003,
            residue=paths["rest"],
            comparison=paths["ab"],
            labels=folder / "labels.txt",
        )
    assert not folder.exists()


def test_folders_created_for_a_failed_output_are_removed(write):
    y = np.full(1000, np.nan, np.float32)
    source = write(y, subtype="FLOAT")
    with pytest.raises(AudioError):
        gate_file(source, source.parent / "new" / "deep" / "out.wav", AT_003)
    assert [p.name for p in source.parent.iterdir()] == ["in.wav"]
    gate_file(write(tone(1, 0.1)), source.parent / "new" / "deep" / "out.wav", AT_003)
    assert (source.parent / "new" / "deep" / "out.wav").exists()


def test_an_output_in_a_directory_has_the_default_name(write):
    source = write(tone(1, 0.1))
    (source.parent / "there").mkdir()
    result = gate_file(source, source.parent / "there", AT_003)
    assert result.output.path == source.parent / "there" / "in_gated.wav"


def test_full_scale_survives_fewer_bits(write, tmp_path):
    y = np.concatenate([np.full(8000, 2**31 - 1), np.zeros(16000), np.full(8000, -(2**31))])
    source = write(y.astype(np.int32), subtype="PCM_32")
    gate_file(source, tmp_path / "out.flac", GateSettings.preset("hard", threshold=0.03))
    out = read(tmp_path / "out.flac", "int32")
    assert (out[:12000] >= 0).all()
    assert (out[20000:] <= 0).all()
    assert out.max() == (2**23 - 1) << 8


def test_the_residue_includes_bits_that_the_output_format_drops(tmp_path, write):
    source = write(np.random.default_rng(0).normal(0, 0.1, 16000), subtype="PCM_32")
    out, residue = tmp_path / "out.flac", tmp_path / "rest.wav"
    gate_file(source, out, AT_003, residue=residue)
    y, output, removed = (read(path, "int32") for path in (source, out, residue))
    assert sf.info(out).subtype == "PCM_24"
    assert removed.any()
    assert np.array_equal(output + removed, y)


def test_a_full_disk_leaves_no_files(write, monkeypatch):
    source, write_samples = write(loud_and_quiet(), "in.flac"), sf.SoundFile.write

    def raise_no_space(self, data):
        if isinstance(self.name, io.BytesIO):  # in memory, to find out what can be written
            return write_samples(self, data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sf.SoundFile, "write", raise_no_space)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        gate_file(source, settings=AT_003)
    assert [p.name for p in source.parent.iterdir()] == ["in.flac"]


def test_an_interrupt_leaves_no_files(write):
    source = write(loud_and_quiet())

    def raise_interrupt(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gate_file(source, settings=AT_003, progress=raise_interrupt)
    assert [p.name for p in source.parent.iterdir()] == ["in.wav"]


def test_progress_increases_over_both_passes_up_to_1(write):
    shares: list[float] = []
    gate_file(write(np.tile(loud_and_quiet(), 60)), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("length", [0, 1, 2, 127, 128, 129, 4096 + 1])
def test_files_of_any_length_keep_their_length(write, length):
    source = write(tone(1, 0.1)[:length])
    result = gate_file(source)
    assert result.source.samples == sf.info(result.output.path).frames == length


def test_empty_arrays_keep_their_shape():
    assert gate(np.zeros(0), 8000).shape == (0,)
    assert gate(np.zeros((0, 2), np.int16), 8000, threshold=0.1).shape == (0, 2)


def test_lists_are_converted_to_arrays():
    assert gate([0.5, -0.5, 0.5], 8000, threshold=0.01).tolist() == [0.5, -0.5, 0.5]


def test_recordings_above_full_scale_are_gated_and_far_above_get_a_verdict(tmp_path):
    y = loud_and_quiet() * 12
    levels = analyze(y, 16000)
    assert levels.suggestion.threshold is not None
    assert levels.suggestion.threshold <= 1
    assert not gate(y, 16000)[22000:30000].any()
    sf.write(tmp_path / "loud.wav", y * 4000, 16000, subtype="FLOAT")
    report = analyze_file(tmp_path / "loud.wav")
    assert report.levels.suggestion.verdict is Verdict.TOO_LOUD


@pytest.mark.parametrize("scale", [2**15, 2**31])
def test_floats_with_the_scale_of_integers_are_refused(scale):
    y = loud_and_quiet()
    stream = GateStream(GateSettings(threshold=0.1).live, 16000)
    for call in (
        lambda: gate(y * scale, 16000),
        lambda: analyze(np.column_stack([y, y]) * scale, 16000),
        lambda: segments((y * scale).astype(np.float32), 16000, threshold=0.1),
        lambda: gate(y, 16000, spectral=True, y_noise=y * scale),
        lambda: stream.process(y * scale),
    ):
        with pytest.raises(SettingsError, match="far above full scale, 1.0: divide them"):
            call()


@pytest.mark.parametrize("scale", [1e17, 1e18, 1e30, 1e37])
def test_samples_whose_power_overflows_are_unchanged(scale, tmp_path):
    for rate in (16000, 44100):
        y = (scale * (loud_and_quiet(rate) + tone(3, 1e-3, rate, 60))).astype(np.float32)
        sf.write(tmp_path / "loud.wav", y, rate, subtype="FLOAT")
        gate_file(
            tmp_path / "loud.wav",
            tmp_path / "out.wav",
            GateSettings(key_hz=(100, 2000)),
            force=True,
        )
        assert np.array_equal(sf.read(tmp_path / "out.wav", dtype="float32")[0], y)


def test_arrays_of_invalid_shape_rate_or_type_are_refused():
    with pytest.raises(SettingsError, match="transpose"):
        gate(np.zeros((2, 32000)), 8000)
    with pytest.raises(SettingsError, match=r"\(2, 1000\) has its channels first"):
        gate(np.zeros((2, 1000)), 8000)
    with pytest.raises(SettingsError, match="float16 .*: use int16, int32, float32 or float64"):
        gate(np.zeros(100, np.float16), 8000)
    with pytest.raises(SettingsError, match="sample rate 0"):
        gate(np.zeros(100), 0)
    with pytest.raises(SettingsError, match="uint8"):
        gate(np.zeros(10, np.uint8), 8000)
    with pytest.raises(SettingsError, match=r"\(2, 3, 4\)"):
        gate(np.zeros((2, 3, 4)), 8000)


def test_the_input_array_is_not_modified():
    y = as_type(loud_and_quiet(), "PCM_16")
    before = y.copy()
    gate(y, 16000, threshold=0.03)
    assert np.array_equal(y, before)


def test_a_threshold_can_be_text_or_part_of_the_settings():
    y = loud_and_quiet()
    expected = gate(y, 16000, threshold="-30dB")
    assert np.array_equal(expected, gate(y, 16000, threshold=10**-1.5))
    assert np.array_equal(expected, gate(y, 16000, settings=GateSettings(threshold=10**-1.5)))


def test_analysis_measures_known_levels(write):
    report = analyze_file(write(np.concatenate([np.zeros(16000), loud_and_quiet()]), rate=16000))
    levels = report.levels
    assert levels.samples == 64000
    assert levels.peak_db == pytest.approx(20 * np.log10(0.2 * 2**0.5), abs=0.01)
    assert levels.silent_share == pytest.approx(0.25, abs=0.01)
    assert levels.percentiles_db[90] == pytest.approx(20 * np.log10(0.2), abs=0.1)
    assert levels.rms_db == pytest.approx(20 * np.log10(0.2 * 0.5**0.5), abs=0.01)


def test_the_analysis_predicts_the_result_of_the_gate(tmp_path):
    analysis = analyze_file(SPEECH).levels
    result = gate_file(SPEECH, tmp_path / "out.wav")
    assert result.suggestion.verdict == analysis.suggestion.verdict
    assert result.suggestion.distance_db == analysis.suggestion.distance_db
    minutes = result.source.duration / 60
    assert result.statistics.openings == pytest.approx(
        analysis.openings_per_minute * minutes, abs=1
    )
    assert result.statistics.closed_share == pytest.approx(analysis.closed_share, abs=0.01)


def test_results_can_be_pickled(write):
    result = gate_file(write(loud_and_quiet()))
    assert pickle.loads(pickle.dumps(result)) == result


# Not ru_maxrss: Linux starts it at the value of the parent.
MEMORY = """
import sys
from noisegate_cli import gate_file
gate_file(sys.argv[1], sys.argv[2], force=True)
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_memory_does_not_grow_with_length(tmp_path):
    peaks = []
    for minutes in (2, 15):
        source = tmp_path / "in.wav"
        with sf.SoundFile(source, "w", 44100, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(np.tile(as_type(loud_and_quiet(44100), "PCM_16"), 20))
        command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / "out.wav")]
        peaks.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    # In kB; the samples of 13 minutes take 69 MB.
    assert peaks[1] - peaks[0] < 12_000
