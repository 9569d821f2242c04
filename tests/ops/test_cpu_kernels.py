"""The CPU kernels against the plain operations, and their promise: a row's result depends on that row alone."""

import pytest
import torch

from baleen.ops import (
    expert_mlp,
    gathered_attention,
    hadamard_matrix,
    index_scores,
    int8_index_vectors,
    quantized_index_scores,
    rotate_half_split,
    rotate_interleaved,
    route,
    topk_positions,
)
from baleen.ops.cpu import (
    PrepackedWeight,
    build,
    kernels,
    prepacked_experts,
    prepacked_linear,
    rms_norm,
)
from tests.ops.layer_kernels import (
    Norms,
    packed_heads,
    packed_route,
    rotate_queries,
    select_slots,
    sparse_attention,
    write_latents,
)

FORMS = ["float32", "bfloat16", "int8"]


pytestmark = pytest.mark.usefixtures("kernels")


@pytest.fixture(params=["tiles", "vectors"], autouse=True)
def rounded(request, monkeypatch):
    """Every test with the processor's tile registers, where it has them, and without; what becomes of a factor."""
    if request.param == "vectors":
        monkeypatch.setattr(kernels, "pairs", lambda: False)

    def factor(x, form):
        if form == "float32" or (form == "bfloat16" and not kernels.pairs()):
            return x
        if form == "bfloat16":
            return x.bfloat16().float()
        largest = x.abs().amax(-1, keepdim=True)
        # a number over a tensor is rounded twice by PyTorch
        inverse = torch.full_like(largest, 32512) / largest
        return (x * inverse).round() * (largest / 32512)

    return factor


@pytest.fixture
def random():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [1, 5, 6, 13, 200])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (40, 64), (96, 200), (1500, 65)])
def test_linear(random, rounded, form, rows, inputs, outputs):
    weight = PrepackedWeight.prepack(random(1, outputs, inputs), form)
    x = random(rows, inputs)
    y = prepacked_linear(x, weight)
    torch.testing.assert_close(y, rounded(x, form) @ weight.unpack()[0].T, atol=2e-4, rtol=2e-4)
    assert all(torch.equal(prepacked_linear(x[i : i + 1], weight)[0], y[i]) for i in range(0, rows, 3))


