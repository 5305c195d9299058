"""What is left of the hours is shared by the jobs that are left, and something is kept for the end."""

import pytest

from autoseg.contracts import Settings
from autoseg.row.deadline import CLOSING_SHARE, seconds_for
from autoseg.row.jobs import Job
from tests import report_records as made

RUN = made.run()
HOURS = 2.0


def seconds(rounds, worked_s=0.0, limit_s=600.0, **settings):
    plan = RUN.plan
    timed = [
        c.model_copy(update={"training": c.training.model_copy(update={"seconds": limit_s})})
        for c in plan.configurations
    ]
    plan = plan.model_copy(update={"configurations": tuple(timed)})
    asked = Settings(**{"hours": HOURS, **settings})
    return seconds_for(Job(plan.configurations[0].name, 0), rounds, plan, RUN.dataset, asked, worked_s)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_all_jobs_together_leave_time_for_the_end(rounds):
    assert 0 < seconds(rounds) * rounds < (1 - CLOSING_SHARE) * HOURS * 3600


def test_an_early_end_of_one_job_gives_the_others_more():
    assert seconds(4, worked_s=600.0) > seconds(4, worked_s=1800.0)
    assert seconds(3, worked_s=1800.0) > seconds(4, worked_s=1800.0)


def test_when_time_is_over_a_job_still_ends_properly():
    assert seconds(5, worked_s=HOURS * 3600) == 1.0


def test_without_a_clock_the_steps_decide():
    assert seconds(5, limit_s=None, deterministic=True) is None
    assert seconds(5, limit_s=None, hours=None) is None
