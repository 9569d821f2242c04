"""Line breaks between words, for text that arrives in pieces."""

from rich.cells import cell_len

_TAB = "    "


class WordWrap:
    """Decides where lines break. The last word is held back: only once it is complete is it known to fit.

    A word is what stands between blanks; a wide character (CJK, emoji) is one by itself, since lines may break around
    it. A run longer than a line is let out a line at a time and the terminal breaks it: no newline gets into a URL.
    """

    def __init__(self) -> None:
        self._column = 0  # cells used on this line
        self._blanks = ""  # before the word
        self._word = ""

    def push(self, text: str, width: int) -> str:
        """What can be shown now that `text` has arrived. width: cells per line."""
        shown: list[str] = []
        for char in text:
            if char == "\n":
                shown += self._place(width), char
                self._column, self._blanks = 0, ""
            elif char in " \t":
                shown.append(self._place(width))
                self._blanks += _TAB if char == "\t" else char
            elif cell_len(char) > 1:
                shown.append(self._place(width))
                self._word = char
                shown.append(self._place(width))
            else:
                if cell_len(self._word + char) > width:  # a line full of it, and the next follows
                    shown.append(self._place(width))
                    self._column = 0
                self._word += char
        return "".join(shown)

    def finish(self, width: int) -> str:
        """The word that was held back; what comes next begins on a new line."""
        last = self._place(width)
        self._column, self._blanks = 0, ""
        return last

    def _place(self, width: int) -> str:
        """The word behind its blanks, or on a new line without them."""
        if not self._word:
            return ""
        blanks, word = self._blanks, self._word
        self._blanks = self._word = ""
        if self._column and self._column + cell_len(blanks + word) > width:
            blanks, self._column = "\n", 0
        self._column += cell_len(blanks.strip("\n") + word)
        return blanks + word
