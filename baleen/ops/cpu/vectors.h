// What the kernels share: vectors, their exponential, and the one loop that all products are made of.
//
// One rule makes every result independent of the batch: an output is one chain of fused multiply-adds, in one order
// that depends on the sizes of the model alone. How many rows are computed together, in which piece of a prompt, by
// which thread, changes which registers hold the chain and not the chain.
//
// Vectors are GCC's and clang's portable ones, as wide as the processor's registers: wider ones would live in memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define API extern "C" __attribute__((visibility("default")))

#if defined(__AVX512F__)
constexpr int L = 16;  // floats in a vector
#elif defined(__AVX__)
constexpr int L = 8;
#else
constexpr int L = 4;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif
constexpr int COLUMNS = 64;  // columns that a product is asked for at once, at most
constexpr int PAIRS = 3;     // types from here on go through tile registers (tiles.h)

typedef float vf __attribute__((vector_size(4 * L)));
typedef uint32_t vu __attribute__((vector_size(4 * L)));
typedef int32_t vi __attribute__((vector_size(4 * L)));
typedef int16_t vs __attribute__((vector_size(4 * L)));  // twice as many
typedef uint16_t vh __attribute__((vector_size(2 * L)));

inline vf load(const float* p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// Each number goes to the top of its 32 bits by one shuffle; widening crosses the register's halves, which is slow.
inline vf load(const uint16_t* p) {  // bfloat16 is the upper half of a float
  const __m256i order = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,  //
                                         -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
  return (vf)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)p)), order);
}
#else
inline vf load(const uint16_t* p) {
  vh v;
  memcpy(&v, p, sizeof v);
  return (vf)(__builtin_convertvector(v, vu) << 16);
}
#endif

// Four inputs of an output: weights of 8 bits as they lie, what they are multiplied with, of 16 bits, the first and
// third in front.
struct Four {
  int8_t of[4];
};
struct Quad {
  int16_t even[2], odd[2];
};
struct Fours {
  vi even, odd;
};
inline Fours load(const Four* p) {
  vs v;
  memcpy(&v, p, sizeof v);
  return {(vi)(v << 8 >> 8), (vi)(v >> 8)};
}

// Four numbers of an index key, and four of an index query: at most 64 in size, so that two products fit 16 bits.
struct KeyFour {
  uint8_t of[4];
};
struct QueryFour {
  int8_t of[4];
};
struct Bytes {
  vi all;
};
inline Bytes load(const QueryFour* p) {
  vi v;  // a structure would be copied by halves
  memcpy(&v, p, sizeof v);
  return {v};
}

// `n` numbers that this thread keeps from one call to the next under a name; what they are is left from before.
template <class Name, class Number>
Number* scratch(int64_t n) {
  static thread_local std::vector<Number> kept;
  if ((int64_t)kept.size() < n) kept.resize(n);
  return kept.data();
}

