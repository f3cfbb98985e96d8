/* Products of bf16 tiles; compiled once per instruction set with -DISA=name.
 * gpu/cpu/tile_kernels.h says what is computed, and in which order. */
#include "gpu/cpu/tile_kernels.h"

#include "gpu/cpu/vmath.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AMX_TILE__)

/* Palette 1: tiles of 16 rows of 64 bytes.  Constant, because the intrinsic of gcc 12
 * tells the compiler of its first 8 bytes only. */
static const struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
} config = {.palette = 1,
	.row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
	.rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void begin(void)
{
	_tile_loadconfig(&config);
}

static void end(void)
{
	_tile_release();
}

/* Tiles have constant names: rows in 4 and 5, a panel in 6 and 7, sums in 0 .. 3. */
#define ROWS_TO_TILES(x)                                                                           \
	do {                                                                                       \
		_tile_loadd(4, x, row_bytes);                                                      \
		_tile_loadd(5, (x) + a->a_group, row_bytes);                                       \
	} while (0)
#define SUMS_TO_ZERO()                                                                             \
	do {                                                                                       \
		_tile_zero(0);                                                                     \
		_tile_zero(1);                                                                     \
		_tile_zero(2);                                                                     \
		_tile_zero(3);                                                                     \
	} while (0)
#define SUMS_TO_MEMORY()                                                                           \
	do {                                                                                       \
		_tile_stored(0, sum, sum_bytes);                                                   \
		_tile_stored(1, sum + TILE_OUTS, sum_bytes);                                       \
		_tile_stored(2, below, sum_bytes);                                                 \
		_tile_stored(3, below + TILE_OUTS, sum_bytes);                                     \
	} while (0)
#define PANEL_TO_TILES(w)                                                                          \
	do {                                                                                       \
		_tile_loadd(6, w, 64);                                                             \
		_tile_loadd(7, (w) + TILE_ELEMENTS, 64);                                           \
	} while (0)
#define MULTIPLY_TILES()                                                                           \
	do {                                                                                       \
		_tile_dpbf16ps(0, 4, 6);                                                           \
		_tile_dpbf16ps(1, 4, 7);                                                           \
		_tile_dpbf16ps(2, 5, 6);                                                           \
		_tile_dpbf16ps(3, 5, 7);                                                           \
	} while (0)

/* hl, hm, hh, mh, mm, lh */
static void split_block(const uint16_t *x, const struct tile_gemm *a, const uint16_t *w)
{
	const ptrdiff_t row_bytes = a->a_row * 2;
	const uint16_t *middle = w + 2 * TILE_ELEMENTS, *low = middle + 2 * TILE_ELEMENTS;

	ROWS_TO_TILES(x);
	PANEL_TO_TILES(low);
	MULTIPLY_TILES();
	PANEL_TO_TILES(middle);
	MULTIPLY_TILES();
	PANEL_TO_TILES(w);
	MULTIPLY_TILES();
	ROWS_TO_TILES(x + a->a_part);
	MULTIPLY_TILES();
	PANEL_TO_TILES(middle);
	MULTIPLY_TILES();
	ROWS_TO_TILES(x + 2 * a->a_part);
	PANEL_TO_TILES(w);
	MULTIPLY_TILES();
}

static inline void ask(const char *lines, int n)
{
	for (int i = 0; i < n; i++)
		_mm_prefetch(lines + 64 * i, _MM_HINT_T1);
}

/* Two by two tiles: rows 0 and 1 in tiles 0 .. 3, factors in 4 .. 7.  What comes from the
 * second-level cache needs no asking for: that costs more than it gains. */
static void gemm_panel(const struct tile_gemm *a, const uint16_t *panel, float *sum)
{
	const ptrdiff_t row_bytes = a->a_row * 2, sum_bytes = a->sum_row * 4;
	float *below = sum + TILE_ROWS * a->sum_row;
	const ptrdiff_t block = (a->a_part ? 3 : 1) * 2 * TILE_ELEMENTS;
	const int asks = a->out ? (int)((2 * TILE_STEP + a->n_blocks - 1) / a->n_blocks) : 0;
	int asked = 0;

	if (a->resume) {
		_tile_loadd(0, sum, sum_bytes);
		_tile_loadd(1, sum + TILE_OUTS, sum_bytes);
		_tile_loadd(2, below, sum_bytes);
		_tile_loadd(3, below + TILE_OUTS, sum_bytes);
	} else {
		SUMS_TO_ZERO();
	}
	for (int64_t k = 0; k < a->n_blocks; k++) {
		const uint16_t *x = a->a + (a->offset ? a->offset[k] : k * (block / 2));
		const uint16_t *w = panel + (a->w_offset ? a->w_offset[k] : k * block);
		if (k < a->ahead_blocks)
			ask(a->ahead + (a->ahead_offset ? a->ahead_offset[k] * 2
							: k * a->ahead_lines * 64),
				a->ahead_lines);
		for (int i = 0; i < asks && asked < 2 * TILE_STEP; i++, asked++)
			__builtin_prefetch(
				a->out + asked / 2 * a->out_row + asked % 2 * TILE_OUTS, 1);
		if (a->a_part) {
			split_block(x, a, w);
			continue;
		}
		ROWS_TO_TILES(x);
		PANEL_TO_TILES(w);
		MULTIPLY_TILES();
	}
	SUMS_TO_MEMORY();
}

/* Rows of one block stay in tiles 4 and 5. */
static void one_block(const struct tile_gemm *a, int64_t n)
{
	const ptrdiff_t row_bytes = a->a_row * 2, sum_bytes = a->sum_row * 4;
	float *sum = a->sum, *below = sum + TILE_ROWS * a->sum_row;
	const uint16_t *w = a->w;

	ROWS_TO_TILES(a->a);
	for (; n > 0; n--, w += 2 * TILE_ELEMENTS, sum += 2 * TILE_OUTS, below += 2 * TILE_OUTS) {
		SUMS_TO_ZERO();
		PANEL_TO_TILES(w);
		MULTIPLY_TILES();
		SUMS_TO_MEMORY();
	}
}

/* Rows of two stay in tiles 0 .. 3; 16 outputs are in 6 and 7, their sums in 4 and 5. */
static void two_blocks(const struct tile_gemm *a, int64_t n)
{
	const ptrdiff_t row_bytes = a->a_row * 2, sum_bytes = a->sum_row * 4;
	const uint16_t *x = a->a, *y = a->a + TILE_ELEMENTS;

	_tile_loadd(0, x, row_bytes);
	_tile_loadd(1, x + a->a_group, row_bytes);
	_tile_loadd(2, y, row_bytes);
	_tile_loadd(3, y + a->a_group, row_bytes);
	for (int64_t o = 0; o < 2 * n; o++) {
		const uint16_t *w = a->w + o / 2 * 4 * TILE_ELEMENTS + o % 2 * TILE_ELEMENTS;
		float *sum = a->sum + o * TILE_OUTS;
		_tile_zero(4);
		_tile_zero(5);
		_tile_loadd(6, w, 64);
		_tile_loadd(7, w + 2 * TILE_ELEMENTS, 64);
		_tile_dpbf16ps(4, 0, 6);
		_tile_dpbf16ps(5, 1, 6);
		_tile_dpbf16ps(4, 2, 7);
		_tile_dpbf16ps(5, 3, 7);
		_tile_stored(4, sum, sum_bytes);
		_tile_stored(5, sum + TILE_ROWS * a->sum_row, sum_bytes);
	}
}

#else

enum {
	NV = TILE_OUTS / VW,
#if defined(__AVX512F__)
	ROWS = 8,
#elif defined(__AVX2__)
	ROWS = 2,
#else
	ROWS = 1,
#endif
};

static void begin(void)
{
}

static void end(void)
{
}

/* Subnormals are zero, as they are to a tile unit; returns what was. */
static unsigned flush_subnormals(void)
{
#if defined(__x86_64__)
	const unsigned was = _mm_getcsr();

	_mm_setcsr(was | 0x8040);
	return was;
#else
	return 0;
#endif
}

static void restore(unsigned was)
{
#if defined(__x86_64__)
	_mm_setcsr(was);
#endif
}

/* A block of k of ROWS rows, its even and its odd values as f32. */
struct factors {
	float even[ROWS][TILE_ROWS], odd[ROWS][TILE_ROWS];
};

INLINE void widen(struct factors *f, const struct tile_gemm *a, const uint16_t *x)
{
	for (int r = 0; r < ROWS; r++, x += a->a_row)
		UNROLL
	for (int v = 0; v < NV; v++) {
		vu pair;
		memcpy(&pair, x + 2 * v * VW, sizeof(pair));
		*(vu *)(void *)(f->even[r] + v * VW) = pair << 16;
		*(vu *)(void *)(f->odd[r] + v * VW) = pair & 0xffff0000u;
	}
}

/* sum[r][0..15] += one tile */
INLINE void tile(const struct factors *f, const uint16_t *w, float *sum, ptrdiff_t sum_row)
{
	vf even[ROWS][NV], odd[ROWS][NV];

	UNROLL
	for (int r = 0; r < ROWS; r++)
		UNROLL
	for (int v = 0; v < NV; v++)
		even[r][v] = odd[r][v] = (vf){0};
	for (int i = 0; i < TILE_ROWS; i++, w += 2 * TILE_OUTS) {
		UNROLL
		for (int v = 0; v < NV; v++) {
			const vu pair = *(const vu *)(const void *)(w + 2 * v * VW);
			const vf we = (vf)(pair << 16), wo = (vf)(pair & 0xffff0000u);
			UNROLL
			for (int r = 0; r < ROWS; r++) {
				even[r][v] += we * f->even[r][i];
				odd[r][v] += wo * f->odd[r][i];
			}
		}
	}
	UNROLL
	for (int r = 0; r < ROWS; r++)
		UNROLL
	for (int v = 0; v < NV; v++)
		*(vf *)(sum + r * sum_row + v * VW) += even[r][v] + odd[r][v];
}

static void rows(const struct tile_gemm *a, const uint16_t *x, const uint16_t *panel, float *sum)
{
	const ptrdiff_t block = (a->a_part ? 3 : 1) * 2 * TILE_ELEMENTS;
	struct factors f;

	for (int r = 0; r < ROWS && !a->resume; r++)
		memset(sum + r * a->sum_row, 0, 2 * TILE_OUTS * sizeof(*sum));
	for (int64_t k = 0; k < a->n_blocks; k++) {
		const uint16_t *xk = x + (a->offset ? a->offset[k] : k * (block / 2));
		const uint16_t *w = panel + (a->w_offset ? a->w_offset[k] : k * block);
		for (int i = 0; i < (a->a_part ? 6 : 1); i++) {
			/* parts of x and w: hl, hm, hh, mh, mm, lh */
			static const int parts[6][2] = {
				{0, 2}, {0, 1}, {0, 0}, {1, 0}, {1, 1}, {2, 0}};
			const uint16_t *wi = w + (a->a_part ? parts[i][1] : 0) * 2 * TILE_ELEMENTS;
			widen(&f, a, xk + parts[i][0] * a->a_part);
			tile(&f, wi, sum, a->sum_row);
			tile(&f, wi + TILE_ELEMENTS, sum + TILE_OUTS, a->sum_row);
		}
	}
}

static void gemm_panel(const struct tile_gemm *a, const uint16_t *panel, float *sum)
{
	const unsigned was = flush_subnormals();

	for (int64_t r = 0; r < TILE_STEP; r += ROWS)
		rows(a, a->a + r / TILE_ROWS * a->a_group + r % TILE_ROWS * a->a_row, panel,
			sum + r * a->sum_row);
	restore(was);
}

#endif

static void gemm(const struct tile_gemm *a)
{
	gemm_panel(a, a->w, a->sum);
}

/* A copy of *a would have to wait for all that was stored before it. */
static void gemm_panels(const struct tile_gemm *a, int64_t n)
{
	const int64_t elements = (a->a_part ? 3 : 1) * a->n_blocks * 2 * TILE_ELEMENTS;

#if defined(__AMX_TILE__)
	if (!a->a_part && a->n_blocks <= 2) {
		(a->n_blocks == 1 ? one_block : two_blocks)(a, n);
		return;
	}
#endif
	for (int64_t i = 0; i < n; i++)
		gemm_panel(a, a->w + i * elements, a->sum + i * 2 * TILE_OUTS);
}

INLINE vh to_bf16(vf x)
{
#if defined(__AVX512BF16__)
	return (vh)_mm512_cvtneps_pbh((__m512)x);
#else
	return vround_bf16(x);
#endif
}

static void round_row(uint16_t *y, const float *x, int64_t n)
{
	int64_t i = 0;

#if defined(__AVX512BF16__)
	for (; i + 2 * VW <= n; i += 2 * VW)
		_mm512_storeu_si512(y + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + VW),
						   _mm512_loadu_ps(x + i)));
