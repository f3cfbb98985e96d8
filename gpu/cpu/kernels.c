/* Product kernels; compiled once per instruction set with -DISA=name.
 * gpu/cpu/kernels.h says what each does and how panels are laid out.
 *
 * Written with the compiler's vector types: VW lanes, PANEL / VW vectors per
 * line of a panel, and as many rows as the registers hold.
 * What they reach: docs/PERF.md. */
#include "gpu/cpu/kernels.h"
#include "gpu/cpu/vmath.h"

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
/* More than eight rows gain nothing, and lose when the rows' stride is a power of two. */
enum { ROWS = 8, ROWS_BF16 = 8, ROWS_I8 = 6 };
#elif defined(__AVX2__)
enum { ROWS = 3, ROWS_BF16 = 2, ROWS_I8 = 1 };
#else
enum { ROWS = 2, ROWS_BF16 = 2, ROWS_I8 = 1 };
#endif
enum { NV = PANEL / VW, LANES = 16 };

/* How far ahead of a weight memory is asked for the next: the more work there is
 * for a line, the fewer lines the processor has under way by itself.  Worth 1.5
 * to 2 times (docs/PERF.md). */
enum { AHEAD = 4096, CACHE_LINE = 64 };

INLINE void prefetch(const void *weights, const int n_bytes)
{
	UNROLL
	for (int i = 0; i < n_bytes; i += CACHE_LINE)
		__builtin_prefetch((const char *)weights + AHEAD + i);
}

INLINE void start_rows(const struct gemm *a, const int rows, vf acc[][NV])
{
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
	for (int v = 0; v < NV; v++)
		acc[r][v] = a->resume ? *(const vf *)(a->y + r * a->ldy + v * VW) : (vf){0};
}

INLINE void store_rows(const struct gemm *a, const int rows, vf acc[][NV])
{
	UNROLL
	for (int r = 0; r < rows; r++) {
		float *y = a->y + r * a->ldy;
		UNROLL
		for (int v = 0; v < NV; v++) {
			vf s = acc[r][v];
			if (a->bias)
				s += *(const vf *)(a->bias + v * VW);
			if (a->add)
				s += *(const vf *)(y + v * VW);
			*(vf *)(y + v * VW) = s;
		}
	}
}

INLINE void gemm_f32(const struct gemm *a, const int rows)
{
	vf acc[MAX_ROWS][NV];
	start_rows(a, rows, acc);
	const float *w = a->w, *x = a->x;
	const ptrdiff_t ldx = a->ldx;
	for (int64_t k = 0; k < a->k; k++, w += PANEL, x++) {
		prefetch(w, PANEL * 4);
		vf line[NV];
		UNROLL
		for (int v = 0; v < NV; v++)
			line[v] = *(const vf *)(w + v * VW);
		UNROLL
		for (int r = 0; r < rows; r++)
			UNROLL
		for (int v = 0; v < NV; v++)
			acc[r][v] = vmadd(line[v], VF(x[r * ldx]), acc[r][v]);
	}
	store_rows(a, rows, acc);
}

INLINE void gemm_bf16(const struct gemm *a, const int rows)
{
	vf acc[MAX_ROWS][NV];
	start_rows(a, rows, acc);
	const uint32_t *w = a->w;
	const float *x = a->x;
	const ptrdiff_t ldx = a->ldx;
	for (int64_t k = 0; k < a->k; k++, w += PANEL / 2, x++) {
		prefetch(w, PANEL * 2);
		vf line[NV];
		UNROLL
		for (int v = 0; v < NV / 2; v++) {
			vu pair = *(const vu *)(w + v * VW);
			line[v] = (vf)(pair << 16);
			line[v + NV / 2] = (vf)(pair & 0xffff0000u);
		}
		UNROLL
		for (int r = 0; r < rows; r++)
			UNROLL
		for (int v = 0; v < NV; v++)
			acc[r][v] = vmadd(line[v], VF(x[r * ldx]), acc[r][v]);
	}
	store_rows(a, rows, acc);
}

