// Which tokens go to which expert, grouped by expert.
#pragma once

#include "vectors.h"

struct Routed {
  int tokens, k;
  std::vector<int> begin, order, active;  // choices sorted by expert; the experts that were chosen

  // ids[t][j] is the j-th expert of token t; choice t k + j
  Routed(const int64_t* ids, int tokens, int k, int n_experts)
      : tokens(tokens), k(k), begin(n_experts + 1, 0), order((int64_t)tokens * k) {
    const int total = tokens * k;
    for (int i = 0; i < total; ++i) ++begin[ids[i] + 1];
    for (int e = 0; e < n_experts; ++e) {
      if (begin[e + 1]) active.push_back(e);
      begin[e + 1] += begin[e];
    }
    std::vector<int> next(begin.begin(), begin.end() - 1);
    for (int i = 0; i < total; ++i) order[next[ids[i]]++] = i;
  }

  int count(int a) const { return begin[active[a] + 1] - begin[active[a]]; }
  int choice(int a, int r) const { return order[begin[active[a]] + r]; }

  // out[t] = sum_j gates[t][j] results[t k + j], j ascending; rows of D numbers
  void combine(const float* results, const float* gates, float* out, int D, int threads) const {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int t = 0; t < tokens; ++t)
      for (int c = 0; c < D; c += L) {
        const int bytes = 4 * (D - c < L ? D - c : L);
        vf sum = {}, result = {};
        for (int j = 0; j < k; ++j) {
          memcpy(&result, results + (int64_t)(t * k + j) * D + c, bytes);
          sum += splat(gates[t * k + j]) * result;
        }
        memcpy(out + (int64_t)t * D + c, &sum, bytes);
      }
  }
};