#endif
	for (; i + VW <= n; i += VW)
		*(vh *)(y + i) = to_bf16(*(const vf *)(x + i));
	if (i < n) {
		float rest[VW] = {0};
		uint16_t rounded[VW];
		memcpy(rest, x + i, (size_t)(n - i) * sizeof(*x));
		*(vh *)rounded = to_bf16(*(const vf *)rest);
		memcpy(y + i, rounded, (size_t)(n - i) * sizeof(*y));
	}
}

INLINE void split_vector(vh parts[3], vf x)
{
	UNROLL
	for (int p = 0; p < 3; p++) {
		parts[p] = to_bf16(x);
		x = x - (vf)(__builtin_convertvector(parts[p], vu) << 16);
	}
}

static void split(uint16_t *y, ptrdiff_t part, const float *x, int64_t n)
{
	vh parts[3];
	int64_t i = 0;

	for (; i + VW <= n; i += VW) {
		split_vector(parts, *(const vf *)(x + i));
		UNROLL
		for (int p = 0; p < 3; p++)
			*(vh *)(y + p * part + i) = parts[p];
	}
	if (i == n)
		return;
	float rest[VW] = {0};
	memcpy(rest, x + i, (size_t)(n - i) * sizeof(*x));
	split_vector(parts, *(const vf *)rest);
	for (int p = 0; p < 3; p++)
		memcpy(y + p * part + i, &parts[p], (size_t)(n - i) * sizeof(*y));
}

