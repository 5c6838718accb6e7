"""What is made of a result that is still to come."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def then(coming: Future[T], make: Callable[[T], U]) -> Future[U]:
    """Return the future of what ``make`` makes of a result; of its error where there is none, or ``make`` raises."""
    made: Future[U] = Future()

    def pass_on(done: Future[T]) -> None:
        try:
            made.set_result(make(done.result()))
        except BaseException as error:  # whatever it is, giving up included, who waits is told
            made.set_exception(error)

    coming.add_done_callback(pass_on)
    return made
