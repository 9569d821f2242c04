"""Ctrl-C and SIGTERM: the first is a request, the second an order, and the handlers of before come back."""

import os
import signal

import pytest

from baleen.runs.clean_stop import CleanStop, Stopped


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_second_ends(number, code):
    told = []
    before = signal.getsignal(number)
    with CleanStop(lambda: told.append("stopping")) as stop:
        stop.raise_if_heard()
        os.kill(os.getpid(), number)
        assert stop.heard and told == ["stopping"]
        with pytest.raises(Stopped) as asked:
            stop.raise_if_heard()
        with pytest.raises(KeyboardInterrupt) as forced:
            os.kill(os.getpid(), number)
        assert asked.value.exit_code == stop.exit_code == forced.value.exit_code == code
        assert told == ["stopping"]
    assert signal.getsignal(number) == before


def test_the_second_signal_counts_as_what_it_is():
    with CleanStop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped) as forced:
            os.kill(os.getpid(), signal.SIGINT)
    assert (stop.exit_code, forced.value.exit_code) == (143, 130)
