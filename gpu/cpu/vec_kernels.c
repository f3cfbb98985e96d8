/* Elementwise, norm and reduction kernels; compiled once per instruction set
 * with -DISA=name.  gpu/cpu/vec_kernels.h says what each does.
 *
 * Whole vectors, then the rest through a padded vector and the same code. */
#include "gpu/cpu/vec_kernels.h"

#include "gpu/cpu/vmath.h"

enum {
	LANES = 32,
	NV = LANES / VW,
};

INLINE vf load(const float *x)
{
	return *(const vf *)x;
}

INLINE void store(float *y, vf v)
{
	*(vf *)y = v;
}

/* The first n < VW of x, the others `rest`. */
INLINE vf load_part(const float *x, int64_t n, float rest)
{
	float pad[VW];
	for (int64_t i = 0; i < VW; i++)
		pad[i] = i < n ? x[i] : rest;
	return load(pad);
}

INLINE void store_part(float *y, vf v, int64_t n)
{
	memcpy(y, &v, (size_t)n * sizeof(*y));
}

/* ---- elementwise -------------------------------------------------------- */

INLINE void map(float *y, const float *x, int64_t n, vf (*f)(vf))
{
	int64_t i = 0;
	for (; i + VW <= n; i += VW)
		store(y + i, f(load(x + i)));
	if (i < n)
		store_part(y + i, f(load_part(x + i, n - i, 0)), n - i);
}

INLINE void map2(
	float *y, const float *a, const float *b, float c, int64_t n, vf (*f)(vf, vf, float))
{
	int64_t i = 0;
	for (; i + VW <= n; i += VW)
		store(y + i, f(load(a + i), load(b + i), c));
	if (i < n)
		store_part(
			y + i, f(load_part(a + i, n - i, 0), load_part(b + i, n - i, 0), c), n - i);
}

/* Comparisons are written so that NaN stays NaN. */
INLINE vf relu1(vf x)
{
	return vselect(x < 0.0f, (vf){0}, x);
}

INLINE vf elu1(vf x)
{
	return vselect(x > 0.0f, x, vexpm1(x));
}

/* The form with tanh, of GPT-2 and T5 v1.1: sqrt(2 / pi) (x + 0.044715 x^3) */
INLINE vf gelu_tanh1(vf x)
{
	vf u = (x + x * x * x * 0.044715f) * 0.79788456080286536f;
	return x * 0.5f * (vtanh(u) + 1.0f);
}

INLINE vf leaky_relu1(vf x, vf unused, float slope)
{
	return vselect(x < 0.0f, x * slope, x);
}

INLINE vf gated_gelu_tanh1(vf a, vf b, float unused)
{
	return a * gelu_tanh1(b);
}

INLINE vf gated_silu1(vf a, vf b, float unused)
{
	return a * vsilu(b);
}

INLINE vf gated_gelu1(vf a, vf b, float unused)
{
	return a * vgelu(b);
}

INLINE vf add1(vf a, vf b, float unused)
{
	return a + b;
}

INLINE vf guidance1(vf text, vf null, float scale)
{
	return null + (text - null) * scale;
}

static void relu(float *y, const float *x, int64_t n)
{
	map(y, x, n, relu1);
}

static void gelu(float *y, const float *x, int64_t n)
{
	map(y, x, n, vgelu);
}

static void elu(float *y, const float *x, int64_t n)
{
	map(y, x, n, elu1);
}

static void silu(float *y, const float *x, int64_t n)
{
	map(y, x, n, vsilu);
}

static void gelu_tanh(float *y, const float *x, int64_t n)
{
	map(y, x, n, gelu_tanh1);
}

static void leaky_relu(float *y, const float *x, float slope, int64_t n)
{
	map2(y, x, x, slope, n, leaky_relu1);
}

static void gated_gelu_tanh(float *y, const float *a, const float *b, int64_t n)
{
	map2(y, a, b, 0, n, gated_gelu_tanh1);
}

static void gated_silu(float *y, const float *a, const float *b, int64_t n)
{
	map2(y, a, b, 0, n, gated_silu1);
}

