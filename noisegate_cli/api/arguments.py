"""Check arguments that are neither settings of the gate nor samples."""

import os
from collections.abc import Collection
from typing import Any

from noisegate_cli.errors import SettingsError


def check_path(name: str, path: Any, function_of_samples: str = "") -> None:
    """Check a parameter that is a path.

    A message about another type suggests `function_of_samples`, such as "gate", if there is one.

    Raises
    ------
    SettingsError
        If it is not the path of a file; the message quotes the parameter.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise SettingsError(
            f"{name}= of type {type(path).__name__} is not a path: give text or a Path"
            + (f", or call {function_of_samples}() for samples" if function_of_samples else "")
        )
    text = os.fspath(path)
    if not text or "\0" in text:
        raise SettingsError(f"{name}={path!r} cannot be the name of a file: give its path")


def check_paths(**paths: Any) -> None:
    """Check parameters that are paths or None; see `check_path`."""
    for name, path in paths.items():
        if path is not None:
            check_path(name, path)


def check_tracks(paths: Any) -> None:
    """Check the parameter `against`, several paths.

    Raises
    ------
    SettingsError
        If it is one path or not a collection, or one of its elements is not a path.
    """
    if isinstance(paths, str | os.PathLike) or not isinstance(paths, Collection):
        shown = repr(paths) if isinstance(paths, str | os.PathLike) else type(paths).__name__
        raise SettingsError(f"against={shown} is not a list of paths: give against=['other.wav']")
    for index, path in enumerate(paths):
        check_path(f"against[{index}]", path)


def check_type(name: str, value: Any, kind: type, example: str) -> None:
    """Check a parameter that is an object of one type, or None.

    Raises
    ------
    SettingsError
        If it is of another type; the message names the right one and shows an example.
    """
    if value is not None and not isinstance(value, kind):
        raise SettingsError(
            f"{name}= of type {type(value).__name__} is not {kind.__name__}: give {name}={example}"
        )
