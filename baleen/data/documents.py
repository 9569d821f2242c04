"""Documents to train on: plain ones for the base model, conversations in the official encoding after it."""

from collections.abc import Sequence

from baleen.chat import Message, Tokenizer, encode_pieces, last_turn_index
from baleen.data.packing import Document


def plain_document(tokenizer: Tokenizer, question: str, solution: str) -> Document:
    """A task for a base model; the solution is the target. The two are tokenized separately, as at test time."""
    prompt = [tokenizer.bos_token_id, *tokenizer.encode_text(question)]
    target = [*tokenizer.encode_text(solution), tokenizer.eos_token_id]
    return Document(prompt + target, [False] * len(prompt) + [True] * len(target))


def conversation_document(tokenizer: Tokenizer, messages: Sequence[Message], thinking_mode: str) -> Document:
    """A conversation whose assistant messages after the last user message are the targets.

    The token ids are those of a rollout that said the same: everything up to the last user message is one prompt.

    Args:
        tokenizer: the model's tokenizer.
        messages: the conversation.
        thinking_mode: "thinking" or "chat".

    Raises:
        EncodingError: the messages have no encoding.
    """
    asked = last_turn_index(messages) + 1
    pieces = encode_pieces(messages, thinking_mode)
    start = len(encode_pieces(messages[:asked], thinking_mode))
    token_ids = tokenizer.encode_pieces(pieces[:start])
    loss_mask = [False] * len(token_ids)
    for i in range(asked, len(messages)):
        end = len(encode_pieces(messages[: i + 1], thinking_mode))
        ids = tokenizer.encode_pieces(pieces[start:end])
        token_ids += ids
        loss_mask += [messages[i]["role"] == "assistant"] * len(ids)
        start = end
    return Document(token_ids, loss_mask)
