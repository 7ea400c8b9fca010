"""Written chunks are read back, and arbitrary bytes are read with bounded work."""

import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate_cli.files.containers.chunks import MAX_CHUNKS, UNKNOWN_SIZE, build_chunk, walk_chunks
from noisegate_cli.files.containers.riff import MetadataChunks, read_layout
from noisegate_cli.files.inputs.reader import AudioReader
from noisegate_cli.files.inputs.stream import StandardInput, StreamReader
from noisegate_cli.files.tags.reading import read_tags
from tests.conftest import loud_and_quiet

IDS = st.text("ABCxyz 12", min_size=4, max_size=4).map(str.encode)
CHUNKS = st.lists(st.tuples(IDS, st.binary(max_size=9)), max_size=8)
SIZES = st.one_of(st.integers(0, 64), st.sampled_from([0x7FFFFFFF, UNKNOWN_SIZE]))
NAMES = st.sampled_from([b"fmt ", b"data", b"ds64", b"LIST", b"RIFF", b"id3 ", b"\0bad"])
FORM_IDS = st.sampled_from([b"RIFF", b"RIFX", b"RF64"])


def read_chunks(content, is_big_endian=False):
    """Return the IDs and the contents of the chunks in bytes."""
    chunks = walk_chunks(
        lambda offset, size: content[offset : offset + size], 0, len(content), is_big_endian
    )
    return [(chunk.id, content[chunk.offset : chunk.offset + chunk.size]) for chunk in chunks]


@given(CHUNKS, st.booleans())
def test_written_chunks_are_read_back(chunks, is_big_endian):
    order = ">" if is_big_endian else "<"
    content = b"".join(build_chunk(name, data, order) for name, data in chunks)
    assert read_chunks(content, is_big_endian) == chunks


@given(
    st.lists(
        # Text, because at a wrong offset it reads as a very large size.
        st.tuples(IDS, st.text("abc", max_size=9).map(str.encode)),
        max_size=8,
    )
)
def test_chunks_without_padding_are_read_back(chunks):
    content = b"".join(build_chunk(name, data)[: 8 + len(data)] for name, data in chunks)
    assert read_chunks(content) == chunks


def test_an_unpadded_chunk_before_a_chunk_of_zeros_is_read_back():
    # One byte later, "bext" with 602 bytes reads as "extZ" with two bytes.
    chunks = [(b"LIST", b"odd"), (b"bext", bytes(602)), (b"data", b"1234")]
    content = b"".join(name + len(data).to_bytes(4, "little") + data for name, data in chunks)
    assert read_chunks(content) == chunks


def test_padding_that_is_not_zero_is_skipped():
    content = b"odd \3\0\0\0abcX" + build_chunk(b"next", b"1234")
    assert read_chunks(content) == [(b"odd ", b"abc"), (b"next", b"1234")]


@given(CHUNKS.filter(bool), st.data())
def test_a_truncated_chunk_has_its_declared_and_its_actual_size(chunks, data):
    content = b"".join(build_chunk(*chunk) for chunk in chunks)
    truncated = content[: data.draw(st.integers(0, len(content)))]
    chunks_found = list(
        walk_chunks(lambda offset, size: truncated[offset : offset + size], 0, len(truncated))
    )
    for chunk, (name, data_written) in zip(chunks_found, chunks, strict=False):
        assert (chunk.id, chunk.declared_size) == (name, len(data_written))
        assert truncated[chunk.offset : chunk.offset + chunk.size] == data_written[: chunk.size]
    assert all(chunk.is_complete for chunk in chunks_found[:-1])


def test_the_size_of_long_data_is_read_from_ds64():
    size = 5 << 30
    ds64 = build_chunk(b"ds64", (9).to_bytes(8, "little") + size.to_bytes(8, "little") + bytes(12))
    header = ds64 + b"data" + UNKNOWN_SIZE.to_bytes(4, "little")
    after = build_chunk(b"LIST", b"INFO")
    end = len(header) + size + len(after)

    def read(position, length):
        return (header if position < len(header) else after)[position % (len(header) + size) :][
            :length
        ]

    chunks = list(walk_chunks(read, 0, end))
    assert [(chunk.id, chunk.size) for chunk in chunks] == [
        (b"ds64", 28),
        (b"data", size),
        (b"LIST", 4),
    ]


