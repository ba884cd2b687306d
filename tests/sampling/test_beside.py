"""Work beside the main thread: in order, never more than two items, and an error on either side stops both."""

from __future__ import annotations

import threading
import time

import pytest

from guidance_bench.sampling import beside as module
from guidance_bench.sampling.beside import Beside


class Item:
    """Counts how many of its kind are alive."""

    alive = most = 0
    lock = threading.Lock()

    def __init__(self, number):
        self.number = number
        with Item.lock:
            Item.alive += 1
            Item.most = max(Item.most, Item.alive)

    def __del__(self):
        with Item.lock:
            Item.alive -= 1


def test_in_order_and_never_more_than_two():
    Item.most = 0
    done = []

    def work(item):
        time.sleep(0.01)
        done.append(item.number)

    with Beside(work) as beside:
        for number in range(8):
            beside.put(Item(number))
    assert done == list(range(8)) and Item.most == 2 and Item.alive == 0


def test_it_works_while_the_main_thread_does():
    met = threading.Event()
    with Beside(lambda item: met.wait(10)) as beside:
        beside.put(1)
        met.set()  # would never be reached if put waited for the work
    assert threading.main_thread() is threading.current_thread()


def test_an_error_of_the_work_is_raised_in_the_main_thread_and_nothing_more_is_begun():
    done = []

    def work(item):
        done.append(item)
        if item == 1:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Beside(work) as beside:
        for item in range(5):
            beside.put(item)
    assert done == [0, 1]


def test_an_error_of_the_last_item_is_not_lost():
    def work(item):
        time.sleep(0.02)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Beside(work) as beside:
        beside.put(0)


def test_the_main_thread_can_ask_in_its_pauses():
    def work(item):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Beside(work) as beside:
        beside.put(0)
        for _ in range(1000):
            time.sleep(0.001)
            beside.check()
        raise AssertionError("it was never told")


def test_what_was_handed_over_is_done_though_the_main_thread_stops():
    done = []

    def work(item):
        time.sleep(0.05)
        done.append(item)

    with pytest.raises(KeyboardInterrupt), Beside(work) as beside:
        beside.put(0)
        raise KeyboardInterrupt
    assert done == [0]


def test_a_stop_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    hold = threading.Event()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Beside(lambda item: hold.wait(20)) as beside:
        beside.put(0)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 10 and beside.stopping.is_set()
    hold.set()
