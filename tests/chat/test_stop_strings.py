"""Stop strings: the answer does not depend on how the text was split."""

from hypothesis import given
from hypothesis import strategies as st

from baleen.chat.stop_strings import StopMatcher

LETTERS = st.text(alphabet="abc", max_size=12)


def run(stops, pieces):
    matcher = StopMatcher(stops)
    shown = "".join(matcher.push(piece) for piece in pieces)
    return shown + matcher.finish(), matcher.stopped


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3), st.lists(LETTERS, max_size=6))
def test_any_split_gives_the_same_text(stops, pieces):
    whole = "".join(pieces)
    expected = run(stops, list(whole))
    assert run(stops, pieces) == expected
    ends = [(whole.find(stop) + len(stop), whole.find(stop)) for stop in stops if stop in whole]
    assert expected == ((whole[: min(ends)[1]], True) if ends else (whole, False))


def test_nothing_of_a_stop_string_is_shown_early():
    matcher = StopMatcher(["STOP"])
    assert [matcher.push(c) for c in "a ST b STO"] == ["a", " ", "", "", "ST ", "b", " ", "", "", ""]
    assert matcher.finish() == "STO"
