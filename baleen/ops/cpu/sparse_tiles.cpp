// Sparse attention over a bfloat16 cache in tile registers, with index keys of bfloat16 or bytes: queries and attention
// weights are rounded to bfloat16, scores and sums are float32. A number of a query does not depend on which other
// queries are computed with it.

#include "sparse.h"

#include <algorithm>

#include "tiles.h"

#ifdef TILES

namespace {

constexpr int KEYS = 2 * T;       // that go through the tiles at once
constexpr int AHEAD = 16 * KEYS;  // index keys that are brought nearer meanwhile: memory answers late

// Rows at `slots[t .. t + 32)`, [32][K]: where they lie, or gathered into `buffer`. Beyond n the last is repeated.
template <class W>
const W* rows_at(const W* pool, const int64_t* slots, int t, int n, int D, int K, W* buffer) {
  bool together = D == K && t + KEYS <= n;
  if (together)
    for (int r = 1; r < KEYS; ++r) together &= slots[t + r] == slots[t] + r;
  if (together) return pool + slots[t] * D;
  for (int r = 0; r < KEYS; ++r) memcpy(buffer + r * K, pool + slots[std::min(t + r, n - 1)] * D, sizeof(W) * D);
  return buffer;
}

inline void to_row(const float* x, int n, bf16* out, int padded) { to_bf16(x, n, out, padded); }
inline void to_row(const float* x, int n, int8_t* out, int) {  // of whole numbers; zeros behind them
  for (int i = 0; i < n; ++i) out[i] = (int8_t)x[i];
}

// Index queries for keys of type `Key` as right-hand matrices; two columns of tiles go through a product.
template <class Key>
struct IndexQueries {
  typedef typename std::conditional<sizeof(Key) == 1, int8_t, bf16>::type W;
  static constexpr int TOGETHER = 4 / sizeof(W);  // numbers of a row that lie side by side
  int queries, J, D, K, columns;  // columns: of the matrix, a multiple of 32
  std::vector<W> pairs;        // [K / TOGETHER][columns][TOGETHER]
  std::vector<float> weights;  // of the head: [J][16 queries], or [J] for a single query
  std::vector<float> zeros;    // as many: what keys that stand for 0 would add up to

  // Many queries: a tile's columns are the queries of one head. One query: they are its heads.
  IndexQueries(const float* q, const float* w, int queries, int J, int D) : queries(queries), J(J), D(D) {
    K = (int)round_up(D, WIDTH<W>);
    columns = queries > 1 ? (int)round_up(J * T, KEYS) : (int)round_up(J, T);
    pairs.resize((int64_t)K * columns);
    weights.resize(J * (queries > 1 ? T : 1));
    zeros.resize(weights.size());
    std::vector<W> row(K, 0);
    for (int g = 0; g < queries; ++g)
      for (int j = 0; j < J; ++j) {
        const int column = queries > 1 ? j * T + g : j;
        weights[column] = w[g * J + j];
        to_row(q + (g * J + j) * D, D, row.data(), K);
        for (int d = 0; sizeof(W) == 1 && d < D; ++d) zeros[column] += (float)ZERO_KEY * row[d];
        for (int k = 0; k < K; k += TOGETHER) memcpy(&pairs[(int64_t)k * columns + column * TOGETHER], &row[k], 4);
      }
  }

  // dots[32 keys][columns] of the keys at `rows`.
  void multiply(const Key* rows, float* dots) const {
    const W* own = pairs.data();
    const int64_t width = TOGETHER * columns;
    int c = 0;
    for (; c + KEYS <= columns; c += KEYS) product_2x2(rows, K, own + TOGETHER * c, width, K, dots + c, columns);
    if (c < columns) product_2x1(rows, K, own + TOGETHER * c, width, K, dots + c, columns);
  }

