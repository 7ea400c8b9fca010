"""Tags and chunks of recordings are copied to the output."""

import json
import shutil
import struct
import subprocess

import av
import mutagen
import numpy as np
import pytest
import soundfile as sf
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TALB, TDRC, TIT2, TPE1, TRCK, TXXX
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.wavpack import WavPack

from noisegate_cli import GateSettings, OutputOptions, gate_file
from noisegate_cli.files.containers.chunks import build_chunk
from noisegate_cli.files.containers.riff import read_layout
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.files.tags.reading import TAG_NAMES, read_tags
from tests.conftest import read
from tests.zoo import RATE, encode, sound, write_with_chunks

AT_003 = GateSettings(threshold=0.03)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 2, 2) + bytes(30)
TEXT = {
    "title": "Zwölf – тест",
    "artist": "Kerstin (CC0)",
    "album": "ngate",
    "date": "2021",
    "tracknumber": "3/7",
    "comment": "one; two=three",
}
CUSTOM = {"scene": "12B"}


def write_tagged(folder, extension):
    """Write a recording with TEXT, FREE and a cover, in the tags of its kind."""
    path = folder / f"in.{extension}"
    frames = [TIT2, TPE1, TALB, TDRC, TRCK]
    values = [TEXT[name] for name in ("title", "artist", "album", "date", "tracknumber")]
    id3 = [frame(encoding=3, text=value) for frame, value in zip(frames, values, strict=True)]
    id3 += [COMM(encoding=3, lang="eng", desc="", text=TEXT["comment"])]
    id3 += [TXXX(encoding=3, desc="SCENE", text="12B")]
    id3 += [APIC(encoding=3, mime="image/png", type=3, desc="front", data=PNG)]
    if extension in ("mp3", "aiff"):
        sf.write(path, sound(), RATE, format=extension.upper())
        file = mutagen.File(path) if extension == "mp3" else AIFF(path)
        file.add_tags()
        for frame in id3:
            file.tags.add(frame)
        file.save()
    elif extension == "m4a":
        encode(path, sound(), "ipod", "aac", "fltp", RATE)
        file = MP4(path)
        for name, atom in zip(TEXT, ("©nam", "©ART", "©alb", "©day", "trkn", "©cmt"), strict=True):
            file[atom] = TEXT[name] if atom != "trkn" else [(3, 7)]
        file["----:com.apple.iTunes:SCENE"] = [MP4FreeForm(b"12B")]
        file["covr"] = [MP4Cover(PNG, MP4Cover.FORMAT_PNG)]
        file.save()
    elif extension == "wv":
        encode(path, sound(), "wv", "wavpack", "s16p", RATE)
        file = WavPack(path)
        names = {"date": "Year", "tracknumber": "Track"}
        for name, value in (TEXT | CUSTOM).items():
            file[names.get(name, name.title())] = value
        file["Cover Art (Front)"] = mutagen.apev2.APEValue(b"c.png\0" + PNG, mutagen.apev2.BINARY)
        file.save()
    elif extension == "wav":
        sf.write(path, sound(), RATE)
        content = ID3()
        for frame in id3:
            content.add(frame)
        content.save(folder / "id3")
        whole = path.read_bytes() + build_chunk(b"id3 ", (folder / "id3").read_bytes())
        path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    else:
        format_of = {"flac": "FLAC", "ogg": "OGG", "opus": "OGG"}[extension]
        subtype = {"flac": "PCM_16", "ogg": "VORBIS", "opus": "OPUS"}[extension]
        sf.write(path, sound(), RATE, subtype, format=format_of)
        file = mutagen.File(path)
        if file.tags is None:
            file.add_tags()
        file.tags.update((name.upper(), value) for name, value in (TEXT | CUSTOM).items())
        picture = Picture()
        picture.data, picture.mime, picture.type, picture.desc = PNG, "image/png", 3, "front"
        if extension == "flac":
            file.add_picture(picture)
        else:
            import base64

            file["METADATA_BLOCK_PICTURE"] = base64.b64encode(picture.write()).decode()
        file.save()
    return path


def read_all_tags(path):
    """Return the tags of a file; other tests compare this reader with other programs."""
    with AudioReader(path) as reader:
        return read_tags(path, reader.tags, reader.chunks)