@pytest.mark.parametrize("rows", [1, 7])
def test_sums_of_the_largest_whole_numbers_fit(rows):
    weight = PrepackedWeight.prepack(torch.full((1, 3, 5000), -0.25), "int8")
    torch.testing.assert_close(
        prepacked_linear(torch.ones(rows, 5000), weight), torch.full((rows, 3), -1250.0)
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_matrix_for_each_head(random, rounded, form):
    weight, x = PrepackedWeight.prepack(random(3, 70, 40), form), random(2, 5, 3, 40)
    expected = torch.einsum("bsgk,gnk->bsgn", rounded(x, form), weight.unpack())
    torch.testing.assert_close(prepacked_linear(x, weight), expected, atol=1e-4, rtol=1e-4)


def test_packing_rounds_as_its_format_does(random):
    matrix = random(2, 70, 33)
    assert torch.equal(PrepackedWeight.prepack(matrix, "float32").unpack(), matrix)
    assert torch.equal(PrepackedWeight.prepack(matrix, "bfloat16").unpack(), matrix.bfloat16().float())
    error = (PrepackedWeight.prepack(matrix, "int8").unpack() - matrix).abs()
    assert (error <= matrix.abs().amax(-1, keepdim=True) / 127 * 0.5001).all()
    assert not PrepackedWeight.prepack(torch.zeros(1, 4, 4), "int8").unpack().any()


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_number_stays_in_its_row(random, form):
    weight, x = PrepackedWeight.prepack(random(1, 20, 100), form), random(12, 100)
    clean = prepacked_linear(x, weight)
    x[2, 5], x[9, 99], x[11] = float("nan"), float("inf"), 0.0
    y = prepacked_linear(x, weight)
    assert not y[2].isfinite().any() and not y[9].isfinite().any() and not y[11].any()
    kept = [row for row in range(11) if row not in (2, 9)]
    assert torch.equal(y[kept], clean[kept])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threads", [1, 2])
def test_experts(random, rounded, form, threads):
    torch.set_num_threads(threads)
    n, width, inner, tokens, k = 8, 96, 72, 33, 3
    parts = [
        PrepackedWeight.prepack(random(n, *shape) * 0.1, form)
        for shape in [(inner, width)] * 2 + [(width, inner)]
    ]
    x, gates = random(tokens, width), random(tokens, k).abs()
    experts = torch.stack(
        [torch.randperm(n, generator=torch.Generator().manual_seed(i))[:k] for i in range(tokens)]
    )
    y = prepacked_experts(x, experts, gates, *parts)
    expected = expert_mlp(rounded(x, form), experts, gates, *(part.unpack() for part in parts))
    # tiles round what is between the matrices too: half a unit in the last of eight bits
    close = 1e-4 if rounded(x, form) is x else 2**-9 * float(expected.abs().max())
    torch.testing.assert_close(y, expected, atol=close, rtol=1e-4)
    for i in range(tokens):
        row = slice(i, i + 1)
        assert torch.equal(prepacked_experts(x[row], experts[row], gates[row], *parts)[0], y[i])
    torch.set_num_threads(1)


def case(random, heads: int, dim: int, dtype: torch.dtype, ties: bool):
    """q, weights, pool, context slots, positions, scales of keys in bytes.

    With `ties` all numbers, those of bytes once they are rotated, are -1, 0 or 1 times a constant: scores repeat.
    """
    batch, queries, length, slots = 2, 17, 300, 700
    q, weights, pool = random(batch, queries, heads, dim), random(batch, queries, heads), random(slots, dim)
    scales = None
    if ties:
        q, weights, pool = q.sign() * (q.abs() > 1.2), weights.sign(), pool.sign() * (pool.abs() > 1.2)
    if dtype == torch.uint8:
        scales = torch.ones(slots) if ties else random(slots).abs()
        q, pool = (
            (q * 63) @ rotation(dim) / rotation(dim)[0].sum() if ties else (q * 9).round(),
            (pool * (1 if ties else 30)).round().clamp(-127, 127) + 128,
        )
    context = torch.stack(
        [torch.randperm(slots, generator=torch.Generator().manual_seed(b))[:length] for b in range(batch)]
    )
    positions = (torch.arange(queries) * 17 + 20).expand(batch, -1)
    return q, weights, pool.to(dtype), context, positions, scales


def rotation(dim: int) -> torch.Tensor:
    """What index vectors of whole numbers are multiplied with before they are rounded; its square is D or 1 times I."""
    return torch.eye(dim) if dim & (dim - 1) else hadamard_matrix(dim)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize(
    ("heads", "dim"),
    [(1, 8), (3, 9), (4, 32), (5, 24), (8, 64), (12, 32), (16, 32), (32, 64), (48, 16), (64, 128)],
)
def test_the_choice_equals_the_plain_one_and_depends_on_its_query_alone(
    random, rounded, heads, dim, dtype, ties
):
    k = 40
    q, weights, pool, context, positions, key_scales = case(random, heads, dim, dtype, ties)
    chosen, counts = select_slots(q, weights, pool, context, positions, k, key_scales)
    keys = pool[context].float()
    if key_scales is None:
        scores = index_scores(rounded(q, "bfloat16" if dtype == torch.bfloat16 else "float32"), keys, weights)
    else:
        scores = quantized_index_scores(
            *int8_index_vectors(q, 63), keys - 128, key_scales[context].unsqueeze(-1), weights
        )
    keep = torch.arange(context.shape[1]) <= positions.unsqueeze(-1)
    expected, valid = topk_positions(scores, keep, k)
    for b in range(2):
        for s in range(17):
            ours = chosen[b, s, : counts[b, s]]
            assert ours.tolist() == context[b][expected[b, s][valid[b, s]].sort().values].tolist()
            one = slice(s, s + 1)
            alone, count = select_slots(
                q[b : b + 1, one],
                weights[b : b + 1, one],
                pool,
                context[b : b + 1],
                positions[b : b + 1, one],
                k,
                key_scales,
            )
            assert torch.equal(alone[0, 0, : count[0, 0]], ours)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("heads", "latent", "rope"), [(1, 16, 4), (4, 32, 16), (12, 100, 32), (40, 64, 8)])
