// Linear layers and experts in tile registers: weights in pairs of bfloat16, [panels][K / 2][64][2], K padded to 32, or
// in fours of int8, [panels][K / 4][64][4], K padded to 64.
//
// What bfloat16 is multiplied with is rounded to bfloat16, sums are float32. What int8 is multiplied with becomes whole
// numbers of 16 bits, two bytes, with a scale for each row: the sums of whole numbers are exact.

#include "tiles.h"

#include "packed.h"

#ifdef TILES
#include <sys/syscall.h>
#include <unistd.h>

bool tiles_granted() {
  static const bool granted = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0;
  return granted;
}

namespace {

static_assert(PANEL == 4 * T);

// Rows as tiles read them; rows of padding are whatever they are, columns of padding zeros.
template <class W, class Name>
struct TileRows;

template <class Name>
struct TileRows<bf16, Name> {
  static constexpr int IN_TILE = T;
  int K;
  bf16* data;

  TileRows(int64_t count, int K) : K(K), data(scratch<Name, bf16>((count + 2 * T) * K)) {}

  void set(int64_t row, const float* x, int n) const { to_bf16(x, n, data + row * K, K); }
  const bf16* at(int64_t row) const { return data + row * K; }  // a multiple of IN_TILE
  vf value(const float* sums, int64_t, const float*) const { return load(sums); }
};

// Upper bytes of eight rows, then their lower bytes.
template <class Name>
struct TileRows<int8_t, Name> {
  static constexpr int IN_TILE = T / 2;
  int K;
  int8_t* data;
  float* scales;

  TileRows(int64_t count, int K)
      : K(K), data(scratch<Name, int8_t>(2 * (count + T) * K)), scales(scratch<Name, float>(count + T)) {}

  void set(int64_t row, const float* x, int n) const {
    const float most = magnitude(x, n), inverse = most > 0 ? LARGEST_INPUT / most : 0;
    scales[row] = most / LARGEST_INPUT;
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

template <class Weight>
struct InTiles {
  typedef Weight W;
  typedef UseTiles Thread;
  static constexpr int DEPTH = WIDTH<W>, ALIGNED = T;
  static int at_once(int) { return 128; }

  template <class Name>
  using Rows = TileRows<W, Name>;

  template <class Rows, class F>
  static void panel(const Rows& rows, int64_t first, int count, const W* w, const float* scale, F put) {
    constexpr int HALF = Rows::IN_TILE, WIDE = WIDTH<W>, LINE = 4 * WIDE;
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
};

}  // namespace

void linear_tiles(const Linear& all) {
  if (all.scale) linear_of<InTiles<int8_t>>(all);
  else linear_of<InTiles<bf16>>(all);
}

void experts_tiles(const Experts& all) {
  if (all.s_gate) experts_of<InTiles<int8_t>>(all);
  else experts_of<InTiles<bf16>>(all);
}
#else
void linear_tiles(const Linear&) {}
void experts_tiles(const Experts&) {}
#endif
