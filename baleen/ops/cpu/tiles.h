// Products of bfloat16 or int8 matrices in the processor's tile registers (Intel AMX), where it has them.
//
// A tile is 16 rows of 64 bytes. C[m][n] += sum of A[m][2k] B[k][2n] + A[m][2k + 1] B[k][2n + 1]: each output is again
// one chain in the order of k, whatever stands in the other rows, so the rule of vectors.h holds. Right-hand matrices
// are stored in pairs: rows 2k and 2k + 1 interleaved, [K / 2][columns][2]; of int8, summed in int32, four rows are.
#pragma once

#include "vectors.h"

constexpr int T = 16;      // rows of a tile, and its columns of 32 bits
typedef uint16_t bf16;
template <class W>
constexpr int WIDTH = 64 / sizeof(W);  // numbers in a tile's row: K is a multiple of it
constexpr int STEP = WIDTH<bf16>;

// clang has no shuffle by an order that is computed; it goes without
#if !defined(__clang__) && defined(__AMX_BF16__) && defined(__AMX_INT8__) && defined(__AVX512BF16__) && defined(__AVX512BW__)
#define TILES 1

bool tiles_granted();  // whether the kernel lets this process use tiles

// Tiles are configured thread by thread; all eight are 16 rows of 64 bytes.
struct UseTiles {
  UseTiles() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {T, T, T, T, T, T, T, T};
    } config;
    _tile_loadconfig(&config);
  }
  ~UseTiles() { _tile_release(); }
};

inline __attribute__((always_inline)) void zero_tiles() {
  // GCC's tile loads do not say that they read memory: what was written before must be there
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// `n` floats to bfloat16, rounded to nearest even, zeros up to `padded`.
inline void to_bf16(const float* x, int n, bf16* out, int padded) {
  int i = 0;
  for (; i + L <= n; i += L) {
    const __m256bh half = _mm512_cvtneps_pbh(_mm512_loadu_ps(x + i));
    memcpy(out + i, &half, sizeof half);
  }
  if (i < n) {
    const __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps((1u << (n - i)) - 1, x + i));
    memcpy(out + i, &half, sizeof half);
    i += L;
  }
  if (i < padded) memset(out + i, 0, 2 * (padded - i));
}

// (a[0], b[0]), (a[1], b[1]), ...: two rows of 16 floats as the pairs of a right-hand tile's row.
inline __m512i pairs_of(vf a, vf b) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a));
}

// Two rows of 32 bfloat16 numbers as 64 of pairs.
inline void interleave(const bf16* a, const bf16* b, bf16* out) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5,
                                       36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  const __m512i va = _mm512_loadu_si512(a), vb = _mm512_loadu_si512(b);
  _mm512_storeu_si512(out, _mm512_permutex2var_epi16(va, low, vb));
  _mm512_storeu_si512(out + STEP, _mm512_permutex2var_epi16(va, high, vb));
}

// Tiles 0 to 3 at `out`, the later three this many numbers behind it.
inline __attribute__((always_inline)) void store_tiles(void* out, int64_t ldo, int64_t one, int64_t two, int64_t three) {
  float* to = (float*)out;
  _tile_stored(0, to, 4 * ldo);
  _tile_stored(1, to + one, 4 * ldo);
  _tile_stored(2, to + two, 4 * ldo);
  _tile_stored(3, to + three, 4 * ldo);
}

// c += a b, bytes of `A` with or without a sign; the instructions want their tiles by number.
#define MULTIPLY(c, a, b)                                         \
  if constexpr (sizeof(A) == 2) _tile_dpbf16ps(c, a, b);          \
  else if constexpr (std::is_signed<A>::value) _tile_dpbssd(c, a, b); \
  else _tile_dpbusd(c, a, b)

// out[16][64] = a[16][K] b[K][64] in 32 bits; `lda`, `ldb` (of what is interleaved), `ldo` in numbers.
template <class A, class W>
inline void product_1x4(const A* a, int64_t lda, const W* b, int64_t ldb, int K, void* out, int64_t ldo) {
  constexpr int WIDE = WIDTH<W>;
  const int64_t size = sizeof(W);
  zero_tiles();
  for (int k = 0; k < K; k += WIDE, b += T * ldb) {
    _tile_loadd(4, a + k, size * lda);
    _tile_loadd(5, b, size * ldb);
    MULTIPLY(0, 4, 5);
    _tile_loadd(6, b + WIDE, size * ldb);
    MULTIPLY(1, 4, 6);
    _tile_loadd(7, b + 2 * WIDE, size * ldb);
    MULTIPLY(2, 4, 7);
    _tile_loadd(5, b + 3 * WIDE, size * ldb);
    MULTIPLY(3, 4, 5);
  }
  store_tiles(out, ldo, T, 2 * T, 3 * T);
}

// out[32][32] = a[32][K] b[K][32].
template <class A, class W>
inline void product_2x2(const A* a, int64_t lda, const W* b, int64_t ldb, int K, void* out, int64_t ldo) {
  constexpr int WIDE = WIDTH<W>;
  const int64_t size = sizeof(W);
  zero_tiles();
  for (int k = 0; k < K; k += WIDE, b += T * ldb) {
    _tile_loadd(4, a + k, size * lda);
    _tile_loadd(6, b, size * ldb);
    MULTIPLY(0, 4, 6);
    _tile_loadd(7, b + WIDE, size * ldb);
    MULTIPLY(1, 4, 7);
    _tile_loadd(5, a + T * lda + k, size * lda);
    MULTIPLY(2, 5, 6);
    MULTIPLY(3, 5, 7);
  }
  store_tiles(out, ldo, T, T * ldo, T * ldo + T);
}

// out[32][16] = a[32][K] b[K][16].
template <class A, class W>
inline void product_2x1(const A* a, int64_t lda, const W* b, int64_t ldb, int K, float* out, int64_t ldo) {
  const int64_t size = sizeof(W);
  zero_tiles();
  for (int k = 0; k < K; k += WIDTH<W>, b += T * ldb) {
    _tile_loadd(6, b, size * ldb);
    _tile_loadd(4, a + k, size * lda);
    MULTIPLY(0, 4, 6);
    _tile_loadd(5, a + T * lda + k, size * lda);
    MULTIPLY(1, 5, 6);
  }
  _tile_stored(0, out, 4 * ldo);
  _tile_stored(1, out + T * ldo, 4 * ldo);
}
#undef MULTIPLY

// The transpose of N x N numbers of 32 bits, in place, of each N columns that stand side by side.
template <int N>
inline void transpose(vf (&m)[N]) {
  const vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int half = N / 2; half; half /= 2) {
    // rows i and i + half exchange the lanes whose index has that bit
    const vi upper = (lane & half) != 0, first = upper ? lane - half + L : lane, second = upper ? lane + L : lane + half;
    for (int i = 0; i < N; ++i)
      if (!(i & half)) {
        const vf a = m[i], b = m[i + half];
        m[i] = __builtin_shuffle(a, b, first);
        m[i + half] = __builtin_shuffle(a, b, second);
      }
  }
}

#endif