  // scores[g][t .. t + 32), as many as there are below n; heads are summed in their order. scale: of each of 32 keys.
  void sum(const float* dots, const float* scale, int t, int n, float* scores) const {
    for (int half = 0; half < KEYS && t + half < n; half += T) {
      vf total[T] = {};
      const vf of_keys = load(scale + half);
      float* out = scores + t + half;
      const int keys = std::min(T, n - t - half);
      const float* from = dots + half * columns;
      if (queries > 1) {
        for (int r = 0; r < T; ++r)
          for (int j = 0; j < J; ++j) {
            const vf dot = number(load(from + r * columns + j * T), load(zeros.data() + j * T));
            add(total[r], load(weights.data() + j * T), dot);
          }
        transpose(total);
        for (int g = 0; g < queries; ++g) {
          total[g] *= of_keys;
          memcpy(out + (int64_t)g * n, &total[g], 4 * keys);
        }
      } else if (J <= T / 2) {
        vf head[T / 2];  // of 16 keys
        for (int r = 0; r < T / 2; ++r)
          head[r] = (vf)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(from + r * columns)),
                                           _mm256_loadu_ps(from + (r + T / 2) * columns), 1);
        transpose(head);
        for (int j = 0; j < J; ++j) add(total[0], splat(weights[j]), number(head[j], splat(zeros[j])));
        total[0] *= of_keys;
        memcpy(out, &total[0], 4 * keys);
      } else {
        for (int first = 0; first < J; first += T) {
          vf head[T];  // of 16 keys
          for (int r = 0; r < T; ++r) head[r] = load(from + r * columns + first);
          transpose(head);
          for (int j = first; j < std::min(J, first + T); ++j)
            add(total[0], splat(weights[j]), number(head[j - first], splat(zeros[j])));
        }
        total[0] *= of_keys;
        memcpy(out, &total[0], 4 * keys);
      }
    }
  }

  // what a tile holds: floats, or whole numbers of 32 bits
  static vf number(vf dot, vf zero) {
    if constexpr (sizeof(W) == 1) return __builtin_convertvector((vi)dot, vf) - zero;
    else return dot;
  }

  static void add(vf& sum, vf weight, vf dot) { sum += weight * (dot > 0.0f ? dot : vf{}); }
};

template <class Key>
void score_keys(const IndexQueries<Key>& index, const Key* pool, const float* key_scales, const int64_t* slots, int n,
                float* scores, int threads) {
  const int D = index.D;
  const int64_t size = (int64_t)KEYS * index.columns;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
    std::vector<Key> buffer((int64_t)KEYS * index.K, 0);  // columns of padding must be zero
    float* dots = scratch<struct Dots, float>(2 * size);
    float scales[2][KEYS];
    const auto sum = [&](int t) { index.sum(dots + t / KEYS % 2 * size, scales[t / KEYS % 2], t, n, scores); };
    int before = -1;  // whose heads are summed while the products of the next are on their way
#pragma omp for schedule(static)
    for (int t = 0; t < n; t += KEYS) {
      for (int r = 0; r < KEYS && t + AHEAD + r < n; r += T)  // neighbors are guessed to lie together
        for (int c = 0; c < T * D; c += WIDTH<Key>) __builtin_prefetch(pool + slots[t + AHEAD + r] * D + c, 0, 2);
      index.multiply(rows_at(pool, slots, t, n, D, index.K, buffer.data()), dots + t / KEYS % 2 * size);
      for (int r = 0; r < KEYS; ++r)
        scales[t / KEYS % 2][r] = key_scales ? key_scales[slots[std::min(t + r, n - 1)]] : 1.0f;
      if (before >= 0) sum(before);
      before = t;
    }
    if (before >= 0) sum(before);
  }
}

}  // namespace

void score_tiles(const float* q, const float* weights, int queries, int J, int D, IndexKeys keys, const int64_t* slots,
                 int n, float* scores, int threads) {
  if (keys.scales)
    score_keys<uint8_t>({q, weights, queries, J, D}, (const uint8_t*)keys.pool, keys.scales, slots, n, scores, threads);
  else score_keys<bf16>({q, weights, queries, J, D}, (const bf16*)keys.pool, nullptr, slots, n, scores, threads);
}

namespace {

// What one query needs, kept by a thread.
struct Attention {
  int H, C, width, K, heads, columns;     // K, heads, columns: width, H and C as tiles want them
  bf16 *latents, *pairs, *p, *q;          // [k][K], [k / 2][columns][2], [heads][k], [heads / 16][K / 2][16][2]
  float *s, *out;                         // [k][heads], [16][64]

  Attention(int H, int C, int width, int k) : H(H), C(C), width(width) {
    K = (int)round_up(width, STEP), heads = (int)round_up(H, T), columns = (int)round_up(C, 4 * T);
    const int64_t most = round_up(k, KEYS);
    // a row read 32 numbers at a time may be read beyond its end: one row more
    latents = scratch<struct Latents, bf16>((most + 1) * std::max(K, columns));
    pairs = scratch<struct Pairs, bf16>(most * columns);
    p = scratch<struct Probabilities, bf16>(heads * most);
    q = scratch<struct Queries, bf16>((int64_t)heads * K);
    s = scratch<struct Scores, float>(most * heads);
    out = scratch<struct Out, float>(4 * T * T);
  }

