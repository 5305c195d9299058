import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from autoseg.learn.cases import CaseSource
from tests.learn.tiny import ball_case


def test_the_cache_stays_under_its_limit():
    image, labels = np.zeros((1, 10, 10, 10), np.float32), np.zeros((10, 10, 10), np.uint8)
    opened = []

    def load(case):
        opened.append(case)
        return image, labels

    cases = CaseSource(("a", "b"), load, ((1,),), cache_bytes=5000)
    for _ in range(3):
        for case in "ab":
            cases.read(case, (0, 0, 0), (2, 2, 2))
    assert opened == ["a", "b"]
    assert list(cases._kept) == ["a"]


def test_predictions_of_a_previous_stage_stay_under_their_limit():
    asked = []
    cases = {name: ball_case(seed) for seed, name in enumerate("abc")}

    def previous(case):
        asked.append(case)
        return cases[case][1]

    room = 8 * cases["a"][1].nbytes  # a quarter of it holds two of the three
    source = CaseSource(tuple("abc"), cases.__getitem__, ((1,),), previous=previous, cache_bytes=room)
    for case in "abacab":
        assert source.read(case, (0, 0, 0), (4, 4, 4))[0].shape == (2, 4, 4, 4)
    assert asked == ["a", "b", "c", "b"]


def test_threads_open_each_case_once_and_keep_what_fits():
    opened, lock = [], threading.Lock()
    arrays = {name: ball_case(seed) for seed, name in enumerate("abcd")}

    def load(case):
        with lock:
            opened.append(case)
        time.sleep(0.02)  # long enough for all others to ask meanwhile
        return arrays[case]

    size = sum(array.nbytes for array in arrays["a"])
    source = CaseSource(tuple("abcd"), load, ((1,),), cache_bytes=2 * size)
    asked = [case for _ in range(6) for case in "abcd"]
    with ThreadPoolExecutor(8) as pool:
        patches = list(pool.map(lambda case: source.read(case, (0, 0, 0), (12, 12, 12)), asked))
        tables = list(pool.map(source.locations, asked))
    assert sorted(opened) == list("abcd")
    assert len(source._kept) == 2
    for case, table, (image, labels) in zip(asked, tables, patches, strict=True):
        np.testing.assert_array_equal(image, arrays[case][0])
        np.testing.assert_array_equal(labels, arrays[case][1])
        assert len(table[0]) == labels.sum()
