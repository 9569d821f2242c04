"""Which entities a text names: exact names, longest first, with what is doubtful kept apart."""

import re
from collections.abc import Iterable, Mapping

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


class NameFinder:
    """Finds the names of entities in texts.

    names: of each entity; a single word counts only with a capital. A mention is certain when the name belongs to
    one entity alone and is not part of a longer run of capitalised words: "Lord Macaulay" may be about Macaulay.
    """

    def __init__(self, names: Mapping[str, Iterable[str]]) -> None:
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
            owners = self._owners[tuple(words[at : at + length])]
            beside = [words[i] for i in (at - 1, at + length) if 0 <= i < len(words)]
            if len(owners) == 1 and not any(word[:1].isupper() for word in beside):
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