inline void store(float* p, vf v) { memcpy(p, &v, sizeof v); }
inline float widen(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
inline vf splat(float x) { return x - vf{}; }
inline vi splat_bits(const void* x) {
  int32_t bits;
  memcpy(&bits, x, 4);
  return bits - vi{};
}
inline Fours splat(Quad x) { return {splat_bits(x.even), splat_bits(x.odd)}; }
inline Bytes splat(KeyFour x) { return {splat_bits(x.of)}; }

inline void add_product(vf& sum, vf a, vf b) { sum += a * b; }
inline void add_product(vi& sum, vi a, vi b) {  // of pairs of 16 bits
#if defined(__AVX512VNNI__)
  sum = (vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512BW__)
  sum += (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__) && !defined(__AVX512F__)
  sum = (vi)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
#elif defined(__AVX2__) && !defined(__AVX512F__)
  sum += (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  sum += (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}
inline void add_product(vi& sum, const Fours& a, const Fours& b) {
  add_product(sum, a.even, b.even);
  add_product(sum, a.odd, b.odd);
}

inline void add_product(vi& sum, Bytes key, Bytes query) {
#if defined(__AVX512VNNI__)
  sum = (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)key.all, (__m512i)query.all);
#elif defined(__AVX512BW__)
  add_product(sum, (vi)_mm512_maddubs_epi16((__m512i)key.all, (__m512i)query.all), (vi)_mm512_set1_epi16(1));
#elif defined(__AVXVNNI__) && !defined(__AVX512F__)
  sum = (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)key.all, (__m256i)query.all);
#elif defined(__AVX2__) && !defined(__AVX512F__)
  add_product(sum, (vi)_mm256_maddubs_epi16((__m256i)key.all, (__m256i)query.all), (vi)_mm256_set1_epi16(1));
#else
  for (int byte = 0; byte < 32; byte += 8) sum += (key.all >> byte & 255) * (query.all << (24 - byte) >> 24);
#endif
}

// The largest |x|; what is no number is above all that are.
inline float magnitude(const float* x, int n) {
  uint32_t bits = 0;  // they compare as whole numbers do
  for (int i = 0; i < n; ++i) {
    uint32_t size;
    memcpy(&size, x + i, 4);
    size &= 0x7fffffffu;
    bits = size > bits ? size : bits;
  }
  float most;
  memcpy(&most, &bits, 4);
  return most;
}
inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Calls take(first, R) for all of `count` rows, R of them at once, at most ROWS: a number that the compiler knows.
template <int ROWS, class F>
inline void by_rows(int count, F take) {
  int r = 0;
  for (; r + ROWS <= count; r += ROWS) take(r, std::integral_constant<int, ROWS>());
  if constexpr (ROWS > 1)
    if (r < count) by_rows<ROWS - 1>(count - r, [&](int more, auto R) { take(r + more, R); });
}

// e^x for x <= 0 or a little above; one polynomial for every caller, so that equal inputs give equal bits.
inline vf exp_(vf x) {
  const vf low = splat(-87.0f), high = splat(88.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  vf n = x * 1.44269504f;
  vi whole = __builtin_convertvector(n + (n < 0.0f ? splat(-0.5f) : splat(0.5f)), vi);
  n = __builtin_convertvector(whole, vf);
  vf r = x - n * 0.693359375f + n * 2.12194440e-4f;  // x - n ln 2, ln 2 in two parts
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * (vf)((whole + 127) << 23);
}

// Whether the sums of R rows and S vectors of columns fit the registers, beside what is being added to them: so many
// registers a factor.
constexpr bool fits(int R, int S, int each = 1) { return R * S + (R == 1 ? 1 : S) * each + each <= REGISTERS; }

// How many of `V` vectors of columns are summed at once for R rows, a power of two.
constexpr int strip_of(int R, int V, int each) {
  int strip = 1;
  while (2 * strip <= V && fits(R, 2 * strip, each)) strip *= 2;
  return strip;
}

// sum[r][v] = sum_k x[r][k] w[k][L v ...], k ascending; rows of w are `ldw` numbers apart. Sums of whole numbers
// are such, of 32 bits, all others floats.
template <int R, int V, class X, class W, class Sum>
inline __attribute__((always_inline)) void tile(const X* const* x, const W* w, int64_t ldw, int K, Sum (&sum)[R][V]) {
  typedef decltype(load(w)) Factor;
  constexpr int S = strip_of(R, V, sizeof(Factor) / sizeof(Sum)), LINE = 64 / sizeof(W);
  for (int first = 0; first < V; first += S) {
    const W* row = w + first * L;
    Sum strip[R][S] = {};
    for (int k = 0; k < K; ++k, row += ldw) {
      if constexpr (std::is_same<W, Four>::value) {  // K rows stay near: what this strip reads of the next so many
        for (int c = 0; c < S * L; c += LINE) __builtin_prefetch(row + K * ldw + c);
      } else if (first == 0) {  // whole lines: the other strips find theirs in a cache
        for (int c = 0; c < V * L; c += LINE) __builtin_prefetch(row + 16 * ldw + c);
      }
      if constexpr (R == 1) {  // all columns at once would take the registers of the sums
        const Factor a = splat(x[0][k]);
        for (int v = 0; v < S; ++v) add_product(strip[0][v], a, load(row + v * L));
      } else {
        Factor column[S];
        for (int v = 0; v < S; ++v) column[v] = load(row + v * L);
        for (int r = 0; r < R; ++r) {
          const Factor a = splat(x[r][k]);
          for (int v = 0; v < S; ++v) add_product(strip[r][v], a, column[v]);
        }
      }
    }
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < S; ++v) sum[r][first + v] = strip[r][v];
  }
}
