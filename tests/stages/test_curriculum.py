"""Mixtures of demonstrations: how often a family comes, and in which style."""

import random

from baleen.chat import Tokenizer
from baleen.config.data import DataMix, TaskShare
from baleen.stages.curriculum import demonstrations


def test_a_family_can_have_styles_of_its_own(tokenizer: Tokenizer) -> None:
    shares = {
        "sum": TaskShare(difficulties=(2,)),
        "lookup": TaskShare(difficulties=(1,), styles={"short": 1.0}),
    }
    mix = DataMix(text_share=0.0, styles={"full": 1.0}, tasks=shares)
    draw, rng = demonstrations(tokenizer, mix), random.Random(0)
    thoughts = {"sum": set(), "lookup": set()}
    for _ in range(40):
        question, solved = tokenizer.decode(draw(rng).token_ids).rsplit("<think>", 1)
        thoughts["lookup" if "Start at" in question else "sum"].add(solved[0])
    assert thoughts == {"sum": {"="}, "lookup": {":"}}
