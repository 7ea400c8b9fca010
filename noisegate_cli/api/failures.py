"""Message and code of the error with which a recording failed."""

import errno

from noisegate_cli.errors import NoisegateError
from noisegate_cli.text import quote_path


def describe_failure(path: object, error: Exception) -> str:
    """Return the message about a recording that failed, whatever the error is."""
    if isinstance(error, NoisegateError):
        return str(error)
    reason = isinstance(error, OSError) and error.strerror
    return f"{quote_path(path)}: {reason or f'{type(error).__name__}: {error}'}"


def find_error_code(error: BaseException | None) -> str | None:
    """Return the system's name for an error or its cause, such as ENOENT; None if it has none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return errno.errorcode.get(error.errno)
        error = error.__cause__
    return None
