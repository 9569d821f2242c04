// Linear layers and experts in tile registers: the twins of linear.cpp for weights in pairs, [panels][K / 2][64][2],
// bfloat16 or int8, K padded to a multiple of 32. What they multiply is rounded to bfloat16, sums are float32.

#include "tiles.h"

#include "experts.h"

#ifdef TILES
#include <sys/syscall.h>
#include <unistd.h>

bool tiles_granted() {
  static const bool granted = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0;
  return granted;
}

namespace {

constexpr int PANEL = 4 * T;

// Rows as tiles read them, in bfloat16; rows of padding are whatever they are, columns of padding zeros.
template <class Name>
struct Rows {
  int K;
  bf16* data;
  Rows(int64_t count, int K) : K(K), data(scratch<Name, bf16>((count + 2 * T) * K)) {}
  bf16* at(int64_t row) const { return data + row * K; }
};

// Calls put(r, values[64]) for `count` rows of x times one panel, after which the panel `next` will be wanted. x is
// readable up to the next multiple of 16 rows.
template <class W, class F>
void panel(const bf16* x, int count, int K, const W* w, const W* next, F put) {
  alignas(64) float out[2 * T][PANEL];
  const bf16* wide = nullptr;  // the panel in bfloat16, once there are rows enough to come back to it
  if (count > T)
    wide = as_pairs(w, (int64_t)K * PANEL, sizeof(W) == 1 ? scratch<struct Panel, bf16>((int64_t)K * PANEL) : nullptr, next);
  for (int r = 0; r < count; r += 2 * T) {
    const int rows = count - r < 2 * T ? count - r : 2 * T;
    if (rows > T) {
      product_2x2(x + (int64_t)r * K, K, wide, 2 * PANEL, K, out[0], PANEL);
      product_2x2(x + (int64_t)r * K, K, wide + PANEL, 2 * PANEL, K, out[0] + 2 * T, PANEL);
    } else if (wide) {
      product_1x4(x + (int64_t)r * K, K, wide, 2 * PANEL, K, out[0], PANEL, wide);
    } else {
      product_1x4(x + (int64_t)r * K, K, w, 2 * PANEL, K, out[0], PANEL, next);
    }
    for (int i = 0; i < rows; ++i) put(r + i, out[i]);
  }
}

struct Weights {
  const void* data;
  const float* scale;  // of each output column; int8 only

  // put(r, values[64]) as above for the panel that begins at `offset` numbers and the output `column`
  template <class F>
  void multiply(const bf16* x, int count, int K, int64_t offset, int64_t column, const void* next, F put) const {
    if (!scale) return panel(x, count, K, (const bf16*)data + offset, (const bf16*)next, put);
    const float* s = scale + column;
    panel(x, count, K, at(offset), (const int8_t*)next, [&](int r, float* values) {
      for (int c = 0; c < PANEL; c += L) store(values + c, load(values + c) * load(s + c));
      put(r, values);
    });
  }

  const int8_t* at(int64_t offset) const { return (const int8_t*)data + offset * (scale ? 1 : 2); }
};

inline int panels_of(int n) { return (n + PANEL - 1) / PANEL; }
inline int columns_of(int n, int panel) { return n - panel * PANEL < PANEL ? n - panel * PANEL : PANEL; }

}  // namespace

void linear_tiles(const float* x, int64_t ldx, int64_t xg, const void* w, const float* scale, float* y, int64_t ldy,
                  int64_t yg, int groups, int M, int inputs, int N, int threads) {
  const int K = (int)round_up(inputs, STEP), panels = panels_of(N), block = 128, blocks = (M + block - 1) / block;
  const int64_t padded = round_up(M, T);
  const Rows<struct Inputs> rows(padded * groups, K);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
#pragma omp for schedule(static)
    for (int m = 0; m < M; ++m)
      for (int g = 0; g < groups; ++g) to_bf16(x + m * ldx + g * xg, inputs, rows.at(g * padded + m), K);
#pragma omp for collapse(3) schedule(static)
    for (int b = 0; b < blocks; ++b)
      for (int g = 0; g < groups; ++g)
        for (int p = 0; p < panels; ++p) {
          const int first = b * block, count = M - first < block ? M - first : block;
          const Weights weights{w, scale ? scale + (int64_t)g * panels * PANEL : nullptr};
          float* out = y + first * ldy + g * yg + p * PANEL;
          const int columns = columns_of(N, p);
          const int64_t offset = ((int64_t)g * panels + p) * K * PANEL;
          weights.multiply(rows.at(g * padded + first), count, K, offset, p * PANEL, weights.at(offset + K * PANEL),
                           [&](int r, const float* values) { memcpy(out + r * ldy, values, 4 * columns); });
        }
  }
}

