"""Small files that make libraries take minutes or gigabytes."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf

from noisegate_cli.files.containers.chunks import build_chunk
from tests.zoo import encode, sound

TAGS = 30_000


def syncsafe(number: int) -> bytes:
    """Return a number in four bytes of seven bits each, as in an ID3v2 tag."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def make_id3(frames: list[bytes], extended: bytes = b"") -> bytes:
    """Return an ID3v2.4 tag, with an extended header or without."""
    content = extended + b"".join(frames)
    flags = 0x40 if extended else 0
    return b"ID3\4\0" + bytes([flags]) + syncsafe(len(content)) + content


def make_text_frame(number: int) -> bytes:
    """Return an ID3v2.4 text frame with its own name."""
    content = b"\3K%d\0v" % number
    return b"TXXX" + syncsafe(len(content)) + bytes(2) + content


@cache
def _make_zlib_frame(megabytes: int = 100) -> bytes:
    compressor = zlib.compressobj(9)
    parts = [compressor.compress(bytes(1 << 20)) for _ in range(megabytes)]
    content = b"".join((*parts, compressor.flush()))
    size = syncsafe(len(content) + 4)
    return b"TXXX" + size + b"\0\x09" + syncsafe(megabytes << 20) + content


EXTENDED_HEADER = b"\0\0\0\6\1\0"
PLAIN_TAG = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)


