"""The registry of formats agrees with the written files and the libraries."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
import soundfile as sf

from noisegate_cli import GateSettings, OutputError, OutputOptions, gate_file
from noisegate_cli.files.audio_info import AudioInfo
from noisegate_cli.files.formats import (
    DEMUXERS,
    FORMATS,
    READ_ONLY_EXTENSIONS,
    SUBTYPES,
    WRITABLE_EXTENSIONS,
    TagWriter,
    find_format,
    find_format_by_demuxer,
    find_format_by_magic,
)
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.files.outputs.target import default_output_path, output_info
from noisegate_cli.files.raw_format import RawFormat
from noisegate_cli.files.tags.writing import TAG_WRITERS
from tests.conftest import as_type, read_blocks
from tests.zoo import RATE, sound

FORMATS_PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
HOUR = AudioInfo(Path("in.wav"), 48000, 2, 3600 * 48000, "W64", "PCM_24")


@pytest.mark.parametrize("extension", WRITABLE_EXTENSIONS)
def test_every_writable_extension_is_read_back_with_its_format_and_samples(tmp_path, extension):
    y = as_type(sound(), "PCM_16")
    source, out = tmp_path / "in.wav", tmp_path / f"out{extension}"
    sf.write(source, y, RATE, "PCM_16")
    gate_file(source, out, GateSettings(threshold=0.03, range_db=0.0))
    raw = RawFormat(RATE, 1, "PCM_16") if extension == ".raw" else None
    with AudioReader(out, raw) as reader:
        samples = read_blocks(reader)[:, 0]
        info, warnings = reader.info, reader.warnings
    assert warnings == []
    assert info.container is FORMATS[WRITABLE_EXTENSIONS[extension]]
    assert len(samples) / info.sample_rate == len(y) / RATE
    if info.is_lossy:
        # Opus in WebM is always read at 48 kHz.
        step = info.sample_rate // RATE
        loud = slice(1000, 4000)
        assert np.corrcoef(samples[::step][loud], y[loud])[0, 1] > 0.99
    else:
        assert np.array_equal(samples, y)
    if info.container.magic:
        assert find_format_by_magic(out.read_bytes()[:4]) is info.container


def test_an_extension_belongs_to_one_format():
    extensions = [
        extension for file_format in FORMATS.values() for extension in file_format.extensions
    ]
    assert len(extensions) == len(set(extensions))
    assert all(re.fullmatch(r"\.[a-z0-9]+", extension) for extension in extensions)
    assert not set(WRITABLE_EXTENSIONS) & set(READ_ONLY_EXTENSIONS)


def test_read_only_extensions_have_a_writable_output_extension():
    assert set(READ_ONLY_EXTENSIONS.values()) <= set(WRITABLE_EXTENSIONS)


def test_libsndfile_and_ffmpeg_know_the_names_in_the_registry():
    for file_format in FORMATS.values():
        if file_format.writer == "libsndfile":
            assert file_format.name in sf.available_formats()
        if file_format.muxer:
            assert av.ContainerFormat(file_format.muxer, "w").name == file_format.muxer
        encoders = {**file_format.encoders, **file_format.bit_rate_encoders}
        assert bool(file_format.muxer) == bool(encoders)
        for encoder in encoders.values():
            assert av.Codec(encoder, "w").name == encoder
    for demuxer in DEMUXERS:
        assert demuxer in av.ContainerFormat(demuxer, "r").name.split(",")


def test_formats_refer_to_subtypes_in_the_registry():
    for file_format in FORMATS.values():
        subtypes = {
            *file_format.encoders,
            *file_format.extension_codecs.values(),
            *file_format.lossless_subtypes,
        }
        assert subtypes <= set(SUBTYPES)
        assert not file_format.codec or SUBTYPES[file_format.codec].is_lossy
        assert set(file_format.extension_codecs) <= set(file_format.extensions)
        assert not file_format.family or file_format.family in FORMATS


def test_every_tag_format_has_a_writer():
    assert set(TAG_WRITERS) == set(get_args(TagWriter)) - {"", "libsndfile", "ffmpeg"}


def test_the_extension_decides_between_formats_of_one_demuxer():
    assert find_format_by_demuxer("mov", ".m4a").name == "M4A"
    assert find_format_by_demuxer("mov", ".mov").name == "MOV"
    assert find_format_by_demuxer("mov", ".txt").name == "MP4"
    assert find_format_by_demuxer("matroska", ".webm").name == "WEBM"
    assert find_format_by_demuxer("matroska", ".mkv").name == "MKV"


def test_a_format_that_only_libsndfile_knows_needs_no_entry(tmp_path):
    assert find_format("PAF").writer == "libsndfile"
    source = tmp_path / "in.paf"
    sf.write(source, as_type(sound(), "PCM_16"), RATE, "PCM_16", format="PAF")
    result = gate_file(source, tmp_path / "out.paf", GateSettings(threshold=0.03))
    assert (result.output.format, result.output.samples) == ("PAF", RATE)


@pytest.mark.parametrize(("extension", "hours"), [(".aiff", 5), (".aif", 5), (".voc", 0.1)])
def test_a_recording_that_its_format_cannot_hold_is_refused_before_it_is_written(extension, hours):
    long_info = replace(HOUR, samples=round(hours * HOUR.samples))
    with pytest.raises(OutputError, match=r"(AIFF|VOC) is limited to .*"):
        output_info(long_info, Path(f"out{extension}"))
    short_info = replace(HOUR, samples=48000)
    assert output_info(short_info, Path(f"out{extension}")).format == WRITABLE_EXTENSIONS[extension]
    aiff = replace(long_info, path=Path("in.aiff"), format="AIFF")
    assert default_output_path(replace(aiff, samples=6 * HOUR.samples)).suffix == ".wav"


@pytest.mark.parametrize(
    ("extension", "subtype"), [("mp3", "MPEG_LAYER_III"), ("opus", "OPUS"), ("ogg", "VORBIS")]
)
def test_standard_output_gets_the_codec_of_a_file_with_that_extension(extension, subtype):
    options = OutputOptions(format=extension)
    stream_info = output_info(HOUR, Path("-"), options)
    file_info = output_info(HOUR, Path(f"out.{extension}"))
    assert stream_info.subtype == file_info.subtype == subtype
    assert stream_info.bit_rate == file_info.bit_rate


def test_the_manual_lists_the_extensions_that_can_be_written():
    text = FORMATS_PAGE.read_text(encoding="utf-8")
    listed = re.search(r"ngate writes these extensions: ((?:`\.[a-z0-9]+`\s?)+)", text)
    assert re.findall(r"`(\.[a-z0-9]+)`", listed[1]) == list(WRITABLE_EXTENSIONS)