void experts_tiles(const float* x, const Routed& routed, const float* gates, const void* w_gate, const float* s_gate,
                   const void* w_up, const float* s_up, const void* w_down, const float* s_down, float* out, int D,
                   int I, int threads) {
  const int in_panels = panels_of(I), out_panels = panels_of(D), k = routed.k;
  const int K = (int)round_up(D, STEP), inner = (int)round_up(I, STEP), n_active = (int)routed.active.size();
  // every expert's rows begin at a multiple of a tile's
  std::vector<int64_t> begin(n_active + 1, 0);
  for (int a = 0; a < n_active; ++a) begin[a + 1] = begin[a] + round_up(routed.count(a), T);
  const Rows<struct Tokens> rows(begin[n_active], K);
  const Rows<struct Hidden> hidden(begin[n_active], inner);
  float* result = scratch<struct Result, float>((int64_t)routed.order.size() * D);
  const Weights gate{w_gate, s_gate}, up{w_up, s_up}, down{w_down, s_down};
  const auto following = [&](int a) -> int64_t { return routed.active[a + 1 < n_active ? a + 1 : 0]; };

#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
#pragma omp for schedule(static)
    for (int a = 0; a < n_active; ++a)
      for (int r = 0; r < routed.count(a); ++r)
        to_bf16(x + (int64_t)(routed.choice(a, r) / k) * D, D, rows.at(begin[a] + r), K);
#pragma omp for collapse(2) schedule(dynamic)
    for (int a = 0; a < n_active; ++a)
      for (int p = 0; p < in_panels; ++p) {
        const int64_t e = routed.active[a], offset = (e * in_panels + p) * K * PANEL, column = (e * in_panels + p) * PANEL;
        const int64_t next = p + 1 < in_panels ? offset + K * PANEL : following(a) * in_panels * K * PANEL;
        const int columns = inner - p * PANEL < PANEL ? inner - p * PANEL : PANEL;
        float* gated = scratch<struct Gated, float>((int64_t)routed.count(a) * PANEL);
        gate.multiply(rows.at(begin[a]), routed.count(a), K, offset, column, up.at(offset),
                      [&](int r, const float* values) { memcpy(&gated[(int64_t)r * PANEL], values, 4 * PANEL); });
        up.multiply(rows.at(begin[a]), routed.count(a), K, offset, column, gate.at(next), [&](int r, float* values) {
          for (int c = 0; c < PANEL; c += L) {
            const vf g = load(&gated[(int64_t)r * PANEL + c]);
            store(values + c, g / (1.0f + exp_(-g)) * load(values + c));
          }
          to_bf16(values, columns, hidden.at(begin[a] + r) + p * PANEL, columns);
        });
      }
#pragma omp for collapse(2) schedule(dynamic)
    for (int a = 0; a < n_active; ++a)
      for (int p = 0; p < out_panels; ++p) {
        const int64_t e = routed.active[a], offset = (e * out_panels + p) * inner * PANEL;
        const int64_t next = p + 1 < out_panels ? offset + inner * PANEL : following(a) * out_panels * inner * PANEL;
        const int columns = columns_of(D, p);
        down.multiply(hidden.at(begin[a]), routed.count(a), inner, offset, (e * out_panels + p) * PANEL, down.at(next),
                      [&](int r, const float* values) {
                        memcpy(&result[(int64_t)routed.choice(a, r) * D + p * PANEL], values, 4 * columns);
                      });
      }
  }
  routed.combine(result, gates, out, D, threads);
}
#endif
