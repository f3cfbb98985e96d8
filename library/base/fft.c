/* Stockham's Fourier transform. */
#include "library/base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/vectors.h"

struct fft {
	size_t n;
	float *turn;    /* 6 * n / 4: cos and sin of w, w^2, w^3 for w = exp(-2 pi j p / n) */
	float *re, *im; /* n: the other half of each pass */
};

enum { APART = 80 }; /* floats between arrays: not a power of two, for the cache's sake */

int fft_open(size_t n, struct fft **ret, struct err *e)
{
	struct fft *f = xcalloc(1, sizeof *f);
	void *mem;
	size_t quarter = n / 4;
	int rc = mem_try_alloc(
		&mem, 6 * quarter + 2 * n + 3 * APART, sizeof(float), "Fourier transform", e);

	if (rc) {
		free(f);
		return rc;
	}
	f->n = n;
	f->turn = mem;
	f->re = f->turn + 6 * quarter + APART;
	f->im = f->re + n + APART;
	for (size_t p = 0; p < quarter; p++)
		for (size_t k = 0; k < 3; k++) {
			double angle = 2 * M_PI * (double)(p * (k + 1)) / (double)n;

			f->turn[2 * k * quarter + p] = (float)cos(angle);
			f->turn[(2 * k + 1) * quarter + p] = (float)-sin(angle);
		}
	*ret = f;
	return 0;
}

void fft_close(struct fft *f)
{
	if (f)
		free(f->turn);
	free(f);
}

struct side {
	float *re, *im;
};

/* The factors of one butterfly. */
struct turn {
	float r1, i1, r2, i2, r3, i3;
};

static inline struct turn turn_at(const struct fft *f, size_t i)
{
	const float *restrict t = f->turn + i;
	size_t quarter = f->n / 4;

	return (struct turn){
		t[0], t[quarter], t[2 * quarter], t[3 * quarter], t[4 * quarter], t[5 * quarter]};
}

struct point {
	float r, i;
};

static inline __attribute__((always_inline)) struct point times(
	float r, float i, float by_r, float by_i)
{
	return (struct point){r * by_r - i * by_i, r * by_i + i * by_r};
}

/* `count` butterflies of radix 4: inputs `apart` from each other, outputs s; the last
 * three outputs are turned. */
static inline __attribute__((always_inline)) void butterflies(size_t count,
	const float *restrict xr, const float *restrict xi, size_t apart, float *yr, float *yi,
	size_t s, struct turn w)
{
	float *restrict r0 = yr, *restrict r1 = yr + s, *restrict r2 = yr + 2 * s,
			*restrict r3 = yr + 3 * s;
	float *restrict i0 = yi, *restrict i1 = yi + s, *restrict i2 = yi + 2 * s,
			*restrict i3 = yi + 3 * s;

	INDEPENDENT
	for (size_t q = 0; q < count; q++) {
		float ar = xr[q], ai = xi[q], br = xr[q + apart], bi = xi[q + apart];
		float cr = xr[q + 2 * apart], ci = xi[q + 2 * apart];
		float dr = xr[q + 3 * apart], di = xi[q + 3 * apart];
		float acr = ar + cr, aci = ai + ci, amr = ar - cr, ami = ai - ci;
		float bdr = br + dr, bdi = bi + di, bmr = br - dr, bmi = bi - di;
		struct point one = times(amr + bmi, ami - bmr, w.r1, w.i1);
		struct point two = times(acr - bdr, aci - bdi, w.r2, w.i2);
		struct point three = times(amr - bmi, ami + bmr, w.r3, w.i3);

		r0[q] = acr + bdr;
		i0[q] = aci + bdi;
		r1[q] = one.r;
		i1[q] = one.i;
		r2[q] = two.r;
		i2[q] = two.i;
		r3[q] = three.r;
		i3[q] = three.i;
	}
}

/* s = 1: neighbours are different butterflies, which are worked on side by side; the
 * results are then laid one after the other. */
static inline __attribute__((always_inline)) void pass_first(
	const struct fft *f, struct side x, struct side y)
{
	enum { SIDE = 16 };
	const size_t m = f->n / 4, part = m < SIDE ? m : SIDE;
	float r[4 * SIDE], im[4 * SIDE];

	for (size_t p = 0; p < m; p += part) {
		const float *restrict t = f->turn + p;
		const float *restrict xr = x.re + p, *restrict xi = x.im + p;

		INDEPENDENT
		for (size_t q = 0; q < part; q++) {
			float ar = xr[q], ai = xi[q], br = xr[q + m], bi = xi[q + m];
			float cr = xr[q + 2 * m], ci = xi[q + 2 * m];
			float dr = xr[q + 3 * m], di = xi[q + 3 * m];
			float acr = ar + cr, aci = ai + ci, amr = ar - cr, ami = ai - ci;
			float bdr = br + dr, bdi = bi + di, bmr = br - dr, bmi = bi - di;
			struct point one = times(amr + bmi, ami - bmr, t[q], t[q + m]);
			struct point two = times(acr - bdr, aci - bdi, t[q + 2 * m], t[q + 3 * m]);
			struct point three =
				times(amr - bmi, ami + bmr, t[q + 4 * m], t[q + 5 * m]);

			r[q] = acr + bdr;
			im[q] = aci + bdi;
			r[q + SIDE] = one.r;
			im[q + SIDE] = one.i;
			r[q + 2 * SIDE] = two.r;
			im[q + 2 * SIDE] = two.i;
			r[q + 3 * SIDE] = three.r;
			im[q + 3 * SIDE] = three.i;
		}
		for (size_t q = 0; q < part; q++)
			for (size_t k = 0; k < 4; k++) {
				y.re[4 * (p + q) + k] = r[q + k * SIDE];
				y.im[4 * (p + q) + k] = im[q + k * SIDE];
			}
	}
}

static inline __attribute__((always_inline)) void pass4(
	const struct fft *f, size_t n, size_t s, struct side x, struct side y)
{
	size_t m = n / 4;

	for (size_t p = 0; p < m; p++)
		butterflies(s, x.re + s * p, x.im + s * p, s * m, y.re + 4 * s * p,
			y.im + 4 * s * p, s, turn_at(f, p * s));
}

static inline __attribute__((always_inline)) void pass2(size_t s, struct side x, struct side y)
{
	for (size_t q = 0; q < s; q++) {
		float ar = x.re[q], ai = x.im[q], br = x.re[q + s], bi = x.im[q + s];

		y.re[q] = ar + br;
		y.im[q] = ai + bi;
		y.re[q + s] = ar - br;
		y.im[q + s] = ai - bi;
	}
}

VECTORS void fft_run(struct fft *f, float *re, float *im)
{
	struct side x = {f->re, f->im}, y = {re, im};
	size_t n = f->n / 4, s = 4;

	pass_first(f, y, x);
	for (; n > 1; n /= 4, s *= 4) {
		struct side z = x;

		if (n == 2)
			pass2(s, x, y);
		else if (s == 4) /* known counts make short loops straight code */
			pass4(f, n, 4, x, y);
		else if (s == 16)
			pass4(f, n, 16, x, y);
		else
			pass4(f, n, s, x, y);
		x = y;
		y = z;
	}
	if (x.re != re) {
		memcpy(re, x.re, f->n * sizeof *re);
		memcpy(im, x.im, f->n * sizeof *im);
	}
}
