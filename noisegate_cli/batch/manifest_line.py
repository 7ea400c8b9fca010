"""The lines of a manifest: JSON text of a result, and the checks when it is read.

A manifest may come from someone else or be damaged. A line counts only if its values have the right
types and its output is a path below the output tree. Names are encoded as UTF-8 with surrogate
escapes, whatever the locale, so that any name can be restored.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from noisegate_cli.batch.encoded_settings import add_default_settings, decode_settings
from noisegate_cli.batch.records import (
    RESULT_COLUMNS,
    SEGMENTS_KEY,
    TEXT_COLUMNS,
    RecordingResult,
    get_columns,
)

SHORT_STATUSES = ("started", "skipped")
"""Statuses of lines that have only an output."""

STATUS_INTERRUPTED = "interrupted"
"""Status with which older versions recorded a started output when a batch was stopped."""

RESULT_STATUSES = ("done", "failed")

_OUTPUT_RE = re.compile(rb'"output": ("(?:[^"\\]|\\.)+")')


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_line(line: bytes) -> Iterator[RecordingResult | None]:
    """Yield the result in a line; None if the line cannot be read.

    If a damaged line still names an output, the output is then yielded as started, because its
    settings are unknown.
    """
    try:
        fields = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        yield None
        with suppress(ValueError):
            if salvaged := _OUTPUT_RE.search(line):
                yield RecordingResult("started", _parse_output(json.loads(salvaged[1])))
        return
    try:
        yield _parse_result(fields)
    except (ValueError, TypeError, RecursionError):
        yield None


def encode_result(result: RecordingResult) -> bytes:
    """Return the line of a result."""
    output = _encode_name(result.output)
    line: dict[str, Any]
    if result.status in SHORT_STATUSES:
        line = {"status": result.status, "output": output}
    else:
        settings, options = decode_settings(result.settings_json or "[{}, {}]")
        line = {
            "status": result.status,
            "file": None if result.file is None else _encode_name(result.file),
            "output": output,
            "error": result.reason,
            "size": result.size,
            "mtime_ns": result.mtime_ns,
            "digest": result.digest,
            "output_size": result.output_size,
            "output_mtime_ns": result.output_mtime_ns,
            "settings": settings,
            "options": options,
            "shared": result.shared,
            "versions": result.versions,
            "result": {k: v for k, v in result.result.items() if k != SEGMENTS_KEY},
        }
    return (json.dumps(line, allow_nan=False) + "\n").encode()


def _parse_result(fields: object) -> RecordingResult:
    """Return the result in a line of the manifest.

    Raises
    ------
    ValueError, TypeError
        If a value is missing or has the wrong type.
    """
    if not isinstance(fields, dict):
        raise TypeError
    output, status = _parse_output(fields.get("output")), fields.get("status")
    if status == STATUS_INTERRUPTED:
        status = "started"
    if status in SHORT_STATUSES:
        return RecordingResult(status, output)
    if status not in RESULT_STATUSES:
        raise ValueError
    for name in ("error", "digest", "shared"):
        _check_type(fields.get(name), str)
    for name in ("size", "mtime_ns", "output_size", "output_mtime_ns"):
        _check_type(fields.get(name), int)
    for name in ("settings", "options", "result"):
        _check_type(fields.get(name), dict)
    result = fields.get("result") or {}
    _check_columns(result)
    file = fields.get("file")
    if not isinstance(file, str | None):
        raise TypeError
    return RecordingResult(
        status,
        output,
        file=None if file is None else _decode_name(file),
        size=fields.get("size"),
        mtime_ns=fields.get("mtime_ns"),
        digest=fields.get("digest"),
        output_size=fields.get("output_size"),
        output_mtime_ns=fields.get("output_mtime_ns"),
        settings_json=add_default_settings(
            json.dumps([fields.get("settings"), fields.get("options")])
        ),
        shared=fields.get("shared"),
        result=result,
    )


def _check_columns(result: dict[str, Any]) -> None:
    """Check that the figures of a result have the types that the plan stores."""
    try:
        columns = dict(zip(RESULT_COLUMNS, get_columns(result), strict=True))
    except (AttributeError, KeyError) as error:
        raise TypeError from error
    for name in TEXT_COLUMNS:
        _check_type(columns.pop(name), str)
    for value in columns.values():
        _check_type(value, int, float)


def _check_type(value: object, *types: type) -> None:
    """Check that `value` is None or has one of the types, and that SQLite can store it."""
    if value is not None and type(value) not in types:
        raise TypeError
    if isinstance(value, str):
        value.encode()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError


def _parse_output(text: object) -> str:
    """Return the path of an output, which must be below the output tree."""
    if not isinstance(text, str):
        raise TypeError
    name = _decode_name(text)
    is_inside = not (os.path.isabs(name) or os.path.splitdrive(name)[0] or ".." in name)
    if not is_inside:  # The exact check is slower, and most names do not need it.
        is_inside = not PurePath(name).anchor and ".." not in PurePath(name).parts
    if not is_inside or not os.path.basename(name) or "\0" in name:
        raise ValueError
    return name


def _encode_name(name: str) -> str:
    """Return a file name as text that is the same in any locale."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _decode_name(text: str) -> str:
    """Return the file name from the result of `_encode_name`; raise ValueError if it has none."""
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))