static void gated_gelu(float *y, const float *a, const float *b, int64_t n)
{
	map2(y, a, b, 0, n, gated_gelu1);
}

static void sigmoid(float *y, const float *x, int64_t n)
{
	map(y, x, n, vsigmoid);
}

static void hyperbolic(float *y, const float *x, int64_t n)
{
	map(y, x, n, vtanh);
}

static void add(float *y, const float *a, const float *b, int64_t n)
{
	map2(y, a, b, 0, n, add1);
}

static void guidance(float *y, const float *text, const float *null, float scale, int64_t n)
{
	map2(y, text, null, scale, n, guidance1);
}

static void snake(float *y, const float *x, const float *alpha, const float *inv_beta, int64_t n)
{
	int64_t i = 0;
	for (; i + VW <= n; i += VW) {
		vf v = load(x + i);
		store(y + i, v + vsin2(load(alpha + i) * v) * load(inv_beta + i));
	}
	if (i < n) {
		vf v = load_part(x + i, n - i, 0), a = load_part(alpha + i, n - i, 0);
		store_part(y + i, v + vsin2(a * v) * load_part(inv_beta + i, n - i, 0), n - i);
	}
}

static void rotate(float *a, float *b, const float *cos, const float *sin, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		const float u = a[i], v = b[i];
		a[i] = u * cos[i] - v * sin[i];
		b[i] = v * cos[i] + u * sin[i];
	}
}

static void add_bf16(float *y, const uint16_t *b, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		uint32_t bits = (uint32_t)b[i] << 16;
		float f;
		memcpy(&f, &bits, sizeof(f));
		y[i] += f;
	}
}

static void exp_scaled(float *y, const float *x, float shift, float scale, int64_t n)
{
	int64_t i = 0;
	for (; i + VW <= n; i += VW)
		store(y + i, vexp((load(x + i) - shift) / scale));
	if (i < n)
		store_part(y + i, vexp((load_part(x + i, n - i, shift) - shift) / scale), n - i);
}

/* ---- reductions --------------------------------------------------------- */

INLINE void clear(vf acc[NV])
{
	UNROLL
	for (int v = 0; v < NV; v++)
		acc[v] = (vf){0};
}

INLINE float fold(const vf acc[NV])
{
	float lane[LANES];
	memcpy(lane, acc, sizeof(lane));
	for (int half = LANES / 2; half; half /= 2)
		for (int i = 0; i < half; i++)
			lane[i] += lane[i + half];
	return lane[0];
}

/* A line of LANES values of a row of n: the rest of the last is filled up. */
INLINE const float *line(const float *x, int64_t i, int64_t n, float rest, float pad[LANES])
{
	if (i + LANES <= n)
		return x + i;
	for (int64_t j = 0; j < LANES; j++)
		pad[j] = i + j < n ? x[i + j] : rest;
	return pad;
}

static float sum(const float *x, int64_t n)
{
	vf acc[NV];
	float pad[LANES];
	clear(acc);
	for (int64_t i = 0; i < n; i += LANES) {
		const float *p = line(x, i, n, 0, pad);
		UNROLL
		for (int v = 0; v < NV; v++)
			acc[v] += load(p + v * VW);
	}
	return fold(acc);
}

/* sum (x - mean)^2 */
static float sum_squares(const float *x, float mean, int64_t n)
{
	vf acc[NV];
	float pad[LANES];
	clear(acc);
	for (int64_t i = 0; i < n; i += LANES) {
		const float *p = line(x, i, n, mean, pad);
		UNROLL
		for (int v = 0; v < NV; v++) {
			vf d = load(p + v * VW) - mean;
			acc[v] += d * d;
		}
	}
	return fold(acc);
}

static float dot(const float *a, const float *b, int64_t n)
{
	vf acc[NV];
	float pad_a[LANES], pad_b[LANES];
	clear(acc);
	for (int64_t i = 0; i < n; i += LANES) {
		const float *p = line(a, i, n, 0, pad_a), *q = line(b, i, n, 0, pad_b);
		UNROLL
		for (int v = 0; v < NV; v++)
			acc[v] += load(p + v * VW) * load(q + v * VW);
	}
	return fold(acc);
}

