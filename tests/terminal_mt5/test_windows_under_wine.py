"""What only a Windows host does, done under Wine."""

from tests.terminal_mt5 import wine

pytestmark = wine.NEEDED


def test_nothing_of_a_worker_outlives_its_job() -> None:
    seen = wine.told_by("tests.terminal_mt5.under_wine.jobs")
    assert seen == {"killed": {"before": True, "gone": True}, "orphaned": {"before": True, "gone": True}}