  // `next`: what the following query will gather, brought nearer meanwhile; rows lie far apart in the cache
  void gather(const bf16* pool, const int32_t* chosen, int n, int padded, const int32_t* next, int n_next) {
    for (int t = 0; t < n; ++t) {
      memcpy(&latents[(int64_t)t * K], pool + (int64_t)chosen[t] * width, 2 * width);
      if (K > width) memset(&latents[(int64_t)t * K + width], 0, 2 * (K - width));
      if (t < n_next)
        for (int c = 0; c < width; c += 32) __builtin_prefetch(pool + (int64_t)next[t] * width + c, 0, 2);
    }
    memset(&latents[(int64_t)n * K], 0, 2 * (int64_t)(padded - n) * K);
    for (int t = 0; t < padded; t += 2)
      for (int c = 0; c < columns; c += STEP)
        interleave(&latents[(int64_t)t * K + c], &latents[(int64_t)(t + 1) * K + c], &pairs[(int64_t)t * columns + 2 * c]);
  }

  void load_query(const float* from) {
    std::vector<bf16> row(K);
    for (int h = 0; h < H; ++h) {
      to_bf16(from + (int64_t)h * width, width, row.data(), K);
      for (int k = 0; k < K; k += 2) memcpy(&q[((int64_t)(h / T) * K / 2 + k / 2) * 2 * T + h % T * 2], &row[k], 4);
    }
  }

  // 16 heads: scores, softmax, and out[h][c] = sum_t p[h][t] latent[t][c] / sum_t p[h][t]
  void attend(int h, int n, int padded, float* target) {
    for (int t = 0; t < padded; t += KEYS)
      product_2x1(&latents[(int64_t)t * K], K, &q[(int64_t)h * K], 2 * T, K, &s[(int64_t)t * heads + h], heads);
    const vf total = exponentials(&s[h], n, heads);
    for (int t = n; t < padded; ++t) store(&s[(int64_t)t * heads + h], vf{});
    for (int t = 0; t < padded; t += STEP) {
      vf m[T];
      for (int i = 0; i < T; ++i) {
        const float* at = &s[(int64_t)(t + 2 * i) * heads + h];
        m[i] = (vf)pairs_of(load(at), load(at + heads));
      }
      transpose(m);
      for (int i = 0; i < T; ++i) memcpy(&p[(int64_t)i * padded + t], &m[i], sizeof m[i]);
    }
    float sums[T];
    memcpy(sums, &total, sizeof sums);
    for (int c = 0; c < C; c += 4 * T) {
      product_1x4(p, padded, &pairs[2 * c], 2 * columns, padded, out, 4 * T);
      for (int r = 0; r < T && h + r < H; ++r) {
        float* row = &out[r * 4 * T];
        for (int v = 0; v < 4 * T; v += L) store(row + v, load(row + v) / splat(sums[r]));
        memcpy(target + (int64_t)(h + r) * C + c, row, 4 * std::min(4 * T, C - c));
      }
    }
  }
};

}  // namespace

void attention_tiles(const float* q, const uint16_t* pool, const int32_t* chosen, const int32_t* counts, float* out,
                     int Q, int H, int C, int width, int k, int threads) {
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
    Attention attention(H, C, width, k);
#pragma omp for schedule(dynamic, 16)
    for (int i = 0; i < Q; ++i) {
      const int n = counts[i], padded = (int)round_up(n, KEYS);
      const int32_t* own = chosen + (int64_t)i * k;
      attention.gather(pool, own, n, padded, own + k, i + 1 < Q ? counts[i + 1] : 0);
      attention.load_query(q + (int64_t)i * H * width);
      for (int h = 0; h < H; h += T) attention.attend(h, n, padded, out + (int64_t)i * H * C);
    }
  }
}
#else
void score_tiles(const float*, const float*, int, int, int, IndexKeys, const int64_t*, int, float*, int) {}
void attention_tiles(const float*, const uint16_t*, const int32_t*, const int32_t*, float*, int, int, int, int, int, int) {}
#endif
