// Linear layers and experts in tile registers: the twins of linear.cpp for weights in pairs of bfloat16,
// [panels][K / 2][64][2], K padded to 32, or in fours of int8, [panels][K / 4][64][4], K padded to 64.
//
// What bfloat16 is multiplied with is rounded to bfloat16, sums are float32. What int8 is multiplied with becomes whole
// numbers of 16 bits, two bytes, with a scale for each row: the sums of whole numbers are exact.

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

// Rows as tiles read them; rows of padding are whatever they are, columns of padding zeros.
template <class W, class Name>
struct Rows;

template <class Name>
struct Rows<bf16, Name> {
  static constexpr int IN_TILE = T;
  int K;
  bf16* data;

  Rows(int64_t count, int K) : K(K), data(scratch<Name, bf16>((count + 2 * T) * K)) {}

  void set(int64_t row, const float* x, int n) const { to_bf16(x, n, data + row * K, K); }
  const bf16* at(int64_t row) const { return data + row * K; }  // a multiple of IN_TILE
  vf value(const float* sums, int64_t, const float*) const { return load(sums); }
};

// Upper bytes of eight rows, then their lower bytes.
template <class Name>
struct Rows<int8_t, Name> {
  static constexpr int IN_TILE = T / 2;
  static constexpr float LARGEST = 127 * 256;
  int K;
  int8_t* data;
  float* scales;

  Rows(int64_t count, int K)
      : K(K), data(scratch<Name, int8_t>(2 * (count + T) * K)), scales(scratch<Name, float>(count + T)) {}

  void set(int64_t row, const float* x, int n) const {
    vi largest = {};  // magnitudes compare as whole numbers do; what is no number is above all
    for (int i = 0; i < n; i += L) {
      const vi size = (vi)part(x, i, n) & 0x7fffffff;
      largest = size > largest ? size : largest;
    }
    int bits = 0;
    for (int l = 0; l < L; ++l) bits = largest[l] > bits ? largest[l] : bits;
    float most;
    memcpy(&most, &bits, 4);
    const float inverse = most > 0 ? LARGEST / most : 0;
    scales[row] = most / LARGEST;
    int8_t* upper = data + (row / IN_TILE * T + row % IN_TILE) * K;
    for (int i = 0; i < K; i += L) {
      const __m512i whole = _mm512_cvtps_epi32((__m512)(part(x, i, n) * inverse));
      const __m512i high = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(128)), 8);
      _mm_storeu_si128((__m128i*)(upper + i), _mm512_cvtepi32_epi8(high));
      _mm_storeu_si128((__m128i*)(upper + IN_TILE * K + i), _mm512_cvtepi32_epi8(whole));
    }
  }

  const int8_t* at(int64_t row) const { return data + 2 * row * K; }

  // of the row's sums, each of 32 bits, which stand 16 apart from those of its lower bytes
  vf value(const float* sums, int64_t row, const float* scale) const {
    const vf high = whole(sums), low = whole(sums + IN_TILE * PANEL);
    return (high * 256.0f + low) * (load(scale) * scales[row]);
  }

 private:
  static vf part(const float* x, int i, int n) {
    return i + L <= n ? load(x + i) : (vf)_mm512_maskz_loadu_ps(i < n ? (1u << (n - i)) - 1 : 0, x + i);
  }
  static vf whole(const float* sums) { return __builtin_convertvector((vi)load(sums), vf); }
};

// Calls put(r, values[64]) for `count` of the rows times one panel of columns with these scales (int8 only).
template <class W, class Name, class F>
void panel(const Rows<W, Name>& rows, int64_t first, int count, const W* w, const float* scale, F put) {
  constexpr int HALF = Rows<W, Name>::IN_TILE, WIDE = WIDTH<W>, LINE = 4 * WIDE;
  const int K = rows.K;
  alignas(64) float sums[2 * T][PANEL];
  for (int r = 0; r < count; r += 2 * HALF) {
    const W* x = rows.at(first + r);
    if (count - r > HALF) {
      product_2x2(x, K, w, LINE, K, sums[0], PANEL);
      product_2x2(x, K, w + 2 * WIDE, LINE, K, sums[0] + 2 * T, PANEL);
    } else {
      product_1x4(x, K, w, LINE, K, sums[0], PANEL);
    }
    for (int i = 0; i < 2 * HALF && r + i < count; ++i) {
      float* row = sums[i / HALF * T + i % HALF];
      for (int c = 0; c < PANEL; c += L) store(row + c, rows.value(row + c, first + r + i, scale + c));
      put(r + i, row);
    }
  }
}

inline int panels_of(int n) { return (n + PANEL - 1) / PANEL; }
inline int columns_of(int n, int panel) { return n - panel * PANEL < PANEL ? n - panel * PANEL : PANEL; }

// The first of 64 numbers; of all of them the compiler makes four instructions instead of a call.
inline void copy(const float* values, int columns, float* to) {
  if (columns == PANEL) memcpy(to, values, 4 * PANEL);
  else memcpy(to, values, 4 * columns);
}

template <class W>
struct Matrices {  // of heads or experts, one after another, `panels` of K inputs each
  const W* data;
  const float* scale;
  int panels, K;
  const W* at(int64_t g, int p) const { return data + (g * panels + p) * K * PANEL; }
  const float* scale_at(int64_t g, int p) const { return scale ? scale + (g * panels + p) * PANEL : nullptr; }
};

