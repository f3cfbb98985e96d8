/* rows.h: rows of cells that come one after another (a spectrum each), the last few
 * of them kept, and sums over neighbours.
 *
 * Beside each row lies room for sums that reach over its ends; there, a row is
 * continued by its mirror image, as the spectrum of real samples is. */
#ifndef WOODSHED_ENGINE_DENOISE_ROWS_H
#define WOODSHED_ENGINE_DENOISE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "library/base/vectors.h"

struct err;

enum { ROWS_PAD = 16 }; /* cells beside a row */

struct rows {
	float *at; /* owned */
	size_t width, stride, n;
};

/* Keeps n rows of `width` > ROWS_PAD cells, all 0. */
int rows_open(struct rows *r, size_t width, size_t n, struct err *e);
void rows_close(struct rows *r);
void rows_clear(struct rows *r);

/* The row that came as number i, which is kept if no n later ones came.  i may be
 * negative: rows before the first are there, and hold what they are given. */
static inline float *rows_at(const struct rows *r, int64_t i)
{
	int64_t n = (int64_t)r->n, k = i % n;

	return r->at + (size_t)(k < 0 ? k + n : k) * r->stride + ROWS_PAD;
}

/* Fills the pads of a row. */
void row_mirror(float *row, size_t width);

/* out[k] = a[k] + b[k] + c[k], pads included. */
void row_sum3(float *restrict out, const float *a, const float *b, const float *c, size_t width);

/* out[k] = x[k - step] + x[k] + x[k + step]; `pad` cells beside out are written, and
 * pad + step of x are read. */
void row_spread(
	float *restrict out, const float *restrict x, size_t width, size_t step, size_t pad);

#endif
