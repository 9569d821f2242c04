"""Configs of the training stages, one class a kind (V3.2 report, sec. 2 and 3)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from baleen.config.data import Strict, TaskShare


class Stage(Strict):
    """The fields of every kind of stage.

    start: `from` in TOML, the stage or model folder whose model this stage starts from; by default the previous stage
    in the file. save_as: the folder inside the run that the finished model is saved to.
    """

    name: str = Field(default="", pattern=r"^[a-z0-9_]*$")
    title: str = ""  # for people
    start: str = Field(default="", alias="from")
    save_as: str = ""
    steps: int = Field(gt=0)
    clip_norm: float = Field(default=1.0, gt=0)

    @property
    def heading(self) -> str:
        """The stage's name for people."""
        return self.title or self.name.replace("_", " ").capitalize()


class SupervisedStage(Stage):
    """The fields that pre-training, indexer warm-up, sparse training, SFT and distillation share."""

    data: str = ""  # name of a mixture in [data]
    batch_size: int = Field(gt=0)  # sequences per step
    seq_len: int = Field(gt=1)  # tokens per sequence
    muon_lr: float = Field(default=0.01, gt=0)
    adam_lr: float = Field(default=0.003, gt=0)
    stable_fraction: float = Field(default=0.0, ge=0, lt=1)  # of the steps, before the learning rates decay
    lm_loss_weight: float = Field(default=1.0, ge=0)  # of the next-token loss; 0 trains the indexers alone
    mtp_loss_weight: float = Field(default=0.0, ge=0)
    index_loss_weight: float = Field(default=0.0, ge=0)  # of the indexers' KL to the attention
    balance_loss_weight: float = Field(default=0.0001, ge=0)
    bias_update_speed: float = Field(default=0.001, ge=0)  # gamma of auxiliary-loss-free balancing
    checkpoint_every: int = Field(default=200, gt=0)


class PretrainStage(SupervisedStage):
    """Pre-training with dense attention; the last steps can extend the context at equal tokens per step."""

    kind: Literal["pretrain"] = "pretrain"
    copy_steps: int = Field(
        default=0, ge=0
    )  # initial steps on copies of random tokens only, easy copies first
    extension_steps: int = Field(default=0, ge=0)
    extension_seq_len: int = Field(default=512, gt=1)
    extension_data: str = ""  # defaults to `data`

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        phases = self.copy_steps + self.extension_steps
        if phases > self.steps:
            raise ValueError(
                f"copy_steps + extension_steps is {phases}; it can be at most steps, {self.steps}"
            )
        return self


class IndexWarmupStage(SupervisedStage):
    """Only the indexers are trained, to match dense attention (V3.2 report, sec. 2.1.1)."""

    kind: Literal["index_warmup"] = "index_warmup"
    lm_loss_weight: float = Field(default=0.0, ge=0, le=0)
    mtp_loss_weight: float = Field(default=1.0, ge=0)  # trains the MTP layer's indexer as well
    index_loss_weight: float = Field(default=1.0, gt=0)


class SparseStage(SupervisedStage):
    """All parameters are trained, with attention restricted to the selected tokens (V3.2 report, sec. 2.1.1)."""

    kind: Literal["sparse"] = "sparse"
    index_loss_weight: float = Field(default=1.0, ge=0)


class SFTStage(SupervisedStage):
    """Supervised fine-tuning on conversations."""

    kind: Literal["sft"] = "sft"


class DistillStage(SupervisedStage):
    """Supervised training of one student on rollouts that other stages' models solved (V3.2 report, sec. 3)."""

    kind: Literal["distill"] = "distill"
    teachers: dict[str, int]  # stage -> number of tasks sampled from its model
    group_size: int = Field(default=4, gt=0)  # attempts per prompt; the correct ones are kept
    follow_ups: float = Field(default=0.0, ge=0, le=1)  # share of the tasks that are asked in a conversation
    follow_up_data: str = ""  # mixture for the other questions of those conversations; defaults to `data`
    # share of the tasks for which the shortest solution of the student's starting model is added
    terse: float = Field(default=0.1, ge=0, le=1)
    # share of the documents that come from `data`
    demonstrations: float = Field(default=0.06, ge=0, lt=1)


class RLStage(Stage):
    """GRPO with what keeps it stable, each part a switch (V3.2 report, sec. 3.1): specialists, mixed RL, Speciale."""

    kind: Literal["rl"] = "rl"
    # held-out tasks that the stage's checks use: those of its own domains, all of them, or the hard ones
    judged_on: Literal["own", "all", "hard"] = "own"
    min_accuracy: float = Field(default=0.0, ge=0, le=1)  # wanted on those tasks
    tasks: dict[str, TaskShare] = {}
    task_files: tuple[
        str, ...
    ] = ()  # tasks.jsonl files of `baleen synth`; their `split` field says what is held out
    follow_ups: float = Field(default=0.0, ge=0, le=1)  # share of the tasks that are asked in a conversation
    prompts_per_step: int = Field(default=16, gt=0)
    group_size: int = Field(default=12, gt=1)  # rollouts of each prompt
    updates: int = Field(default=1, gt=0)  # optimizer steps on a step's rollouts
    adam_lr: float = Field(default=0.0003, gt=0)
    mode: Literal["thinking", "chat"] = "thinking"
    max_tokens: int = Field(default=96, gt=0)  # of one completion
    max_turns: int = Field(default=8, gt=0)  # of one rollout: what follows a mistake teaches little
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    clip: float = Field(default=0.2, gt=0, lt=1)  # epsilon
    kl: float = Field(default=0.01, ge=0)  # beta
    unbiased_kl: bool = True
    # delta of off-policy sequence masking; 0 switches it off
    off_policy_delta: float = Field(default=0.1, ge=0)
    keep_routing: bool = True
    keep_sampling_mask: bool = True
    # the trainer's tokens read what the engine's read, whatever the indexer says now
    keep_selection: bool = False
    # log-probabilities of engine and trainer agree to the bit; needs a C++ compiler
    deterministic: bool = False
    length_penalty: float = Field(default=0.0, ge=0)
    # the sequences that the loss is averaged over: every sequence of the step (the paper's mean), or only those in
    # groups with differing rewards, which makes a step with few such groups as large as one with many
    average_over: Literal["all", "informative"] = "all"
    # weight of the MTP loss on the rollouts; its gradient reaches the MTP layer only
    mtp_loss_weight: float = Field(default=0.0, ge=0)
    checkpoint_every: int = Field(default=20, gt=0)


AnyStage = PretrainStage | IndexWarmupStage | SparseStage | SFTStage | DistillStage | RLStage
KINDS: dict[str, type[AnyStage]] = {
    "pretrain": PretrainStage,
    "index_warmup": IndexWarmupStage,
    "sparse": SparseStage,
    "sft": SFTStage,
    "distill": DistillStage,
    "rl": RLStage,
}
