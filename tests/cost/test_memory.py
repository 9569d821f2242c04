"""Sizes from names and shapes: against the headers of the released checkpoints, the model itself, hand counts."""

import json
import math
import subprocess
import sys

import pytest
import torch

from baleen.config import ModelConfig, UsageError, UserError
from baleen.cost import memory
from baleen.cost.memory import Mesh
from baleen.cost.parameters import active_parameters, count_parameters
from baleen.model import LatentCache, Transformer, save_model
from baleen.model.safetensors_folder import read_weight_map
from baleen.model.weights import compare_index, released_shapes
from baleen.train.optim import Optimizers, takes_muon

V32 = ModelConfig.preset("v3.2")
TINY = ModelConfig.preset("tiny")


@pytest.fixture(scope="module")
def v32() -> dict[str, tuple[int, ...]]:
    return released_shapes(V32)


@pytest.fixture(scope="module")
def tiny() -> dict[str, tuple[int, ...]]:
    return released_shapes(TINY)


def scale_blocks(shape: tuple[int, ...]) -> int:
    return -(-shape[0] // 128) * -(-shape[1] // 128)


def in_fp8(name: str, shape: tuple[int, ...]) -> bool:
    return memory.tensor_bytes(name, shape, fp8=True) == math.prod(shape) + 4 * scale_blocks(shape or (1, 1))


def test_the_released_v32_checkpoint_to_the_tensor(v32: dict[str, tuple[int, ...]]) -> None:
    """Counts of its files' headers: 92,425 tensors, 685,396,921,376 numbers, scales and tied copies among them."""
    scaled = [shape for name, shape in v32.items() if len(shape) == 2 and in_fp8(name, shape)]
    copies = 2 * V32.vocab_size * V32.hidden_size
    numbers = sum(map(math.prod, v32.values())) + sum(map(scale_blocks, scaled)) + copies
    assert (len(v32) + len(scaled) + 2, numbers) == (92_425, 685_396_921_376)


def test_the_released_v3_checkpoint_to_the_byte(v32: dict[str, tuple[int, ...]]) -> None:
    """V3 has no indexers and keeps its norms in BF16: 688,574,839,360 bytes, the tied copies among them."""
    v3 = {name: shape for name, shape in v32.items() if ".indexer." not in name}
    norms = sum(math.prod(shape) for name, shape in v3.items() if "norm.weight" in name)
    copies = 2 * 2 * V32.vocab_size * V32.hidden_size
    assert memory.weight_bytes(v3, fp8=True) - 2 * norms + copies == 688_574_839_360


def test_parameters_as_the_report_rounds_them(v32: dict[str, tuple[int, ...]]) -> None:
    counts = count_parameters(V32)
    assert (round(counts.backbone / 1e9), round(counts.active / 1e9)) == (671, 37)
    assert counts.indexers == 61 * (13_959_168 + 2 * 128)
    assert counts.main == counts.backbone + counts.indexers and counts.total == counts.main + counts.mtp


@pytest.mark.parametrize("name", ["tiny", "small", "v3.2"])
@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, {"num_nextn_predict_layers": 0}])
def test_counts_equal_a_count_of_the_tensors(name: str, changes: dict[str, int]) -> None:
    config = ModelConfig.preset(name, **changes)
    counts, mtp = count_parameters(config), f"model.layers.{config.num_hidden_layers}."
    sizes = {
        tensor: math.prod(shape)
        for tensor, shape in released_shapes(config).items()
        if not tensor.endswith("e_score_correction_bias")
    }
    main = {tensor: size for tensor, size in sizes.items() if not tensor.startswith(mtp)}
    assert counts.total == sum(sizes.values()) and counts.main == sum(main.values())
    assert counts.indexers == sum(size for tensor, size in main.items() if ".indexer." in tensor)
    for of_layer, active in ((False, counts.active), (True, counts.active_mtp)):
        assert active == sum(
            size * config.num_experts_per_tok // config.n_routed_experts if ".experts." in tensor else size
            for tensor, size in sizes.items()
            if tensor.startswith(mtp) == of_layer
            and "norm" not in tensor
            and ("embed_tokens" not in tensor or config.tie_word_embeddings)
        )
    indexers = sum(size for tensor, size in main.items() if ".indexer." in tensor and "norm" not in tensor)
    assert counts.active - active_parameters(config, sparse=False) == indexers


def test_the_small_preset_has_about_a_hundred_million_parameters() -> None:
    config = ModelConfig.preset("small")
    assert 90e6 < count_parameters(config).main < 110e6


def test_bytes_of_a_cached_token() -> None:
    assert memory.latent_cache_bytes(V32, fp8=False) == 70_272
    assert memory.latent_cache_bytes(V32, fp8=True) + memory.index_cache_bytes(V32, fp8=True) == 48_068
    cache = LatentCache(TINY, 10, dtype=torch.bfloat16)
    held = sum(part.nbytes for part in (*cache.kv, *cache.index_k))
    ours = memory.latent_cache_bytes(TINY, fp8=False) + memory.index_cache_bytes(TINY, fp8=False)
    assert held == 10 * ours


