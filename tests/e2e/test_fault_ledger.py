"""Every fault that was put into the demo city's files ends somewhere in the stores of the nightly job; none vanishes."""

from pathlib import Path

from tests.benchmarks.fault_ledger import SETTLED, by_kind, ledger

#: Kinds of which some stand: two digits exchanged are often no more than a real difference, a wrong code may read plausibly.
SOME_STAND = {"transposed_digits", "wrong_gbt_code", "unit_error_in_10k", "unit_error_in_yuan", "thousand_fold"}


def test_no_fault_vanishes_and_only_what_cannot_be_seen_stands(demo_home: Path) -> None:
    found = by_kind(ledger(demo_home))
    assert len(found) >= 15
    for kind, ends in found.items():
        assert "vanished" not in ends, kind
        assert set(ends) <= {*SETTLED, "accepted"}
        if kind not in SOME_STAND:
            assert "accepted" not in ends, kind
    units = [ends for kind, ends in found.items() if kind.startswith("unit_error") or kind == "thousand_fold"]
    stand = sum(ends.get("accepted", 0) for ends in units)
    assert stand <= 0.05 * sum(sum(ends.values()) for ends in units)
