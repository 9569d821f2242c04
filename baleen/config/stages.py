"""Configs of the training stages, one class a kind (V3.2 report, sec. 2 and 3)."""

from typing import Literal, Self

from pydantic import Field, model_validator

from baleen.config.data import Strict, TaskShare


class Stage(Strict):
    """What every kind of stage has.

    start: `from` in TOML, where its model comes from: the name of another stage, or the folder of a model; the stage
    written before it if not given. save_as: folder of the run that gets the finished model.
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
    """What pre-training, indexer warm-up, sparse training, SFT and distillation have in common."""

    data: str = ""  # a mixture in [data]
    batch_size: int = Field(gt=0)  # sequences of a step
    seq_len: int = Field(gt=1)  # tokens of a sequence
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
    """Pre-training with dense attention. Its last steps may extend the context: as many tokens in longer rows."""

    kind: Literal["pretrain"] = "pretrain"
    copy_steps: int = Field(default=0, ge=0)  # the first: copies of random tokens alone, easy ones first
    extension_steps: int = Field(default=0, ge=0)
    extension_seq_len: int = Field(default=512, gt=1)
    extension_data: str = ""  # by default `data`

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        phases = self.copy_steps + self.extension_steps
        if phases > self.steps:
            raise ValueError(
                f"copy_steps + extension_steps is {phases}; it can be at most steps, {self.steps}"
            )
        return self


class IndexWarmupStage(SupervisedStage):
    """The indexers alone learn where dense attention looks (V3.2 report, sec. 2.1.1)."""

    kind: Literal["index_warmup"] = "index_warmup"
    lm_loss_weight: float = Field(default=0.0, ge=0, le=0)
    mtp_loss_weight: float = Field(default=1.0, ge=0)  # that layer's indexer too
    index_loss_weight: float = Field(default=1.0, gt=0)


class SparseStage(SupervisedStage):
    """Every parameter, reading only the selected tokens (V3.2 report, sec. 2.1.1)."""

    kind: Literal["sparse"] = "sparse"
    index_loss_weight: float = Field(default=1.0, ge=0)


class SFTStage(SupervisedStage):
    """Supervised fine-tuning on conversations."""

    kind: Literal["sft"] = "sft"


class DistillStage(SupervisedStage):
    """Supervised training of one student on what other stages' models solved (V3.2 report, sec. 3)."""

    kind: Literal["distill"] = "distill"
    teachers: dict[str, int]  # stage -> tasks that its model is asked
    group_size: int = Field(default=4, gt=0)  # attempts at each prompt; the solved ones are kept
    follow_ups: float = Field(default=0.0, ge=0, le=1)  # share of the tasks that are asked in a conversation
    follow_up_data: str = ""  # the mixture that the conversation's other questions are drawn from
    # share of the tasks to which the tersest solution of the model that the student starts from is added
    terse: float = Field(default=0.1, ge=0, le=1)
    # share of documents from `data`
    demonstrations: float = Field(default=0.06, ge=0, lt=1)


class RLStage(Stage):
    """GRPO with what keeps it stable, each part a switch (V3.2 report, sec. 3.1): specialists, mixed RL, Speciale."""

    kind: Literal["rl"] = "rl"
    # the held-out tasks it is judged on: those of its own domains, all, or the hard ones
    judged_on: Literal["own", "all", "hard"] = "own"
    min_accuracy: float = Field(default=0.0, ge=0, le=1)  # on the tasks it is judged on
    tasks: dict[str, TaskShare] = {}
    task_files: tuple[str, ...] = ()  # of `baleen synth`; their split says what is held out
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
    # sequences that the loss is averaged over: all of a step (the paper's mean), or only those of groups whose
    # rewards differ, which makes a step with few of them as large as one with many
    average_over: Literal["all", "informative"] = "all"
    # of the MTP layer's loss on the rollouts; reaches that layer alone
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
