/* The arithmetic of the networks, for WebAssembly with SIMD. No standard library.
 *
 * Tensors are float32 in C order. Matrices that are multiplied lie in panels: the left one in
 * panels of ROWS rows, [K][ROWS], the right one in panels of COLUMNS columns, [K][COLUMNS]; the
 * last panel is filled up with zeros. So the innermost loop reads both without gaps.
 */

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT __attribute__((visibility("default")))
#define ROWS 4
#define COLUMNS 8

#ifdef FUSED /* one rounding a multiplication and addition, as the server's CPUs have it */
#define MULTIPLY_ADD(a, b, c) __builtin_wasm_relaxed_madd_f32x4(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#endif

/* ROWS numbers of the left panel times COLUMNS of the right one, added to the sums s00 to s31. */
#define ADD_PRODUCTS(left, b) \
  v128_t b0 = wasm_v128_load(b), b1 = wasm_v128_load(b + 4); \
  v128_t a0 = wasm_v128_load32_splat(left), a1 = wasm_v128_load32_splat(left + 1); \
  s00 = MULTIPLY_ADD(a0, b0, s00), s01 = MULTIPLY_ADD(a0, b1, s01); \
  s10 = MULTIPLY_ADD(a1, b0, s10), s11 = MULTIPLY_ADD(a1, b1, s11); \
  v128_t a2 = wasm_v128_load32_splat(left + 2), a3 = wasm_v128_load32_splat(left + 3); \
  s20 = MULTIPLY_ADD(a2, b0, s20), s21 = MULTIPLY_ADD(a2, b1, s21); \
  s30 = MULTIPLY_ADD(a3, b0, s30), s31 = MULTIPLY_ADD(a3, b1, s31);

enum { ADD, SUBTRACT, MULTIPLY, DIVIDE, GREATER, LESS_OR_EQUAL, AND, MAXIMUM, MINIMUM };
enum { LEAKY, SQUARE_ROOT, NEGATE, ROUND, CLIP, ABSOLUTE };

static int divide_up(int value, int by) { return (value + by - 1) / by; }

/* (K, N) to panels of columns. */
static void pack_columns(float *out, const float *in, int k, int n) {
  for (int column = 0; column < n; column += COLUMNS)
    for (int i = 0; i < k; i++) {
      const float *row = in + (size_t)i * n + column;
      if (column + COLUMNS <= n) {
        wasm_v128_store(out, wasm_v128_load(row));
        wasm_v128_store(out + 4, wasm_v128_load(row + 4));
      } else {
        for (int c = 0; c < COLUMNS; c++) out[c] = column + c < n ? row[c] : 0.0f;
      }
      out += COLUMNS;
    }
}

/* One panel of rows times all panels of columns: out (ROWS, stride). */
static void multiply_panel(float *out, int stride, const float *a, const float *b, int k, int n) {
  for (int column = 0; column < n; column += COLUMNS) {
    const float *left = a;
    v128_t s00 = wasm_f32x4_splat(0), s01 = s00, s10 = s00, s11 = s00;
    v128_t s20 = s00, s21 = s00, s30 = s00, s31 = s00;
    for (int i = 0; i < k; i++, left += ROWS, b += COLUMNS) {
      ADD_PRODUCTS(left, b);
    }
    float *to = out + column;
    wasm_v128_store(to, s00), wasm_v128_store(to + 4, s01), to += stride;
    wasm_v128_store(to, s10), wasm_v128_store(to + 4, s11), to += stride;
    wasm_v128_store(to, s20), wasm_v128_store(to + 4, s21), to += stride;
    wasm_v128_store(to, s30), wasm_v128_store(to + 4, s31);
  }
}

/* (C, h, w) with `pad` zeros around each channel, split into stride² planes of every stride-th row
 * and column: (C, stride², high, wide). */