#define KERNEL(n)                                                                                  \
	static void f32_##n(const struct gemm *a)                                                  \
	{                                                                                          \
		gemm_f32(a, n);                                                                    \
	}                                                                                          \
	static void bf16_##n(const struct gemm *a)                                                 \
	{                                                                                          \
		gemm_bf16(a, n);                                                                   \
	}
KERNEL(1)
KERNEL(2)
#if defined(__AVX2__)
KERNEL(3)
#endif
#if defined(__AVX512F__)
KERNEL(4)
KERNEL(5)
KERNEL(6)
KERNEL(7)
KERNEL(8)
#endif

/* ---- int8 --------------------------------------------------------------- */

/* The same expression in every variant: integers are exact, so all agree. */
INLINE void store_i8(const struct gemm_i8 *a, int r, const int64_t sums[PANEL])
{
	float *y = a->y + r * a->ldy;
	for (int o = 0; o < PANEL; o++) {
		float s = (float)sums[o] * (a->x_scale[r] * a->w_scale[o]);
		if (a->bias)
			s = s + a->bias[o];
		if (a->add)
			s = s + y[o];
		y[o] = s;
	}
}

#if defined(VNNI)

INLINE void i8_rows(const struct gemm_i8 *a, const int rows)
{
	__m512i high[ROWS_I8][2], low[ROWS_I8][2];
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
	for (int v = 0; v < 2; v++)
		high[r][v] = low[r][v] = _mm512_setzero_si512();
	const int8_t *w = a->w;
	for (int64_t k = 0; k < a->k4; k += 4, w += 4 * PANEL) {
		prefetch(w, PANEL * 4);
		__m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
		UNROLL
		for (int r = 0; r < rows; r++) {
			int32_t h, l;
			memcpy(&h, a->high + r * a->k4 + k, 4);
			memcpy(&l, a->low + r * a->k4 + k, 4);
			__m512i v_high = _mm512_set1_epi32(h), v_low = _mm512_set1_epi32(l);
			high[r][0] = _mm512_dpbusd_epi32(high[r][0], v_high, w0);
			high[r][1] = _mm512_dpbusd_epi32(high[r][1], v_high, w1);
			low[r][0] = _mm512_dpbusd_epi32(low[r][0], v_low, w0);
			low[r][1] = _mm512_dpbusd_epi32(low[r][1], v_low, w1);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++) {
		int32_t h[PANEL], l[PANEL];
		int64_t sums[PANEL];
		memcpy(h, high[r], sizeof(h));
		memcpy(l, low[r], sizeof(l));
		for (int o = 0; o < PANEL; o++)
			sums[o] = (int64_t)h[o] * 256 + l[o] - (int64_t)a->w_sums[o] * 32768;
		store_i8(a, r, sums);
	}
}

static void gemm_i8(const struct gemm_i8 *a, int rows)
{
	switch (rows) {
	case 1:
		i8_rows(a, 1);
		break;
	case 2:
		i8_rows(a, 2);
		break;
	case 3:
		i8_rows(a, 3);
		break;
	case 4:
		i8_rows(a, 4);
		break;
	case 5:
		i8_rows(a, 5);
		break;
	default:
		i8_rows(a, 6);
		break;
	}
}

#else

/* 32-bit sums stay exact over this many k: 256 * 32768 * 127 < 2^31. */
enum { I8_BLOCK = 256 };

#if defined(__AVX2__)

INLINE void i8_block(const int8_t *w, const int16_t *q, int64_t n, int32_t sums[PANEL])
{
	__m256i acc[8];
	for (int v = 0; v < 8; v++)
		acc[v] = _mm256_setzero_si256();
	for (int64_t k = 0; k < n; k += 4, w += 4 * PANEL, q += 4) {
		int64_t four;
		memcpy(&four, q, 8);
		__m256i x = _mm256_set1_epi64x(four);
		UNROLL
		for (int v = 0; v < 8; v++) {
			__m128i bytes =
				_mm_loadu_si128((const __m128i *)(const void *)(w + 16 * v));
			acc[v] = _mm256_add_epi32(
				acc[v], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), x));
		}
	}
	for (int v = 0; v < 8; v++) {
		int32_t pair[8];
		memcpy(pair, &acc[v], sizeof(pair));
		for (int o = 0; o < 4; o++)
			sums[4 * v + o] = pair[2 * o] + pair[2 * o + 1];
	}
}

