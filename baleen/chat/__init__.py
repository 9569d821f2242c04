"""Messages to text to token ids and back, for the DeepSeek-V3.2 chat format."""

from baleen.chat.collector import MessageCollector, MessageDelta
from baleen.chat.encoding import encode_messages, encode_pieces, last_turn_index
from baleen.chat.errors import ChatError, EncodingError, ParseError, TokenizerError
from baleen.chat.fields import Message, ThinkingMode
from baleen.chat.parsing import Delta, StreamParser, parse_message_from_completion_text
from baleen.chat.tokenizer import TextStream, Tokenizer
from baleen.chat.tokenizer_training import train_tokenizer
from baleen.chat.tokens import Control
from baleen.chat.unicode import without_lone_surrogates

__all__ = [
    "ChatError",
    "Control",
    "Delta",
    "EncodingError",
    "Message",
    "MessageCollector",
    "MessageDelta",
    "ParseError",
    "StreamParser",
    "TextStream",
    "ThinkingMode",
    "Tokenizer",
    "TokenizerError",
    "encode_messages",
    "encode_pieces",
    "last_turn_index",
    "parse_message_from_completion_text",
    "train_tokenizer",
    "without_lone_surrogates",
]
