"""Stop a computation that takes too much CPU time."""

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["TookTooLongError", "within_cpu_time"]

P = ParamSpec("P")
T = TypeVar("T")


class TookTooLongError(BaseException):
    """A computation was stopped; no Exception, so that no library's ``except Exception`` swallows it."""


def within_cpu_time(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function and stop it after `seconds` of CPU time, counted outside the kernel where it can be.

    In the main thread a signal does this; in another, as of a Dask worker, a thread that watches its clock. Where the
    system has neither, as Windows, there is no limit. Compiled code is stopped when it returns to Python.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _by_signal(seconds, function, *args, **kwargs)
    if hasattr(time, "pthread_getcpuclockid"):
        return _by_watching(seconds, function, *args, **kwargs)
    return function(*args, **kwargs)


def _by_signal(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    def stop(*_: object) -> None:
        raise TookTooLongError

    previous = signal.signal(signal.SIGVTALRM, stop)
    try:
        try:
            # Repeated each second: a destructor or callback in which Python drops exceptions may be what is running.
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)
            return function(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except TookTooLongError:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        raise
    finally:
        signal.signal(signal.SIGVTALRM, previous)


def _by_watching(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    ident = threading.get_ident()
    clock = time.pthread_getcpuclockid(ident)
    end = time.clock_gettime(clock) + seconds
    done, deciding = threading.Event(), threading.Lock()

    def throw(error: type[BaseException] | None) -> None:
        pointer = None if error is None else ctypes.py_object(error)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), pointer)

    def watch() -> None:
        left = seconds
        while not done.wait(max(left, 0.01)):
            left = end - time.clock_gettime(clock)
            if left <= 0:
                with deciding:
                    if not done.is_set():
                        throw(TookTooLongError)
                left = 1.0  # again each second, as above

    def leave() -> None:
        with deciding:
            done.set()
            throw(None)  # one that was thrown and has not arrived

    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            return function(*args, **kwargs)
        finally:
            leave()
    except TookTooLongError:
        leave()
        raise