static void surround(float *out, const float *in, int channels, int h, int w, int pad, int stride,
                     int high, int wide) {
  for (int c = 0; c < channels; c++, in += h * w)
    for (int phase = 0; phase < stride * stride; phase++)
      for (int y = 0; y < high; y++, out += wide) {
        int row = y * stride + phase / stride - pad, right = phase % stride - pad;
        if (row < 0 || row >= h) {
          __builtin_memset(out, 0, (size_t)wide * sizeof(float));
        } else if (stride == 1) {
          for (int x = 0; x < pad; x++) out[x] = out[pad + w + x] = 0.0f;
          __builtin_memcpy(out + pad, in + row * w, (size_t)w * sizeof(float));
        } else {
          for (int x = 0; x < wide; x++) {
            int column = x * stride + right;
            out[x] = column >= 0 && column < w ? in[row * w + column] : 0.0f;
          }
        }
      }
}

/* COLUMNS neighbouring pixels of ROWS outputs: `in` at the window of the first pixel. */
static inline __attribute__((always_inline)) void convolve_tile(
    float *out, int plane, const float *in, const float *left, const float *bias, int rows,
    int columns, int channels, int high, int wide, int kh, int kw, int stride) {
  int plane_size = high * wide;
  v128_t s00 = wasm_f32x4_splat(0), s01 = s00, s10 = s00, s11 = s00;
  v128_t s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (int c = 0; c < channels; c++, in += stride * stride * plane_size)
    for (int y = 0; y < kh; y++)
      for (int x = 0; x < kw; x++, left += ROWS) {
        int phase = y % stride * stride + x % stride;
        const float *b = in + phase * plane_size + y / stride * wide + x / stride;
        ADD_PRODUCTS(left, b);
      }
  v128_t sums[2 * ROWS] = {s00, s01, s10, s11, s20, s21, s30, s31};
  for (int r = 0; r < rows; r++, out += plane) {
    v128_t shift = wasm_f32x4_splat(bias ? bias[r] : 0.0f);
    v128_t first = wasm_f32x4_add(sums[2 * r], shift);
    v128_t second = wasm_f32x4_add(sums[2 * r + 1], shift);
    if (columns >= COLUMNS) {
      wasm_v128_store(out, first), wasm_v128_store(out + 4, second);
    } else {
      float edge[COLUMNS];
      wasm_v128_store(edge, first), wasm_v128_store(edge + 4, second);
      for (int x = 0; x < columns; x++) out[x] = edge[x];
    }
  }
}

/* A convolution: weights as panels of rows (M = outputs, K = C·kh·kw); scratch holds the input with
 * its edges, each side rounded up to the stride. It reads up to COLUMNS numbers behind that. bias
 * may be null. */
EXPORT void convolve(float *out, const float *in, const float *weights, const float *bias,
                     float *scratch, int outputs, int channels, int h, int w, int kh, int kw,
                     int stride, int pad, int oh, int ow) {
  int high = divide_up(h + 2 * pad, stride), wide = divide_up(w + 2 * pad, stride);
  int n = oh * ow, k = channels * kh * kw;
  if (pad == 0 && stride == 1)
    scratch = (float *)in;
  else
    surround(scratch, in, channels, h, w, pad, stride, high, wide);
  /* All outputs of one row of pixels: the rows that they read stay in the cache. */
  for (int y = 0; y < oh; y++)
    for (int row = 0; row < outputs; row += ROWS) {
      const float *left = weights + (size_t)row * k, *shift = bias ? bias + row : bias;
      int rows = outputs - row < ROWS ? outputs - row : ROWS;
      for (int x = 0; x < ow; x += COLUMNS) {
        float *to = out + (size_t)row * n + y * ow + x;
        const float *from = scratch + y * wide + x;
        if (kh == 3 && kw == 3 && stride == 1)
          convolve_tile(to, n, from, left, shift, rows, ow - x, channels, high, wide, 3, 3, 1);
        else
          convolve_tile(to, n, from, left, shift, rows, ow - x, channels, high, wide, kh, kw, stride);
      }
    }
}

