// What the two ways of sparse attention share, and the one in tile registers (sparse_tiles.cpp).
#pragma once

#include "vectors.h"

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

// scores[g][t] of `queries` queries, 1 or up to 16, against keys at slots[0 .. n); rows of `scores` are n apart.
void score_tiles(const float* q, const float* weights, int queries, int J, int D, const uint16_t* pool,
                 const int64_t* slots, int n, float* scores, int threads);

// The twin of sparse_attention for a bfloat16 pool.
void attention_tiles(const float* q, const uint16_t* pool, const int32_t* chosen, const int32_t* counts, float* out,
                     int Q, int H, int C, int width, int k, int threads);