def test_attention(random, rounded, heads, latent, rope, dtype):
    k = 40
    pool = random(700, latent + rope).to(dtype)
    q = random(2, 17, heads, latent + rope) * 0.3
    counts = torch.randint(1, k + 1, (2, 17), generator=torch.Generator().manual_seed(0)).int()
    chosen = torch.randint(0, 700, (2, 17, k), generator=torch.Generator().manual_seed(1)).int()
    out = sparse_attention(q, pool, chosen, counts, latent)
    valid = torch.arange(k) < counts.unsqueeze(-1)
    q = rounded(q, "bfloat16" if dtype == torch.bfloat16 else "float32")
    expected, _ = gathered_attention(q, pool.float(), chosen.long(), valid, 1.0, latent)
    close = 2e-5 if dtype == torch.float32 or not kernels.pairs() else 0.02  # the weights are rounded as well
    torch.testing.assert_close(out, expected, atol=close, rtol=1e-4)
    part = slice(3, 4)
    assert torch.equal(
        sparse_attention(
            q[:, part], pool, chosen[:, part].contiguous(), counts[:, part].contiguous(), latent
        ),
        out[:, part],
    )


@pytest.mark.parametrize(("groups", "kept"), [(1, 1), (4, 2)])
@pytest.mark.parametrize("ties", [False, True])
def test_route(random, groups, kept, ties):
    logits, bias = random(40, 24) * 3, random(24) * 0.1
    if ties:
        logits, bias = logits.round(), bias * 0
    scores = logits.sigmoid()
    options = {"normalize": True, "factor": 2.5}
    experts, gates = packed_route(logits.clone(), bias, 3, groups, kept, given=None, **options)
    chosen = scores.gather(1, experts)
    torch.testing.assert_close(gates, chosen / chosen.sum(-1, keepdim=True) * 2.5, atol=1e-6, rtol=1e-5)
    if ties:
        choice = [[(-float(s), e) for e, s in enumerate(row)] for row in scores] if groups == 1 else []
        assert all(
            sorted(row)[:3] == [(-float(scores[i, e]), e) for e in experts[i].tolist()]
            for i, row in enumerate(choice)
        )
    else:
        assert torch.equal(experts, route(scores, bias, 3, groups, kept))
    for i in range(0, 40, 7):
        row = slice(i, i + 1)
        alone, own = packed_route(logits[row].clone(), bias, 3, groups, kept, given=None, **options)
        again = packed_route(logits[row].clone(), bias, 3, groups, kept, given=experts[row], **options)
        assert (
            torch.equal(alone, experts[row]) and torch.equal(own, gates[row]) and torch.equal(again[1], own)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("dim", "in_bytes"), [(0, False), (24, False), (24, True), (32, True)])