@given(st.lists(st.tuples(NAMES, SIZES, st.binary(max_size=40))), st.binary(max_size=40), st.data())
def test_the_work_for_any_bytes_is_linear(chunks, tail, data):
    content = b"".join(name + size.to_bytes(4, "little") + part for name, size, part in chunks)
    content += tail
    reads = []

    def read(offset, size):
        reads.append(size)
        assert offset <= len(content)
        return content[offset : offset + size]

    is_big_endian = data.draw(st.booleans())
    chunks_found = list(walk_chunks(read, 0, len(content), is_big_endian))
    assert len(chunks_found) <= len(content) // 8
    assert sum(reads) <= 64 * (len(chunks_found) + 1)
    assert [chunk.offset for chunk in chunks_found] == sorted(
        {chunk.offset for chunk in chunks_found}
    )


def test_the_number_of_chunks_is_limited():
    content = build_chunk(b"bomb", b"") * 5 * MAX_CHUNKS
    assert len(read_chunks(content)) == MAX_CHUNKS


@given(FORM_IDS, st.lists(st.tuples(NAMES, SIZES, st.binary(max_size=40))), st.binary(max_size=40))
def test_the_layout_of_arbitrary_bytes_is_read_without_errors(
    tmp_path_factory, form_id, chunks, tail
):
    path = tmp_path_factory.getbasetemp() / "any.wav"
    body = b"".join(name + size.to_bytes(4, "little") + part for name, size, part in chunks)
    path.write_bytes(form_id + bytes(4) + b"WAVE" + body + tail)
    layout = read_layout(path)
    if layout:
        assert layout.extra_duration >= 0
        for chunk in layout.metadata_chunks.before + layout.metadata_chunks.after:
            assert len(layout.metadata_chunks.read(chunk)) == chunk.declared_size
            assert chunk.id not in (b"data", b"RIFF", b"RIFX", b"RF64")


class Stream(io.BytesIO):
    """A stream that returns a few bytes at a time and counts them."""

    taken = 0

    def read1(self, size=-1):
        octets = super().read1(min(size, 7) if size >= 0 else 7)
        self.taken += len(octets)
        return octets


def stream_of(content, monkeypatch):
    stream = Stream(content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream, isatty=lambda: False))
    return StandardInput(), stream


@given(FORM_IDS, st.lists(st.tuples(NAMES, SIZES, st.binary(max_size=40))), st.binary(max_size=40))
def test_a_stream_of_any_bytes_is_read_or_refused(form_id, chunks, tail):
    body = b"".join(name + size.to_bytes(4, "little") + part for name, size, part in chunks)
    with pytest.MonkeyPatch.context() as patch:
        source, _ = stream_of(form_id + bytes(4) + b"WAVE" + body + tail, patch)
        reader = StreamReader.try_open(source, None)
        if reader:
            samples = sum(len(block) for block, _ in reader.blocks())
            assert samples <= len(body + tail)


def test_opening_a_stream_reads_only_the_header(write, monkeypatch):
    content = write(loud_and_quiet()).read_bytes()
    source, stream = stream_of(content, monkeypatch)
    assert StreamReader.try_open(source, None)
    assert stream.taken <= 44


@given(st.lists(st.tuples(NAMES, SIZES, st.binary(max_size=40))), st.binary(max_size=40))
def test_a_list_chunk_of_arbitrary_bytes_is_read_without_errors(tmp_path_factory, chunks, tail):
    body = b"".join(name + size.to_bytes(4, "little") + part for name, size, part in chunks)
    path = tmp_path_factory.getbasetemp() / "list.bin"
    content = build_chunk(b"LIST", b"INFO" + body + tail)
    path.write_bytes(content)
    chunks_found = tuple(
        walk_chunks(lambda offset, size: content[offset : offset + size], 0, len(content))
    )
    assert read_tags(path, {}, MetadataChunks(path, chunks_found)).pictures == ()


def test_a_chunk_after_an_unpadded_chunk_is_copied_and_its_tags_are_read(write, tmp_path):
    from noisegate_cli import GateSettings, gate_file

    source = write(loud_and_quiet())
    info = b"INFOINAM\3\0\0\0abcIART\2\0\0\0xy"
    unpadded = b"LIST" + len(info).to_bytes(4, "little") + info
    source.write_bytes(source.read_bytes() + unpadded + build_chunk(b"iXML", b"<a/>"))
    with AudioReader(source) as reader:
        tags = read_tags(source, {}, reader.chunks)
    assert tags.text == {"title": ["abc"], "artist": ["xy"]}
    result = gate_file(source, tmp_path / "out.wav", GateSettings(threshold=0.03))
    after = read_layout(result.output.path).metadata_chunks.after
    assert [chunk.id for chunk in after] == [b"LIST", b"iXML"]
