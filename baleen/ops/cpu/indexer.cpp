// The lightning indexer over the paged cache: scores of its keys, and the k best of them.

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
  // four tallies: neighbors are alike, and an increment waits for the one before of the same bucket
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
inline vf rotate_lanes(vf v, std::integer_sequence<int, I...>) {
#ifdef __clang__
  return __builtin_shufflevector(v, v, ((I + BY) % L)...);
#else
  return __builtin_shuffle(v, vi{((I + BY) % L)...});
#endif
}

// Sum of the first `width` lanes (a power of two) of each group of `width`, by halving; held by the group's first.
inline vf sum_lanes(vf v, int width) {
  constexpr auto lanes = std::make_integer_sequence<int, L>();
  if (width > 8) v += rotate_lanes<8>(v, lanes);
  if (width > 4) v += rotate_lanes<4>(v, lanes);
  if (width > 2) v += rotate_lanes<2>(v, lanes);
  if (width > 1) v += rotate_lanes<1>(v, lanes);
  return v;
}

// What index queries are kept as: [D][columns], or [D / 4][columns] of fours and behind them, in 32 bits, what keys
// that stand for 0 would add up to.
template <class T>
struct QueryOf {
  typedef float type;
};
template <>
struct QueryOf<uint8_t> {
  typedef QueryFour type;
};
template <class T>
using Query = typename QueryOf<T>::type;

// dots[r][c] of R index keys with V L columns of queries, [D][V L].
template <int R, int V, class T>
void multiply(const T* const* rows, const float* q, int D, vf (&dots)[R][V]) {
  float* wide = scratch<struct WideKeys, float>(R * D);
  const float* keys[R];
  for (int r = 0; r < R; ++r) keys[r] = widened(rows[r], D, wide + r * D);
  tile(keys, q, V * L, D, dots);
}
// The same of whole numbers: exact, in whatever order.
template <int R, int V>
void multiply(const uint8_t* const* rows, const QueryFour* q, int D, vf (&dots)[R][V]) {
  const int fours = (D + 3) / 4;
  const KeyFour* keys[R];
  KeyFour* padded = scratch<struct PaddedKeys, KeyFour>(D % 4 ? R * fours : 0);
  for (int r = 0; r < R; ++r) {
    keys[r] = D % 4 ? padded + r * fours : (const KeyFour*)rows[r];
    if (D % 4) memcpy(padded + r * fours, rows[r], D);
  }
  vi sum[R][V], zero[V];
  tile(keys, q, V * L, fours, sum);
  memcpy(zero, q + (int64_t)fours * V * L, sizeof zero);
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) dots[r][v] = __builtin_convertvector(sum[r][v] - zero[v], vf);
}

