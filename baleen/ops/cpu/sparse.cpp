// DeepSeek sparse attention over the paged cache: the indexer's choice, and attention over what it chose.

#include "sparse.h"

#include "kernels.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace {

// Order of floats as unsigned integers; -0 and 0 are one number and become one key.
inline uint32_t key_of(float score) {
  score += 0.0f;
  uint32_t bits;
  memcpy(&bits, &score, 4);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// A bit for each lane that is not zero.
inline uint32_t lanes_of(vi v) {
#ifdef __AVX512DQ__
  return _mm512_movepi32_mask((__m512i)v);
#elif defined(__AVX2__) && !defined(__AVX512F__)
  return _mm256_movemask_ps((__m256)v);
#else
  uint32_t lanes = 0;
  for (int l = 0; l < L; ++l) lanes |= (uint32_t)(v[l] & 1) << l;
  return lanes;
#endif
}

// Calls put(0, i), put(1, j), ... for the keys that `wanted` says yes to, in order; returns how many there were. Few are:
// a vector of them is looked at together.
template <class Wanted, class Put>
int collect(const uint32_t* keys, int n, Wanted wanted, Put put) {
  int found = 0, i = 0;
  for (; i + L <= n; i += L) {
    vu v;
    memcpy(&v, keys + i, sizeof v);
    const vi yes = (vi)wanted(v);
    for (uint32_t any = lanes_of(yes); any; any &= any - 1) put(found++, i + __builtin_ctz(any));
  }
  for (; i < n; ++i)
    if (wanted(keys[i])) put(found++, i);
  return found;
}

// The k positions with the largest scores, ascending; of equal scores the lowest positions. The eleven upper bits of
// the k-th key are found by counting, the rest among the few keys that share them. `keys` [n] is scratch.
void top_k(const float* scores, int n, int k, uint32_t* keys, int32_t* out) {
  constexpr int SHIFT = 21;
  // four tallies: neighbours are alike, and an increment waits for the one before of the same bucket
  constexpr int BUCKETS = 1 << (32 - SHIFT);
  int* count = scratch<struct Tallies, int>(4 * BUCKETS);
  std::fill_n(count, 4 * BUCKETS, 0);
  for (int i = 0; i < n; ++i) keys[i] = key_of(scores[i]);
  for (int i = 0; i < n; ++i) ++count[(i & 3) * BUCKETS + (keys[i] >> SHIFT)];
  for (int b = 0; b < BUCKETS; ++b) count[b] += count[BUCKETS + b] + count[2 * BUCKETS + b] + count[3 * BUCKETS + b];
  int wanted = k;  // of the keys in bucket d
  uint32_t d = BUCKETS - 1;
  while (count[d] < wanted) wanted -= count[d--];
  uint32_t* shared = scratch<struct Shared, uint32_t>(count[d] + L);
  const int alike = collect(keys, n, [=](auto key) { return key >> SHIFT == d; }, [=](int at, int i) { shared[at] = keys[i]; });
  std::nth_element(shared, shared + wanted - 1, shared + alike, std::greater<uint32_t>());
  const uint32_t least = shared[wanted - 1];
  for (int i = 0; i < alike; ++i) wanted -= shared[i] > least;  // what is left are ties with the least
  collect(keys, n, [=](auto key) { return key >= least; }, [&, found = 0](int, int i) mutable {
    if (keys[i] > least || wanted-- > 0) out[found++] = i;
  });
}

// Lane i becomes lane i + BY. The order is known to the compiler: else it takes the lanes one by one.
template <int BY, int... I>
inline vf turned(vf v, std::integer_sequence<int, I...>) {
#ifdef __clang__
  return __builtin_shufflevector(v, v, ((I + BY) % L)...);
#else
  return __builtin_shuffle(v, vi{((I + BY) % L)...});
#endif
}

// Sum of the first `width` lanes (a power of two) of each group of `width`, by halving; held by the group's first.
inline vf sum_lanes(vf v, int width) {
  constexpr auto lanes = std::make_integer_sequence<int, L>();
  if (width > 8) v += turned<8>(v, lanes);
  if (width > 4) v += turned<4>(v, lanes);
  if (width > 2) v += turned<2>(v, lanes);
  if (width > 1) v += turned<1>(v, lanes);
  return v;
}

// A row of a cache as floats, written to `wide` where it is none.
inline const float* widened(const float* row, int, float*) { return row; }
inline const float* widened(const uint16_t* row, int n, float* wide) {
  for (int i = 0; i < n; ++i) wide[i] = widen(row[i]);
  return wide;
}

// Rows that go through `tile` at once: as many as keep the sums of a few columns in registers.
constexpr int rows_of(int V) { return V == 1 ? 12 : V == 2 && fits(10, 2) ? 10 : 6; }

// scores[g][t] for the queries of one group against keys at `slots`: sum_j w_j ReLU(q_j . k), heads by halving.
// `q` [D][V L] holds the group's heads side by side, each query's in `lanes` of them; `w` [V L] their weights.
template <int V, class T>
void score(const float* q, const float* w, int D, int lanes, const T* pool, const int64_t* slots, int n, int groups,
           float* const* scores) {
  constexpr int KEYS = rows_of(V);
  const int vectors = lanes > L ? lanes / L : 1, in_vector = lanes > L ? L : lanes;
  float* wide = scratch<struct WideKeys, float>(KEYS * D);
  for (int t = 0; t < n; t += KEYS) {
    const float* keys[KEYS];
    for (int r = 0; r < KEYS; ++r) keys[r] = widened(pool + slots[t + r < n ? t + r : n - 1] * D, D, wide + r * D);
    vf dots[KEYS][V];
    tile(keys, q, V * L, D, dots);
    for (int r = 0; r < KEYS && t + r < n; ++r) {
      for (int v = 0; v < V; ++v) {
        const vf d = dots[r][v];
        dots[r][v] = (d > 0.0f ? d : vf{}) * load(w + v * L);
      }
      for (int v = 0, g = 0; v < V && g < groups; v += vectors) {
        vf sum = dots[r][v];
        for (int i = 1; i < vectors && v + i < V; ++i) sum += dots[r][v + i];
        sum = sum_lanes(sum, in_vector);
        for (int lane = 0; lane < L && g < groups; lane += in_vector) scores[g++][t + r] = sum[lane];
      }
    }
  }
}

// Vectors for so many columns, at most COLUMNS: 1, 2, 4 or all.
int vectors_of(int columns) {
  for (int V = 1; V <= 4; V *= 2)
    if (columns <= V * L) return V;
  return COLUMNS / L;
}

// Queries of one sequence that share a pass over its index keys.
struct Group {
  const float *q, *weights;
  int queries, J, D, lanes, length;

  void score(const void* pool, int type, const int64_t* slots, float* scores, int threads) const {
    const int V = vectors_of(queries * lanes);
    std::vector<float> q_t(D * V * L, 0.0f), w_t(V * L, 0.0f);
    for (int g = 0; g < queries; ++g)
      for (int j = 0; j < J; ++j) {
        w_t[g * lanes + j] = weights[g * J + j];
        for (int d = 0; d < D; ++d) q_t[d * V * L + g * lanes + j] = q[(g * J + j) * D + d];
      }
    const int piece = 1024, pieces = (length + piece - 1) / piece;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int i = 0; i < pieces; ++i) {
      const int first = i * piece, n = std::min(piece, length - first);
      float* rows[COLUMNS];
      for (int g = 0; g < queries; ++g) rows[g] = scores + (int64_t)g * length + first;
      if (type == 0) run(V, q_t.data(), w_t.data(), (const float*)pool, slots + first, n, rows);
      else run(V, q_t.data(), w_t.data(), (const uint16_t*)pool, slots + first, n, rows);
    }
  }

  template <class T>
  void run(int V, const float* q_t, const float* w_t, const T* pool, const int64_t* slots, int n, float* const* rows) const {
    if (V == 1) ::score<1>(q_t, w_t, D, lanes, pool, slots, n, queries, rows);
    else if (V == 2) ::score<2>(q_t, w_t, D, lanes, pool, slots, n, queries, rows);
    else if (V == 4) ::score<4>(q_t, w_t, D, lanes, pool, slots, n, queries, rows);
    else ::score<COLUMNS / L>(q_t, w_t, D, lanes, pool, slots, n, queries, rows);
  }
};

}  // namespace

