// Linear layers and experts: weights in panels of 64 output columns, float32 and bfloat16 [panels][K][64], int8
// [panels][K / 4][64][4], four inputs of a column side by side.

#include <algorithm>

#include "kernels.h"
#include "packed.h"
#include "tiles.h"

namespace {

struct Nothing {
  Nothing() {}
};

// float32 and bfloat16 weights: widened, multiplied with floats.
template <class T>
struct Floats {
  typedef T W;
  typedef Nothing Thread;
  static constexpr int DEPTH = 1, ALIGNED = 1, ROWS = 6;
  // larger pieces of x would fall out of the second-level cache between two panels
  static int at_once(int K) { return K > 1024 ? 48 : 96; }

  template <class Name>
  struct Rows {
    int K;
    const float** data;  // where each lies

    Rows(int64_t count, int K) : K(K), data(scratch<Name, const float*>(count)) {}
    void set(int64_t row, const float* x, int) const { data[row] = x; }
  };

  template <class Rows, class F>
  static void panel(const Rows& rows, int64_t first, int count, const T* w, const float*, F put) {
    by_rows<ROWS>(count, [&](int r, auto R) {
      vf sum[R][PANEL / L];
      tile(rows.data + first + r, w, PANEL, rows.K, sum);
      for (int i = 0; i < R; ++i) put(r + i, (const float*)sum[i]);
    });
  }
};

// int8 weights, multiplied with whole numbers of 16 bits that have a scale for each row: sums are exact.
struct Whole {
  typedef int8_t W;
  typedef Nothing Thread;
  static constexpr int DEPTH = 64, ALIGNED = 1, ROWS = 5;
  static constexpr int PIECE = 512;  // of the inputs: more would not fit 32 bits
  static int at_once(int K) { return K > 1024 ? 96 : 192; }

  template <class Name>
  struct Rows {
    int K;
    int16_t* data;  // of four, the first and third, then the second and fourth
    float* scales;

    Rows(int64_t count, int K)
        : K(K), data(scratch<Name, int16_t>(count * K)), scales(scratch<Name, float>(count)) {}

    void set(int64_t row, const float* x, int n) const {
      const float most = magnitude(x, n), inverse = most > 0 ? LARGEST_INPUT / most : 0;
      scales[row] = most / LARGEST_INPUT;
      int16_t* to = data + row * K;
      for (int i = 0; i < n; ++i) {
        const float whole = __builtin_rintf(x[i] * inverse);
        to[i] = (int16_t)(int32_t)(whole == whole ? whole : 0.0f);
      }
      std::fill(to + n, to + K, 0);
      for (int i = 0; i < K; i += 4) std::swap(to[i + 1], to[i + 2]);
    }
  };

  template <class Rows, class F>
  static void panel(const Rows& rows, int64_t first, int count, const int8_t* w, const float* scale, F put) {
    by_rows<ROWS>(count, [&](int r, auto R) {
      vf total[R][PANEL / L] = {};
      for (int k = 0; k < rows.K; k += PIECE) {
        const Quad* x[R];
        for (int i = 0; i < R; ++i) x[i] = (const Quad*)(rows.data + (first + r + i) * rows.K + k);
        vi sum[R][PANEL / L];
        tile(x, (const Four*)(w + (int64_t)k * PANEL), PANEL, std::min(PIECE, rows.K - k) / 4, sum);
        for (int i = 0; i < R; ++i)
          for (int v = 0; v < PANEL / L; ++v) total[i][v] += __builtin_convertvector(sum[i][v], vf);
      }
      for (int i = 0; i < R; ++i) {
        for (int v = 0; v < PANEL / L; ++v) total[i][v] *= load(scale + v * L) * rows.scales[first + r + i];
        put(r + i, (const float*)total[i]);
      }
    });
  }
};

}  // namespace

// y[g][m] = W[g] x[g][m] for `groups` matrices of one shape: groups 1 is a linear layer, groups H a matrix a head.
// x rows are `ldx` floats apart, groups within a row `xg`; the same for y. W is packed: [groups][panels][K][64].
API void linear(const float* x, int64_t ldx, int64_t xg, const void* w, const float* scale, int type, float* y,
                int64_t ldy, int64_t yg, int groups, int M, int K, int N, int threads) {
  const Linear all{x, ldx, xg, w, scale, y, ldy, yg, groups, M, K, N, threads};
  if (type >= PAIRS) linear_tiles(all);
  else if (type == 0) linear_of<Floats<float>>(all);
  else if (type == 1) linear_of<Floats<uint16_t>>(all);
  else linear_of<Whole>(all);
}

// out[t] = sum_j gates[t][j] SwiGLU_{ids[t][j]}(x[t]), j ascending. Matrices packed an expert after another.
API void experts(const float* x, const int64_t* ids, const float* gates, const void* w_gate, const float* s_gate,
                 const void* w_up, const float* s_up, const void* w_down, const float* s_down, int type, float* out,
                 int tokens, int k, int n_experts, int D, int I, int threads) {
  const Routed routed(ids, tokens, k, n_experts);
  const Experts all{x, routed, gates, w_gate, s_gate, w_up, s_up, w_down, s_down, out, D, I, threads};
  if (type >= PAIRS) experts_tiles(all);
  else if (type == 0) experts_of<Floats<float>>(all);
  else if (type == 1) experts_of<Floats<uint16_t>>(all);
  else experts_of<Whole>(all);
}

// Whether the processor has tiles for bfloat16 and int8 weights.
API int wants_pairs() {
#ifdef TILES
  return tiles_granted();
#else
  return 0;
#endif
}
