/* Stockham's Fourier transform. */
#include "library/base/fft.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/vectors.h"

enum {
	COLUMNS = 16, /* radix of the first pass, and butterflies that it does side by side */
	RADIX = 8,    /* of the others, while so much is left */
	APART = 80,   /* floats between arrays: not a power of two, for the cache's sake */
	COLUMN_TURNS = 2 * (COLUMNS - 1), /* floats for each butterfly */
	ROW_TURNS = 2 * (RADIX - 1),
};

struct fft {
	size_t n;
	float *turn;    /* the factors of all passes, in the order in which they are used */
	float *re, *im; /* n: the other half of each pass */
};

struct point {
	float r, i;
};

struct side {
	float *re, *im;
};

/* Whether the first pass is one of columns: there must be enough to stand side by side. */
static bool has_columns(size_t n)
{
	return n >= COLUMNS * COLUMNS;
}

/* exp(-2 pi j i / n) */
static struct point root(size_t i, size_t n)
{
	double angle = 2 * M_PI * (double)i / (double)n;

	return (struct point){(float)cos(angle), (float)-sin(angle)};
}

/* Butterfly p of a pass over n points turns its result k by root(p k, n).  For columns: 16
 * butterflies' real parts, then their imaginary parts, for each k; else for each k both. */
static void fill_turns(float *turn, size_t n)
{
	if (has_columns(n)) {
		for (size_t p = 0; p < n / COLUMNS; p++)
			for (size_t k = 1; k < COLUMNS; k++) {
				struct point w = root(p * k, n);
				float *t = turn + p / COLUMNS * COLUMNS * COLUMN_TURNS +
					   2 * (k - 1) * COLUMNS + p % COLUMNS;

				t[0] = w.r;
				t[COLUMNS] = w.i;
			}
		n /= COLUMNS;
		turn += COLUMN_TURNS * n;
	}
	for (; n > RADIX; n /= RADIX)
		for (size_t p = 0; p < n / RADIX; p++)
			for (size_t k = 1; k < RADIX; k++) {
				struct point w = root(p * k, n);

				*turn++ = w.r;
				*turn++ = w.i;
			}
}

int fft_open(size_t n, struct fft **ret, struct err *e)
{
	struct fft *f = xcalloc(1, sizeof *f);
	size_t turns = 5 * n / 2; /* 15/8 n for columns; else 7/4 (1 + 1/8 + ...) n */
	void *mem;
	int rc = mem_try_alloc(
		&mem, turns + 2 * n + 3 * APART, sizeof(float), "Fourier transform", e);

	if (rc) {
		free(f);
		return rc;
	}
	f->n = n;
	f->turn = mem;
	f->re = f->turn + turns + APART;
	f->im = f->re + n + APART;
	fill_turns(f->turn, n);
	*ret = f;
	return 0;
}

void fft_close(struct fft *f)
{
	if (f)
		free(f->turn);
	free(f);
}

/* ---- butterflies --------------------------------------------------------- */

/* In the function that has VECTORS, or they would have the vectors of the least processor. */
#define INLINE static inline __attribute__((always_inline))

/* Arrays of points can only be taken apart where no loop runs over them. */
#define UNROLL _Pragma("GCC unroll 16")

INLINE struct point add(struct point a, struct point b)
{
	return (struct point){a.r + b.r, a.i + b.i};
}

INLINE struct point sub(struct point a, struct point b)
{
	return (struct point){a.r - b.r, a.i - b.i};
}

INLINE struct point times(struct point a, float r, float i)
{
	return (struct point){a.r * r - a.i * i, a.r * i + a.i * r};
}

/* By -j. */
INLINE struct point quarter_turn(struct point a)
{
	return (struct point){a.i, -a.r};
}

INLINE void dft4(struct point *a, struct point *b, struct point *c, struct point *d)
{
	struct point ac = add(*a, *c), amc = sub(*a, *c);
	struct point bd = add(*b, *d), bmd = quarter_turn(sub(*b, *d));

	*a = add(ac, bd);
	*b = add(amc, bmd);
	*c = sub(ac, bd);
	*d = sub(amc, bmd);
}