#if defined(__AVX512BF16__)
INLINE vf from_bf16(__m256i x)
{
	return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16);
}
#endif

INLINE void place_block(
	uint16_t *y, ptrdiff_t part, int n_parts, const float *x, float slope, int is_leaky)
{
	vf v[TILE_K / VW];

	UNROLL
	for (int i = 0; i < TILE_K / VW; i++) {
		v[i] = *(const vf *)(x + i * VW);
		if (is_leaky)
			v[i] = vselect(v[i] < 0.0f, v[i] * slope, v[i]);
	}
	UNROLL
#if defined(__AVX512BF16__)
	for (int p = 0; p < n_parts; p++) {
		const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)v[1], (__m512)v[0]);
		_mm512_storeu_si512(y + p * part, both);
		v[0] -= from_bf16(_mm512_castsi512_si256(both));
		v[1] -= from_bf16(_mm512_extracti64x4_epi64(both, 1));
	}
#else
	for (int i = 0; i < TILE_K / VW; i++) {
		vh parts[3];
		if (n_parts == 1)
			parts[0] = to_bf16(v[i]);
		else
			split_vector(parts, v[i]);
		UNROLL
		for (int p = 0; p < n_parts; p++)
			*(vh *)(y + p * part + i * VW) = parts[p];
	}
