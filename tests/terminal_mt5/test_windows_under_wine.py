"""What only a Windows host does, done under Wine."""

from tests.terminal_mt5 import wine

pytestmark = wine.NEEDED


def test_nothing_of_a_worker_outlives_its_job() -> None:
    seen = wine.told_by("tests.terminal_mt5.under_wine.jobs")
    assert seen == {"killed": {"before": True, "gone": True}, "orphaned": {"before": True, "gone": True}}


def test_a_worker_is_launched_refused_ended_and_leaves_nothing_behind() -> None:
    seen = wine.told_by("tests.terminal_mt5.under_wine.launching")
    assert seen == {"path": True, "connected": False, "refused": "terminal_missing", "broken": "terminal_hangs",
                    "left": []}
