// What the indexer and sparse attention share, and how both go through tile registers (sparse_tiles.cpp).
#pragma once

#include <algorithm>

#include "vectors.h"

// A row of a cache as floats, written to `wide` where it is none.
inline const float* widened(const float* row, int, float*) { return row; }
inline const float* widened(const uint16_t* row, int n, float* wide) {
  for (int i = 0; i < n; ++i) wide[i] = widen(row[i]);
  return wide;
}

// Rows that go through `tile` at once: as many as keep the sums of a few columns in registers.
constexpr int rows_of(int V) { return V == 1 ? 12 : V == 2 && fits(10, 2) ? 10 : 6; }

// s[t] becomes e^(s[t] - max s) for L heads, rows `lds` apart; returns the sum over t, ascending.
inline vf exponentials(float* s, int n, int64_t lds) {
  vf most = load(s), sum = {};
  for (int t = 1; t < n; ++t) {
    const vf v = load(s + t * lds);
    most = v > most ? v : most;
  }
  for (int t = 0; t < n; ++t) {
    const vf e = exp_(load(s + t * lds) - most);
    store(s + t * lds, e);
    sum += e;
  }
  return sum;
}

// Index vectors where weights are int8. Keys are stored in bytes, 128 standing for 0.
constexpr float LARGEST_KEY = 127, LARGEST_QUERY = 63;
constexpr int ZERO_KEY = 128;

// How much greater q . k is of two index vectors of n numbers that `to_whole` has rotated: not at all where it cannot.
inline int growth(int n) { return (n & (n - 1)) == 0 ? n : 1; }

// An index vector in whole numbers, at most `largest`; returns what they are multiples of. Where n is a power of two
// every number first becomes a signed sum of all (the Hadamard rotation without its 1 / sqrt(n)): no channel is too
// large for the others, and q . k of two rotated vectors is n times theirs.
inline float to_whole(float* x, int n, float largest) {
  for (int half = 1; half < growth(n); half *= 2)
    for (int i = 0; i < n; i += 2 * half)
      for (int j = i; j < i + half; ++j) {
        const float first = x[j], second = x[j + half];
        x[j] = first + second;
        x[j + half] = first - second;
      }
  const float most = magnitude(x, n), inverse = most > 0 ? largest / most : 0;
  for (int i = 0; i < n; ++i) {
    const float whole = __builtin_rintf(x[i] * inverse);
    x[i] = whole == whole ? whole : 0.0f;
  }
  return most / largest;
}

// Index keys in the cache. type: 0 float32, 1 bfloat16, 2 bytes, which have a scale each.
struct IndexKeys {
  const void* pool;
  const float* scales;
  int type;
};

// scores[g][t] of `queries` queries, 1 or up to 16, against keys at slots[0 .. n); rows of `scores` are n apart.
void score_tiles(const float* q, const float* weights, int queries, int J, int D, IndexKeys keys, const int64_t* slots,
                 int n, float* scores, int threads);

// The twin of sparse_attention for a bfloat16 pool.
void attention_tiles(const float* q, const uint16_t* pool, const int32_t* chosen, const int32_t* counts, float* out,
                     int Q, int H, int C, int width, int k, int threads);