/* Add taps (h, w) of one kernel place to an output (oh, ow). */
static void add_taps(float *out, const float *taps, int h, int w, int oh, int ow, int stride,
                     int down, int right) {
  int first = right >= 0 ? 0 : divide_up(-right, stride);
  int last = (ow - 1 - right) / stride < w - 1 ? (ow - 1 - right) / stride : w - 1;
  for (int y = 0; y < h; y++) {
    int row = y * stride + down;
    if (row < 0 || row >= oh) continue;
    float *to = out + row * ow + right;
    const float *from = taps + y * w;
    if (stride == 1)
      for (int x = first; x <= last; x++) to[x] += from[x];
    else
      for (int x = first; x <= last; x++) to[x * stride] += from[x];
  }
}

/* Kernel 4, stride 2, padding 1: each output pixel is the sum of four taps, so it is written once.
 * taps: (16, stride_of_taps); the output is (2h, 2w). */
static void weave(float *out, const float *taps, int wide, int h, int w, float bias) {
  int ow = 2 * w;
  v128_t shift = wasm_f32x4_splat(bias);
  for (int row = 0; row < 2 * h; row++) {
    /* Even rows read kernel rows 1 and 3 (of the input row above), odd ones 2 and 0 (below). */
    int near = row / 2, far = row % 2 ? near + 1 : near - 1;
    int near_row = row % 2 ? 2 : 1, far_row = row % 2 ? 0 : 3;
    int has_far = far >= 0 && far < h;
    const float *a = taps + near_row * 4 * wide + near * w;
    const float *b = has_far ? taps + far_row * 4 * wide + far * w : a;
    for (int x = 0; x < w; x += 4) {
      v128_t sums[4];
      for (int tap = 0; tap < 4; tap++) {
        /* Tap 3 adds to the even pixel on its right, tap 0 to the odd one on its left. */
        int offset = tap == 3 ? x - 1 : tap == 0 ? x + 1 : x;
        v128_t value;
        if (offset >= 0 && offset + 4 <= w) {
          value = wasm_v128_load(a + tap * wide + offset);
          if (has_far) value = wasm_f32x4_add(value, wasm_v128_load(b + tap * wide + offset));
        } else {
          float edge[4];
          for (int i = 0; i < 4; i++) {
            int at = tap * wide + offset + i, inside = offset + i >= 0 && offset + i < w;
            edge[i] = inside ? a[at] + (has_far ? b[at] : 0.0f) : 0.0f;
          }
          value = wasm_v128_load(edge);
        }
        sums[tap] = value;
      }
      v128_t even = wasm_f32x4_add(wasm_f32x4_add(sums[1], sums[3]), shift);
      v128_t odd = wasm_f32x4_add(wasm_f32x4_add(sums[2], sums[0]), shift);
      wasm_v128_store(out + row * ow + 2 * x, wasm_i32x4_shuffle(even, odd, 0, 4, 1, 5));
      wasm_v128_store(out + row * ow + 2 * x + 4, wasm_i32x4_shuffle(even, odd, 2, 6, 3, 7));
    }
  }
}

/* A transposed convolution: for each output, weights as panels of rows (M = kh·kw, K = C).
 * scratch holds K·N + M·N numbers, N = h·w rounded up to COLUMNS, M to ROWS. */
