"""Which path computes: the kernels by default, plain PyTorch with its reason, and no silence about it."""

import numpy as np
import pytest
import torch

from baleen.config import EngineConfig, ModelConfig, SamplingParams, UserError
from baleen.engine import Engine, choose_path
from baleen.model import Transformer, load_model, save_model, stored_dtype
from baleen.ops import cpu

CONFIG = ModelConfig.preset("tiny", vocab_size=32, index_topk=24)
PROMPT = [5 + i % 20 for i in range(60)]
GREEDY = SamplingParams(max_tokens=12, temperature=0, ignore_eos=True)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(CONFIG).initialize(torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def folders(model, tmp_path_factory):
    """The model as stored in float32 and in bfloat16."""
    found = {dtype: tmp_path_factory.mktemp("model") for dtype in (torch.float32, torch.bfloat16)}
    save_model(model, found[torch.float32])
    half = load_model(found[torch.float32], torch.bfloat16)
    save_model(half, found[torch.bfloat16])
    return found


@pytest.fixture
def no_kernels(monkeypatch):
    monkeypatch.setattr(cpu, "missing", lambda: "no C++ compiler was found; install g++")


def greedy(engine: Engine) -> tuple[list[int], list[str]]:
    result = engine.generate([PROMPT], GREEDY)[0]
    return result.token_ids, [x.hex() for x in result.logprobs]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("dtype", "name"), [(torch.float32, "float32"), (torch.bfloat16, "bfloat16")])
def test_the_default_is_the_kernels_in_the_checkpoints_own_precision(folders, dtype, name):
    assert stored_dtype(folders[dtype]) == dtype
    engine = Engine.from_pretrained(folders[dtype])
    assert str(engine.compute_path) == f"weights: {name} through the CPU kernels ({cpu.instruction_set()})"
    # the same as asked for by name, of a model in float32: nothing is lost on the way in
    asked = Engine(load_model(folders[dtype]), EngineConfig(weight_dtype=name))
    assert greedy(engine) == greedy(asked)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_other_weights_of_a_bfloat16_checkpoint_are_made_of_its_numbers(folders, weights):
    engine = Engine.from_pretrained(folders[torch.bfloat16], EngineConfig(weight_dtype=weights))
    asked = Engine(load_model(folders[torch.bfloat16]), EngineConfig(weight_dtype=weights))
    assert greedy(engine) == greedy(asked)


@pytest.mark.usefixtures("no_kernels")
def test_without_kernels_plain_pytorch_computes_and_says_why(model, folders):
    engine = Engine(model, EngineConfig())
    assert engine.model is model
    assert str(engine.compute_path) == "plain PyTorch: no C++ compiler was found; install g++"
    plain = Engine.from_pretrained(folders[torch.bfloat16])
    assert next(plain.model.parameters()).dtype == torch.float32, "slower and rounded: no gain"


@pytest.mark.usefixtures("no_kernels")
@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_weights_asked_for_by_name_never_fall_back(model, folders, weights):
    for start in (Engine, lambda _, config: Engine.from_pretrained(folders[torch.float32], config)):
        with pytest.raises(UserError, match=f"{weights}.*no C\\+\\+ compiler.*'auto'"):
            start(model, EngineConfig(weight_dtype=weights))


def test_plain_pytorch_by_name(model, folders):
    engine = Engine(model, EngineConfig(backend="torch"))
    assert engine.model is model and str(engine.compute_path) == "plain PyTorch: as asked"
    half = Engine.from_pretrained(
        folders[torch.float32], EngineConfig(backend="torch", weight_dtype="bfloat16")
    )
    assert next(half.model.parameters()).dtype == torch.bfloat16
    with pytest.raises(UserError, match=r"int8.*needs the CPU kernels"):
        EngineConfig(backend="torch", weight_dtype="int8")


def test_what_the_kernels_do_not_take_is_computed_plainly():
    wide = ModelConfig.preset("tiny", index_n_heads=65)
    assert "at most 64 index heads, the model has 65" in str(choose_path(EngineConfig(), wide, torch.float32))
    elsewhere = choose_path(EngineConfig(), CONFIG, torch.float32, "cuda")
    assert elsewhere.weight_dtype is None and "do not compute on cuda" in str(elsewhere)


@pytest.mark.usefixtures("kernels")
def test_drafts_and_recorded_selections_work_by_default(model):
    plain = Engine(model, EngineConfig(backend="torch", speculative=True, record_selection=True))
    packed = Engine(model, EngineConfig(speculative=True, record_selection=True))
    expected, found = (engine.generate([PROMPT], GREEDY)[0] for engine in (plain, packed))
    assert packed.num_drafted > 0
    assert found.token_ids == expected.token_ids
    read, wanted = (np.sort(result.selected, -1) for result in (found, expected))  # a set, in either order
    assert (read == wanted).mean() > 0.99  # of two scores that are equal up to rounding either may be chosen


@pytest.mark.usefixtures("kernels")
def test_new_weights_are_packed_as_the_first_were(model):
    engine = Engine(model, EngineConfig())
    engine.update_weights(Transformer(CONFIG).initialize(torch.Generator().manual_seed(1)).eval())
    other = Engine(Transformer(CONFIG).initialize(torch.Generator().manual_seed(1)).eval(), EngineConfig())
    assert greedy(engine) == greedy(other)