#endif
}

INLINE void place_frames(uint16_t *y, ptrdiff_t block, ptrdiff_t part, int n_parts, const float *x,
	int64_t n, int64_t channels, float slope, int is_leaky)
{
	for (int64_t f = 0; f < n; f++, y += TILE_K)
		for (int64_t b = 0; b < channels / TILE_K; b++, x += TILE_K)
			place_block(y + b * block, part, n_parts, x, slope, is_leaky);
}

static void place(uint16_t *y, ptrdiff_t block, ptrdiff_t part, int n_parts, const float *x,
	int64_t n, int64_t channels, float slope)
{
	const int is_leaky = slope != 1;

	if (n_parts == 1 && is_leaky)
		place_frames(y, block, part, 1, x, n, channels, slope, 1);
	else if (n_parts == 1)
		place_frames(y, block, part, 1, x, n, channels, slope, 0);
	else if (is_leaky)
		place_frames(y, block, part, 3, x, n, channels, slope, 1);
	else
		place_frames(y, block, part, 3, x, n, channels, slope, 0);
}

/* ---- Winograd ----------------------------------------------------------- */

/* A block of 32 in three parts, cut instead of rounded: of each value the upper half, of the rest
 * the upper half, and what is left, which fits.  Values k and k + 16 are neighbours. */
