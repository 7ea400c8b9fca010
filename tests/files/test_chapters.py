"""Chapters are copied between containers that hold them."""

import av
import numpy as np
import pytest
import soundfile as sf
from mutagen.flac import FLAC
from mutagen.id3 import CHAP, ID3, TIT2

from noisegate_cli import GateSettings, gate_file
from noisegate_cli.files.chapters import Chapter, build_comments, parse_comments
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.files.outputs.metadata import InputMetadata
from noisegate_cli.files.outputs.target import output_info
from noisegate_cli.files.outputs.writer import open_writer
from noisegate_cli.files.tags.reading import read_tags

RATE = 48000
CHAPTERS = (Chapter(0, 500, "The start"), Chapter(500, 1250, "Früh"), Chapter(1250, 2000, "End"))
OPEN = GateSettings(threshold=0.03, range_db=0.0)


def write_chapters(path):
    """Write two seconds of noise with chapters."""
    source = path.with_name("source.wav")
    y = np.random.default_rng(0).normal(0, 0.1, (2 * RATE, 1))
    sf.write(source, y, RATE)
    with AudioReader(source) as reader:
        metadata = InputMetadata(source, decoder_chapters=CHAPTERS)
        with open_writer(output_info(reader.info, path), metadata) as writer:
            for block, _ in reader.blocks():
                writer.write(block)
    source.unlink()
    return path


def read_chapters(path):
    with AudioReader(path) as reader:
        tags = read_tags(path, reader.tags, reader.chunks, reader.info.duration)
        assert "chapter001" not in tags.text
        return tags.chapters or reader.chapters


HOLDERS = "m4a m4b mka webm mp3 ogg opus oga flac wav aiff tta".split()


@pytest.mark.parametrize("source", HOLDERS)
@pytest.mark.parametrize("target", [None, "m4b", "mka", "mp3", "opus"])
def test_chapters_are_copied(tmp_path, source, target):
    source = write_chapters(tmp_path / f"in.{source}")
    out = tmp_path / f"out.{target or source.suffix[1:]}"
    assert gate_file(source, out, OPEN).warnings == ()
    found = read_chapters(out)
    assert [(chapter.start, chapter.title) for chapter in found] == [
        (chapter.start, chapter.title) for chapter in CHAPTERS
    ]
    assert [chapter.end for chapter in found] == pytest.approx([500, 1250, 2000], abs=60)


@pytest.mark.parametrize("ending", ["m4a", "mka", "mp3", "opus", "flac"])
def test_ffmpeg_reads_the_chapters(tmp_path, ending):
    with av.open(str(write_chapters(tmp_path / f"in.{ending}"))) as file:
        found = [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in file.chapters()]
    assert sorted(found) == [(chapter.start / 1000, chapter.title) for chapter in CHAPTERS]


@pytest.mark.parametrize("source", ["m4a", "mka", "mp3", "flac"])
@pytest.mark.parametrize(("target", "name"), [("wv", "WavPack"), ("caf", "CAF"), ("au", "AU")])
def test_chapters_that_the_output_cannot_hold_cause_one_warning(tmp_path, source, target, name):
    source = write_chapters(tmp_path / f"in.{source}")
    out, residue = tmp_path / f"out.{target}", tmp_path / f"residue.{target}"
    (warning,) = gate_file(source, out, OPEN, residue=residue).warnings
    assert warning == f"its 3 chapters are not copied: {name} cannot store them"


def test_chapters_of_other_programs_are_read(tmp_path):
    path = tmp_path / "in.flac"
    sf.write(path, np.zeros(2 * RATE), RATE)
    file = FLAC(path)
    file["CHAPTER002"], file["CHAPTER002NAME"] = "00:00:01.5", "Second"
    file["CHAPTER001"], file["chapter003"] = "00:00:00.000", "nonsense"
    file.save()
    assert read_chapters(path) == (Chapter(0, 1500, ""), Chapter(1500, 2000, "Second"))
    path = tmp_path / "in.mp3"
    sf.write(path, np.zeros(2 * RATE), RATE, format="MP3")
    tag = ID3()
    title = [TIT2(encoding=3, text="Ab")]
    tag.add(CHAP(element_id="b", start_time=900, end_time=1800, sub_frames=title))
    tag.add(CHAP(element_id="a", start_time=0, end_time=900))
    tag.save(path)
    assert read_chapters(path) == (Chapter(0, 900, ""), Chapter(900, 1800, "Ab"))


def test_times_in_comments_have_hours():
    chapters = (Chapter(0, 3_723_004, "a"), Chapter(3_723_004, 3_723_004, "b"))
    comments = build_comments(chapters)
    assert comments[2] == ("CHAPTER002", "01:02:03.004")
    assert parse_comments({name.lower(): [text] for name, text in comments}, 0.0) == chapters