#else

INLINE void i8_block(const int8_t *w, const int16_t *q, int64_t n, int32_t sums[PANEL])
{
	memset(sums, 0, PANEL * sizeof(*sums));
	for (int64_t k = 0; k < n; k += 4, w += 4 * PANEL, q += 4)
		for (int o = 0; o < PANEL; o++)
			sums[o] += q[0] * w[4 * o] + q[1] * w[4 * o + 1] + q[2] * w[4 * o + 2] +
				   q[3] * w[4 * o + 3];
}

#endif

static void gemm_i8(const struct gemm_i8 *a, int rows)
{
	for (int r = 0; r < rows; r++) {
		int64_t sums[PANEL] = {0};
		for (int64_t k = 0; k < a->k4; k += I8_BLOCK) {
			int64_t n = a->k4 - k < I8_BLOCK ? a->k4 - k : I8_BLOCK;
			int32_t block[PANEL];
			i8_block(a->w + k * PANEL, a->q + r * a->k4 + k, n, block);
			for (int o = 0; o < PANEL; o++)
				sums[o] += block[o];
		}
		store_i8(a, r, sums);
	}
}

#endif

static float quantise(
	const float *x, int64_t k, int64_t k4, int16_t *q, uint8_t *high, uint8_t *low)
{
	float top = 0;
	for (int64_t i = 0; i < k; i++) {
		float v = fabsf(x[i]);
		top = v > top ? v : top;
	}
	/* Also true of NaN and infinity: they turn into NaN in the product. */
	if (!(top < INFINITY) || top == 0) {
		memset(q, 0, (size_t)k4 * sizeof(*q));
		memset(high, 128, (size_t)k4);
		memset(low, 0, (size_t)k4);
		return top == 0 ? 0 : NAN;
	}
	/* Subnormal rows would overflow the inverse. */
	float scale = top / 32767 > 1e-37f ? top / 32767 : 1e-37f, inverse = 1 / scale;
	/* rintf, as a sum with 1.5 * 2^23 would be fused with the product on some machines only. */
	for (int64_t i = 0; i < k; i++)
		q[i] = (int16_t)rintf(x[i] * inverse);
	for (int64_t i = k; i < k4; i++)
		q[i] = 0;
	for (int64_t i = 0; i < k4; i++) {
		uint16_t u = (uint16_t)(q[i] + 32768);
		high[i] = (uint8_t)(u >> 8);
		low[i] = (uint8_t)u;
	}
	return scale;
}

/* ---- dot, packing ------------------------------------------------------- */

static float dot(const float *x, const float *w, int64_t k)
{
	enum { N = LANES / VW };
	vf acc[N];
	for (int v = 0; v < N; v++)
		acc[v] = (vf){0};
	int64_t i = 0;
	for (; i + LANES <= k; i += LANES)
		UNROLL
	for (int v = 0; v < N; v++)
		acc[v] += *(const vf *)(x + i + v * VW) * *(const vf *)(w + i + v * VW);
	if (i < k) {
		float tail[LANES] = {0};
		memcpy(tail, x + i, (size_t)(k - i) * sizeof(*x));
		for (int v = 0; v < N; v++)
			acc[v] += *(const vf *)(tail + v * VW) * *(const vf *)(w + i + v * VW);
	}
	float s[LANES];
	memcpy(s, acc, sizeof(s));
	for (int n = LANES / 2; n; n /= 2)
		for (int j = 0; j < n; j++)
			s[j] += s[j + n];
	return s[0];
}

/* Columns k0..k0+16 of up to 32 rows, transposed: tile[k][row].  Rows whose
 * stride is a power of two share cache sets, hence the copy in between. */
enum { TILE = 16 };

INLINE void load_tile(float tile[TILE][PANEL], const float *src, int64_t k, int64_t k0, int n)
{
	float rows[PANEL][TILE] = {{0}};
	int64_t width = k - k0 < TILE ? k - k0 : TILE;
	for (int r = 0; r < n; r++)
		memcpy(rows[r], src + r * k + k0, (size_t)width * sizeof(float));
	for (int i = 0; i < TILE; i++)
		for (int r = 0; r < PANEL; r++)
			tile[i][r] = rows[r][i];
}

