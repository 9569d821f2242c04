"""Messages to text to token ids and back, for the DeepSeek-V3.2 chat format."""

from baleen.chat.encoding import encode_messages, encode_pieces
from baleen.chat.errors import ChatError, EncodingError, ParseError, TokenizerError
from baleen.chat.fields import Message
from baleen.chat.tokenizer import TextStream, Tokenizer
from baleen.chat.tokenizer_training import train_tokenizer
from baleen.chat.tokens import Control

__all__ = [
    "ChatError",
    "Control",
    "EncodingError",
    "Message",
    "ParseError",
    "TextStream",
    "Tokenizer",
    "TokenizerError",
    "encode_messages",
    "encode_pieces",
    "train_tokenizer",
]
