"""A computation is stopped by its own CPU time, in the main thread and in others."""

import threading
import time

import pytest

from matembed.corpus._time_limit import TookTooLongError, within_cpu_time


def in_a_thread(function, *args):
    results = []

    def run():
        try:
            results.append(function(*args))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return results[0]


def endless():
    while True:
        try:
            sum(range(100))
        except Exception:
            continue


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock of another thread")
def test_another_thread_is_stopped_and_is_well_afterwards():
    def twice():
        with pytest.raises(TookTooLongError):
            within_cpu_time(0.1, endless)
        with pytest.raises(TookTooLongError):
            within_cpu_time(0.1, endless)
        return within_cpu_time(10, sum, [1, 2, 3])

    assert in_a_thread(twice) == 6


def test_sleep_is_no_work():
    assert within_cpu_time(0.05, lambda: time.sleep(0.3) or "slept") == "slept"
    assert in_a_thread(within_cpu_time, 0.05, lambda: time.sleep(0.3) or "slept") == "slept"


def test_errors_pass_through():
    with pytest.raises(ZeroDivisionError):
        within_cpu_time(1, lambda: 1 / 0)
    assert isinstance(in_a_thread(within_cpu_time, 1, lambda: 1 / 0), ZeroDivisionError)
