"""The few ways in which something can be wrong with what ngate was given.

Every message is one line that quotes the offending value and says what to do about it, so that a
command shows it as it stands. Each kind is also the built-in exception it resembles: code that
catches `ValueError` or `OSError` goes on working.
"""


class NoisegateError(Exception):
    """Base of every error that ngate raises on purpose."""


class SettingsError(NoisegateError, ValueError):
    """A setting is out of its range, or settings contradict each other."""


class AudioError(NoisegateError, OSError):
    """A recording can't be read, or what it holds can't be gated."""


class SignalError(AudioError):
    """Samples can't be gated. Says where they are, not in which file: arrays have none."""


class OutputError(NoisegateError, OSError):
    """The output can't be written, or writing it would destroy something."""


class ClusterError(NoisegateError, ConnectionError):
    """A cluster can't be reached, or can't do what a batch needs."""


class DamageError(AudioError):
    """A recording can't be decoded any further. Says why, not which: its reader knows that."""