static void pack_f32(float *panel, const float *src, int64_t k, int n)
{
	for (int64_t k0 = 0; k0 < k; k0 += TILE) {
		float tile[TILE][PANEL];
		load_tile(tile, src, k, k0, n);
		int64_t width = k - k0 < TILE ? k - k0 : TILE;
		memcpy(panel + k0 * PANEL, tile, (size_t)width * sizeof(tile[0]));
	}
}

/* Rounds to nearest even.  Weights are finite: the reader has checked. */
INLINE uint32_t bf16_bits(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

static void pack_bf16(uint16_t *panel, const float *src, int64_t k, int n)
{
	uint32_t *words = (uint32_t *)(void *)panel;
	for (int64_t k0 = 0; k0 < k; k0 += TILE) {
		float tile[TILE][PANEL];
		load_tile(tile, src, k, k0, n);
		for (int64_t i = 0; i < TILE && k0 + i < k; i++)
			for (int o = 0; o < PANEL / 2; o++)
				words[(k0 + i) * (PANEL / 2) + o] =
					bf16_bits(tile[i][o]) | bf16_bits(tile[i][o + PANEL / 2])
									<< 16;
	}
}

static void pack_i8(int8_t *panel, float *scale, int32_t *sums, const float *src, int64_t k, int n)
{
	float inverse[PANEL] = {0};
	memset(scale, 0, PANEL * sizeof(*scale));
	memset(sums, 0, PANEL * sizeof(*sums));
	for (int r = 0; r < n; r++) {
		float top = 0;
		for (int64_t i = 0; i < k; i++) {
			float v = fabsf(src[r * k + i]);
			top = v > top ? v : top;
		}
		if (top / 127 > 1e-37f) {
			scale[r] = top / 127;
			inverse[r] = 1 / scale[r];
		}
	}
	for (int64_t k0 = 0; k0 < k; k0 += TILE) {
		float tile[TILE][PANEL];
		load_tile(tile, src, k, k0, n);
		for (int i = 0; i < TILE && k0 + i < (k + 3) / 4 * 4; i++) {
			int8_t *line = panel + (k0 + i) / 4 * 4 * PANEL + i % 4;
			for (int o = 0; o < PANEL; o++) {
				int32_t q = (int32_t)rintf(tile[i][o] * inverse[o]);
				q = q > 127 ? 127 : q < -127 ? -127 : q;
				line[4 * o] = (int8_t)q;
				sums[o] += q;
			}
		}
	}
}

/* ---- softmax, LSTM cell ------------------------------------------------- */

INLINE float lanes_max(const float *s, int64_t n)
{
	float lane[LANES], top;
	memcpy(lane, s, sizeof(lane));
	for (int64_t i = LANES; i < n; i += LANES)
		for (int j = 0; j < LANES; j++)
			lane[j] = s[i + j] > lane[j] ? s[i + j] : lane[j];
	top = lane[0];
	for (int j = 1; j < LANES; j++)
		top = lane[j] > top ? lane[j] : top;
	return top;
}

static void softmax(float *s, int64_t n, int64_t padded, float scale, const float *bias)
{
	for (int64_t i = 0; i < n; i++)
		s[i] *= scale;
	if (bias)
		for (int64_t i = 0; i < n; i++)
			s[i] += bias[i];
	for (int64_t i = n; i < padded; i++)
		s[i] = -INFINITY;
	const float top = lanes_max(s, padded);
	vf sum[LANES / VW];
	for (int v = 0; v < LANES / VW; v++)
		sum[v] = (vf){0};
	for (int64_t i = 0; i < padded; i += LANES)
		UNROLL
	for (int v = 0; v < LANES / VW; v++) {
		vf *p = (vf *)(s + i + v * VW);
		*p = vexp(*p - top);
		sum[v] += *p;
	}
	float lane[LANES], total = 0;
	memcpy(lane, sum, sizeof(lane));
	for (int j = 0; j < LANES; j++)
		total += lane[j];
	const float inverse = 1 / total;
	for (int64_t i = 0; i < padded; i++)
		s[i] *= inverse;
}

INLINE void cell(const float *const gate[4], float *c, float *h)
{
	vf i = vsigmoid(*(const vf *)gate[0]), f = vsigmoid(*(const vf *)gate[1]),
	   g = vtanh(*(const vf *)gate[2]), o = vsigmoid(*(const vf *)gate[3]);
	vf next = f * *(const vf *)c + i * g;
	*(vf *)c = next;
	*(vf *)h = o * vtanh(next);
}

static void lstm_cell(const float *gates, int64_t stride, int64_t n, float *c, float *h)
{
	for (int64_t j = 0; j < n; j += VW) {
		const float *const at[4] = {gates + j, gates + stride + j, gates + 2 * stride + j,
			gates + 3 * stride + j};
		if (j + VW <= n) {
			cell(at, c + j, h + j);
			continue;
		}
		float pad[6][VW] = {{0}};
		const size_t bytes = (size_t)(n - j) * sizeof(float);
		for (int q = 0; q < 4; q++)
			memcpy(pad[q], at[q], bytes);
		memcpy(pad[4], c + j, bytes);
		cell((const float *const[]){pad[0], pad[1], pad[2], pad[3]}, pad[4], pad[5]);
		memcpy(c + j, pad[4], bytes);
		memcpy(h + j, pad[5], bytes);
	}
}

/* p: in, hidden and bias of gates r, z, n; then h */
INLINE vf next_h(const float *const p[10])
{
	vf r = vsigmoid(*(const vf *)p[0] + (*(const vf *)p[3] + *(const vf *)p[6]));
	vf z = vsigmoid(*(const vf *)p[1] + (*(const vf *)p[4] + *(const vf *)p[7]));
	vf n = vtanh(*(const vf *)p[2] + r * (*(const vf *)p[5] + *(const vf *)p[8]));
	return (1.0f - z) * n + z * *(const vf *)p[9];
}

static void gru_cell(const float *in, const float *hidden, const float *bias, int64_t stride,
	int64_t n, float *h)
{
	for (int64_t j = 0; j < n; j += VW) {
		const float *at[10] = {[9] = h + j};
		float pad[10][VW] = {{0}};
		const size_t bytes = (size_t)(n - j < VW ? n - j : VW) * sizeof(float);
		for (int64_t q = 0; q < 3; q++) {
			at[q] = in + q * stride + j;
			at[q + 3] = hidden + q * stride + j;
			at[q + 6] = bias + q * stride + j;
		}
		for (int q = 0; q < 10 && j + VW > n; q++)
			at[q] = memcpy(pad[q], at[q], bytes);
		vf next = next_h(at);
		memcpy(h + j, &next, bytes);
	}
}

#define NAME_(isa)   cpu_kernels_##isa
#define NAME(isa)    NAME_(isa)
#define MANY_(isa)   attend_kernels_##isa
#define MANY(isa)    MANY_(isa)
#define STRING_(isa) #isa
#define STRING(isa)  STRING_(isa)

const struct cpu_kernels NAME(ISA) = {
	.name = STRING(ISA),
	.max_rows = ROWS,
	.max_rows_bf16 = ROWS_BF16,
	.max_rows_i8 = ROWS_I8,
	.f32 =
		{
			NULL,
			f32_1,
			f32_2,
#if defined(__AVX2__)
			f32_3,
#endif
#if defined(__AVX512F__)
			f32_4,
			f32_5,
			f32_6,
			f32_7,
			f32_8,
#endif
		},
	.bf16 =
		{
			NULL,
			bf16_1,
			bf16_2,
#if defined(__AVX2__)
			bf16_3,
#endif
#if defined(__AVX512F__)
			bf16_4,
			bf16_5,
			bf16_6,
			bf16_7,
			bf16_8,
#endif
		},
	.i8 = gemm_i8,
	.many = &MANY(ISA),
	.dot = dot,
	.softmax = softmax,
	.lstm_cell = lstm_cell,
	.gru_cell = gru_cell,
	.quantise = quantise,
	.pack_f32 = pack_f32,
	.pack_bf16 = pack_bf16,
	.pack_i8 = pack_i8,
};
