"""Slow NumPy float64 twins of the model's mechanisms, one token and one head at a time, from the papers' formulas.

They share no code and no layout trick with `baleen`: rotations are complex numbers, choices are sorted lists, every
sum is a loop or a dot product. V2, V3, V3.2: the reports; YaRN: Peng et al. 2023.
"""

import math

import numpy as np


def yarn_frequencies(width, theta, factor, original, beta_fast, beta_slow):
    """Angle per position of each rotary pair (YaRN, sec. 3.2): blend theta_i / s and theta_i by turns within L."""

    def pair_with(turns):  # the (real-valued) pair that makes `turns` full turns in `original` positions
        return width / 2 * math.log(original / (2 * math.pi * turns), theta)

    low = max(math.floor(pair_with(beta_fast)), 0)
    high = min(math.ceil(pair_with(beta_slow)), width - 1)
    out = []
    for pair in range(width // 2):
        fast = theta ** (-2 * pair / width)
        if pair <= low:
            slowed = 0.0
        elif pair >= high:
            slowed = 1.0
        else:
            slowed = (pair - low) / (high - low)
        out.append(slowed * fast / factor + (1 - slowed) * fast)
    return np.array(out)


def rotate(x, position, frequencies, pairs):
    """Turn each pair (a, b) of `pairs` as the complex number x_a + i x_b."""
    x = np.array(x, dtype=np.float64)
    for (a, b), frequency in zip(pairs, frequencies, strict=True):
        z = complex(x[a], x[b]) * np.exp(1j * position * frequency)
        x[a], x[b] = z.real, z.imag
    return x


def neighbors(width):
    """MLA's pairs."""
    return [(2 * i, 2 * i + 1) for i in range(width // 2)]


def halves(width):
    """The indexer's pairs."""
    return [(i, i + width // 2) for i in range(width // 2)]


def rms_norm(x, weight, eps):
    return x / math.sqrt(np.mean(x * x) + eps) * weight


def layer_norm(x, weight, bias, eps=1e-6):
    return (x - x.mean()) / math.sqrt(x.var() + eps) * weight + bias


def index_score(queries, key, weights):
    """I[t,s] = sum_j w_j ReLU(q_j . k) (V3.2, eq. 1): `queries` one vector a head, `weights` one number a head."""
    return sum(w * max(float(q @ key), 0.0) for q, w in zip(queries, weights, strict=True))


def top_k(scores, k):
    """Positions by score descending, then by position ascending."""
    return sorted(range(len(scores)), key=lambda s: (-scores[s], s))[:k]


def route(scores, bias, k, n_group, topk_group):
    """Experts of one token (V3, sec. 2.1.2): best groups by their two best biased scores, then the best experts."""
    biased = [s + b for s, b in zip(scores, bias, strict=True)]
    size = len(biased) // n_group
    groups = [sum(sorted(biased[g * size : (g + 1) * size])[-2:]) for g in range(n_group)]
    allowed = [e for g in top_k(groups, topk_group) for e in range(g * size, (g + 1) * size)]
    return sorted(allowed, key=lambda e: (-biased[e], e))[:k]


def attention(x, weights, config):
    """MLA over the indexer's choice for one sequence `x` [S, D] (V2, eq. 9-19; V3.2, eq. 1-2).

    `weights` are the layer's parameters by released name. Returns the output [S, D] and each query's chosen set.
    """
    w = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}
    rope, nope, rank = config.qk_rope_head_dim, config.qk_nope_head_dim, config.kv_lora_rank
    heads, index_heads, eps = config.num_attention_heads, config.index_n_heads, config.rms_norm_eps
    yarn = config.rope_scaling
    frequencies = np.array([config.rope_theta ** (-2 * i / rope) for i in range(rope // 2)])
    magnitude, scale = 1.0, (nope + rope) ** -0.5
    if yarn:
        length = yarn.original_max_position_embeddings
        frequencies = yarn_frequencies(
            rope, config.rope_theta, yarn.factor, length, yarn.beta_fast, yarn.beta_slow
        )
        softmax = 0.1 * yarn.mscale_all_dim * math.log(yarn.factor) + 1
        magnitude = (0.1 * yarn.mscale * math.log(yarn.factor) + 1) / softmax
        scale *= softmax**2

    keys, values, index_keys, output, chosen = [], [], [], [], []
    for t, h in enumerate(x):
        c_q = rms_norm(w["q_a_proj.weight"] @ h, w["q_a_layernorm.weight"], eps)
        latent = w["kv_a_proj_with_mqa.weight"] @ h
        k_rope = magnitude * rotate(latent[rank:], t, frequencies, neighbors(rope))
        c_kv = rms_norm(latent[:rank], w["kv_a_layernorm.weight"], eps)
        up = (w["kv_b_proj.weight"] @ c_kv).reshape(heads, -1)
        keys.append([np.concatenate([head[:nope], k_rope]) for head in up])
        values.append([head[nope:] for head in up])

        def turn(vector, t=t):
            return np.concatenate(
                [magnitude * rotate(vector[:rope], t, frequencies, halves(rope)), vector[rope:]]
            )

        norm = layer_norm(w["indexer.wk.weight"] @ h, w["indexer.k_norm.weight"], w["indexer.k_norm.bias"])
        index_keys.append(turn(norm))
        queries = [turn(q) for q in (w["indexer.wq_b.weight"] @ c_q).reshape(index_heads, -1)]
        gates = w["indexer.weights_proj.weight"] @ h / math.sqrt(index_heads * config.index_head_dim)
        scores = [index_score(queries, key, gates) for key in index_keys]
        chosen.append(top_k(scores, config.index_topk))

        read = []
        for head, q in enumerate((w["q_b_proj.weight"] @ c_q).reshape(heads, -1)):
            q = np.concatenate([q[:nope], magnitude * rotate(q[nope:], t, frequencies, neighbors(rope))])
            logits = np.array([scale * float(q @ keys[s][head]) for s in chosen[-1]])
            p = np.exp(logits - logits.max())
            read.append(sum(a * values[s][head] for a, s in zip(p / p.sum(), chosen[-1], strict=True)))
        output.append(w["o_proj.weight"] @ np.concatenate(read))
    return np.array(output), chosen


def mixture(h, weights, config):
    """Mixture of experts for one token `h` [D] (V3, eq. 12-16)."""
    w = {name: np.asarray(value, dtype=np.float64) for name, value in weights.items()}

    def swiglu(gate, up, down):
        a = gate @ h
        return down @ (a / (1 + np.exp(-a)) * (up @ h))

    scores = 1 / (1 + np.exp(-(w["gate.weight"] @ h)))
    bias = w["gate.e_score_correction_bias"]
    picked = route(scores, bias, config.num_experts_per_tok, config.n_group, config.topk_group)
    total = sum(scores[e] for e in picked) if config.norm_topk_prob else 1.0
    parts = ("gate_proj", "up_proj", "down_proj")
    out = swiglu(*(w[f"shared_experts.{part}.weight"] for part in parts))
    for e in picked:
        gain = scores[e] / total * config.routed_scaling_factor
        out = out + gain * swiglu(*(w[f"experts.{part}"][e] for part in parts))
    return out
