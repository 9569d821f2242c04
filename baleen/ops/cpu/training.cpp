// Sparse attention over selected latents and index scores of selected keys, with their gradients, for packed training
// rows, where plain PyTorch spends its time on gathers and thousands of tiny matrix products.

#include "kernels.h"

#include <cmath>
#include <cstring>

namespace {

// The `n` rows of a pool that one query selected, and their transpose.
struct Selected {
  int width, n;
  float* rows;  // [n][width]
  float* transposed;  // [width][n]

  Selected(const float* pool, const int64_t* slots, int width, int n)
      : width(width),
        n(n),
        rows(scratch<struct SelectedRows, float>((int64_t)n * width)),
        transposed(scratch<struct TransposedRows, float>((int64_t)n * width)) {
    for (int k = 0; k < n; ++k) memcpy(rows + (int64_t)k * width, pool + slots[k] * width, 4 * width);
    for (int k = 0; k < n; ++k)
      for (int c = 0; c < width; ++c) transposed[c * n + k] = rows[k * width + c];
  }

  // out[k] = sum_c x[c] row_k[c] over the first `count` columns.
  void products(const float* x, int count, float* out) const {
    for (int k = 0; k < n; ++k) out[k] = 0.0f;
    for (int c = 0; c < count; ++c) {
      const float factor = x[c], *column = transposed + (int64_t)c * n;
#pragma omp simd
      for (int k = 0; k < n; ++k) out[k] += factor * column[k];
    }
  }

  // out[c] = sum_k weights[k] row_k[c] over the first `count` columns.
  void mix(const float* weights, int count, float* out) const {
    for (int c = 0; c < count; ++c) out[c] = 0.0f;
    for (int k = 0; k < n; ++k) add(weights[k], rows + (int64_t)k * width, count, out);
  }

  static void add(float factor, const float* x, int count, float* out) {
#pragma omp simd
    for (int c = 0; c < count; ++c) out[c] += factor * x[c];
  }
};

// How many of `k` are valid: the valid ones come first.
int count_valid(const uint8_t* valid, int k) {
  int n = 0;
  while (n < k && valid[n]) ++n;
  return n;
}

// Calls take(i, read) for each query i of B rows of S, with the rows of `pool` that it selected, at most k.
template <class F>
void each_query(const float* pool, const int64_t* slots, const uint8_t* valid, int B, int S, int width, int k,
                int threads, F take) {
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int b = 0; b < B; ++b)
    for (int64_t i = (int64_t)b * S; i < (int64_t)(b + 1) * S; ++i)
      take(i, Selected(pool, slots + i * k, width, count_valid(valid + i * k, k)));
}

}  // namespace

// Every query [B S] attends with H heads over its selected latents [N, width], of which values are the first C columns.
// probs [B S, H, k], 0 where not valid; out [B S, H, C].
API void gathered_attention(const float* q, const float* pool, const int64_t* slots, const uint8_t* valid, float* out,
                            float* probs, int B, int S, int H, int C, int width, int k, float scale, int threads) {
  each_query(pool, slots, valid, B, S, width, k, threads, [=](int64_t i, const Selected& read) {
    const int n = read.n;
    for (int h = 0; h < H; ++h) {
      float* p = probs + (i * H + h) * k;
      read.products(q + (i * H + h) * width, width, p);
      float most = -INFINITY, total = 0.0f;
      for (int t = 0; t < n; ++t) most = p[t] > most ? p[t] : most;
      for (int t = 0; t < n; ++t) total += p[t] = std::exp(scale * (p[t] - most));
      for (int t = 0; t < n; ++t) p[t] /= total;
      for (int t = n; t < k; ++t) p[t] = 0.0f;
      read.mix(p, C, out + (i * H + h) * C);
    }
  });
}

// The gradients of `gathered_attention`: dq as q, dpool [N, width], which must come as zeros. The slots of a row of
// queries are its own, so rows may be computed side by side.
API void gathered_attention_backward(const float* dout, const float* q, const float* pool, const int64_t* slots,
                                     const uint8_t* valid, const float* probs, float* dq, float* dpool, int B, int S,
                                     int H, int C, int width, int k, float scale, int threads) {
  each_query(pool, slots, valid, B, S, width, k, threads, [=](int64_t i, const Selected& read) {
    const int n = read.n;
    float* ds = scratch<struct ScoreGradients, float>(n);
    for (int h = 0; h < H; ++h) {
      const float *p = probs + (i * H + h) * k, *from = dout + (i * H + h) * C, *query = q + (i * H + h) * width;
      read.products(from, C, ds);
      float mean = 0.0f;
      for (int t = 0; t < n; ++t) mean += p[t] * ds[t];
      for (int t = 0; t < n; ++t) ds[t] = scale * p[t] * (ds[t] - mean);
      read.mix(ds, width, dq + (i * H + h) * width);
      for (int t = 0; t < n; ++t) {
        float* to = dpool + slots[i * k + t] * width;
        Selected::add(ds[t], query, width, to);
        Selected::add(p[t], from, C, to);
      }
    }
  });
}

// Index scores sum_j w_j relu(q_j . key) of the selected keys [N, D]; scores [B S, k], 0 where not valid.
API void gathered_scores(const float* q, const float* weights, const float* keys, const int64_t* slots,
                         const uint8_t* valid, float* scores, int B, int S, int J, int D, int k, int threads) {
  each_query(keys, slots, valid, B, S, D, k, threads, [=](int64_t i, const Selected& read) {
    const int n = read.n;
    float *dots = scratch<struct IndexDots, float>(n), *out = scores + i * k;
    for (int t = 0; t < k; ++t) out[t] = 0.0f;
    for (int j = 0; j < J; ++j) {
      read.products(q + (i * J + j) * D, D, dots);
      const float weight = weights[i * J + j];
      for (int t = 0; t < n; ++t) out[t] += weight * (dots[t] > 0.0f ? dots[t] : 0.0f);
    }
  });
}

// The gradients of `gathered_scores`; dkeys [N, D] must come as zeros.
API void gathered_scores_backward(const float* dscores, const float* q, const float* weights, const float* keys,
                                  const int64_t* slots, const uint8_t* valid, float* dq, float* dweights, float* dkeys,
                                  int B, int S, int J, int D, int k, int threads) {
  each_query(keys, slots, valid, B, S, D, k, threads, [=](int64_t i, const Selected& read) {
    const int n = read.n;
    float* dots = scratch<struct IndexDots, float>(n);
    for (int j = 0; j < J; ++j) {
      const float *query = q + (i * J + j) * D, *from = dscores + i * k;
      const float weight = weights[i * J + j];
      read.products(query, D, dots);
      float total = 0.0f;
      for (int t = 0; t < n; ++t) {
        total += dots[t] > 0.0f ? from[t] * dots[t] : 0.0f;
        dots[t] = dots[t] > 0.0f ? weight * from[t] : 0.0f;
      }
      dweights[i * J + j] = total;
      read.mix(dots, D, dq + (i * J + j) * D);
      for (int t = 0; t < n; ++t) Selected::add(dots[t], query, D, dkeys + slots[i * k + t] * D);
    }
  });
}
