"""Finding markers in text that arrives in pieces."""

import re


class Markers:
    """Strings to look for. Text is let through up to the first place where one begins or may begin."""

    def __init__(self, *markers: str) -> None:
        self._pattern = re.compile("|".join(map(re.escape, markers)) or "(?!)")  # no marker: never
        self._starts = frozenset(marker[:size] for marker in markers for size in range(1, len(marker)))
        self._longest_start = max(map(len, self._starts), default=0)

    def find(self, text: str, begin: int) -> tuple[int, str | None]:
        """(where text from `begin` stops being plain, the marker that stands there).

        The marker is None when no whole one is there: what follows is the start of one, or nothing. The
        leftmost marker wins, of two at the same place the one named first.
        """
        match = self._pattern.search(text, begin)
        held = self._held(text, begin)
        if match and match.start() <= held:
            return match.start(), match[0]
        return held, None

    def _held(self, text: str, begin: int) -> int:
        """Where the longest suffix of `text` begins that may grow into a marker; its end if there is none."""
        for size in range(min(self._longest_start, len(text) - begin), 0, -1):
            if text[-size:] in self._starts:
                return len(text) - size
        return len(text)