INLINE void dft8(struct point x[8])
{
	const float h = 0.70710678f;
	struct point e[4], o[4];

	UNROLL
	for (size_t k = 0; k < 4; k++) {
		e[k] = add(x[k], x[k + 4]);
		o[k] = sub(x[k], x[k + 4]);
	}
	o[1] = (struct point){h * (o[1].r + o[1].i), h * (o[1].i - o[1].r)};
	o[2] = quarter_turn(o[2]);
	o[3] = (struct point){h * (o[3].i - o[3].r), -h * (o[3].i + o[3].r)};
	dft4(&e[0], &e[1], &e[2], &e[3]);
	dft4(&o[0], &o[1], &o[2], &o[3]);
	UNROLL
	for (size_t k = 0; k < 4; k++) {
		x[2 * k] = e[k];
		x[2 * k + 1] = o[k];
	}
}

/* ---- passes -------------------------------------------------------------- */

/* A pass over s interleaved transforms of `left` points.  The last (left = 8) turns nothing. */
INLINE void pass8(size_t left, size_t s, const float *restrict t, struct side x, struct side y)
{
	size_t m = left / RADIX, apart = s * m;

	for (size_t p = 0; p < m; p++, t += ROW_TURNS) {
		const float *restrict xr = x.re + s * p, *restrict xi = x.im + s * p;
		float *restrict yr = y.re + RADIX * s * p, *restrict yi = y.im + RADIX * s * p;

		INDEPENDENT
		for (size_t q = 0; q < s; q++) {
			struct point v[RADIX];

			UNROLL
			for (size_t k = 0; k < RADIX; k++)
				v[k] = (struct point){xr[q + k * apart], xi[q + k * apart]};
			dft8(v);
			UNROLL
			for (size_t k = 1; k < RADIX && left > RADIX; k++)
				v[k] = times(v[k], t[2 * k - 2], t[2 * k - 1]);
			UNROLL
			for (size_t k = 0; k < RADIX; k++) {
				yr[q + k * s] = v[k].r;
				yi[q + k * s] = v[k].i;
			}
		}
	}
}

/* The last pass, where 4 or 2 are left. */
INLINE void pass_last4(size_t s, struct side x, struct side y)
{
	const float *restrict xr = x.re, *restrict xi = x.im;
	float *restrict yr = y.re, *restrict yi = y.im;

	INDEPENDENT
	for (size_t q = 0; q < s; q++) {
		struct point v[4];

		UNROLL
		for (size_t k = 0; k < 4; k++)
			v[k] = (struct point){xr[q + k * s], xi[q + k * s]};
		dft4(&v[0], &v[1], &v[2], &v[3]);
		UNROLL
		for (size_t k = 0; k < 4; k++) {
			yr[q + k * s] = v[k].r;
			yi[q + k * s] = v[k].i;
		}
	}
}

INLINE void pass_last2(size_t s, struct side x, struct side y)
{
	const float *restrict xr = x.re, *restrict xi = x.im;
	float *restrict yr = y.re, *restrict yi = y.im;

	INDEPENDENT
	for (size_t q = 0; q < s; q++) {
		float ar = xr[q], ai = xi[q], br = xr[q + s], bi = xi[q + s];

		yr[q] = ar + br;
		yi[q] = ai + bi;
		yr[q + s] = ar - br;
		yi[q + s] = ai - bi;
	}
}

/* Columns of x, 16 x 16, become rows of y; its rows come in the order 0, 4, 8, 12, 1, 5, ... */
INLINE void transpose(float *restrict y, const float *restrict x)
{
	for (size_t q = 0; q < COLUMNS; q++)
		UNROLL
	for (size_t k = 0; k < COLUMNS; k++)
		y[COLUMNS * q + k] = x[(k % 4 * 4 + k / 4) * COLUMNS + q];
}

/* One half of a butterfly of radix 16, 4 x 4: of 16 columns, points j, j + 4, ... of x become
 * rows 4 a + j of (r, im). */
