"""Generate from a checkpoint: token ids in, token ids, log-probabilities and the reason of the end out.

python examples/generate.py MODEL "Add 7+5+9+4."
"""

import sys

import baleen
from baleen.chat import Tokenizer


def main(folder: str, question: str) -> None:
    tokenizer = Tokenizer.from_pretrained(folder)
    engine = baleen.Engine.from_pretrained(folder, baleen.EngineConfig())
    prompt = tokenizer.encode_pieces(
        baleen.encode_pieces([{"role": "user", "content": question}], "thinking")
    )
    (done,) = engine.generate([prompt], baleen.SamplingParams(max_tokens=64, temperature=0))
    print(tokenizer.decode(done.token_ids))
    print(
        f"{done.finish_reason}; {done.num_prompt_tokens} prompt tokens, log-probability {sum(done.logprobs):.3f}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