def _encode(container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    sf.write(file, sound(), 16000, subtype, format=container)
    return file.getvalue()


def _make_comments() -> bytes:
    texts = [b"K%d=v" % number for number in range(TAGS)]
    parts = [struct.pack("<I", len(text)) + text for text in texts]
    return struct.pack("<II", 0, TAGS) + b"".join(parts)


def _make_flac(before: bytes = b"") -> bytes:
    content, comments = _encode("FLAC", "PCM_16"), _make_comments()
    position = 4
    while True:
        is_last = content[position] & 0x80
        position += 4 + int.from_bytes(content[position + 1 : position + 4], "big")
        if is_last:
            break
    header = b"\x84" + len(comments).to_bytes(3, "big")
    return b"fLaC\0" + content[5:42] + before + header + comments + content[position:]


def _make_wav(tag: bytes) -> bytes:
    content = _encode("WAV", "PCM_16") + build_chunk(b"id3 ", tag)
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def _write_adpcm(path: Path, chunks: bytes) -> None:
    """Write a WAV file that only FFmpeg reads."""
    encode(path, sound(), "wav", "adpcm_yamaha", "s16", 16000)
    content = path.read_bytes() + chunks
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def _write_mp4(path: Path) -> None:
    encode(path, sound(), "ipod", "aac", "fltp", 16000)
    mean, data = _box(b"mean", bytes(4) + b"a"), _box(b"data", b"\0\0\0\1\0\0\0\0v")
    items = b"".join(
        _box(b"----", mean + _box(b"name", bytes(4) + b"K%d" % number) + data)
        for number in range(TAGS)
    )
    handler = _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = _box(b"udta", _box(b"meta", bytes(4) + handler + _box(b"ilst", items)))
    content = path.read_bytes()
    start = content.index(b"moov") - 4  # It is after the samples, so that no offset changes.
    size = int.from_bytes(content[start : start + 4], "big")
    moov = _box(b"moov", content[start + 8 : start + size] + tags)
    path.write_bytes(content[:start] + moov + content[start + size :])


def _write_matroska(path: Path, before: bytes = b"") -> None:
    encode(
        path,
        np.zeros(16000),
        "matroska",
        "flac",
        "s16",
        16000,
        **{f"K{number}": "v" for number in range(6000)},
    )
    path.write_bytes(before + path.read_bytes())


def _write_tracks(path: Path) -> None:
    encode(path, sound(), "ipod", "aac", "fltp", 16000)
    content = path.read_bytes()

    def find_box(name: bytes) -> bytes:
        start = content.index(name) - 4
        return content[start : start + int.from_bytes(content[start : start + 4], "big")]

    tracks = _box(b"moov", find_box(b"mvhd") + 900 * find_box(b"trak"))
    path.write_bytes(content[: content.index(b"moov") - 4] + tracks)


def _make_aiff(tag: bytes) -> bytes:
    content = _encode("AIFF", "PCM_16") + build_chunk(b"ID3 ", tag, ">")
    return content[:4] + struct.pack(">I", len(content) - 8) + content[8:]


def _make_ape_tag() -> bytes:
    items = b"".join(struct.pack("<II", 1, 0) + b"K%d\0v" % number for number in range(TAGS))
    return items + b"APETAGEX" + struct.pack("<4I8x", 2000, len(items) + 32, TAGS, 0)


def _write_with_ape_tag(path: Path, codec: str, sample_format: str) -> None:
    encode(path, sound(), path.suffix[1:], codec, sample_format, 16000)
    path.write_bytes(path.read_bytes() + _make_ape_tag())


def _write_wma(path: Path) -> None:
    names = {f"K{number}": "v" for number in range(6000)}
    encode(path, sound(44100), "asf", "wmav2", "fltp", 44100, **names)


def _write_avi(path: Path, entries: bytes) -> None:
    encode(path, sound(), "avi", "pcm_s16le", "s16", 16000)
    content = path.read_bytes()
    start = content.index(b"movi") - 8
    tags = build_chunk(b"LIST", b"INFO" + entries)
    path.write_bytes(content[:start] + tags + content[start:])


BOMBS: dict[str, Callable[[Path], object]] = {
    "comments.flac": lambda path: path.write_bytes(_make_flac()),
    "starts.ogg": lambda path: path.write_bytes(_encode("OGG", "VORBIS") + b"OggS" * (1 << 23)),
    "second.flac": lambda path: path.write_bytes(_make_flac(b"\4\0\0\x08" + bytes(8))),
    "pictures.flac": lambda path: path.write_bytes(_make_flac((b"\6\0\0\x20" + bytes(32)) * TAGS)),
    "frames.mp3": lambda path: path.write_bytes(
        make_id3([make_text_frame(number) for number in range(TAGS)])
        + _encode("MP3", "MPEG_LAYER_III")
    ),
    "zlib.mp3": lambda path: path.write_bytes(
        make_id3([_make_zlib_frame()]) + _encode("MP3", "MPEG_LAYER_III")
    ),
    "extended.mp3": lambda path: path.write_bytes(
        make_id3([_make_zlib_frame()], EXTENDED_HEADER) + _encode("MP3", "MPEG_LAYER_III")
    ),
    "extended_frames.mp3": lambda path: path.write_bytes(
        make_id3([make_text_frame(number) for number in range(TAGS)], EXTENDED_HEADER)
        + _encode("MP3", "MPEG_LAYER_III")
    ),
    "tracks.m4a": _write_tracks,
    "second.mp3": lambda path: path.write_bytes(
        PLAIN_TAG + make_id3([_make_zlib_frame()]) + _encode("MP3", "MPEG_LAYER_III")
    ),
    "total.mp3": lambda path: path.write_bytes(
        make_id3([_make_zlib_frame(10)] * 30) + _encode("MP3", "MPEG_LAYER_III")
    ),
    "behind.mka": lambda path: _write_matroska(path, PLAIN_TAG),
    "zlib_adpcm.wav": lambda path: _write_adpcm(
        path, build_chunk(b"id3 ", make_id3([_make_zlib_frame()]))
    ),
    "chunks.aiff": lambda path: path.write_bytes(
        _encode("AIFF", "PCM_16")
        + build_chunk(b"ANNO", b"", ">") * 2000
        + build_chunk(b"ID3 ", make_id3([_make_zlib_frame()]), ">")
    ),
    "zlib.wav": lambda path: path.write_bytes(_make_wav(make_id3([_make_zlib_frame()]))),
    "items.m4a": _write_mp4,
    "tags.mka": _write_matroska,
    "frames.aiff": lambda path: path.write_bytes(
        _make_aiff(make_id3([make_text_frame(number) for number in range(TAGS)]))
    ),
    "zlib.aiff": lambda path: path.write_bytes(_make_aiff(make_id3([_make_zlib_frame()]))),
    "items.wv": lambda path: _write_with_ape_tag(path, "wavpack", "s16p"),
    "items.tta": lambda path: _write_with_ape_tag(path, "tta", "s16"),
    "attributes.wma": _write_wma,
    "entries.avi": lambda path: _write_avi(
        path, b"".join(build_chunk(b"%04d" % (number % 10_000), b"v") for number in range(TAGS))
    ),
    "size.avi": lambda path: _write_avi(path, build_chunk(b"INAM", b"v" * (65 << 20))),
}
"""Functions that write the files, by name."""


def make_bomb(path: Path) -> Path:
    """Write the file that the name of `path` stands for; return `path`."""
    BOMBS[path.name](path)
    return path
