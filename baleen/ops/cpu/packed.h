// Linear layers and experts over packed weights, whichever way a panel of 64 output columns is multiplied.
//
// A way P says what a weight is stored as (W), of what the inputs that are stored are a multiple (DEPTH), of what the
// first row of a matrix product is (ALIGNED), how many rows keep a panel's weights near (at_once), what a thread needs
// (Thread), what rows become (Rows<Name>: set(row, x, n)), and calls put(r, values[64]) for `count` of these rows times
// one panel (panel(rows, first, count, w, scale, put)).
#pragma once

#include "experts.h"
#include "vectors.h"

constexpr int PANEL = COLUMNS;  // output columns that are stored together
constexpr float LARGEST_INPUT = 127 * 256;  // of a row of whole numbers that int8 is multiplied with

inline int panels_of(int n) { return (n + PANEL - 1) / PANEL; }
inline int columns_of(int n, int panel) { return n - panel * PANEL < PANEL ? n - panel * PANEL : PANEL; }

// The first of 64 numbers; of all of them the compiler makes a few instructions instead of a call.
inline void copy(const float* values, int columns, float* to) {
  if (columns == PANEL) memcpy(to, values, 4 * PANEL);
  else memcpy(to, values, 4 * columns);
}

template <class W>
struct Matrices {  // of heads or experts, one after another, `panels` of K inputs each
  const W* data;
  const float* scale;  // of each output column; int8 only
  int panels, K;
  const W* at(int64_t g, int p) const { return data + (g * panels + p) * K * PANEL; }
  const float* scale_at(int64_t g, int p) const { return scale ? scale + (g * panels + p) * PANEL : nullptr; }
};

// The arguments of `linear` (linear.cpp).
struct Linear {
  const float* x;
  int64_t ldx, xg;
  const void* w;
  const float* scale;
  float* y;
  int64_t ldy, yg;
  int groups, M, K, N, threads;
};

template <class P>
void linear_of(const Linear& a) {
  typedef typename P::W W;
  const int K = (int)round_up(a.K, P::DEPTH), panels = panels_of(a.N);
  const int block = P::at_once(K), blocks = (a.M + block - 1) / block;
  const int64_t padded = round_up(a.M, P::ALIGNED);
  const Matrices<W> weights{(const W*)a.w, a.scale, panels, K};
  const typename P::template Rows<struct Inputs> rows(padded * a.groups, K);
#pragma omp parallel num_threads(a.threads) if (a.threads > 1)
  {
    const typename P::Thread here;
#pragma omp for collapse(2) schedule(static)
    for (int m = 0; m < a.M; ++m)
      for (int g = 0; g < a.groups; ++g) rows.set(g * padded + m, a.x + m * a.ldx + g * a.xg, a.K);
#pragma omp for collapse(3) schedule(static)
    for (int b = 0; b < blocks; ++b)
      for (int g = 0; g < a.groups; ++g)
        for (int p = 0; p < panels; ++p) {
          const int first = b * block, count = a.M - first < block ? a.M - first : block;
          float* out = a.y + first * a.ldy + g * a.yg + p * PANEL;
          const int columns = columns_of(a.N, p);
          P::panel(rows, g * padded + first, count, weights.at(g, p), weights.scale_at(g, p),
                   [&](int r, const float* values) { copy(values, columns, out + r * a.ldy); });
        }
  }
}

// The arguments of `experts` (linear.cpp), its choices sorted.
struct Experts {
  const float* x;
  const Routed& routed;
  const float* gates;
  const void* w_gate;
  const float* s_gate;
  const void* w_up;
  const float* s_up;
  const void* w_down;
  const float* s_down;
  float* out;
  int D, I, threads;
};

template <class P>
void experts_of(const Experts& a) {
  typedef typename P::W W;
  const Routed& routed = a.routed;
  const int K = (int)round_up(a.D, P::DEPTH), inner = (int)round_up(a.I, P::DEPTH), n_active = (int)routed.active.size();
  const Matrices<W> gate{(const W*)a.w_gate, a.s_gate, panels_of(a.I), K}, up{(const W*)a.w_up, a.s_up, gate.panels, K};
  const Matrices<W> down{(const W*)a.w_down, a.s_down, panels_of(a.D), inner};
  std::vector<int64_t> begin(n_active + 1, 0);
  for (int e = 0; e < n_active; ++e) begin[e + 1] = begin[e] + round_up(routed.count(e), P::ALIGNED);
  const typename P::template Rows<struct Tokens> rows(begin[n_active], K);
  const typename P::template Rows<struct Hidden> hidden(begin[n_active], inner);
  const int64_t width = (int64_t)gate.panels * PANEL;
  float* gated = scratch<struct Gated, float>(begin[n_active] * width);
  float* result = scratch<struct Result, float>((int64_t)routed.order.size() * a.D);

#pragma omp parallel num_threads(a.threads) if (a.threads > 1)
  {
    const typename P::Thread here;
#pragma omp for schedule(static)
    for (int e = 0; e < n_active; ++e)
      for (int r = 0; r < routed.count(e); ++r)
        rows.set(begin[e] + r, a.x + (int64_t)(routed.choice(e, r) / routed.k) * a.D, a.D);
#pragma omp for collapse(2) schedule(dynamic)
    for (int e = 0; e < n_active; ++e)
      for (int p = 0; p < gate.panels; ++p) {
        const int64_t g = routed.active[e];
        float* to = gated + begin[e] * width + p * PANEL;
        P::panel(rows, begin[e], routed.count(e), gate.at(g, p), gate.scale_at(g, p),
                 [&](int r, const float* values) { memcpy(to + r * width, values, 4 * PANEL); });
        P::panel(rows, begin[e], routed.count(e), up.at(g, p), up.scale_at(g, p), [&](int r, const float* values) {
          for (int c = 0; c < PANEL; c += L) {
            const vf half = load(to + r * width + c);
            store(to + r * width + c, half / (1.0f + exp_(-half)) * load(values + c));
          }
        });
      }
#pragma omp for schedule(static)
    for (int e = 0; e < n_active; ++e)
      for (int r = 0; r < routed.count(e); ++r) hidden.set(begin[e] + r, gated + (begin[e] + r) * width, a.I);
#pragma omp for collapse(2) schedule(dynamic)
    for (int e = 0; e < n_active; ++e)
      for (int p = 0; p < down.panels; ++p) {
        const int64_t g = routed.active[e];
        const int columns = columns_of(a.D, p);
        P::panel(hidden, begin[e], routed.count(e), down.at(g, p), down.scale_at(g, p), [&](int r, const float* values) {
          copy(values, columns, result + (int64_t)routed.choice(e, r) * a.D + p * PANEL);
        });
      }
  }
  routed.combine(result, a.gates, a.out, a.D, a.threads);
}

// The same in tile registers, where the processor has them (tiles.cpp).
void linear_tiles(const Linear& all);
void experts_tiles(const Experts& all);
