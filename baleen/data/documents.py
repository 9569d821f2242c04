"""Documents to train on: plain ones for the base model, conversations in the official encoding after it."""

from collections.abc import Sequence

from baleen.chat import Message, Tokenizer, encode_pieces
from baleen.data.packing import Document


def plain_document(tokenizer: Tokenizer, question: str, solution: str) -> Document:
    """A task for a base model. The parts are encoded apart: at test time only the question is there."""
    prompt = [tokenizer.bos_token_id, *tokenizer.encode_text(question)]
    target = [*tokenizer.encode_text(solution), tokenizer.eos_token_id]
    return Document(prompt + target, [False] * len(prompt) + [True] * len(target))


def conversation_document(tokenizer: Tokenizer, messages: Sequence[Message], thinking_mode: str) -> Document:
    """A conversation with one user message, its assistant messages the targets.

    The ids are those of a rollout that said the same. Raises EncodingError.
    """
    pieces = encode_pieces(messages, thinking_mode)
    token_ids: list[int] = []
    loss_mask: list[bool] = []
    start = 0
    for i, message in enumerate(messages):
        end = len(encode_pieces(messages[: i + 1], thinking_mode))
        ids = tokenizer.encode_pieces(pieces[start:end])
        token_ids += ids
        loss_mask += [message["role"] == "assistant"] * len(ids)
        start = end
    return Document(token_ids, loss_mask)
