"""The first row of every text is known, however many there are and however they come."""

import sys

import numpy as np
import pytest

from matembed.corpus._first_rows import FirstRows


def first_rows(texts, rows):
    """What a dictionary says."""
    seen = {}
    return [seen.setdefault(text, row) for text, row in zip(texts, rows, strict=True)]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_it_answers_as_a_dictionary_does(at_once):
    rng = np.random.default_rng(0)
    texts = [f"mp-{number}" for number in rng.integers(3000, size=5000)]
    rows = np.arange(1, 5001).tolist()
    seen = FirstRows()
    found = []
    for start in range(0, 5000, at_once):
        found += seen.add(texts[start : start + at_once], rows[start : start + at_once])
    assert found == first_rows(texts, rows)


def test_any_text_will_do():
    texts = ["", "mp-1", "Å", "\udcff", "mp-1 ", "", "\udcff"]
    assert FirstRows().add(texts, range(7)) == [0, 1, 2, 3, 4, 0, 3]


def test_nothing_is_added_by_nothing():
    seen = FirstRows()
    assert seen.add([], []) == []
    assert seen.add(["a"], [3]) == [3]
    assert seen.add([], []) == []
    assert seen.add(["a", "b"], [4, 5]) == [3, 5]


def test_a_text_takes_sixteen_bytes():
    seen = FirstRows()
    for start in range(0, 40_000, 2000):
        seen.add([str(number) for number in range(start, start + 2000)], range(start, start + 2000))
    arrays = [array for run in seen._runs for array in run]
    assert sum(array.nbytes for array in arrays) == 16 * 40_000
    assert len(seen._runs) < 8
    assert sum(map(sys.getsizeof, arrays)) < 17 * 40_000  # and none of them is a view of something larger
