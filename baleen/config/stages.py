"""Configs of the training stages and of a whole run from base model to Speciale (V3.2 report, sec. 2 and 3)."""

from pydantic import BaseModel, ConfigDict, Field


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
    lm: float = Field(default=1.0, ge=0)  # weight of the next-token loss; 0 trains the indexers alone
    mtp: float = Field(default=0.0, ge=0)
    index_kl: float = Field(default=0.0, ge=0)
    balance: float = Field(default=0.0001, ge=0)
    bias_update: float = Field(default=0.001, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    checkpoint_every: int = Field(default=200, gt=0)


class BaseRecipe(Strict):
    """From nothing to a sparse base model: pre-training, dense warm-up of the indexers, sparse training."""

    seed: int = 0
    preset: str = "tiny"
    vocab_size: int = Field(default=768, gt=263)
    text_bytes: int = Field(default=3_000_000, gt=10_000)  # real text to read, held-out part included
    text_share: float = Field(
        default=0.15, gt=0, lt=1
    )  # of the rows of a step; generated tasks fill the rest
    pretrain: SupervisedStage
    dsa_warmup: SupervisedStage
    dsa_sparse: SupervisedStage
