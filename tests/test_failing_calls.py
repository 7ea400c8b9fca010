"""Each system call fails once while ngate writes; `make faults` tries all formats."""

import pytest

from tests.benchmarks.failing_calls import is_available, run_worker


@pytest.mark.skipif(not is_available(), reason="needs Linux and a C compiler")
@pytest.mark.parametrize("ending", ["flac", "m4a"])
def test_a_call_that_fails_leaves_nothing_or_a_complete_output(ending):
    done = run_worker([ending])
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "'refused, absent'" in done.stdout
    assert "'written, complete'" in done.stdout