INLINE void cut_block(uint16_t *y, vf v[TILE_K / VW])
{
	enum { HALF = TILE_K / VW / 2 };

	UNROLL
	for (int p = 0; p < 3; p++, y += TILE_ELEMENTS)
		UNROLL
	for (int k = 0; k < HALF; k++) {
		const vu low = (vu)v[k], high = (vu)v[k + HALF];
		*(vu *)(void *)(y + 2 * k * VW) = low >> 16 | (high & 0xffff0000u);
		v[k] -= (vf)(low & 0xffff0000u);
		v[k + HALF] -= (vf)(high & 0xffff0000u);
	}
}

/* Value j of B^T t: t0 - t2, t1 + t2, t2 - t1, t1 - t3. */
INLINE vf of_patch(const vf t[4], int j)
{
	return j == 0 ? t[0] - t[2] : j == 1 ? t[1] + t[2] : j == 2 ? t[2] - t[1] : t[1] - t[3];
}

INLINE void patch_row(uint16_t *y, ptrdiff_t product, const float *a, const float *b,
	const int adds, int64_t channels)
{
	for (int64_t c = 0; c < channels; c += TILE_K, y += 3 * TILE_ELEMENTS) {
		vf t[TILE_K / VW][4];
		UNROLL
		for (int v = 0; v < TILE_K / VW; v++)
			UNROLL
		for (int j = 0; j < 4; j++) {
			const int64_t at = j * channels + c + v * VW;
			const vf p = *(const vf *)(a + at), q = *(const vf *)(b + at);
			t[v][j] = adds ? p + q : p - q;
		}
		UNROLL
		for (int j = 0; j < 4; j++) {
			vf v[TILE_K / VW];
			UNROLL
			for (int k = 0; k < TILE_K / VW; k++)
				v[k] = of_patch(t[k], j);
			cut_block(y + j * product, v);
		}
	}
}

static void patch(
	uint16_t *y, ptrdiff_t product, const float *a, const float *b, int adds, int64_t channels)
{
	if (adds)
		patch_row(y, product, a, b, 1, channels);
	else
		patch_row(y, product, a, b, 0, channels);
}

INLINE void add_to(float *y, vf u, const float *bias, int sets, int is_minus)
{
	const vf was = sets ? *(const vf *)bias : *(const vf *)y;

	*(vf *)y = is_minus ? was - u : was + u;
}

INLINE void unpatch_row(float *above, float *below, ptrdiff_t ldy, const float *sum,
	const float *bias, const int i, int64_t columns)
{
	enum { PLANE = TILE_STEP * 2 * TILE_OUTS };

	for (int64_t c = 0; c < columns; c += 2, sum += 2 * TILE_OUTS)
		UNROLL
	for (int v = 0; v < 2 * TILE_OUTS; v += VW) {
		const vf m1 = *(const vf *)(sum + PLANE + v),
			 m2 = *(const vf *)(sum + 2 * PLANE + v);
		const vf u[2] = {(*(const vf *)(sum + v) + m1) + m2,
			(m1 - m2) - *(const vf *)(sum + 3 * PLANE + v)};
		UNROLL
		for (int j = 0; j < 2; j++) {
			if (c + j == columns)
				break;
			if (i < 3)
				add_to(above + (c + j) * ldy + v, u[j], bias + v, i == 0, 0);
			if (i && below)
				add_to(below + (c + j) * ldy + v, u[j], bias + v, i == 1, i > 1);
		}
	}
}