template <class W>
void linear_of(const float* x, int64_t ldx, int64_t xg, const W* w, const float* scale, float* y, int64_t ldy, int64_t yg,
               int groups, int M, int inputs, int N, int threads) {
  const int K = (int)round_up(inputs, WIDTH<W>), panels = panels_of(N), block = 128, blocks = (M + block - 1) / block;
  const int64_t padded = round_up(M, T);
  const Matrices<W> weights{w, scale, panels, K};
  const Rows<W, struct Inputs> rows(padded * groups, K);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
#pragma omp for schedule(static)
    for (int m = 0; m < M; ++m)
      for (int g = 0; g < groups; ++g) rows.set(g * padded + m, x + m * ldx + g * xg, inputs);
#pragma omp for collapse(3) schedule(static)
    for (int b = 0; b < blocks; ++b)
      for (int g = 0; g < groups; ++g)
        for (int p = 0; p < panels; ++p) {
          const int first = b * block, count = M - first < block ? M - first : block;
          float* out = y + first * ldy + g * yg + p * PANEL;
          const int columns = columns_of(N, p);
          panel(rows, g * padded + first, count, weights.at(g, p), weights.scale_at(g, p),
                [&](int r, const float* values) { copy(values, columns, out + r * ldy); });
        }
  }
}

template <class W>
void experts_of(const float* x, const Routed& routed, const float* gates, const void* w_gate, const float* s_gate,
                const void* w_up, const float* s_up, const void* w_down, const float* s_down, float* out, int D, int I,
                int threads) {
  const int K = (int)round_up(D, WIDTH<W>), inner = (int)round_up(I, WIDTH<W>), n_active = (int)routed.active.size();
  const Matrices<W> gate{(const W*)w_gate, s_gate, panels_of(I), K}, up{(const W*)w_up, s_up, panels_of(I), K};
  const Matrices<W> down{(const W*)w_down, s_down, panels_of(D), inner};
  // every expert's rows begin at a multiple of a tile's
  std::vector<int64_t> begin(n_active + 1, 0);
  for (int a = 0; a < n_active; ++a) begin[a + 1] = begin[a] + round_up(routed.count(a), T);
  const Rows<W, struct Tokens> rows(begin[n_active], K);
  const Rows<W, struct Hidden> hidden(begin[n_active], inner);
  const int64_t width = (int64_t)gate.panels * PANEL;
  float* gated = scratch<struct Gated, float>(begin[n_active] * width);
  float* result = scratch<struct Result, float>((int64_t)routed.order.size() * D);

#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    UseTiles here;
#pragma omp for schedule(static)
    for (int a = 0; a < n_active; ++a)
      for (int r = 0; r < routed.count(a); ++r) rows.set(begin[a] + r, x + (int64_t)(routed.choice(a, r) / routed.k) * D, D);
#pragma omp for collapse(2) schedule(dynamic)
    for (int a = 0; a < n_active; ++a)
      for (int p = 0; p < gate.panels; ++p) {
        const int64_t e = routed.active[a];
        float* to = gated + begin[a] * width + p * PANEL;
        panel(rows, begin[a], routed.count(a), gate.at(e, p), gate.scale_at(e, p),
              [&](int r, const float* values) { memcpy(to + r * width, values, 4 * PANEL); });
        panel(rows, begin[a], routed.count(a), up.at(e, p), up.scale_at(e, p), [&](int r, const float* values) {
          for (int c = 0; c < PANEL; c += L) {
            const vf g = load(to + r * width + c);
            store(to + r * width + c, g / (1.0f + exp_(-g)) * load(values + c));
          }
        });
      }
#pragma omp for schedule(static)
    for (int a = 0; a < n_active; ++a)
      for (int r = 0; r < routed.count(a); ++r) hidden.set(begin[a] + r, gated + (begin[a] + r) * width, I);
#pragma omp for collapse(2) schedule(dynamic)
    for (int a = 0; a < n_active; ++a)
      for (int p = 0; p < down.panels; ++p) {
        const int64_t e = routed.active[a];
        const int columns = columns_of(D, p);
        panel(hidden, begin[a], routed.count(a), down.at(e, p), down.scale_at(e, p), [&](int r, const float* values) {
          copy(values, columns, result + (int64_t)routed.choice(a, r) * D + p * PANEL);
        });
      }
  }
  routed.combine(result, gates, out, D, threads);
}

}  // namespace

void linear_tiles(const float* x, int64_t ldx, int64_t xg, const void* w, const float* scale, float* y, int64_t ldy,
                  int64_t yg, int groups, int M, int inputs, int N, int threads) {
  if (scale) linear_of(x, ldx, xg, (const int8_t*)w, scale, y, ldy, yg, groups, M, inputs, N, threads);
  else linear_of(x, ldx, xg, (const bf16*)w, scale, y, ldy, yg, groups, M, inputs, N, threads);
}

void experts_tiles(const float* x, const Routed& routed, const float* gates, const void* w_gate, const float* s_gate,
                   const void* w_up, const float* s_up, const void* w_down, const float* s_down, float* out, int D,
                   int I, int threads) {
  const auto compute = s_gate ? experts_of<int8_t> : experts_of<bf16>;
  compute(x, routed, gates, w_gate, s_gate, w_up, s_up, w_down, s_down, out, D, I, threads);
}
#endif
