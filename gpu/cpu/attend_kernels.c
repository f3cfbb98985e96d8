/* Attention of many queries to a packed cache; compiled once per instruction set with
 * -DISA=name.  gpu/cpu/kernels.h says what it does.
 *
 * Queries lie in the lanes from their scores to their probabilities, so that no sum over keys
 * crosses lanes and no key is padded; keys and probabilities are broadcast.  Each sum is the
 * chain that kernels.c has for a few rows: a query has the same bits by either. */
#include "gpu/cpu/kernels.h"
#include "gpu/cpu/vmath.h"

#if defined(__AVX512F__)
enum { BLOCK = 8 };
#else
enum { BLOCK = 4 };
#endif
enum {
	QUERIES = 2 * VW, /* of a call */
	LANES = 16,       /* chains of the sum of kernels.c' softmax */
	QUAD = 4,
};

typedef float v4 __attribute__((vector_size(QUAD * 4), aligned(4), may_alias));

/* to[i][j] = from[j][i], four by four */
INLINE void transpose(float *to, ptrdiff_t to_row, const float *from, ptrdiff_t from_row)
{
	const v4 a = *(const v4 *)from, b = *(const v4 *)(from + from_row),
		 c = *(const v4 *)(from + 2 * from_row), d = *(const v4 *)(from + 3 * from_row);
	const v4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
		 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7),
		 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
		 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);

	*(v4 *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
	*(v4 *)(to + to_row) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
	*(v4 *)(to + 2 * to_row) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
	*(v4 *)(to + 3 * to_row) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* q [dim][QUERIES] */
static void turn_queries(const struct attend *a, float *q)
{
	const int64_t whole = a->dim / QUAD * QUAD;

	for (int64_t r = 0; r < QUERIES; r += QUAD)
		for (int64_t i = 0; i < whole; i += QUAD)
			transpose(q + i * QUERIES + r, QUERIES, a->q + r * a->ldq + i, a->ldq);
	for (int64_t i = whole; i < a->dim; i++)
		for (int64_t r = 0; r < QUERIES; r++)
			q[i * QUERIES + r] = a->q[r * a->ldq + i];
}

/* Scores of n keys, the first of them at k: s [n][QUERIES] */
INLINE void score_block(float *s, const float *q, const float *k, int64_t dim, const int n)
{
	vf acc[BLOCK][2];

	UNROLL
	for (int j = 0; j < n; j++)
		acc[j][0] = acc[j][1] = (vf){0};
	for (int64_t i = 0; i < dim; i++, q += QUERIES, k += PANEL) {
		const vf low = *(const vf *)q, high = *(const vf *)(q + VW);
		UNROLL
		for (int j = 0; j < n; j++) {
			acc[j][0] = vmadd(low, VF(k[j]), acc[j][0]);
			acc[j][1] = vmadd(high, VF(k[j]), acc[j][1]);
		}
	}
	UNROLL
	for (int j = 0; j < n; j++) {
		*(vf *)(s + j * QUERIES) = acc[j][0];
		*(vf *)(s + j * QUERIES + VW) = acc[j][1];
	}
}

/* A block may reach beyond the last key, though not beyond its panel. */
static void score(const struct attend *a, float *s, const float *q)
{
	for (int64_t j = 0; j < a->len; j += BLOCK) {
		const float *k = a->k + j / PANEL * PANEL * a->dim + j % PANEL;
		if (a->len - j > BLOCK / 2)
			score_block(s + j * QUERIES, q, k, a->dim, BLOCK);
		else
			score_block(s + j * QUERIES, q, k, a->dim, BLOCK / 2);
	}
}

/* vexp of x <= 0, to the bit: 2^n takes one factor, as n is -126 at least. */
INLINE vf exp_below(vf x)
{
	vi n;
	vf p = vexp_reduce(x, &n) + 1.0f;

	p *= (vf)((vu)(n + 127) << 23);
	for (int i = 0; i < VW; i++)
		p[i] = x[i] < -87.33654f ? 0 : p[i];
	return p;
}

/* Of each column of s [len][QUERIES] */
static void softmax_columns(float *s, int64_t len, float scale)
{
	vf top[2], total[2] = {{0}}, inverse[2];

	top[0] = top[1] = (vf){0} - INFINITY;
	for (int64_t j = 0; j < len; j++)
		UNROLL
	for (int v = 0; v < 2; v++) {
		vf *at = (vf *)(s + j * QUERIES + v * VW);
		const vf x = *at * scale;
		*at = x;
		top[v] = vselect(x > top[v], x, top[v]);
	}
	for (int64_t j = 0; j < len; j++)
		UNROLL
	for (int v = 0; v < 2; v++) {
		vf *at = (vf *)(s + j * QUERIES + v * VW);
		*at = exp_below(*at - top[v]);
	}
	for (int64_t j = 0; j < LANES && j < len; j++) {
		vf chain[2] = {{0}};
		for (int64_t i = j; i < len; i += LANES)
			UNROLL
		for (int v = 0; v < 2; v++)
			chain[v] += *(const vf *)(s + i * QUERIES + v * VW);
		UNROLL
		for (int v = 0; v < 2; v++)
			total[v] += chain[v];
	}
	for (int v = 0; v < 2; v++)
		inverse[v] = 1.0f / total[v];
	for (int64_t j = 0; j < len; j++)
		UNROLL
	for (int v = 0; v < 2; v++)
		*(vf *)(s + j * QUERIES + v * VW) *= inverse[v];
}

/* n_vectors of outputs, `width` in all, of BLOCK queries: p and v of the first key. */
INLINE void weigh_block(const struct attend *a, float *y, const float *p, const float *v,
	const int n_vectors, int64_t width)
{
	vf acc[BLOCK][2];

	UNROLL
	for (int r = 0; r < BLOCK; r++)
		acc[r][0] = acc[r][1] = (vf){0};
	for (int64_t j = 0; j < a->len; j++, p += QUERIES, v += PANEL)
		UNROLL
	for (int r = 0; r < BLOCK; r++)
		UNROLL
	for (int i = 0; i < n_vectors; i++)
		acc[r][i] = vmadd(*(const vf *)(v + i * VW), VF(p[r]), acc[r][i]);
	UNROLL
	for (int r = 0; r < BLOCK; r++)
		if (width == n_vectors * VW)
			UNROLL
	for (int i = 0; i < n_vectors; i++)
		*(vf *)(y + r * a->ldy + i * VW) = acc[r][i];
	else memcpy(y + r * a->ldy, acc[r], (size_t)width * sizeof(*y));
}

static void weigh(const struct attend *a, const float *p)
{
	for (int64_t o = 0; o < a->dim; o += 2 * VW) {
		const int64_t left = a->dim - o;
		const float *v = a->v + o / PANEL * PANEL * a->max_len + o % PANEL;
		for (int64_t r = 0; r < QUERIES; r += BLOCK) {
			float *y = a->y + r * a->ldy + o;
			if (left > VW)
				weigh_block(a, y, p + r, v, 2, left < 2 * VW ? left : 2 * VW);
			else
				weigh_block(a, y, p + r, v, 1, left);
		}
	}
}

static void attend(const struct attend *a)
{
	float *q = a->scratch, *s = q + a->dim * QUERIES;

	turn_queries(a, q);
	score(a, s, q);
	softmax_columns(s, a->len, a->scale);
	weigh(a, s);
}

#define NAME_(isa) attend_kernels_##isa
#define NAME(isa)  NAME_(isa)

const struct attend_kernels NAME(ISA) = {.queries = QUERIES, .attend = attend};