EXTENSIONS = ["mp3", "flac", "ogg", "opus", "m4a", "wv", "aiff", "wav"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    return {extension: write_tagged(folder, extension) for extension in EXTENSIONS}


@pytest.mark.parametrize("before", EXTENSIONS)
@pytest.mark.parametrize("after", [*EXTENSIONS, "tta"])
def test_text_and_cover_are_copied_between_all_containers(sources, tmp_path, before, after):
    out = tmp_path / f"out.{after}"
    result = gate_file(sources[before], out, AT_003)
    assert result.warnings == ()
    tags = read_all_tags(out)
    metadata_chunks = {name: tags.text.get(name) for name in TEXT | CUSTOM}
    assert metadata_chunks == {name: [value] for name, value in (TEXT | CUSTOM).items()}
    assert [(p.data, p.mime, p.kind) for p in tags.pictures] == [(PNG, "image/png", 3)]


def test_mutagen_reads_the_copied_tags(sources, tmp_path):
    for extension in ("mp3", "flac", "ogg", "opus", "m4a", "wv", "aiff"):
        out = tmp_path / f"out.{extension}"
        gate_file(sources[extension], out, AT_003)
        before, after = mutagen.File(sources[extension]), mutagen.File(out)
        ignored = {"encoder"}  # which made the output
        for name in set(before.tags.keys()) - ignored:
            assert before.tags[name] == after.tags[name], (extension, name)
    assert FLAC(tmp_path / "out.flac").pictures[0].data == PNG


def test_ffprobe_reads_the_copied_tags(sources, tmp_path):
    if not shutil.which("ffprobe"):
        pytest.skip("ffprobe is not installed")
    for extension in [*EXTENSIONS, "mka"]:
        out = tmp_path / f"out.{extension}"
        gate_file(sources["flac"], out, AT_003)
        command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json"]
        data = json.loads(subprocess.check_output([*command, str(out)]))
        tags = {
            name.lower(): value
            for part in (*data["streams"], data["format"])
            for name, value in part.get("tags", {}).items()
            if part.get("codec_type", "audio") == "audio"
        }
        values = [tags.get("title"), tags.get("artist"), tags.get("album"), tags.get("track")]
        assert values == [TEXT["title"], TEXT["artist"], TEXT["album"], TEXT["tracknumber"]], (
            extension
        )


def test_the_version_of_id3_is_preserved(tmp_path):
    source = tmp_path / "in.mp3"
    sf.write(source, sound(), RATE, format="MP3")
    tags = ID3()
    tags.add(TIT2(encoding=1, text="Title"))
    tags.save(source, v2_version=3)
    gate_file(source, settings=AT_003)
    assert ID3(tmp_path / "in_gated.mp3").version == (2, 3, 0)


def test_tags_are_copied_from_and_to_matroska(tmp_path):
    source = encode(
        tmp_path / "in.mka", sound(), "matroska", "flac", "s16", RATE, title="A", artist="B"
    )
    gate_file(source, tmp_path / "out.flac", AT_003)
    assert FLAC(tmp_path / "out.flac").tags.as_dict() == {"title": ["A"], "artist": ["B"]}
    gate_file(tmp_path / "out.flac", tmp_path / "out.mka", AT_003)
    with av.open(str(tmp_path / "out.mka")) as file:
        assert file.metadata["title"] == "A"


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_chunks_are_copied_byte_for_byte(tmp_path, subtype):
    source, out, residue = (tmp_path / name for name in ("in.wav", "out.wav", "rest.wav"))
    chunks = write_with_chunks(source, sound())
    gate_file(source, out, AT_003, residue=residue, options=OutputOptions(subtype=subtype))
    for path in (out, residue):
        layout = read_layout(path)
        metadata_chunks = [
            (c.id, layout.metadata_chunks.read(c))
            for c in layout.metadata_chunks.before + layout.metadata_chunks.after
        ]
        assert dict(metadata_chunks) == chunks
        # Chunks keep their position, except in files that libsndfile writes.
        if subtype != "ULAW":
            assert [c.id for c in layout.metadata_chunks.before] == [b"bext", b"iXML"]
        content = path.read_bytes()
        assert int.from_bytes(content[4:8], "little") == len(content) - 8
        assert sf.info(path).frames == RATE
        with sf.SoundFile(path) as file:
            assert file.title == "Inaugural"


def test_chunks_of_rf64_and_big_endian_files_are_copied(tmp_path):
    source = tmp_path / "in.wav"
    chunks = write_with_chunks(source, sound())
    gate_file(source, tmp_path / "in.rf64", AT_003)
    gate_file(tmp_path / "in.rf64", tmp_path / "out.rf64", AT_003)
    layout = read_layout(tmp_path / "out.rf64")
    assert {
        c.id: layout.metadata_chunks.read(c)
        for c in layout.metadata_chunks.before + layout.metadata_chunks.after
    } == chunks
    assert sf.info(tmp_path / "out.rf64").format == "RF64"
    big = tmp_path / "big.wav"
    with sf.SoundFile(big, "w", RATE, 1, "PCM_16", "BIG", "WAV") as file:
        file.write(sound())
    content = big.read_bytes() + struct.pack(">4sI", b"odd ", 4) + b"abcd"
    big.write_bytes(content[:4] + struct.pack(">I", len(content) - 8) + content[8:])
    gate_file(big, tmp_path / "out.wav", AT_003)
    assert (tmp_path / "out.wav").read_bytes()[:4] == b"RIFX"
    assert (tmp_path / "out.wav").read_bytes().endswith(b"odd \0\0\0\4abcd")


def test_a_wav_file_that_exceeds_4_gib_becomes_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr("noisegate_cli.files.outputs.wav_encoder.MAX_WAV_BYTES", 20000)
    source = tmp_path / "in.wav"
    # The length of a pipe is known only at its end.
    from noisegate_cli.files.audio_info import AudioInfo
    from noisegate_cli.files.outputs.wav_encoder import WavEncoder

    y = np.round(sound() * 2**15).astype(np.int16)[:, None]
    file = WavEncoder(source, AudioInfo(source, RATE, 1, 0, "WAV", "PCM_16"))
    file.write(y)
    file.close()
    assert source.read_bytes()[:4] == b"RF64"
    assert sf.info(source).format == "RF64"
    assert np.array_equal(read(source), y)
    assert read_layout(source).data.declared_size == 2 * len(y)


def test_info_texts_that_are_not_utf_8_are_decoded_as_cp1252(tmp_path):
    source = tmp_path / "in.wav"
    sf.write(source, sound(), RATE)
    info = build_chunk(b"LIST", b"INFO" + build_chunk(b"INAM", "für".encode("cp1252") + b"\0"))
    source.write_bytes(source.read_bytes() + info)
    gate_file(source, tmp_path / "out.flac", AT_003)
    assert FLAC(tmp_path / "out.flac")["title"] == ["für"]


def test_damaged_tags_are_omitted_with_a_warning(tmp_path, monkeypatch):
    source = write_tagged(tmp_path, "flac")

    def raise_index_error(*_):
        raise IndexError("from deep within")

    monkeypatch.setattr("mutagen.File", raise_index_error)
    result = gate_file(source, settings=AT_003)
    assert result.warnings == ("its tags are damaged and are not copied",)
    assert sf.info(result.output.path).frames == RATE


def test_tags_are_read_by_the_content_and_not_by_the_name(tmp_path):
    shutil.copy(write_tagged(tmp_path, "flac"), tmp_path / "named.wav")
    result = gate_file(tmp_path / "named.wav", tmp_path / "out.flac", AT_003)
    assert result.warnings == ()
    assert FLAC(tmp_path / "out.flac")["title"] == [TEXT["title"]]


def test_the_number_of_copied_chunks_is_limited(tmp_path):
    source = tmp_path / "in.wav"
    sf.write(source, sound(), RATE)
    chunks = b"".join(build_chunk(b"junq", b"") for _ in range(5000))
    source.write_bytes(source.read_bytes() + chunks)
    result = gate_file(source, settings=AT_003)
    assert result.source.samples == RATE
    assert len(read_layout(result.output.path).chunks) <= 1000


def test_tags_have_the_standard_names_of_each_format():
    grouping = next(name for name in TAG_NAMES if name.vorbis == "grouping")
    assert (grouping.ape, grouping.id3, grouping.mp4) == ("Grouping", "TIT1", "\xa9grp")
