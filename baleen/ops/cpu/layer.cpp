// The two halves of a decoder layer, each in one call: a decode step of a small model is otherwise mostly calls.
// Only the order of the kernels stands here; the structures are laid out as in layer.py.

#include <algorithm>
#include <memory>

#include "kernels.h"

namespace {

// Tokens that go through attention, or through the experts, at once: what is between two kernels stays in the caches.
constexpr int ATTENDING = 512, MIXING = 1024;

std::unique_ptr<float[]> floats(int64_t n) { return std::unique_ptr<float[]>(new float[n]); }

}  // namespace

struct Matrix {
  const void* data;
  const float* scale;
  int type, groups, inputs, outputs;

  // y[m] = W x[m]; the matrices of `groups` lie side by side in x and y
  void times(const float* x, float* y, int M, int threads) const {
    linear(x, (int64_t)groups * inputs, inputs, data, scale, type, y, (int64_t)groups * outputs, outputs, groups, M,
           inputs, outputs, threads);
  }
};

struct Attention {
  Matrix down, up, absorbed_k, absorbed_v, o_proj, head_weights;  // head_weights: no outputs without an indexer
  const float *norm, *q_norm, *kv_norm, *key_norm, *key_bias;
  int rope;
  float eps, key_eps, softmax_scale, index_scale;
};

struct Experts {
  Matrix gate_proj, up_proj, down_proj;

  void operator()(const float* x, const int64_t* ids, const float* gates, float* out, int M, int k, int threads) const {
    experts(x, ids, gates, gate_proj.data, gate_proj.scale, up_proj.data, up_proj.scale, down_proj.data,
            down_proj.scale, gate_proj.type, out, M, k, gate_proj.groups, gate_proj.inputs, gate_proj.outputs, threads);
  }
};

struct Mixture {
  Matrix gate;
  Experts routed, shared;
  const float *norm, *bias;
  int k, groups, kept_groups, normalize;
  float eps, factor;
};

enum Reading { EVERYTHING, INDEXED, GIVEN };

// Latent attention (mla.py) of the normed x [B][S][hidden] over the caches, which get the new tokens first. cos, sin
// [B][S][rope / 2]; slots, positions [B][S]; context [B][T]. cache_type: of both caches, but that index keys are bytes
// where they have key_scales. chosen [B][S][k], counts [B][S]: the slots that each token
// reads; made here unless they are GIVEN: what the indexer chooses, or EVERYTHING up to itself (k = T).
API void latent_attention(const Attention* a, const float* x, const float* cos, const float* sin, const int64_t* slots,
                          const int64_t* context, const int64_t* positions, void* kv, void* index_k, float* key_scales,
                          int cache_type, int reading, int32_t* chosen, int32_t* counts, float* out, int B, int S,
                          int T, int k, int threads) {
  const int hidden = a->down.inputs, Q = a->up.inputs, H = a->absorbed_k.groups, N = a->absorbed_k.inputs;
  const int C = a->absorbed_k.outputs, R = a->rope, J = a->head_weights.outputs, D = a->down.outputs - Q - C - R;
  const int V = a->absorbed_v.outputs, length = std::min(S, ATTENDING), sequences = std::max(1, ATTENDING / S);
  const int most = std::min(B, sequences) * length;
  const auto normed = floats((int64_t)most * hidden);
  const auto down = floats((int64_t)most * a->down.outputs), c_q = floats((int64_t)most * Q);
  const auto up = floats((int64_t)most * a->up.outputs), q = floats((int64_t)most * H * (C + R));
  const auto index_q = floats((int64_t)most * J * D), weights = floats((int64_t)most * J);
  const auto latents = floats((int64_t)most * H * C), values = floats((int64_t)most * H * V);
  for (int b = 0; b < B; b += sequences)
    for (int s = 0; s < S; s += length) {
      const int rows = std::min(sequences, B - b), columns = std::min(length, S - s), M = rows * columns;
      const int64_t first = (int64_t)b * S + s, angle = first * (R / 2);
      int32_t *read = chosen + first * k, *count = counts + first;
      rms_norm(x + first * hidden, a->norm, normed.get(), M, hidden, a->eps);
      a->down.times(normed.get(), down.get(), M, threads);
      write_latents(down.get(), cos + angle, sin + angle, a->q_norm, a->kv_norm, a->key_norm, a->key_bias,
                    slots + first, kv, index_k, key_scales, cache_type != 0, c_q.get(), M, Q, C, R, D, a->eps,
                    a->key_eps);
      a->up.times(c_q.get(), up.get(), M, threads);
      rotate_queries(up.get(), cos + angle, sin + angle, q.get(), index_q.get(), M, H, N, R, C, J, D, a->softmax_scale);
      linear(up.get(), a->up.outputs, N + R, a->absorbed_k.data, a->absorbed_k.scale, a->absorbed_k.type, q.get(),
             (int64_t)H * (C + R), C + R, H, M, N, C, threads);
      if (reading == INDEXED) {
        a->head_weights.times(normed.get(), weights.get(), M, threads);
        for (int i = 0; i < M * J; ++i) weights[i] *= a->index_scale;
        select_slots(index_q.get(), weights.get(), index_k, key_scales, cache_type, context + (int64_t)b * T,
                     positions + first, read, count, rows, columns, T, J, D, k, threads);
      } else if (reading == EVERYTHING) {
        for (int m = 0; m < M; ++m) {
          count[m] = (int)positions[first + m] + 1;
          std::copy_n(context + (b + m / columns) * (int64_t)T, count[m], read + (int64_t)m * k);
        }
      }
      sparse_attention(q.get(), kv, cache_type, read, count, latents.get(), M, H, C, C + R, k, threads);
      a->absorbed_v.times(latents.get(), values.get(), M, threads);
      a->o_proj.times(values.get(), out + first * hidden, M, threads);
    }
}

// A mixture of experts (moe.py) of the normed x [M][hidden], the shared one added. ids [M][k]: the experts, chosen here
// unless they are `given`.
API void mixture(const Mixture* mix, const float* x, int64_t* ids, int given, float* out, int M, int threads) {
  const int hidden = mix->gate.inputs, E = mix->gate.outputs, most = std::min(M, MIXING);
  const auto logits = floats((int64_t)most * E), gates = floats((int64_t)most * mix->k);
  const auto normed = floats((int64_t)most * hidden), added = floats((int64_t)most * hidden);
  const std::vector<int64_t> alone(most, 0);
  const std::vector<float> whole(most, 1.0f);
  for (int first = 0; first < M; first += MIXING) {
    const int count = std::min(MIXING, M - first);
    float* to = out + (int64_t)first * hidden;
    int64_t* chosen = ids + (int64_t)first * mix->k;
    rms_norm(x + (int64_t)first * hidden, mix->norm, normed.get(), count, hidden, mix->eps);
    mix->gate.times(normed.get(), logits.get(), count, threads);
    route(logits.get(), mix->bias, chosen, gates.get(), count, E, mix->k, mix->groups, mix->kept_groups, given,
          mix->normalize, mix->factor);
    mix->routed(normed.get(), chosen, gates.get(), to, count, mix->k, threads);
    mix->shared(normed.get(), alone.data(), whole.data(), added.get(), count, 1, threads);
    for (int64_t i = 0; i < (int64_t)count * hidden; ++i) to[i] += added[i];
  }
}
