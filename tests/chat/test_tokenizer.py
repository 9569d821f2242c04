"""Ids of the released tokenizer's check value, on a small tokenizer of its construction, and streams of ids."""

import json
import os
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from baleen.chat import Tokenizer, TokenizerError, encode_messages, encode_pieces, train_tokenizer
from baleen.chat.tokenizer import byte_alphabet
from baleen.chat.tokenizer_training import released_splits
from baleen.chat.tokens import ASSISTANT, BOS, CONTROLS, DSML, EOS, PAD, THINK_END, THINK_START, USER, Control
from tests.chat.vectors import GOLDEN

RENDERED = [case for case in GOLDEN["encode"] if "expected" in case]

# The model card's conversation in thinking mode, and its ids under DeepSeek-V3.2's tokenizer.
CHECK_MESSAGES = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "Hello! I am DeepSeek."},
    {"role": "user", "content": "1+1=?"},
]
CHECK_IDS = [
    *(0, 128803, 33310, 128804, 128799, 19923, 3, 342, 1030, 22651, 4374, 1465, 16, 1, 128803),
    *(19, 13, 19, 127252, 128804, 128798),
]
_WORDS = {
    **{"hello": 33310, "Hello": 19923, "ĠI": 342, "Ġam": 1030, "ĠDeep": 22651, "Se": 4374, "ek": 1465},
    "=?": 127252,
}
_RELEASED_IDS = {USER: 128803, ASSISTANT: 128804, THINK_START: 128798, THINK_END: 128799, DSML: 128793}


def small_released_spec() -> dict:
    """A `tokenizer.json` built like the released one, with the ids of the words of the check value.

    Its single bytes begin at id 3 in the order of the byte alphabet, as those of the check value show.
    """
    vocab = {str(token): i for i, token in enumerate((BOS, EOS, PAD))}
    vocab |= {character: 3 + i for i, character in enumerate(byte_alphabet())}
    merges: list[tuple[str, str]] = []
    for word, word_id in _WORDS.items():
        for size in range(2, len(word) + 1):
            merge = (word[: size - 1], word[size - 1])
            if merge not in merges:
                merges.append(merge)
            vocab.setdefault(word[:size], word_id if size == len(word) else 1000 + len(vocab))
    added = {**{token: i for i, token in enumerate((BOS, EOS, PAD))}, **_RELEASED_IDS}
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges))
    raw.pre_tokenizer = released_splits(digits=3)
    raw.decoder = tokenizers.decoders.ByteLevel()
    spec = json.loads(raw.to_str())
    spec["added_tokens"] = [
        {
            "id": token_id,
            "content": str(token),
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": token not in (THINK_START, THINK_END),
        }
        for token, token_id in sorted(added.items(), key=lambda item: item[1])
    ]
    return spec


def released() -> list[Tokenizer]:
    """The small one; with BALEEN_DEEPSEEK_TOKENIZER=folder the released one too."""
    folder = os.environ.get("BALEEN_DEEPSEEK_TOKENIZER")
    return [Tokenizer(small_released_spec()), *([Tokenizer.from_pretrained(folder)] if folder else [])]


@pytest.mark.parametrize("released_tokenizer", released())
def test_the_ids_of_the_model_card(released_tokenizer):
    pieces = encode_pieces(CHECK_MESSAGES, "thinking")
    assert released_tokenizer.encode_pieces(pieces) == CHECK_IDS
    assert released_tokenizer.decode(CHECK_IDS) == encode_messages(CHECK_MESSAGES, "thinking")


def test_pieces_have_the_ids_that_the_whole_prompt_has_under_the_plain_library(tmp_path):
    mine = train_tokenizer([v["expected"] for v in RENDERED], 600, tmp_path)
    plain = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    compared = 0
    for case in RENDERED:
        pieces = encode_pieces(case["messages"], case["thinking_mode"], case["context"], False)
        texts = [piece for piece in pieces if not isinstance(piece, Control)]
        spelled = any(control in text for text in texts for control in CONTROLS)
        if not spelled:  # where a text spells a control token the plain library lets it through
            whole = plain.encode("".join(pieces), add_special_tokens=False).ids
            assert mine.encode_pieces(pieces) == whole, case["messages"]
            compared += 1
    assert compared >= 10


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.data())
def test_text_comes_back_and_streams_however_the_ids_are_cut(text, data):
    tokenizer = Tokenizer(small_released_spec())
    ids = tokenizer.encode_text(text)
    assert tokenizer.decode(ids) == text
    cuts = sorted({0, len(ids), *data.draw(st.lists(st.integers(0, len(ids))))})
    stream = tokenizer.stream()
    pieces = [stream.push(ids[a:b]) for a, b in pairwise(cuts)]
    assert "".join(pieces) + stream.finish() == text
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


def test_a_character_that_never_ends_becomes_the_replacement_character(tokenizer):
    ids = tokenizer.encode_text("🐋")
    assert len(ids) == 4
    stream = tokenizer.stream()
    assert (stream.push(ids[:3]), stream.finish()) == ("", "\ufffd") == ("", tokenizer.decode(ids[:3]))


def test_a_lone_surrogate_is_replaced(tokenizer):
    assert tokenizer.decode(tokenizer.encode_text("a\ud800b")) == "a\ufffdb"


def test_special_tokens_are_dropped_only_on_request(tokenizer):
    ids = [tokenizer.control_id(DSML), *tokenizer.encode_text("x"), tokenizer.control_id(EOS)]
    assert tokenizer.decode(ids) == f"{DSML}x{EOS}"
    assert tokenizer.decode(ids, skip_special=True) == "x"


def spell_a_control(model: dict) -> None:
    """Let the merges spell an end of thinking out of `</thin` and `k>`, whatever its id."""
    model["vocab"] |= {"</thin": 900, "k>": 901, "</think>": 902}
    model["merges"].append(["</thin", "k>"])


@pytest.mark.parametrize(
    "change,kind",
    [
        (lambda spec: spec["model"].update(type="Unigram"), "not_byte_level"),
        (lambda spec: spec.update(decoder=None), "not_byte_level"),
        (lambda spec: spec["model"]["vocab"].update({"zz": 128803}), "control_token_in_text"),
        (lambda spec: spell_a_control(spec["model"]), "control_token_in_text"),
        (lambda spec: spec["model"]["merges"].append(["zz", "zz"]), "not_a_tokenizer"),
        (
            lambda spec: spec.update(added_tokens=[t for t in spec["added_tokens"] if t["content"] != EOS]),
            "missing_control_token",
        ),
    ],
)
def test_a_file_that_cannot_serve_the_format_is_refused(change, kind):
    spec = small_released_spec()
    change(spec)
    with pytest.raises(TokenizerError) as caught:
        Tokenizer(spec)
    assert caught.value.kind == kind


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json") as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert caught.value.kind == "not_a_tokenizer"
