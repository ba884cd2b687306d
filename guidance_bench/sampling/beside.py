"""One thread beside the main one, for what comes after: it does an item while the next is being made."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that a stop waits for the item in work. What is cut off then is as after a kill: files are whole or absent.
PATIENCE = 10.0


class Beside(Generic[T]):
    """Calls ``work`` on each item in the order in which they are handed over, one at a time, in a thread of its own.

    An item is handed over when the one before is done, so there are never more than two: one in work, one being made.
    The first error of the work is raised in the main thread, at its next call here, and nothing more is begun. When the
    main thread stops, what it has handed over is still done.

    Args:
        work: called with an item; it may look at :attr:`stopping` in its pauses.
    """

    def __init__(self, work: Callable[[T], None]) -> None:
        self.stopping = threading.Event()
        self._work = work
        self._items: queue.Queue[T | None] = queue.Queue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="beside")

    def __enter__(self) -> Beside[T]:
        """Begin the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is left; after an error, for the item in work alone and not for ever."""
        try:
            if kind is None:
                self._items.join()
                self.check()
        except BaseException:
            kind = BaseException
            raise
        finally:
            if kind is not None:
                self.stopping.set()
            self._items.put(None)
            self._thread.join(None if kind is None else PATIENCE)

    def put(self, item: T) -> None:
        """Hand an item over, once the one before is done; raises the work's error."""
        self._items.join()
        self.check()
        self._items.put(item)

    def check(self) -> None:
        """Raise the error of the work, if there is one."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            try:
                if self._error is None:
                    self._work(item)
            except BaseException as error:
                self._error = error
            finally:
                del item  # its memory is the next one's
                self._items.task_done()