static void unpatch(float *above, float *below, ptrdiff_t ldy, const float *sum, const float *bias,
	int i, int64_t columns)
{
	if (i == 0)
		unpatch_row(above, below, ldy, sum, bias, 0, columns);
	else if (i == 1)
		unpatch_row(above, below, ldy, sum, bias, 1, columns);
	else if (i == 2)
		unpatch_row(above, below, ldy, sum, bias, 2, columns);
	else
		unpatch_row(above, below, ldy, sum, bias, 3, columns);
}

/* One row; the bias is in registers where all of a panel's outputs are there. */
INLINE void finish_row(float *y, const float *sum, const vf *bias, int add)
{
	UNROLL
	for (int i = 0; i < 2 * TILE_OUTS / VW; i++) {
		vf v = *(const vf *)(sum + i * VW) + bias[i];
		if (add)
			v += *(const vf *)(y + i * VW);
		*(vf *)(y + i * VW) = v;
	}
}

static void finish(float *y, ptrdiff_t ldy, const float *sum, const float *bias, int64_t rows,
	int64_t n, int add)
{
	vf b[2 * TILE_OUTS / VW];

	memcpy(b, bias, sizeof(b));
	for (int64_t r = 0; r < rows; r++, y += ldy, sum += 2 * TILE_OUTS) {
		if (n == 2 * TILE_OUTS && add)
			finish_row(y, sum, b, 1);
		else if (n == 2 * TILE_OUTS)
			finish_row(y, sum, b, 0);
		for (int64_t i = 0; i < n && n < 2 * TILE_OUTS; i++)
			y[i] = sum[i] + bias[i] + (add ? y[i] : 0);
	}
}

/* ---- attention ---------------------------------------------------------- */

/* Positions first .. first + n - 1 of a block of 32 channels, `part` elements from part to part. */
INLINE void take_rows(uint16_t *y, ptrdiff_t part, const struct tile_head *x, int parts,
	int64_t block, int64_t first, int64_t n)
{
	const int64_t left = x->dim - block * TILE_K;
	const float *from = x->x + first * x->ldx + block * TILE_K;
	float pad[TILE_K] = {0};

	for (int64_t r = 0; r < n; r++, from += x->ldx, y += TILE_K) {
		__builtin_prefetch(from + x->ahead);
		__builtin_prefetch(from + x->ahead + 16);
		if (first + r < x->n && left >= TILE_K) {
			place_block(y, part, parts, from, 1, 0);
			continue;
		}
		if (first + r < x->n)
			memcpy(pad, from, (size_t)left * sizeof(*pad));
		else
			memset(pad, 0, sizeof(pad));
		place_block(y, part, parts, pad, 1, 0);
	}
}

/* 32 positions of 32 channels, part by part. */
struct head_block {
	uint16_t row[3][TILE_STEP][TILE_K];
};

INLINE void take_block(struct head_block *b, const struct tile_head *x, int64_t block)
{
	if (x->parts == 1)
		take_rows(b->row[0][0], TILE_STEP * TILE_K, x, 1, block, 0, TILE_STEP);
	else
		take_rows(b->row[0][0], TILE_STEP * TILE_K, x, 3, block, 0, TILE_STEP);
}

static void pack_queries(uint16_t *q, const struct tile_head *x)
{
	for (int64_t first = 0; first < TILE_STEP; first += TILE_ROWS)
		for (int64_t b = 0; b < tile_blocks(x->dim); b++, q += x->parts * TILE_ELEMENTS)
			if (x->parts == 1)
				take_rows(q, 0, x, 1, b, first, TILE_ROWS);
			else
				take_rows(q, TILE_ELEMENTS, x, 3, b, first, TILE_ROWS);
}

