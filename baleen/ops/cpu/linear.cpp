// Linear layers and experts: weights in panels of 64 output columns, [panels][K][64], in float32, bfloat16 or int8.

#include "experts.h"
#include "kernels.h"
#include "tiles.h"

namespace {

constexpr int PANEL = COLUMNS;  // output columns that are stored together
constexpr int ROWS = 6;         // rows of x that a panel is multiplied with at once

// y[r][c] = scale[c] sum_k x[r][k] w[k][c] for R rows and one panel.
template <int R, class T>
void panel_rows(const float* const* x, const T* w, int K, const float* scale, float* const* y, int columns) {
  vf sum[R][PANEL / L];
  tile(x, w, PANEL, K, sum);
  for (int r = 0; r < R; ++r) {
    if (scale)
      for (int i = 0; i < PANEL / L; ++i) sum[r][i] *= load(scale + i * L);
    memcpy(y[r], sum[r], 4 * columns);
  }
}

template <class T>
void panel(const float* const* x, int rows, const T* w, int K, const float* scale, float* const* y, int columns) {
  int r = 0;
  for (; r + ROWS <= rows; r += ROWS) panel_rows<ROWS>(x + r, w, K, scale, y + r, columns);
  switch (rows - r) {
    case 1: panel_rows<1>(x + r, w, K, scale, y + r, columns); break;
    case 2: panel_rows<2>(x + r, w, K, scale, y + r, columns); break;
    case 3: panel_rows<3>(x + r, w, K, scale, y + r, columns); break;
    case 4: panel_rows<4>(x + r, w, K, scale, y + r, columns); break;
    case 5: panel_rows<5>(x + r, w, K, scale, y + r, columns); break;
  }
}

// The three number formats of weights, told apart at run time.
struct Weights {
  const void* data;
  const float* scale;  // of each output column; int8 only
  int type;            // 0 float32, 1 bfloat16, 2 int8

  void multiply(const float* const* x, int rows, int64_t offset, int K, int column, float* const* y,
                int columns) const {
    const float* s = scale ? scale + column : nullptr;
    if (type == 0) panel(x, rows, (const float*)data + offset, K, s, y, columns);
    else if (type == 1) panel(x, rows, (const uint16_t*)data + offset, K, s, y, columns);
    else panel(x, rows, (const int8_t*)data + offset, K, s, y, columns);
  }
};

inline int panels_of(int n) { return (n + PANEL - 1) / PANEL; }
inline int columns_of(int n, int panel) { return n - panel * PANEL < PANEL ? n - panel * PANEL : PANEL; }

// Larger pieces of x would fall out of the second-level cache between two panels.
inline int rows_at_once(int K) { return K > 1024 ? 48 : 96; }

}  // namespace

// y[g][m] = W[g] x[g][m] for `groups` matrices of one shape: groups 1 is a linear layer, groups H a matrix a head.
// x rows are `ldx` floats apart, groups within a row `xg`; the same for y. W is packed: [groups][panels][K][64].
API void linear(const float* x, int64_t ldx, int64_t xg, const void* w, const float* scale, int type, float* y,
                int64_t ldy, int64_t yg, int groups, int M, int K, int N, int threads) {
#ifdef TILES
  if (type >= PAIRS) return linear_tiles(x, ldx, xg, w, scale, y, ldy, yg, groups, M, K, N, threads);
#endif
  const int panels = panels_of(N), block = rows_at_once(K), blocks = (M + block - 1) / block;
#pragma omp parallel for collapse(3) schedule(static) num_threads(threads) if (threads > 1)
  for (int b = 0; b < blocks; ++b)
    for (int g = 0; g < groups; ++g)
      for (int p = 0; p < panels; ++p) {
        const int first = b * block, rows = M - first < block ? M - first : block;
        const float* xs[96];
        float* ys[96];
        for (int r = 0; r < rows; ++r) {
          xs[r] = x + (first + r) * ldx + g * xg;
          ys[r] = y + (first + r) * ldy + g * yg + p * PANEL;
        }
        const Weights weights{w, scale ? scale + (int64_t)g * panels * PANEL : nullptr, type};
        weights.multiply(xs, rows, ((int64_t)g * panels + p) * K * PANEL, K, p * PANEL, ys, columns_of(N, p));
      }
}

// out[t] = sum_j gates[t][j] SwiGLU_{ids[t][j]}(x[t]), j ascending. Matrices packed an expert after another.
API void experts(const float* x, const int64_t* ids, const float* gates, const void* w_gate, const float* s_gate,
                 const void* w_up, const float* s_up, const void* w_down, const float* s_down, int type, float* out,
                 int tokens, int k, int n_experts, int D, int I, int threads) {
  const Routed routed(ids, tokens, k, n_experts);
#ifdef TILES
  if (type >= PAIRS)
    return experts_tiles(x, routed, gates, w_gate, s_gate, w_up, s_up, w_down, s_down, out, D, I, threads);
#endif
  const int total = tokens * k, in_panels = panels_of(I), out_panels = panels_of(D);
  const int64_t width = (int64_t)in_panels * PANEL;
  std::vector<float> hidden((int64_t)total * width), result((int64_t)total * D);
  const Weights gate{w_gate, s_gate, type}, up{w_up, s_up, type}, down{w_down, s_down, type};
  const int n_active = (int)routed.active.size();

#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads) if (threads > 1)
  for (int a = 0; a < n_active; ++a)
    for (int p = 0; p < in_panels; ++p) {
      const int e = routed.active[a], columns = columns_of(I, p);
      const int64_t offset = ((int64_t)e * in_panels + p) * D * PANEL;
      float buffer[2][ROWS][PANEL];
      const float* rows[ROWS];
      float *g[ROWS], *u[ROWS];
      for (int r = 0; r < ROWS; ++r) g[r] = buffer[0][r], u[r] = buffer[1][r];
      for (int r = 0; r < routed.count(a); r += ROWS) {
        const int n = routed.count(a) - r < ROWS ? routed.count(a) - r : ROWS;
        for (int i = 0; i < n; ++i) rows[i] = x + (int64_t)(routed.choice(a, r + i) / k) * D;
        gate.multiply(rows, n, offset, D, e * (int)width + p * PANEL, g, columns);
        up.multiply(rows, n, offset, D, e * (int)width + p * PANEL, u, columns);
        for (int i = 0; i < n; ++i)
          for (int c = 0; c < columns; c += L) {
            const vf a1 = load(g[i] + c);
            store(hidden.data() + routed.choice(a, r + i) * width + p * PANEL + c, a1 / (1.0f + exp_(-a1)) * load(u[i] + c));
          }
      }
    }
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads) if (threads > 1)
  for (int a = 0; a < n_active; ++a)
    for (int p = 0; p < out_panels; ++p) {
      const int e = routed.active[a], count = routed.count(a);
      std::vector<const float*> inner(count);
      std::vector<float*> ys(count);
      for (int i = 0; i < count; ++i) {
        inner[i] = hidden.data() + routed.choice(a, i) * width;
        ys[i] = result.data() + (int64_t)routed.choice(a, i) * D + p * PANEL;
      }
      down.multiply(inner.data(), count, ((int64_t)e * out_panels + p) * I * PANEL, I,
                    e * out_panels * PANEL + p * PANEL, ys.data(), columns_of(D, p));
    }
  routed.combine(result.data(), gates, out, D, threads);
}

// Whether bfloat16 and int8 weights are to be packed for the tiles, in pairs and in fours.
API int wants_pairs() {
#ifdef TILES
  return tiles_granted();
#else
  return 0;
#endif
}
