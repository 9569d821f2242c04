"""Configs of the training stages and of a whole run from base model to Speciale (V3.2 report, sec. 2 and 3)."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SupervisedStage(Strict):
    """Pre-training, DSA warm-up, sparse training, SFT, distillation."""

    steps: int = Field(gt=0)
    rows: int = Field(gt=0)  # sequences a step
    length: int = Field(gt=1)  # tokens a sequence
    muon_lr: float = Field(default=0.01, gt=0)
    adam_lr: float = Field(default=0.003, gt=0)
    hold: float = Field(default=0.0, ge=0, lt=1)  # share of the steps before the learning rates begin to fall
    lm: float = Field(default=1.0, ge=0)  # weight of the next-token loss; 0 trains the indexers alone
    mtp: float = Field(default=0.0, ge=0)
    index_kl: float = Field(default=0.0, ge=0)
    balance: float = Field(default=0.0001, ge=0)
    bias_update: float = Field(default=0.001, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    checkpoint_every: int = Field(default=200, gt=0)


class TaskShare(Strict):
    """How often a family of tasks comes, and how hard."""

    difficulties: tuple[int, ...]  # drawn evenly
    weight: float = Field(default=1.0, gt=0)


class RLStage(Strict):
    """GRPO with what keeps it stable, each part a switch (V3.2 report, sec. 3.1): specialists, mixed RL, Speciale."""

    tasks: dict[str, TaskShare] = {}
    follow_ups: float = Field(default=0.0, ge=0, le=1)  # share of the tasks that are asked in a conversation
    steps: int = Field(gt=0)
    prompts: int = Field(default=16, gt=0)  # a step
    group: int = Field(default=12, gt=1)  # rollouts of each prompt
    updates: int = Field(default=1, gt=0)  # optimiser steps on a step's rollouts
    adam_lr: float = Field(default=0.0003, gt=0)
    mode: Literal["thinking", "chat"] = "thinking"
    max_tokens: int = Field(default=96, gt=0)  # of one completion
    max_turns: int = Field(default=8, gt=0)  # of one rollout: what follows a mistake teaches little
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    clip: float = Field(default=0.2, gt=0, lt=1)  # epsilon
    kl: float = Field(default=0.01, ge=0)  # beta
    unbiased_kl: bool = True
    mask_delta: float = Field(default=0.1, ge=0)  # delta of off-policy sequence masking; 0 switches it off
    keep_routing: bool = True
    keep_sampling_mask: bool = True
    keep_selection: bool = (
        False  # the trainer's tokens read what the engine's read, whatever the indexer says now
    )
    deterministic: bool = (
        False  # log-probabilities of engine and trainer agree to the bit; needs a C++ compiler
    )
    length_penalty: float = Field(default=0.0, ge=0)
    # sequences that the loss is averaged over: all of a step (the paper's mean), or only those of groups whose
    # rewards differ, which makes a step with few of them as large as one with many
    average_over: Literal["all", "informative"] = "all"
    mtp: float = Field(
        default=0.0, ge=0
    )  # weight of the MTP layer's loss on the rollouts; reaches that layer alone
    clip_norm: float = Field(default=1.0, gt=0)
    checkpoint_every: int = Field(default=20, gt=0)


class PretrainStage(SupervisedStage):
    """Pre-training whose last steps extend the context, as many tokens a step in longer rows of `long_data`."""

    copy_steps: int = Field(default=0, ge=0)  # the first: copies of random tokens alone, easy ones first
    extension_steps: int = Field(default=0, ge=0)
    extension_length: int = Field(default=512, gt=1)

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        phases = self.copy_steps + self.extension_steps
        if phases > self.steps:
            raise ValueError(
                f"copy_steps + extension_steps is {phases}; it can be at most steps, {self.steps}"
            )
        return self


class DistillStage(SupervisedStage):
    """Supervised training of one student on what the specialists solved."""

    prompts: dict[str, int]  # domain -> tasks that its specialist is asked
    group: int = Field(default=4, gt=0)  # attempts at each prompt; the solved ones are kept
    follow_ups: float = Field(default=0.0, ge=0, le=1)  # share of the tasks that are asked in a conversation
    # share of the tasks to which the SFT model's tersest solution is added
    terse: float = Field(default=0.1, ge=0, le=1)
    # share of documents from `distill_data`, both modes among them
    demonstrations: float = Field(default=0.06, ge=0, lt=1)


class DataMix(Strict):
    """Real text beside demonstrations of generated tasks."""

    text_share: float = Field(ge=0, lt=1)  # of the rows of a step
    conversations: float = Field(
        ge=0, le=1
    )  # share of the demonstrations in the chat encoding, the rest is plain
    tool_prompts: bool = True  # whether conversations with tool calls begin with the tools' long description
    # share of the demonstrations that answer one question in a conversation of up to four
    follow_ups: float = Field(default=0.0, ge=0, le=1)
    # share of the demonstrations that are conversations of two to four questions, each solved with its thinking kept
    whole_conversations: float = Field(default=0.0, ge=0, le=1)
    copies: float = Field(default=0.0, ge=0, lt=1)  # share of documents that copy random tokens
    tasks: dict[str, TaskShare]
    styles: dict[Literal["full", "short", "direct"], float]  # of the demonstrations, by weight


class Evaluation(Strict):
    """Held-out tasks that every stage from SFT on is asked, sampled as in RL."""

    attempts: int = Field(gt=0)  # at each difficulty of each family
    tasks: dict[str, tuple[int, ...]] = {}
    hard: dict[
        str, tuple[int, ...]
    ] = {}  # what Speciale is for: asked as well, but no part of a domain's score
    max_tokens: int = Field(default=128, gt=0)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)


class Recipe(Strict):
    """A whole run, from nothing to Speciale. The fields from `pretrain` on are the stages, in their order."""

    seed: int = 0
    judged: bool = (
        True  # whether a stage ends with checks of what it was for; too small a run cannot pass them
    )
    preset: str = "tiny"
    sizes: dict[str, Any] = {}  # keys of config.json that differ from the preset's
    text: str = ""  # file or folder of text beside the standard library of the Python that runs
    vocab_size: int = Field(default=1024, gt=263)
    text_bytes: int = Field(default=3_000_000, gt=10_000)  # real text to read, held-out part included
    base_data: DataMix  # of pretrain
    long_data: DataMix  # of the context extension, dsa_warmup and dsa_sparse
    chat_data: DataMix  # of sft
    distill_data: DataMix  # of distill, beside the specialists' samples
    evaluation: Evaluation
    pretrain: PretrainStage
    dsa_warmup: SupervisedStage
    dsa_sparse: SupervisedStage
    sft: SupervisedStage
    specialist_math: RLStage
    specialist_logic: RLStage
    specialist_tool: RLStage
    distill: DistillStage
    mixed: RLStage
    speciale: RLStage

    @model_validator(mode="after")
    def _check_teachers(self) -> Self:
        known = [
            name.removeprefix("specialist_") for name in type(self).model_fields if "specialist_" in name
        ]
        for domain in self.distill.prompts:
            if domain not in known:
                raise ValueError(
                    f"distill.prompts.{domain}: there is no specialist_{domain} to ask; known: {', '.join(known)}"
                )
        return self


class RLRun(Strict):
    """One stage of reinforcement learning on a finished model, measured before and after (`baleen rl`)."""

    seed: int = 0
    model: str = ""  # folder
    files: tuple[str, ...] = ()  # of synthesised tasks: those to train on and those held out
    heldout: int = Field(default=256, gt=0)  # how many of the held-out tasks in `files` are asked
    stage: RLStage
    evaluation: Evaluation