EXPORT void convolve_transposed(float *out, const float *in, const float *weights,
                                const float *bias, float *scratch, int outputs, int channels,
                                int h, int w, int kh, int kw, int stride, int pad, int oh,
                                int ow) {
  int n = h * w, wide = divide_up(n, COLUMNS) * COLUMNS, m = kh * kw;
  float *taps = scratch + (size_t)channels * wide;
  int is_woven = kh == 4 && kw == 4 && stride == 2 && pad == 1 && w % 4 == 0;
  pack_columns(scratch, in, channels, n);
  for (int output = 0; output < outputs; output++, out += oh * ow) {
    for (int row = 0; row < m; row += ROWS, weights += ROWS * channels)
      multiply_panel(taps + row * wide, wide, weights, scratch, channels, n);
    float shift = bias ? bias[output] : 0.0f;
    if (is_woven) {
      weave(out, taps, wide, h, w, shift);
      continue;
    }
    for (int i = 0; i < oh * ow; i++) out[i] = shift;
    for (int y = 0; y < kh; y++)
      for (int x = 0; x < kw; x++)
        add_taps(out, taps + (y * kw + x) * wide, h, w, oh, ow, stride, y - pad, x - pad);
  }
}

/* out (M) = weights (M, K) · in (K) + bias. */
EXPORT void multiply_vector(float *out, const float *in, const float *weights, const float *bias,
                            int m, int k) {
  for (int row = 0; row < m; row++, weights += k) {
    v128_t sums = wasm_f32x4_splat(0), more = sums;
    int i = 0;
    for (; i + 8 <= k; i += 8) {
      sums = MULTIPLY_ADD(wasm_v128_load(weights + i), wasm_v128_load(in + i), sums);
      more = MULTIPLY_ADD(wasm_v128_load(weights + i + 4), wasm_v128_load(in + i + 4), more);
    }
    sums = wasm_f32x4_add(sums, more);
    float sum = wasm_f32x4_extract_lane(sums, 0) + wasm_f32x4_extract_lane(sums, 1) +
                wasm_f32x4_extract_lane(sums, 2) + wasm_f32x4_extract_lane(sums, 3);
    for (; i < k; i++) sum += weights[i] * in[i];
    out[row] = sum + (bias ? bias[row] : 0.0f);
  }
}

#define LOOP(expression)                                 \
  for (int i = 0; i < count; i++) {                      \
    float x = a[i * step_a], y = b[i * step_b];          \
    out[i] = (expression);                               \
  }
/* Three loops of constant steps, so that the compiler makes vectors of them. */
#define EACH(expression)                                                              \
  if (step_a == 1 && step_b == 1) {                                                   \
    for (int i = 0; i < count; i++) { float x = a[i], y = b[i]; out[i] = (expression); } \
  } else if (step_a == 1 && step_b == 0) {                                            \
    float y = *b;                                                                     \
    for (int i = 0; i < count; i++) { float x = a[i]; out[i] = (expression); }         \
  } else LOOP(expression)

static void combine_row(int operator, float *out, const float *a, const float *b, int count,
                        int step_a, int step_b) {
  switch (operator) {
    case ADD: EACH(x + y) break;
    case SUBTRACT: EACH(x - y) break;
    case MULTIPLY: EACH(x * y) break;
    case DIVIDE: EACH(x / y) break;
    case GREATER: EACH(x > y ? 1.0f : 0.0f) break;
    case LESS_OR_EQUAL: EACH(x <= y ? 1.0f : 0.0f) break;
    case AND: EACH(x != 0 && y != 0 ? 1.0f : 0.0f) break;
    case MAXIMUM: EACH(x > y ? x : y) break;
    default: EACH(x < y ? x : y) break;
  }
}

/* An operator of two tensors, broadcast to four dimensions: strides are 0 where one repeats.
 * sizes: 4 of the output, 4 strides of a, 4 of b. */
EXPORT void combine(int operator, float *out, const float *a, const float *b, const int *sizes) {
  const int *of_a = sizes + 4, *of_b = sizes + 8;
  for (int i = 0; i < sizes[0]; i++)
    for (int j = 0; j < sizes[1]; j++)
      for (int k = 0; k < sizes[2]; k++, out += sizes[3])
        combine_row(operator, out, a + i * of_a[0] + j * of_a[1] + k * of_a[2],
                    b + i * of_b[0] + j * of_b[1] + k * of_b[2], sizes[3], of_a[3], of_b[3]);
}

