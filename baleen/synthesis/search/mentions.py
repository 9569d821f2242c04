"""Which entities a text names: exact names, longest first, with what is doubtful kept apart."""

import re
from collections.abc import Collection, Iterable, Mapping

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


class NameFinder:
    """Finds the names of entities in texts.

    names: of each entity; a single word counts only with a capital. A mention is certain when the name belongs to
    one entity alone, is not `ambiguous` (a word of the language too) and is not part of a longer run of
    capitalised words: "Lord Macaulay" may be about Macaulay.
    """

    def __init__(self, names: Mapping[str, Iterable[str]], ambiguous: Collection[str] = ()) -> None:
        self._ambiguous = {tuple(_WORD.findall(name)) for name in ambiguous}
        self._owners: dict[tuple[str, ...], set[str]] = {}
        for entity, its_names in names.items():
            for name in its_names:
                words = tuple(_WORD.findall(name))
                if len(words) > 1 or (words and len(words[0]) > 2 and words[0][0].isupper()):
                    self._owners.setdefault(words, set()).add(entity)
        self._longest = max(map(len, self._owners), default=0)

    def find(self, text: str) -> tuple[set[str], set[str]]:
        """(entities named for certain, entities perhaps named)."""
        words = [match.group() for match in _WORD.finditer(text)]
        certain: set[str] = set()
        doubtful: set[str] = set()
        at = 0
        while at < len(words):
            length = self._length_at(words, at)
            if not length:
                at += 1
                continue
            name = tuple(words[at : at + length])
            owners = self._owners[name]
            if len(owners) == 1 and name not in self._ambiguous and _stands_alone(words, at, length):
                certain |= owners
            else:
                doubtful |= owners
            at += length
        return certain, doubtful - certain

    def _length_at(self, words: list[str], at: int) -> int:
        for length in range(min(self._longest, len(words) - at), 0, -1):
            if tuple(words[at : at + length]) in self._owners:
                return length
        return 0


def is_named_in(name: str, text: str) -> bool:
    """Whether a text has the name as it is spelt, and not as part of a longer name."""
    wanted = _WORD.findall(name)
    words = _WORD.findall(text)
    return any(
        words[at : at + len(wanted)] == wanted and _stands_alone(words, at, len(wanted))
        for at in range(len(words) - len(wanted) + 1)
        if wanted
    )


def _stands_alone(words: list[str], at: int, length: int) -> bool:
    """Whether no word with a capital is beside words[at : at + length]."""
    return not any(words[i][0].isupper() for i in (at - 1, at + length) if 0 <= i < len(words))