/* Pairs of 16 rows to pairs of 16 columns. */
#if defined(__AVX512F__)
static void turn(uint16_t *y, const uint16_t *x)
{
	__m512i a[16], b[16];

	UNROLL
	for (int i = 0; i < 16; i++)
		a[i] = _mm512_loadu_si512(x + i * TILE_K);
	UNROLL
	for (int i = 0; i < 16; i += 2) {
		b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
		b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
	}
	/* a[i + c]: column c of each lane, rows i .. i + 3 */
	UNROLL
	for (int i = 0; i < 16; i += 4)
		UNROLL
	for (int c = 0; c < 2; c++) {
		a[i + 2 * c] = _mm512_unpacklo_epi64(b[i + c], b[i + c + 2]);
		a[i + 2 * c + 1] = _mm512_unpackhi_epi64(b[i + c], b[i + c + 2]);
	}
	UNROLL
	for (int c = 0; c < 4; c++) {
		b[c] = _mm512_shuffle_i32x4(a[c], a[c + 4], 0x88);
		b[c + 4] = _mm512_shuffle_i32x4(a[c], a[c + 4], 0xdd);
		b[c + 8] = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0x88);
		b[c + 12] = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0xdd);
	}
	UNROLL
	for (int c = 0; c < 8; c++) {
		_mm512_storeu_si512(y + c * TILE_K, _mm512_shuffle_i32x4(b[c], b[c + 8], 0x88));
		_mm512_storeu_si512(
			y + (c + 8) * TILE_K, _mm512_shuffle_i32x4(b[c], b[c + 8], 0xdd));
	}
}
#else
static void turn(uint16_t *y, const uint16_t *x)
{
	for (int r = 0; r < TILE_ROWS; r++)
		for (int i = 0; i < TILE_K; i += 2)
			memcpy(y + i * TILE_OUTS + 2 * r, x + r * TILE_K + i, 2 * sizeof(*y));
}
#endif

static void pack_keys(uint16_t *k, const struct tile_head *x)
{
	struct head_block rows;

	for (int64_t b = 0; b < tile_blocks(x->dim); b++) {
		take_block(&rows, x, b);
		for (int p = 0; p < x->parts; p++)
			for (int first = 0; first < TILE_STEP;
				first += TILE_OUTS, k += TILE_ELEMENTS)
				turn(k, rows.row[p][first]);
	}
}

/* Two rows as pairs: a row of each of two tiles. */
INLINE void pair_rows(uint16_t *w, const uint16_t *even, const uint16_t *odd)
{
#if defined(__AVX512BW__)
	const __m512i places = _mm512_setr_epi32(0x200000, 0x210001, 0x220002, 0x230003, 0x240004,
		0x250005, 0x260006, 0x270007, 0x280008, 0x290009, 0x2a000a, 0x2b000b, 0x2c000c,
		0x2d000d, 0x2e000e, 0x2f000f);
	const __m512i a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd),
		      behind = _mm512_or_si512(places, _mm512_set1_epi16(TILE_OUTS));

	_mm512_storeu_si512(w, _mm512_permutex2var_epi16(a, places, b));
	_mm512_storeu_si512(w + TILE_ELEMENTS, _mm512_permutex2var_epi16(a, behind, b));
#else
	for (int tile = 0; tile < 2; tile++)
		for (int i = 0; i < TILE_OUTS; i++) {
			w[tile * TILE_ELEMENTS + 2 * i] = even[tile * TILE_OUTS + i];
			w[tile * TILE_ELEMENTS + 2 * i + 1] = odd[tile * TILE_OUTS + i];
		}
#endif
}

static void pack_values(uint16_t *v, ptrdiff_t panel, const struct tile_head *x)
{
	struct head_block rows;

	for (int64_t b = 0; b < tile_blocks(x->dim); b++, v += panel) {
		take_block(&rows, x, b);
		for (int p = 0; p < x->parts; p++)
			for (int i = 0; i < TILE_ROWS; i++)
				pair_rows(v + p * 2 * TILE_ELEMENTS + i * TILE_K, rows.row[p][i],
					rows.row[p][i + TILE_ROWS]);
	}
}

#define NAME_(isa) tile_kernels_##isa
#define NAME(isa)  NAME_(isa)

const struct tile_kernels NAME(ISA) = {
	.begin = begin,
	.end = end,
	.gemm = gemm,
	.gemm_panels = gemm_panels,
	.round = round_row,
	.split = split,
	.place = place,
	.patch = patch,
	.unpatch = unpatch,
	.finish = finish,
	.pack_queries = pack_queries,
	.pack_keys = pack_keys,
	.pack_values = pack_values,
};
