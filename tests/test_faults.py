"""A few interrupted runs; `python -m tests.benchmarks.faults` has hundreds."""

import sys

import pytest

from tests.benchmarks.faults import interrupt, make_fixture

NUMBERS = range(4)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the signal handlers in /proc")
@pytest.mark.parametrize("target", ["mp3", "m4a", "pipe", "batch"])
def test_after_a_signal_outputs_are_complete_or_absent(tmp_path, target):
    fixture = make_fixture(tmp_path, seconds=20)
    for number in NUMBERS:
        interrupt(fixture, number, [target])
