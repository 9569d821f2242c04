// The kernels that a layer is made of; each says at its definition what it computes.
#pragma once

#include "vectors.h"

API void rms_norm(const float* x, const float* weight, float* y, int M, int n, float eps);
API void linear(const float* x, int64_t ldx, int64_t xg, const void* w, const float* scale, int type, float* y,
                int64_t ldy, int64_t yg, int groups, int M, int K, int N, int threads);
API void write_latents(const float* down, const float* cos, const float* sin, const float* q_norm, const float* kv_norm,
                       const float* k_weight, const float* k_bias, const int64_t* slots, void* kv, void* index_k,
                       float* key_scales, int type, float* c_q, int M, int Q, int C, int R, int D, float eps, float k_eps);
API void rotate_queries(const float* up, const float* cos, const float* sin, float* q, float* index_q, int M, int H,
                        int N, int R, int C, int J, int D, float scale);
API void select_slots(const float* q, const float* weights, const void* pool, const float* key_scales, int type,
                      const int64_t* context, const int64_t* positions, int32_t* chosen, int32_t* counts, int B, int S,
                      int T, int J, int D, int k, int threads);
API void sparse_attention(const float* q, const void* pool, int type, const int32_t* chosen, const int32_t* counts,
                          float* out, int Q, int H, int C, int width, int k, int threads);
API void route(float* logits, const float* bias, int64_t* experts, float* gates, int M, int E, int k, int groups,
               int kept_groups, int given, int normalize, float factor);
API void experts(const float* x, const int64_t* ids, const float* gates, const void* w_gate, const float* s_gate,
                 const void* w_up, const float* s_up, const void* w_down, const float* s_down, int type, float* out,
                 int tokens, int k, int n_experts, int D, int I, int threads);
