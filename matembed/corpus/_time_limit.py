"""Stop a computation that takes too much CPU time."""

import signal
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["TookTooLongError", "within_cpu_time"]

P = ParamSpec("P")
T = TypeVar("T")


class TookTooLongError(BaseException):
    """A computation was stopped; no Exception, so that no library's ``except Exception`` swallows it."""


def within_cpu_time(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function and stop it after `seconds` of this process's CPU time, counted outside the kernel.

    Signals do this, which Python delivers to the main thread only, and not on Windows: elsewhere there is no limit.
    Compiled code is stopped when it returns to Python.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return function(*args, **kwargs)

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
