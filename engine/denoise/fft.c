/* Stockham's Fourier transform. */
#include "engine/denoise/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

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
	float *restrict re, *restrict im;
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

/* Radix 4: inputs `quarter` apart, outputs s apart, the last three turned. */
static inline void butterfly(const float *restrict xr, const float *restrict xi, float *restrict yr,
	float *restrict yi, size_t quarter, size_t s, struct turn w)
{
	float ar = xr[0], ai = xi[0], br = xr[quarter], bi = xi[quarter];
	float cr = xr[2 * quarter], ci = xi[2 * quarter];
	float dr = xr[3 * quarter], di = xi[3 * quarter];
	float acr = ar + cr, aci = ai + ci, amr = ar - cr, ami = ai - ci;
	float bdr = br + dr, bdi = bi + di, bmr = br - dr, bmi = bi - di;
	float pr = amr + bmi, pi = ami - bmr; /* a - c - j (b - d) */
	float mr = amr - bmi, mi = ami + bmr;
	float sr = acr - bdr, si = aci - bdi;

	yr[0] = acr + bdr;
	yi[0] = aci + bdi;
	yr[s] = pr * w.r1 - pi * w.i1;
	yi[s] = pr * w.i1 + pi * w.r1;
	yr[2 * s] = sr * w.r2 - si * w.i2;
	yi[2 * s] = sr * w.i2 + si * w.r2;
	yr[3 * s] = mr * w.r3 - mi * w.i3;
	yi[3 * s] = mr * w.i3 + mi * w.r3;
}

/* s = 1: neighbours are different butterflies. */
static void pass_first(const struct fft *f, struct side x, struct side y)
{
	size_t m = f->n / 4;

	for (size_t p = 0; p < m; p++)
		butterfly(x.re + p, x.im + p, y.re + 4 * p, y.im + 4 * p, m, 1, turn_at(f, p));
}

static void pass4(const struct fft *f, size_t n, size_t s, struct side x, struct side y)
{
	size_t m = n / 4;

	for (size_t p = 0; p < m; p++) {
		const struct turn w = turn_at(f, p * s);
		const float *restrict xr = x.re + s * p, *restrict xi = x.im + s * p;
		float *restrict yr = y.re + 4 * s * p, *restrict yi = y.im + 4 * s * p;

		for (size_t q = 0; q < s; q++)
			butterfly(xr + q, xi + q, yr + q, yi + q, s * m, s, w);
	}
}

static void pass2(size_t s, struct side x, struct side y)
{
	for (size_t q = 0; q < s; q++) {
		float ar = x.re[q], ai = x.im[q], br = x.re[q + s], bi = x.im[q + s];

		y.re[q] = ar + br;
		y.im[q] = ai + bi;
		y.re[q + s] = ar - br;
		y.im[q + s] = ai - bi;
	}
}

void fft_run(struct fft *f, float *re, float *im)
{
	struct side x = {f->re, f->im}, y = {re, im};
	size_t n = f->n / 4, s = 4;

	pass_first(f, y, x);
	for (; n > 1; n /= 4, s *= 4) {
		struct side z = x;

		if (n == 2)
			pass2(s, x, y);
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