EXPORT void transform(int operator, float *out, const float *in, int count, float low,
                      float high) {
  switch (operator) {
    case LEAKY: for (int i = 0; i < count; i++) out[i] = in[i] < 0 ? in[i] * low : in[i]; break;
    case SQUARE_ROOT: for (int i = 0; i < count; i++) out[i] = __builtin_sqrtf(in[i]); break;
    case NEGATE: for (int i = 0; i < count; i++) out[i] = -in[i]; break;
    case ROUND: for (int i = 0; i < count; i++) out[i] = __builtin_rintf(in[i]); break;
    case ABSOLUTE: for (int i = 0; i < count; i++) out[i] = __builtin_fabsf(in[i]); break;
    default:
      for (int i = 0; i < count; i++) {
        float value = in[i] < low ? low : in[i];
        out[i] = value > high ? high : value;
      }
  }
}

/* The sum over the middle of (outer, length, inner), times a factor. */
EXPORT void reduce(float *out, const float *in, int outer, int length, int inner, float factor) {
  for (int i = 0; i < outer; i++, out += inner, in += length * inner) {
    for (int k = 0; k < inner; k++) out[k] = in[k];
    for (int j = 1; j < length; j++)
      for (int k = 0; k < inner; k++) out[k] += in[j * inner + k];
    if (factor != 1)
      for (int k = 0; k < inner; k++) out[k] *= factor;
  }
}

/* out[i, j, k, l] = in[at0[i] + at1[j] + at2[k] + at3[l]]: slices, transpositions, edges, places.
 * sizes: the four of the output, and 1 where at3 counts 0, 1, 2, …; then the four tables. */
EXPORT void move(float *out, const float *in, const int *sizes) {
  const int *at0 = sizes + 5, *at1 = at0 + sizes[0], *at2 = at1 + sizes[1], *at3 = at2 + sizes[2];
  for (int i = 0; i < sizes[0]; i++)
    for (int j = 0; j < sizes[1]; j++)
      for (int k = 0; k < sizes[2]; k++, out += sizes[3]) {
        const float *row = in + at0[i] + at1[j] + at2[k];
        if (sizes[4]) {
          row += at3[0];
          for (int l = 0; l < sizes[3]; l++) out[l] = row[l];
        } else {
          for (int l = 0; l < sizes[3]; l++) out[l] = row[at3[l]];
        }
      }
}

/* (C, h, w) to (C, h·scale, w·scale), bilinear between the centres of pixels. */
EXPORT void resize(float *out, const float *in, int channels, int h, int w, int scale) {
  for (int c = 0; c < channels; c++, in += h * w)
    for (int y = 0; y < h * scale; y++) {
      float row = (y + 0.5f) / scale - 0.5f;
      row = row < 0 ? 0 : row;
      int top = (int)row, bottom = top + 1 < h ? top + 1 : h - 1;
      float down = row - top;
      for (int x = 0; x < w * scale; x++) {
        float column = (x + 0.5f) / scale - 0.5f;
        column = column < 0 ? 0 : column;
        int left = (int)column, right = left + 1 < w ? left + 1 : w - 1;
        float across = column - left;
        float upper = in[top * w + left] * (1 - across) + in[top * w + right] * across;
        float lower = in[bottom * w + left] * (1 - across) + in[bottom * w + right] * across;
        *out++ = upper * (1 - down) + lower * down;
      }
    }
}

/* Whole numbers from 0 to 255 to bytes, and back. */
EXPORT void to_bytes(uint8_t *out, const float *in, int count) {
  for (int i = 0; i < count; i++) out[i] = (uint8_t)in[i];
}

EXPORT void from_bytes(float *out, const uint8_t *in, int count) {
  for (int i = 0; i < count; i++) out[i] = in[i];
}

extern unsigned char __heap_base;
EXPORT void *heap(void) { return &__heap_base; }
