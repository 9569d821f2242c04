"""Training a small tokenizer of DeepSeek's construction, for models that learn the format on one machine."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as RawTokenizer

from baleen.chat.errors import TokenizerError
from baleen.chat.tokenizer import Tokenizer
from baleen.chat.tokens import ASSISTANT, BOS, CONTROLS, DSML, EOS, PAD, THINK_END, THINK_START, USER

_FIRST = (BOS, EOS, PAD)  # ids 0, 1, 2
_LAST = (USER, ASSISTANT, THINK_START, THINK_END, DSML)  # the end of the vocabulary

_SPLITS = (
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: str | Path) -> Tokenizer:
    """Learn byte-level BPE merges from `texts`; `path` gets `tokenizer.json` and `tokenizer_config.json`.

    vocab_size counts the 256 bytes and the 8 control tokens (BOS, EOS and pad are ids 0, 1, 2; the others
    come last); it comes out smaller when the texts run out of pairs. Control strings inside `texts` are cut
    out, so that no merge can spell one. The same texts give the same file.

    Raises TokenizerError when vocab_size has no room for bytes and control tokens.
    """
    least = 256 + len(CONTROLS)
    if vocab_size < least:
        raise TokenizerError(
            "vocab_too_small", f"vocab_size is {vocab_size}; bytes and control tokens need {least}"
        )
    raw = RawTokenizer(models.BPE())
    raw.pre_tokenizer = released_splits(digits=1)  # a small model computes better on single digits
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(_LAST),
        special_tokens=[_added(token) for token in _FIRST],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(_without_controls(texts), trainer)
    raw.add_tokens([_added(token) for token in _LAST])
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    raw.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(_transformers_config(), encoding="utf-8")
    return Tokenizer.from_pretrained(folder)


def released_splits(digits: int) -> pre_tokenizers.PreTokenizer:
    """The released pre-tokenizer, but with numbers cut into groups of up to `digits`; the release has 3."""
    patterns = (rf"\p{{N}}{{1,{digits}}}", *_SPLITS)
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def _added(token: str) -> AddedToken:
    # The thinking tags are not `special`: readers that drop special tokens still see where the answer begins.
    return AddedToken(str(token), normalized=False, special=token not in (THINK_START, THINK_END))


def _without_controls(texts: Iterable[str]) -> Iterator[str]:
    pattern = re.compile("|".join(map(re.escape, CONTROLS)))
    for text in texts:
        yield from filter(None, pattern.split(text))


def _transformers_config() -> str:
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": str(BOS),
        "eos_token": str(EOS),
        "pad_token": str(PAD),
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
    }
    return json.dumps(config, ensure_ascii=False, indent=2) + "\n"
