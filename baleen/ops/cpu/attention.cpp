// DeepSeek sparse attention over the paged cache: over what the indexer chose.

#include "sparse.h"

#include "kernels.h"

#include <algorithm>

namespace {

constexpr int HEADS = 6;  // whose outputs are summed at once

// out[h][c ...] = sum_t p[h][t] latent[t][c ...] / total[h] for R heads and 64 columns.
template <int R, class T>
void mix(const float* const* p, const T* latents, int n, int width, const float* total, float* const* out, int columns) {
  vf sum[R][COLUMNS / L];
  tile(p, latents, width, n, sum);
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < COLUMNS / L; ++v) sum[r][v] /= splat(total[r]);
    memcpy(out[r], sum[r], 4 * columns);
  }
}

// Queries whose heads attend to latents of one pool; what a thread needs for it is kept.
template <class T>
struct Attention {
  const T* pool;
  int H, C, width, k;
  int padded = (H + L - 1) / L * L;
  T* latents = scratch<struct Latents, T>((int64_t)k * width + COLUMNS);
  float* q_t = scratch<struct Queries, float>((int64_t)width * padded);
  float* s = scratch<struct Weights, float>((int64_t)k * padded);
  float* p = scratch<struct Probabilities, float>((int64_t)H * k);
  float* total = scratch<struct Totals, float>(padded);
  float* wide = scratch<struct WideLatents, float>((int64_t)rows_of(1) * width);

  // q, out [H][width] and [H][C], of one query that reads the slots chosen[0 .. n).
  void operator()(const float* q, const int32_t* chosen, int n, float* out) const {
    for (int t = 0; t < n; ++t) memcpy(latents + (int64_t)t * width, pool + (int64_t)chosen[t] * width, width * sizeof(T));
    for (int c = 0; c < width; ++c)
      for (int h = 0; h < padded; ++h) q_t[(int64_t)c * padded + h] = h < H ? q[(int64_t)h * width + c] : 0.0f;
    int h = 0;
    for (; h + 2 * L <= padded; h += 2 * L) head_scores<2>(h, n);
    if (h < padded) head_scores<1>(h, n);
    for (h = 0; h < padded; h += L) store(total + h, exponentials(s + h, n, padded));
    for (int t = 0; t < n; ++t)
      for (h = 0; h < H; ++h) p[(int64_t)h * k + t] = s[(int64_t)t * padded + h];
    for (h = 0; h < H; h += HEADS)
      for (int c = 0; c < C; c += COLUMNS) mix_heads(h, std::min(HEADS, H - h), c, std::min(COLUMNS, C - c), n, out);
  }

  // s[t][h ...] = q_h . latent_t for V L heads.
  template <int V>
  void head_scores(int h, int n) const {
    constexpr int KEYS = rows_of(V);
    for (int t = 0; t < n; t += KEYS) {
      const float* rows[KEYS];
      for (int r = 0; r < KEYS; ++r)
        rows[r] = widened(latents + (int64_t)std::min(t + r, n - 1) * width, width, wide + r * width);
      vf sum[KEYS][V];
      tile(rows, q_t + h, padded, width, sum);
      for (int r = 0; r < KEYS && t + r < n; ++r)
        for (int v = 0; v < V; ++v) store(s + (int64_t)(t + r) * padded + h + v * L, sum[r][v]);
    }
  }

  void mix_heads(int first, int heads, int c, int columns, int n, float* out) const {
    const float* ps[HEADS];
    float* os[HEADS];
    for (int r = 0; r < heads; ++r) {
      ps[r] = p + (int64_t)(first + r) * k;
      os[r] = out + (int64_t)(first + r) * C + c;
    }
    by_rows<HEADS>(heads, [&](int r, auto R) { mix<R>(ps + r, latents + c, n, width, total + first + r, os + r, columns); });
  }
};

template <class T>
void attend(const float* q, const T* pool, const int32_t* chosen, const int32_t* counts, float* out, int Q, int H, int C,
            int width, int k, int threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    const Attention<T> attention{pool, H, C, width, k};
#pragma omp for schedule(dynamic)
    for (int i = 0; i < Q; ++i)
      attention(q + (int64_t)i * H * width, chosen + (int64_t)i * k, counts[i], out + (int64_t)i * H * C);
  }
}

}  // namespace

// MQA-mode attention: each query's heads over its chosen latents. q [Q][H][C + R] (scale folded in), pool
// [slots][C + R], chosen [Q][k], counts [Q]; out [Q][H][C]. All sums run by position, so a query's result is the same
// in a prompt's piece and in a decode step.
API void sparse_attention(const float* q, const void* pool, int type, const int32_t* chosen, const int32_t* counts,
                          float* out, int Q, int H, int C, int width, int k, int threads) {
  if (type >= PAIRS) return attention_tiles(q, (const uint16_t*)pool, chosen, counts, out, Q, H, C, width, k, threads);
  if (type == 0) return attend(q, (const float*)pool, chosen, counts, out, Q, H, C, width, k, threads);
  attend(q, (const uint16_t*)pool, chosen, counts, out, Q, H, C, width, k, threads);
}