static void norm(float *y, const float *x, const float *w, const float *b, float eps, int64_t n)
{
	const float mean = b ? sum(x, n) / (float)n : 0;
	const float scale = 1 / sqrtf(sum_squares(x, mean, n) / (float)n + eps);
	int64_t i = 0;
	for (; i + VW <= n; i += VW) {
		vf v = (load(x + i) - mean) * scale * load(w + i);
		if (b)
			v += load(b + i);
		store(y + i, v);
	}
	for (; i < n; i++) {
		float v = (x[i] - mean) * scale * w[i];
		y[i] = b ? v + b[i] : v;
	}
}

static int32_t nearest(
	const float *x, const float *book, const float *squares, int64_t n_entries, int64_t n)
{
	const float square = dot(x, x, n);
	float least = INFINITY;
	int32_t best = 0;
	for (int64_t i = 0; i < n_entries; i++) {
		float distance = square - 2 * dot(x, book + i * n, n) + squares[i];
		if (distance < least) {
			least = distance;
			best = (int32_t)i;
		}
	}
	return best;
}

static float max(const float *x, int64_t n)
{
	vf top[NV];
	vi good[NV];
	float lane[LANES], pad[LANES], best = -INFINITY;
	int32_t is_good[LANES];
	UNROLL
	for (int v = 0; v < NV; v++) {
		top[v] = (vf){0} - INFINITY;
		good[v] = (vi){0} - 1;
	}
	for (int64_t i = 0; i < n; i += LANES) {
		const float *p = line(x, i, n, -INFINITY, pad);
		UNROLL
		for (int v = 0; v < NV; v++) {
			vf f = load(p + v * VW);
			top[v] = vselect(f > top[v], f, top[v]);
			good[v] &= f < INFINITY;
		}
	}
	memcpy(lane, top, sizeof(lane));
	memcpy(is_good, good, sizeof(is_good));
	for (int i = 0; i < LANES; i++) {
		if (!is_good[i])
			return NAN;
		best = lane[i] > best ? lane[i] : best;
	}
	return best;
}

/* ---- bf16 --------------------------------------------------------------- */

/* a, or b where that is greater. */
INLINE vf vgreater(vf a, vf b)
{
#if defined(__AVX512F__)
	return (vf)_mm512_max_ps((__m512)b, (__m512)a);
#elif defined(__AVX2__)
	return (vf)_mm256_max_ps((__m256)b, (__m256)a);
#else
	return vselect(b > a, b, a);
#endif
}

INLINE float vgreatest(vf x)
{
#if defined(__AVX512F__)
	return _mm512_reduce_max_ps((__m512)x);
#else
	float top = x[0];

	for (int i = 1; i < VW; i++)
		top = x[i] > top ? x[i] : top;
	return top;
#endif
}

static void row_max(float *top, const float *s, int64_t stride, int64_t n_rows, int64_t width)
{
	for (int64_t r = 0; r < n_rows; r++, s += stride) {
		vf most[NV];
		UNROLL
		for (int v = 0; v < NV; v++)
			most[v] = (vf){0} - INFINITY;
		for (int64_t i = 0; i < width; i += LANES)
			UNROLL
		for (int v = 0; v < NV; v++)
			most[v] = vgreater(most[v], load(s + i + v * VW));
		UNROLL
		for (int v = 1; v < NV; v++)
			most[0] = vgreater(most[0], most[v]);
		top[r] = vgreatest(most[0]);
	}
}

/* The upper halves of LANES values, i and i + 16 as neighbours; leaves what is below them. */
INLINE void put_upper(uint16_t *p, vf x[NV])
{
	vu upper[NV];

	UNROLL
	for (int v = 0; v < NV; v++)
		upper[v] = (vu)x[v] & 0xffff0000u;
#if defined(__AVX512BW__)
	/* Those of x[0] are stored over the lower ones of x[1]. */
	_mm512_storeu_si512(p, (__m512i)x[1]);
	_mm512_mask_storeu_epi16(p - 1, 0xaaaaaaaa, (__m512i)x[0]);
#else
	UNROLL
	for (int v = 0; v < NV / 2; v++)
		*(vu *)(void *)(p + 2 * v * VW) = upper[v] >> 16 | upper[v + NV / 2];
#endif
	UNROLL
	for (int v = 0; v < NV; v++)
		x[v] -= (vf)upper[v];
}