def test_latents_and_queries_are_normed_rotated_and_cached(random, dtype, dim, in_bytes):
    tokens, q_rank, rank, rope, heads, nope, index_heads = 7, 40, 33, 8, 3, 5, 2 if dim else 0
    cos, sin = torch.cos(random(tokens, rope // 2)), torch.sin(random(tokens, rope // 2))
    norms = Norms(random(q_rank), random(rank), random(dim), random(dim), 1e-6, 1e-5)
    slots = torch.tensor([9, 3, 4, 17, 1, 0, 12])
    kv, index_k = (
        torch.zeros(20, rank + rope, dtype=dtype),
        torch.zeros(20, dim, dtype=torch.uint8 if in_bytes else dtype),
    )
    key_scales = torch.zeros(20) if in_bytes else None
    down = random(tokens, q_rank + rank + rope + dim)
    c_q = write_latents(down, cos, sin, norms, slots, kv, index_k, key_scales)
    q_a, c_kv, k_rope, key = down.split([q_rank, rank, rope, dim], 1)
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.02, "rtol": 0.01}
    torch.testing.assert_close(c_q, torch.nn.functional.rms_norm(q_a, (q_rank,), norms.q, 1e-6))
    c_kv = torch.nn.functional.rms_norm(c_kv, (rank,), norms.kv, 1e-6)
    expected = torch.cat((c_kv, rotate_interleaved(k_rope, cos, sin)), 1)
    torch.testing.assert_close(kv[slots].float(), expected, **close)
    if dim:
        key = torch.nn.functional.layer_norm(key, (dim,), norms.key_weight, norms.key_bias, 1e-5)
        key = torch.cat((rotate_half_split(key[:, :rope], cos, sin), key[:, rope:]), 1)
        cached = index_k[slots].float()
        if key_scales is None:
            torch.testing.assert_close(cached, key, **close)
        else:
            cached = cached - 128
            assert cached.abs().amax(1).tolist() == [127] * tokens
            step = key_scales[slots, None] * rotation(dim)[0].sum()
            assert ((cached * step - key @ rotation(dim)).abs() < step * 0.5001).all()
    up = random(tokens, heads * (nope + rope) + index_heads * dim)
    q, index_q = torch.zeros(tokens, heads, rank + rope), torch.zeros(tokens, index_heads, dim)
    rotate_queries(up, cos, sin, q, index_q, 0.3)
    queries, index = up.split([heads * (nope + rope), index_heads * dim], 1)
    queries = queries.unflatten(1, (heads, -1))[..., nope:]
    torch.testing.assert_close(q[..., rank:], rotate_interleaved(queries, cos[:, None], sin[:, None]) * 0.3)
    assert not q[..., :rank].any()
    if dim:
        index = index.unflatten(1, (index_heads, dim))
        rotated = rotate_half_split(index[..., :rope], cos[:, None], sin[:, None])
        torch.testing.assert_close(index_q, torch.cat((rotated, index[..., rope:]), -1))


@pytest.mark.parametrize("form", FORMS)
def test_heads_are_read_and_written_where_they_lie(random, form):
    weight, wide, out = (
        PrepackedWeight.prepack(random(3, 70, 40), form),
        random(5, 4, 50),
        torch.zeros(5, 3, 90),
    )
    packed_heads(wide[:, 1:, 5:45], weight, out[..., 10:80])
    assert torch.equal(out[..., 10:80], prepacked_linear(wide[:, 1:, 5:45].contiguous(), weight))
    assert not out[..., :10].any() and not out[..., 80:].any()


@pytest.mark.parametrize("size", [1, 16, 40, 1024])
def test_rms_norm(random, size):
    x, weight = random(3, 5, size) * 3, random(size)
    y = rms_norm(x, weight, 1e-6)
    torch.testing.assert_close(
        y, torch.nn.functional.rms_norm(x, (size,), weight, 1e-6), atol=1e-6, rtol=1e-5
    )
    assert torch.equal(rms_norm(x[1, 2], weight, 1e-6), y[1, 2])


def test_without_a_compiler_a_clause_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    library, reason = build.load.__wrapped__()
    assert library is None and "no C++ compiler" in reason and "install g++" in reason


def test_what_was_compiled_once_needs_no_compiler(monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    library, reason = build.load.__wrapped__()
    assert library is not None and not reason


def test_a_compiler_that_fails_is_told_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "FLAGS", ("-no-such-flag",))
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path / "cache")
    library, reason = build.load.__wrapped__()
    assert library is None and "no-such-flag" in reason
    assert not list((tmp_path / "cache").glob("*.so"))


def test_who_waited_for_another_to_compile_does_not_compile(monkeypatch, tmp_path):
    """The other process is this one: it holds the lock until the library is there."""
    target = tmp_path / "kernels-x.so"
    monkeypatch.setattr(build.fcntl, "flock", lambda *_: target.write_bytes(b"by another"))
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: pytest.fail("compiled twice"))
    build._compile("g++", target)
    assert target.read_bytes() == b"by another"


def test_the_instruction_set_is_named(monkeypatch):
    monkeypatch.setattr(build, "_processor", lambda: "flags : fpu sse2 avx avx2 avx512f")
    assert build.instruction_set() == "AVX-512"
    monkeypatch.setattr(build, "_processor", lambda: "flags : fpu sse2 avx avx2")
    assert build.instruction_set() == "AVX2"
    monkeypatch.setattr(build, "_processor", lambda: "Features : fp asimd")
    assert build.instruction_set() == "NEON"
