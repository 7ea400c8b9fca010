"""Exceptions that ngate raises.

Every message is one line that quotes the invalid value and suggests a fix, so that a command can
print it unchanged. Each exception also derives from the matching built-in exception, so that code
that catches `ValueError` or `OSError` catches it too.
"""


class NoisegateError(Exception):
    """Base class of all exceptions that ngate raises deliberately."""


class SettingsError(NoisegateError, ValueError):
    """A setting is out of range, or settings contradict each other."""


class AudioError(NoisegateError, OSError):
    """A recording cannot be read, or its samples cannot be gated."""


class SignalError(AudioError):
    """Samples cannot be gated. The message gives their position but no path: arrays have none."""


class OutputError(NoisegateError, OSError):
    """The output cannot be written, or writing it would overwrite an existing file."""


class OutputExistsError(OutputError):
    """The output already exists, and may not be overwritten."""


class LabelsError(NoisegateError, ValueError):
    """A file of labels cannot be read, or holds something else."""


class ClusterError(NoisegateError, ConnectionError):
    """A cluster cannot be reached, or does not meet the requirements of a batch."""


class MissingExtraError(NoisegateError, ImportError):
    """A setting requires an optional dependency that is not installed."""


class DamageError(AudioError):
    """Decoding failed partway. The message gives the reason; the reader adds the path."""
