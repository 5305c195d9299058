"""Doing one thing to many cases, in processes of their own where that pays; a process that dies takes only its case."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(
    tasks: Sequence[T], work: Callable[[T], R], *, workers: int, died: Callable[[T], R], done: Callable[[T], None]
) -> list[R]:
    """Do ``work`` on each task.

    Args:
        tasks: Picklable, if ``workers`` is above one.
        work: A function at the top level of a module.
        workers: Processes; at most one means in this process.
        died: The result for a task whose process died, e.g. in a native reader.
        done: Called here after each task, in order of completion; may raise to stop.

    Returns:
        Results in the order of the tasks.
    """
    if workers <= 1 or len(tasks) <= 1 or multiprocessing.current_process().daemon:
        return list(_here(tasks, work, done))
    results: dict[int, R] = {}
    _in_processes(tasks, range(len(tasks)), work, workers, results, done)
    missing = [number for number in range(len(tasks)) if number not in results]
    if len(missing) == len(tasks):  # not even one came back: processes cannot be started here
        return list(_here(tasks, work, done))
    for number in missing:
        _in_processes(tasks, [number], work, 1, results, done)
        if number not in results:
            results[number] = died(tasks[number])
            done(tasks[number])
    return [results[number] for number in range(len(tasks))]


def _here(tasks: Sequence[T], work: Callable[[T], R], done: Callable[[T], None]) -> Iterator[R]:
    for task in tasks:
        yield work(task)
        done(task)


def _in_processes(
    tasks: Sequence[T],
    numbers: Sequence[int],
    work: Callable[[T], R],
    workers: int,
    results: dict[int, R],
    done: Callable[[T], None],
) -> None:
    """Fill ``results`` as far as processes live."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_ignore_interrupts)
    try:
        futures: dict[Future[R], int] = {pool.submit(work, tasks[number]): number for number in numbers}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            done(tasks[futures[future]])
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole process group; the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