def test_names_and_shapes_are_those_that_saving_writes(tmp_path, tiny: dict[str, tuple[int, ...]]) -> None:
    from safetensors import safe_open

    save_model(Transformer(TINY), tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        written = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert written == tiny


def test_an_index_is_told_apart(tmp_path, tiny: dict[str, tuple[int, ...]]) -> None:
    gone, extra = "model.layers.1.mlp.gate.weight", "model.layers.9.mlp.gate.weight"
    scale = "model.layers.0.self_attn.o_proj.weight_scale_inv"
    copy = f"model.layers.{TINY.num_hidden_layers}.embed_tokens.weight"
    names = {*tiny, extra, scale, copy, "model.norm.weight_scale_inv"} - {gone}
    file = tmp_path / "model.safetensors.index.json"
    file.write_text(json.dumps({"weight_map": dict.fromkeys(names, "model-1.safetensors")}))
    found = compare_index(TINY, read_weight_map(file))
    assert (found.missing, found.tied_copies, found.scales) == ([gone], [copy], [scale])
    assert found.unexpected == [extra, "model.norm.weight_scale_inv"]  # a norm has no blocks


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "does not exist"),
        ("{", "no index of shards"),
        (b"\xff\xfe", "no index of shards"),
        ("[]", "no index of shards"),
        ('{"weight_map": []}', "no index of shards"),
        ("{}", "no index of shards"),
    ],
)
def test_an_index_that_is_none(tmp_path, text: str | bytes | None, told: str) -> None:
    file = tmp_path / "index.json"
    if text is not None:
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError, match=told):
        read_weight_map(file)


def test_a_mesh_cuts_what_it_says(tiny: dict[str, tuple[int, ...]]) -> None:
    def weights(mesh: Mesh) -> int:
        return memory.serving_memory(tiny, TINY, mesh, 1, 1, fp8=False)["weights"]

    width, layers = (
        TINY.hidden_size,
        TINY.num_hidden_layers + 1,
    )  # the MTP layer has attention and experts too
    experts = (layers - 1) * TINY.n_routed_experts * 3 * width * TINY.moe_intermediate_size
    whole = weights(Mesh())
    assert whole == memory.weight_bytes(tiny, fp8=False) == weights(Mesh(data=4))
    assert whole - weights(Mesh(data=4, expert=4)) == 2 * experts * 3 // 4
    heads = TINY.num_attention_heads
    attention = heads * (
        TINY.q_lora_rank * TINY.qk_head_dim
        + TINY.kv_lora_rank * (TINY.qk_nope_head_dim + TINY.v_head_dim)
        + TINY.v_head_dim * width
    )
    shared = 3 * width * TINY.moe_intermediate_size
    cut = layers * attention + (layers - 1) * shared + 3 * width * TINY.intermediate_size
    cut += 2 * TINY.vocab_size * width
    assert whole - weights(Mesh(tensor=2)) == cut  # half of it, two bytes a number


def test_the_cache_is_divided_by_data_and_not_by_tensor(tiny: dict[str, tuple[int, ...]]) -> None:
    def cache(mesh: Mesh, sequences: int) -> int:
        return memory.serving_memory(tiny, TINY, mesh, 100, sequences, fp8=True)["cache"]

    token = memory.latent_cache_bytes(TINY, fp8=True) + memory.index_cache_bytes(TINY, fp8=True)
    assert cache(Mesh(tensor=4), 8) == 8 * 100 * token
    assert cache(Mesh(data=4), 8) == 2 * 100 * token
    assert cache(Mesh(data=4), 9) == 3 * 100 * token  # the fullest device


def test_training_memory_is_what_the_trainer_holds(tiny: dict[str, tuple[int, ...]]) -> None:
    model = Transformer(TINY).initialize(torch.Generator().manual_seed(0))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizers = Optimizers(model, {name for name, _ in model.named_parameters()}, 0.01, 0.01, 10)
    optimizers.step(0)
    states = [tensor for name, tensor in optimizers.tensors().items() if not name.endswith(".step")]

    def training(mesh: Mesh) -> dict[str, int]:
        return memory.training_memory(tiny, TINY, mesh, lambda n, d: 1 if takes_muon(n, d) else 2)

    alone = training(Mesh())
    assert alone["weights"] == alone["gradients"] == sum(p.nbytes for p in model.parameters())
    assert alone["optimizer"] == sum(tensor.nbytes for tensor in states)
    assert alone["gathered"] == 0
    for mesh in (Mesh(data=8), Mesh(data=8, expert=8), Mesh(data=8, expert=2)):
        assert training(mesh)["weights"] == pytest.approx(alone["weights"] / 8, abs=8)
    assert training(Mesh(data=8))["gathered"] > training(Mesh(data=8, expert=8))["gathered"] > 0


@pytest.mark.parametrize(
    ("mesh", "told"),
    [
        (Mesh(tensor=3), "--tensor 3 does not divide num_attention_heads = 128"),
        (Mesh(data=3, expert=3), "--expert 3 does not divide n_routed_experts = 256"),
        (Mesh(data=4, expert=8), "--expert 8 does not divide the devices, data x tensor = 4"),
        (Mesh(data=0), "--data 0 is below 1"),
    ],
)
def test_meshes_that_do_not_fit(mesh: Mesh, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        mesh.check(V32)


def test_671_billion_parameters_take_little_time_and_memory_on_the_meta_device() -> None:
    """In a process of its own that may not have more than 2 GiB of private memory: the weights would be 1.2 TiB."""
    program = """
import resource, time
import torch
resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
from baleen.config import ModelConfig
from baleen.model.weights import released_shapes
start = time.process_time()
assert len(released_shapes(ModelConfig.preset("v3.2"))) == 46491
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 10  # of processor time, which other programs do not stretch much
    assert peak * (1 if sys.platform == "darwin" else 1024) < 2 * 2**30