INLINE void quarters_in(
	float *restrict r, float *restrict im, const float *xr, const float *xi, size_t m)
{
	/* root(j a, 16) */
	static const struct point turn[4][4] = {
		{{1, 0}, {1, 0}, {1, 0}, {1, 0}},
		{{1, 0}, {0.92387953f, -0.38268343f}, {0.70710678f, -0.70710678f},
			{0.38268343f, -0.92387953f}},
		{{1, 0}, {0.70710678f, -0.70710678f}, {0, -1}, {-0.70710678f, -0.70710678f}},
		{{1, 0}, {0.38268343f, -0.92387953f}, {-0.70710678f, -0.70710678f},
			{-0.92387953f, 0.38268343f}},
	};

	UNROLL
	for (size_t j = 0; j < 4; j++)
		for (size_t q = 0; q < COLUMNS; q++) {
			struct point v[4];

			UNROLL
			for (size_t i = 0; i < 4; i++)
				v[i] = (struct point){
					xr[q + (j + 4 * i) * m], xi[q + (j + 4 * i) * m]};
			dft4(&v[0], &v[1], &v[2], &v[3]);
			UNROLL
			for (size_t a = 0; a < 4; a++) {
				if (a && j)
					v[a] = times(v[a], turn[j][a].r, turn[j][a].i);
				r[(4 * a + j) * COLUMNS + q] = v[a].r;
				im[(4 * a + j) * COLUMNS + q] = v[a].i;
			}
		}
}

/* The other half: result a + 4 b, turned, is row 4 a + b. */
INLINE void quarters_out(float *restrict r, float *restrict im, const float *restrict t)
{
	UNROLL
	for (size_t a = 0; a < 4; a++)
		for (size_t q = 0; q < COLUMNS; q++) {
			struct point v[4];

			UNROLL
			for (size_t j = 0; j < 4; j++)
				v[j] = (struct point){r[(4 * a + j) * COLUMNS + q],
					im[(4 * a + j) * COLUMNS + q]};
			dft4(&v[0], &v[1], &v[2], &v[3]);
			UNROLL
			for (size_t b = 0; b < 4; b++) {
				size_t k = 2 * (a + 4 * b) * COLUMNS +
					   q; /* from result 0, which is not turned */

				if (a || b)
					v[b] = times(v[b], t[k - 2 * COLUMNS], t[k - COLUMNS]);
				r[(4 * a + b) * COLUMNS + q] = v[b].r;
				im[(4 * a + b) * COLUMNS + q] = v[b].i;
			}
		}
}

/* The first pass, of radix 16: neighbours are different butterflies, which are worked on
 * side by side; the results are then laid one after the other. */
INLINE void pass_columns(size_t n, const float *turn, struct side x, struct side y)
{
	float r[COLUMNS * COLUMNS] __attribute__((aligned(64)));
	float im[COLUMNS * COLUMNS] __attribute__((aligned(64)));

	for (size_t p = 0; p < n / COLUMNS; p += COLUMNS) {
		quarters_in(r, im, x.re + p, x.im + p, n / COLUMNS);
		quarters_out(r, im, turn + COLUMN_TURNS * p);
		transpose(y.re + COLUMNS * p, r);
		transpose(y.im + COLUMNS * p, im);
	}
}

INLINE void pass_rows(size_t left, size_t s, const float *turn, struct side x, struct side y)
{
	if (left == 2)
		pass_last2(s, x, y);
	else if (left == 4)
		pass_last4(s, x, y);
	else if (left == RADIX)
		pass8(RADIX, s, turn, x, y);
	else if (s == COLUMNS) /* a known count makes a short loop straight code */
		pass8(left, COLUMNS, turn, x, y);
	else
		pass8(left, s, turn, x, y);
}

VECTORS void fft_run(struct fft *f, float *re, float *im)
{
	struct side x = {re, im}, y = {f->re, f->im}, z;
	const float *turn = f->turn;
	size_t left = f->n, s = 1;

	if (has_columns(f->n)) {
		pass_columns(f->n, turn, x, y);
		left /= COLUMNS;
		s = COLUMNS;
		turn += COLUMN_TURNS * left;
		x = y;
		y = (struct side){re, im};
	}
	for (; left > 1; s *= RADIX, left /= RADIX) {
		pass_rows(left, s, turn, x, y);
		turn += ROW_TURNS * (left / RADIX);
		z = x;
		x = y;
		y = z;
	}
	if (x.re != re) {
		memcpy(re, x.re, f->n * sizeof *re);
		memcpy(im, x.im, f->n * sizeof *im);
	}
}
