// What the kernels share: vectors, their exponential, and the one loop that all products are made of.
//
// One rule makes every result independent of the batch: an output is one chain of fused multiply-adds, in one order
// that depends on the sizes of the model alone. How many rows are computed together, in which piece of a prompt, by
// which thread, changes which registers hold the chain and not the chain.
//
// Vectors are GCC's and clang's portable ones; 16 floats are one AVX-512 register, two of AVX2, four of NEON.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

constexpr int L = 16;      // floats in a vector
constexpr int PAIRS = 3;   // types from here on go through tile registers (tiles.h)

typedef float vf __attribute__((vector_size(4 * L)));
typedef uint32_t vu __attribute__((vector_size(4 * L)));
typedef int32_t vi __attribute__((vector_size(4 * L)));
typedef int16_t vs __attribute__((vector_size(2 * L)));
typedef uint16_t vh __attribute__((vector_size(2 * L)));
typedef int8_t vb __attribute__((vector_size(L)));

inline vf load(const float* p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
inline vf load(const uint16_t* p) {  // bfloat16 is the upper half of a float
  vh v;
  memcpy(&v, p, sizeof v);
  return (vf)(__builtin_convertvector(v, vu) << 16);
}
inline vf load(const int8_t* p) {
  vb v;
  memcpy(&v, p, sizeof v);
  // by doubling: wider steps GCC 12 takes one number at a time
  return __builtin_convertvector(__builtin_convertvector(__builtin_convertvector(v, vs), vi), vf);
}
// `n` numbers that this thread keeps from one call to the next under a name; what they are is left from before.
template <class Name, class Number>
Number* scratch(int64_t n) {
  static thread_local std::vector<Number> kept;
  if ((int64_t)kept.size() < n) kept.resize(n);
  return kept.data();
}

inline void store(float* p, vf v) { memcpy(p, &v, sizeof v); }
inline float widen(float x) { return x; }
inline float widen(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}
inline vf splat(float x) { return x - vf{}; }

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

// sum[r][v] += sum_k x[r][k] w[k][16 v ...], k ascending; rows of w are `ldw` numbers apart.
template <int R, int V, class X, class W>
inline __attribute__((always_inline)) void tile(const X* const* x, const W* w, int64_t ldw, int K, vf (&sum)[R][V]) {
  for (int k = 0; k < K; ++k, w += ldw) {
    for (int v = 0; v < V; ++v) __builtin_prefetch(w + 16 * ldw + v * L);
    vf column[V];
    for (int v = 0; v < V; ++v) column[v] = load(w + v * L);
    for (int r = 0; r < R; ++r) {
      const vf a = splat(widen(x[r][k]));
      for (int v = 0; v < V; ++v) sum[r][v] += a * column[v];
    }
  }
}