// The slots that each query may read, by position: all up to its own while they are no more than k, else the k with
// the largest index scores. q [B][S][J][D], weights [B][S][J], pool [slots][D], context [B][T] slot of each position,
// positions [B][S]. chosen [B][S][k], counts [B][S]. J is at most 64.
API void select_slots(const float* q, const float* weights, const void* pool, int type, const int64_t* context,
                      const int64_t* positions, int32_t* chosen, int32_t* counts, int B, int S, int T, int J, int D,
                      int k, int threads) {
  int lanes = 1;  // of a query's heads
  while (lanes < J) lanes *= 2;
  if (lanes > L) lanes = (J + L - 1) / L * L;
  const bool tiles = type >= PAIRS;
  const int per_group = S == 1 ? 1 : tiles ? L : COLUMNS / lanes;  // queries that share a pass over the keys
  const int groups = (S + per_group - 1) / per_group;
  const bool many = B * groups > 1;  // else the threads share the keys
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads) if (threads > 1 && many)
  for (int b = 0; b < B; ++b)
    for (int group = 0; group < groups; ++group) {
      const int first = group * per_group, queries = std::min(per_group, S - first);
      const int64_t* slots = context + (int64_t)b * T;
      const int64_t begin = (int64_t)b * S + first;  // of the group's queries
      int longest = 0;
      for (int g = 0; g < queries; ++g) longest = std::max(longest, (int)positions[begin + g] + 1);
      float* scores = scratch<struct Scores, float>(longest > k ? (int64_t)queries * longest : 0);
      uint32_t* keys = scratch<struct Keys, uint32_t>(longest > k ? longest : 0);
      if (longest > k) {
        const float *group_q = q + begin * J * D, *group_weights = weights + begin * J;
        if (tiles) {
          score_tiles(group_q, group_weights, queries, J, D, (const uint16_t*)pool, slots, longest, scores, many ? 1 : threads);
        } else {
          const Group one{group_q, group_weights, queries, J, D, lanes, longest};
          one.score(pool, type, slots, scores, many ? 1 : threads);
        }
      }
      for (int g = 0; g < queries; ++g) {
        const int visible = (int)positions[begin + g] + 1;
        int32_t* out = chosen + (begin + g) * k;
        counts[begin + g] = std::min(visible, k);
        if (visible > k) top_k(scores + (int64_t)g * longest, visible, k, keys, out);
        for (int t = 0; t < counts[begin + g]; ++t) out[t] = (int32_t)slots[visible > k ? out[t] : t];
      }
    }
}

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
    const T* l = latents + c;
    const float* sums = total + first;
    switch (heads) {
      case 1: return mix<1>(ps, l, n, width, sums, os, columns);
      case 2: return mix<2>(ps, l, n, width, sums, os, columns);
      case 3: return mix<3>(ps, l, n, width, sums, os, columns);
      case 4: return mix<4>(ps, l, n, width, sums, os, columns);
      case 5: return mix<5>(ps, l, n, width, sums, os, columns);
      default: return mix<HEADS>(ps, l, n, width, sums, os, columns);
    }
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
