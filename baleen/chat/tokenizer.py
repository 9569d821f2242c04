"""Pieces of a prompt to token ids, and ids back to text.

Text is encoded by a copy of the tokenizer that has no added tokens at all, so nothing a user writes can
become a control token; control pieces are looked up by name. For text without control strings the ids equal
those of the whole prompt string under the original tokenizer, because neighbouring text is joined first.
"""

import codecs
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from baleen.chat.errors import TokenizerError
from baleen.chat.tokens import BOS, CONTROLS, EOS, PAD, Control
from baleen.chat.unicode import without_lone_surrogates


class Tokenizer:
    """A byte-level BPE tokenizer with DeepSeek's control tokens: the released one, or one trained here."""

    def __init__(self, spec: dict[str, Any]) -> None:
        """spec: the content of `tokenizer.json`. Raises TokenizerError if it cannot serve the chat format."""
        added = spec.get("added_tokens") or []
        _check_byte_level(spec)
        self._added: dict[str, int] = {token["content"]: token["id"] for token in added}
        self._special_ids = frozenset(token["id"] for token in added if token.get("special"))
        self._text = _library_tokenizer({**spec, "added_tokens": [], "post_processor": None})
        self._check_controls_are_out_of_reach(spec["model"])
        self._bytes = _token_bytes(spec["model"]["vocab"], self._added)
        self.bos_token_id = self.control_id(BOS)
        self.eos_token_id = self.control_id(EOS)
        self.pad_token_id = self._added.get(PAD, self.eos_token_id)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> "Tokenizer":
        """Load `tokenizer.json` (or the folder that holds it). Raises TokenizerError or OSError."""
        file = Path(path)
        if file.is_dir():
            file = file / "tokenizer.json"
        try:
            spec = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise TokenizerError("not_a_tokenizer", f"{file} is not JSON: {error}") from error
        if not isinstance(spec, dict) or not isinstance(spec.get("model"), dict):
            raise TokenizerError(
                "not_a_tokenizer", f"{file} has no `model`; wanted a Hugging Face tokenizer.json"
            )
        return cls(spec)

    @property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return max(self._bytes) + 1

    @property
    def control_ids(self) -> dict[str, int]:
        """Ids of the control tokens of the chat format that this tokenizer has."""
        return {str(control): self._added[control] for control in CONTROLS if control in self._added}

    def control_id(self, control: str) -> int:
        """Id of a control token. Raises TokenizerError when the tokenizer lacks it."""
        if control not in self._added:
            raise TokenizerError(
                "missing_control_token",
                f"the tokenizer has no token {control!r}; use the one released with DeepSeek-V3.2",
            )
        return self._added[control]

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text. What looks like a control token is spelled out in ordinary tokens."""
        return self._text.encode(without_lone_surrogates(text), add_special_tokens=False).ids

    def encode_pieces(self, pieces: Iterable[str]) -> list[int]:
        """Ids of what `baleen.chat.encode_pieces` made: `Control` pieces by name, other pieces as text."""
        ids: list[int] = []
        run: list[str] = []
        for piece in pieces:
            if isinstance(piece, Control):
                if run:
                    ids.extend(self.encode_text("".join(run)))
                    run.clear()
                ids.append(self.control_id(piece))
            else:
                run.append(piece)
        if run:
            ids.extend(self.encode_text("".join(run)))
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes a token stands for; none for an id that is only padding of the embedding table."""
        return self._bytes.get(token_id, b"")

    def decode(self, ids: Sequence[int], skip_special: bool = False) -> str:
        """Text of ids; bytes that are no UTF-8 become U+FFFD.

        skip_special drops the tokens marked `special` in the file. Tool calls hold such a token: keep it
        False where the text will be parsed.
        """
        kept = (i for i in ids if not (skip_special and i in self._special_ids))
        return b"".join(map(self.token_bytes, kept)).decode("utf-8", "replace")

    def stream(self) -> "TextStream":
        """A detokeniser for one completion; it holds back characters whose bytes are not complete."""
        return TextStream(self)

    def _check_controls_are_out_of_reach(self, model: dict[str, Any]) -> None:
        """Refuse a vocabulary in which plain text can become a control token."""
        merged = {"".join(m) if isinstance(m, list) else m.replace(" ", "") for m in model.get("merges", ())}
        owners = {self._added[control]: control for control in CONTROLS if control in self._added}
        shared = [t for t, i in model["vocab"].items() if i in owners and t != owners[i]]
        spelled = [control for control in owners.values() if control in merged]
        if shared or spelled:
            raise TokenizerError(
                "control_token_in_text",
                f"plain text can become a control token through {(shared + spelled)[0]!r}",
            )


class TextStream:
    """Incremental detokeniser: what `push` and `finish` return joins to `Tokenizer.decode` of all ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, ids: Iterable[int]) -> str:
        """Text that has become certain with these ids."""
        return self._decoder.decode(b"".join(map(self._tokenizer.token_bytes, ids)))

    def finish(self) -> str:
        """U+FFFD for a character that was cut off, else nothing."""
        return self._decoder.decode(b"", final=True)


def _library_tokenizer(spec: dict[str, Any]) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(spec))
    except Exception as error:  # the library raises no narrower one
        raise TokenizerError("not_a_tokenizer", f"tokenizer.json cannot be used: {error}") from error


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(others)}


def _token_bytes(vocab: dict[str, int], added: dict[str, int]) -> dict[int, bytes]:
    alphabet = byte_alphabet()
    table: dict[int, bytes] = {}
    for token, token_id in vocab.items():
        if all(c in alphabet for c in token):
            table[token_id] = bytes(alphabet[c] for c in token)
    # Added tokens stand for their own text even when the vocabulary lists the same id.
    table.update({token_id: token.encode("utf-8") for token, token_id in added.items()})
    return table


def _check_byte_level(spec: dict[str, Any]) -> None:
    decoder = spec.get("decoder") or {}
    if spec["model"].get("type") != "BPE" or decoder.get("type") != "ByteLevel":
        raise TokenizerError(
            "not_byte_level", "the chat format needs a byte-level BPE tokenizer, as DeepSeek's is"
        )
