"""The page of faults says what the tests show."""

from tests import faults


def test_the_page_is_up_to_date() -> None:
    assert faults.PAGE.read_text() == faults.page(), "run: python -m tests.faults"


def test_every_line_says_what_and_what_is_done() -> None:
    assert all(fault.what and fault.behaviour for fault in faults.faults())
