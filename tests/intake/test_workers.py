import os

import pytest

from autoseg.intake import workers


def square(number):
    return number * number


def process(number):
    return os.getpid()


def die_on_three(number):
    if number == 3:
        os._exit(1)
    return number


def run(tasks, work, count, done=lambda task: None):
    return workers.each(tasks, work, workers=count, died=lambda task: -task, done=done)


@pytest.mark.parametrize("count", [1, 2])
def test_results_keep_the_order_of_the_tasks(count):
    finished = []
    assert run([3, 1, 2], square, count, finished.append) == [9, 1, 4]
    assert sorted(finished) == [1, 2, 3]


def test_one_worker_is_this_process():
    assert run([1, 2], process, 1) == [os.getpid()] * 2


def test_a_process_that_dies_takes_only_its_task():
    assert run([1, 2, 3, 4], die_on_three, 2) == [1, 2, -3, 4]


def test_whoever_is_told_may_stop_the_work():
    def stop(task):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([1, 2, 3], square, 2, stop)