// scores[g][t] for the queries of one group against keys at `slots`: sum_j w_j ReLU(q_j . k), heads by halving.
// `q` [D][V L] holds the group's heads side by side, each query's in `lanes` of them; `w` [V L] their weights.
template <int V, class T>
void score(const Query<T>* q, const float* w, int D, int lanes, const T* pool, const float* key_scales,
           const int64_t* slots, int n, int groups, float* const* scores) {
  constexpr int KEYS = rows_of(V);
  const int vectors = lanes > L ? lanes / L : 1, in_vector = lanes > L ? L : lanes;
  for (int t = 0; t < n; t += KEYS) {
    const T* keys[KEYS];
    for (int r = 0; r < KEYS; ++r) keys[r] = pool + slots[t + r < n ? t + r : n - 1] * D;
    vf dots[KEYS][V];
    multiply(keys, q, D, dots);
    for (int r = 0; r < KEYS && t + r < n; ++r) {
      const float scale = key_scales ? key_scales[slots[t + r]] : 1.0f;
      for (int v = 0; v < V; ++v) {
        const vf d = dots[r][v];
        dots[r][v] = (d > 0.0f ? d : vf{}) * load(w + v * L);
      }
      for (int v = 0, g = 0; v < V && g < groups; v += vectors) {
        vf sum = dots[r][v];
        for (int i = 1; i < vectors && v + i < V; ++i) sum += dots[r][v + i];
        sum = sum_lanes(sum, in_vector);
        scores[g++][t + r] = sum[0] * scale;  // a lane that the compiler knows is no trip through memory
        for (int lane = in_vector; lane < L && g < groups; lane += in_vector) scores[g++][t + r] = sum[lane] * scale;
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

  void score(IndexKeys keys, const int64_t* slots, float* scores, int threads) const {
    if (keys.type == 0) score((const float*)keys.pool, keys.scales, slots, scores, threads);
    else if (keys.type == 1) score((const uint16_t*)keys.pool, keys.scales, slots, scores, threads);
    else score((const uint8_t*)keys.pool, keys.scales, slots, scores, threads);
  }

  template <class T>
  void score(const T* pool, const float* key_scales, const int64_t* slots, float* scores, int threads) const {
    const int V = vectors_of(queries * lanes), columns = V * L;
    std::vector<Query<T>> q_t((D + 1) * columns, Query<T>{});
    std::vector<float> w_t(columns, 0.0f);
    for (int g = 0; g < queries; ++g)
      for (int j = 0; j < J; ++j) {
        w_t[g * lanes + j] = weights[g * J + j];
        for (int d = 0; d < D; ++d) put(q_t.data(), d, columns, g * lanes + j, q[(g * J + j) * D + d]);
      }
    const int piece = 1024, pieces = (length + piece - 1) / piece;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int i = 0; i < pieces; ++i) {
      const int first = i * piece, n = std::min(piece, length - first);
      float* rows[COLUMNS];
      for (int g = 0; g < queries; ++g) rows[g] = scores + (int64_t)g * length + first;
      const auto run = V == 1 ? ::score<1, T> : V == 2 ? ::score<2, T> : V == 4 ? ::score<4, T> : ::score<COLUMNS / L, T>;
      run(q_t.data(), w_t.data(), D, lanes, pool, key_scales, slots + first, n, queries, rows);
    }
  }

  void put(float* q_t, int d, int columns, int column, float x) const { q_t[d * columns + column] = x; }
  void put(QueryFour* q_t, int d, int columns, int column, float x) const {
    q_t[d / 4 * columns + column].of[d % 4] = (int8_t)x;
    QueryFour* of_zero = q_t + (D + 3) / 4 * columns + column;
    int32_t sum;
    memcpy(&sum, of_zero, 4);
    sum += ZERO_KEY * (int)x;
    memcpy(of_zero, &sum, 4);
  }
};

}  // namespace

// The slots that each query may read, by position: all up to its own while they are no more than k, else the k with
// the largest index scores. q [B][S][J][D], weights [B][S][J], pool [slots][D], context [B][T] slot of each position,
// positions [B][S]. chosen [B][S][k], counts [B][S]. J is at most 64. With `key_scales` [slots] the keys are
// bytes (`to_whole`), and the queries become whole numbers too.
API void select_slots(const float* q, const float* weights, const void* pool, const float* key_scales, int type,
                      const int64_t* context, const int64_t* positions, int32_t* chosen, int32_t* counts, int B, int S,
                      int T, int J, int D, int k, int threads) {
  int lanes = 1;  // of a query's heads
  while (lanes < J) lanes *= 2;
  if (lanes > L) lanes = (J + L - 1) / L * L;
  const bool tiles = type >= PAIRS;
  const int per_group = S == 1 ? 1 : tiles ? L : COLUMNS / lanes;  // queries that share a pass over the keys
  const IndexKeys index_keys{pool, key_scales, key_scales ? 2 : type};
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
        const int heads = queries * J;
        const float *group_q = q + begin * J * D, *group_weights = weights + begin * J;
        if (key_scales) {
          float* whole = scratch<struct Queries, float>((int64_t)heads * D);
          float* scaled = scratch<struct HeadWeights, float>(heads);
          std::copy_n(group_q, heads * D, whole);
          for (int j = 0; j < heads; ++j) scaled[j] = group_weights[j] * to_whole(whole + j * D, D, LARGEST_QUERY);
          group_q = whole, group_weights = scaled;
        }
        if (tiles) {
          score_tiles(group_q, group_weights, queries, J, D, index_keys, slots, longest, scores, many ? 1 : threads);
        } else {
          const Group one{group_q, group_weights, queries, J, D, lanes, longest};
          one.score(index_keys, slots, scores, many ? 1 : threads);
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
