// What stands between the projections of latent attention and around the router: norms, rotations, the cache, gates.
// One call where PyTorch would take some ten; every row is computed on its own.

#include <algorithm>

#include "kernels.h"
#include "sparse.h"

namespace {

// Squares, or whatever `f` makes of 16 numbers, summed in 16 lanes, then these in order, then the rest.
template <class F, class G>
float sum_of(const float* x, int n, F vector, G scalar) {
  vf lanes = {};
  int i = 0;
  for (; i + L <= n; i += L) lanes += vector(load(x + i));
  float sum = 0;
  for (int l = 0; l < L; ++l) sum += lanes[l];
  for (; i < n; ++i) sum += scalar(x[i]);
  return sum;
}

void rms_row(const float* x, const float* weight, float* y, int n, float eps) {
  const float sum = sum_of(x, n, [](vf v) { return v * v; }, [](float v) { return v * v; });
  const float inverse = 1.0f / __builtin_sqrtf(sum / n + eps);
  for (int i = 0; i < n; ++i) y[i] = x[i] * inverse * weight[i];
}

void layer_row(const float* x, const float* weight, const float* bias, float* y, int n, float eps) {
  const float mean = sum_of(x, n, [](vf v) { return v; }, [](float v) { return v; }) / n;
  const float square = sum_of(
      x, n, [=](vf v) { return (v - mean) * (v - mean); }, [=](float v) { return (v - mean) * (v - mean); });
  const float inverse = 1.0f / __builtin_sqrtf(square / n + eps);
  for (int i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

// MLA rotates neighbors (2i, 2i + 1), the indexer (i, i + dim / 2); `y` may be `x`.
void rotate_pairs(const float* x, const float* cos, const float* sin, float scale, float* y, int dim) {
  for (int i = 0; i < dim / 2; ++i) {
    const float even = x[2 * i], odd = x[2 * i + 1];
    y[2 * i] = (even * cos[i] - odd * sin[i]) * scale;
    y[2 * i + 1] = (even * sin[i] + odd * cos[i]) * scale;
  }
}
void rotate_halves(const float* x, const float* cos, const float* sin, float* y, int dim) {
  for (int i = 0; i < dim / 2; ++i) {
    const float first = x[i], second = x[i + dim / 2];
    y[i] = first * cos[i] - second * sin[i];
    y[i + dim / 2] = first * sin[i] + second * cos[i];
  }
}

uint16_t round_to_bf16(float x) {  // to nearest even
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;  // not a number
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

void put(void* pool, int type, int64_t at, const float* x, int n) {
  if (type == 0) memcpy((float*)pool + at, x, 4 * n);
  else
    for (int i = 0; i < n; ++i) ((uint16_t*)pool)[at + i] = round_to_bf16(x[i]);
}

}  // namespace

// y[m] = x[m] / sqrt(mean of x[m]^2 + eps) * weight, rows of n.
API void rms_norm(const float* x, const float* weight, float* y, int M, int n, float eps) {
  for (int m = 0; m < M; ++m) rms_row(x + (int64_t)m * n, weight, y + (int64_t)m * n, n, eps);
}

// From `down` [M][Q + C + R + D], the projections of each token: its normed query latent into c_q [M][Q]; its latent
// (normed, rotated) and its index key (normed, rotated) into the caches at `slots` [M]. cos, sin [M][R / 2].
// With `key_scales` the key goes into eight bits.
API void write_latents(const float* down, const float* cos, const float* sin, const float* q_norm, const float* kv_norm,
                       const float* k_weight, const float* k_bias, const int64_t* slots, void* kv, void* index_k,
                       float* key_scales, int type, float* c_q, int M, int Q, int C, int R, int D, float eps, float k_eps) {
  std::vector<float> row(std::max(C + R, D));
  for (int m = 0; m < M; ++m, down += Q + C + R + D, cos += R / 2, sin += R / 2) {
    rms_row(down, q_norm, c_q + (int64_t)m * Q, Q, eps);
    rms_row(down + Q, kv_norm, row.data(), C, eps);
    rotate_pairs(down + Q + C, cos, sin, 1.0f, row.data() + C, R);
    put(kv, type, slots[m] * (C + R), row.data(), C + R);
    if (D) {
      layer_row(down + Q + C + R, k_weight, k_bias, row.data(), D, k_eps);
      rotate_halves(row.data(), cos, sin, row.data(), R);
      if (key_scales) {
        key_scales[slots[m]] = to_whole(row.data(), D, LARGEST_KEY) / growth(D);
        for (int d = 0; d < D; ++d) ((uint8_t*)index_k)[slots[m] * D + d] = (uint8_t)(row[d] + ZERO_KEY);
      } else {
        put(index_k, type, slots[m] * D, row.data(), D);
      }
    }
  }
}

// From `up` [M][H (N + R) + J D]: the rotated part of each head's query, times `scale`, behind what of `q`
// [M][H][C + R] is folded into the latent; the rotated index queries [M][J][D].
API void rotate_queries(const float* up, const float* cos, const float* sin, float* q, float* index_q, int M, int H,
                        int N, int R, int C, int J, int D, float scale) {
  for (int m = 0; m < M; ++m, cos += R / 2, sin += R / 2) {
    for (int h = 0; h < H; ++h, up += N + R)
      rotate_pairs(up + N, cos, sin, scale, q + ((int64_t)m * H + h) * (C + R) + C, R);
    for (int j = 0; j < J; ++j, up += D, index_q += D) {
      rotate_halves(up, cos, sin, index_q, R);
      memcpy(index_q + R, up + R, 4 * (D - R));
    }
  }
}

// Group-limited routing (V3 report, sec. 2.1.2) from `logits` [M][E]: experts [M][k] by sigmoid + bias, descending, the
// lowest of equals first, unless they are `given`; gates [M][k]: their sigmoids, over their sum if `normalize`, times
// `factor`. A group counts by its two best.
API void route(float* logits, const float* bias, int64_t* experts, float* gates, int M, int E, int k, int groups,
               int kept_groups, int given, int normalize, float factor) {
  const int size = E / groups;
  std::vector<float> choice(E), best(groups);
  std::vector<int> order(std::max(E, groups));
  for (int m = 0; m < M; ++m, logits += E, experts += k, gates += k) {
    for (int e = 0; e < E; e += L) {
      vf v = {};
      const int64_t bytes = 4 * std::min(L, E - e);
      memcpy(&v, logits + e, bytes);
      v = 1.0f / (1.0f + exp_(-v));
      memcpy(logits + e, &v, bytes);
    }
    if (!given) {
      for (int e = 0; e < E; ++e) choice[e] = logits[e] + bias[e];
      const auto better = [&](const std::vector<float>& of) {
        return [&of](int a, int b) { return of[a] != of[b] ? of[a] > of[b] : a < b; };
      };
      if (groups > 1) {
        for (int g = 0; g < groups; ++g) {
          float first = -__builtin_inff(), second = first;
          for (int e = g * size; e < (g + 1) * size; ++e) {
            if (choice[e] > first) second = first, first = choice[e];
            else if (choice[e] > second) second = choice[e];
          }
          best[g] = size > 1 ? first + second : first;
        }
        for (int g = 0; g < groups; ++g) order[g] = g;
        std::partial_sort(order.begin(), order.begin() + kept_groups, order.begin() + groups, better(best));
        for (int i = kept_groups; i < groups; ++i)
          std::fill_n(choice.begin() + order[i] * size, size, -__builtin_inff());
      }
      for (int e = 0; e < E; ++e) order[e] = e;
      std::partial_sort(order.begin(), order.begin() + k, order.begin() + E, better(choice));
      for (int j = 0; j < k; ++j) experts[j] = order[j];
    }
    float sum = 0;
    for (int j = 0; j < k; ++j) sum += logits[experts[j]];
    for (int j = 0; j < k; ++j) gates[j] = (normalize ? logits[experts[j]] / sum : logits[experts[j]]) * factor;
  }
}