/* The upper halves of LANES values and, with 3 parts, of what is left of them. */
INLINE void put_parts(uint16_t *p, int64_t part, vf x[NV], int parts)
{
	UNROLL
	for (int k = 0; k < parts; k++)
		put_upper(p + k * part, x);
}

/* Whether one of LANES values is. */
INLINE int is_above(const vf x[NV], float limit)
{
#if defined(__AVX512F__)
	return _mm512_cmp_ps_mask(
		       (__m512)vgreater(x[0], x[1]), _mm512_set1_ps(limit), _CMP_GT_OQ) != 0;
#else
	int is = 0;

	for (int v = 0; v < NV; v++)
		for (int i = 0; i < VW; i++)
			is |= x[v][i] > limit;
	return is;
#endif
}

INLINE int64_t exp_rows(const struct exp_rows *e, int64_t r, int64_t end, int parts)
{
	const vf c = VF(e->scale * 1.44269504088896341f), least = VF(-100.0f);
	const int64_t n = e->n, block = e->p_block, part = e->p_part;

	for (; r < end; r++) {
		const float *s = e->s + r * e->lds;
		uint16_t *p = e->p + r / 16 * e->p_group + r % 16 * LANES;
		const vf shift = VF(-e->most[r]);
		vf sums[NV];
		clear(sums);
		for (int64_t i = 0; i < n; i += LANES, p += block) {
			vf x[NV];
			UNROLL
			for (int v = 0; v < NV; v++) {
				x[v] = vgreater(vfma(load(s + i + v * VW), c, shift), least);
				x[v] = vexp2_floor(x[v], parts == 1 ? 3 : 5);
				if (parts == 1)
					x[v] = (vf)((vu)x[v] & 0xffff0000u);
				sums[v] += x[v];
			}
			put_parts(p, part, x, parts);
		}
		if (is_above(sums, e->limit))
			return r;
		UNROLL
		for (int v = 0; v < NV; v++)
			store(e->sum[r] + v * VW, load(e->sum[r] + v * VW) + sums[v]);
	}
	return r;
}

static int64_t exp_bf16(const struct exp_rows *e, int64_t first, int64_t end)
{
	return exp_rows(e, first, end, 1);
}

static int64_t exp_split(const struct exp_rows *e, int64_t first, int64_t end)
{
	return exp_rows(e, first, end, 3);
}

static void divide(float *y, int64_t ldy, const float *x, int64_t ldx, float (*sum)[LANES],
	int64_t rows, int64_t n)
{
	for (int64_t r = 0; r < rows; r++, y += ldy, x += ldx) {
		vf acc[NV];
		int64_t i = 0;
		memcpy(acc, sum[r], sizeof(acc));
		const float inverse = 1 / fold(acc);
		for (; i + VW <= n; i += VW)
			store(y + i, load(x + i) * inverse);
		for (; i < n; i++)
			y[i] = x[i] * inverse;
	}
}

#define NAME_(isa) vec_kernels_##isa
#define NAME(isa)  NAME_(isa)

const struct vec_kernels NAME(ISA) = {
	.unary = {relu, gelu, elu, sigmoid, hyperbolic, silu, gelu_tanh},
	.gated = {[GPU_UNARY_GELU] = gated_gelu,
		[GPU_UNARY_SILU] = gated_silu,
		[GPU_UNARY_GELU_TANH] = gated_gelu_tanh},
	.leaky_relu = leaky_relu,
	.add = add,
	.snake = snake,
	.rotate = rotate,
	.add_bf16 = add_bf16,
	.guidance = guidance,
	.norm = norm,
	.dot = dot,
	.nearest = nearest,
	.max = max,
	.exp = exp_scaled,
	.row_max = row_max,
	.exp_bf16 = exp_bf16,
	.exp_split = exp_split,
	.divide = divide,
};
