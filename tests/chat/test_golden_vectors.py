"""Byte-exact prompts, parses and kinds of error, as recorded from the release."""

import pytest

from baleen.chat import ChatError, encode_messages, parse_message_from_completion_text
from tests.chat.vectors import VECTORS, conversation


def encode(vector):
    return encode_messages(
        conversation(vector),
        vector["thinking_mode"],
        context=vector["context"],
        drop_thinking=vector["drop_thinking"],
        add_default_bos_token=vector["add_default_bos_token"],
    )


def named(section):
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[section]]


@pytest.mark.parametrize("vector", named("encode"))
def test_prompt(vector):
    assert encode(vector) == vector["expected"]


@pytest.mark.parametrize("vector", named("encode_errors"))
def test_conversation_without_a_prompt(vector):
    with pytest.raises(ChatError) as caught:
        encode(vector)
    assert caught.value.kind == vector["error"]["kind"]


@pytest.mark.parametrize("vector", named("parse"))
def test_completion(vector):
    parsed = parse_message_from_completion_text(vector["completion"], vector["thinking_mode"])
    assert parsed == vector["expected"]
    assert list(parsed) == list(vector["expected"])


@pytest.mark.parametrize("vector", named("parse_errors"))
def test_completion_that_is_none(vector):
    with pytest.raises(ChatError) as caught:
        parse_message_from_completion_text(vector["completion"], vector["thinking_mode"])
    assert caught.value.kind == vector["error"]["kind"]
