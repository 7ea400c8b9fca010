"""A few damaged recordings of each kind; `python -m tests.benchmarks.fuzz` has thousands."""

import pytest

from tests.benchmarks.fuzz import damage, gate_damaged
from tests.zoo import make_zoo

PAST_FAULTS = (58, 76, 365, 4234, 8703)
"""Cases that failed in the past: with output on stderr, a warning or a traceback."""


@pytest.mark.parametrize("first", [0, 1, 2])
def test_damaged_recordings_are_gated_or_refused(tmp_path, capfd, first):
    (tmp_path / "seeds").mkdir()
    seeds = list(make_zoo(tmp_path / "seeds"))
    outcomes = set()
    numbers = [*range(first, 3 * len(seeds), 3), *(PAST_FAULTS if not first else ())]
    for number in numbers:
        seed = seeds[number % len(seeds)]
        path = tmp_path / f"in{seed.suffix}"
        path.write_bytes(damage(seed.read_bytes(), number))
        outcomes.add(gate_damaged(path, tmp_path / "out.wav", number))
    assert outcomes == {"gated", "warned", "refused"}
    assert capfd.readouterr() == ("", "")
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".partial")]
