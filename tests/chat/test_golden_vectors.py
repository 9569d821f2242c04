"""Byte-exact prompts, parses and kinds of error, as recorded from the release."""

from typing import Any

import pytest

from baleen.chat import ChatError, encode_messages, parse_message_from_completion_text
from tests.chat.vectors import GOLDEN


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name not in ("expected", "kind")}


@pytest.mark.parametrize("case", GOLDEN["encode"])
def test_prompt(case):
    if "expected" in case:
        assert encode_messages(**arguments(case)) == case["expected"]
        return
    with pytest.raises(ChatError) as caught:
        encode_messages(**arguments(case))
    assert caught.value.kind == case["kind"]


@pytest.mark.parametrize("case", GOLDEN["parse"])
def test_completion(case):
    read = (case["completion"], case["thinking_mode"])
    if "expected" in case:
        parsed = parse_message_from_completion_text(*read)
        assert parsed == case["expected"] and list(parsed) == list(case["expected"])
        return
    with pytest.raises(ChatError) as caught:
        parse_message_from_completion_text(*read)
    assert caught.value.kind == case["kind"]


def test_the_record_has_both_outcomes_of_everything():
    for section in ("encode", "parse"):
        kinds = [case.get("kind", "") for case in GOLDEN[section]]
        assert kinds.count("") >= 15 and len(set(kinds)) >= 8
