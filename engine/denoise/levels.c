/* Histograms of levels. */
#include "engine/denoise/levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/rows.h"
#include "library/base/arena.h"

enum {
	LEVELS = 512,   /* of a histogram */
	PER_DB = 2,     /* levels a decibel */
	SILENCE = 40,   /* no noise is below this level, -180 dB */
	HEARD_MIN = 24, /* rows, below which a quantile says nothing */
	/* Rows are counted so many at once, cell by cell: all histograms together do not
	 * stay in a processor's cache, one does. */
	WAITING = 32,
};

int levels_open(struct levels *l, size_t width, struct err *e)
{
	void *mem;
	int rc = mem_try_alloc(&mem, width, LEVELS * sizeof *l->count, "noise levels", e);

	*l = (struct levels){.width = width};
	if (rc)
		return rc;
	l->count = mem;
	rc = mem_try_alloc(&mem, width, WAITING * sizeof *l->waiting, "noise levels", e);
	if (!rc)
		l->waiting = mem;
	return rc;
}

void levels_close(struct levels *l)
{
	free(l->count);
	free(l->waiting);
	*l = (struct levels){0};
}

/* 10 log10(x) for x > 0, within 0.001 dB. */
static inline float db_of(float x)
{
	int32_t bits;
	float e, m;

	memcpy(&bits, &x, sizeof bits);
	e = (float)((bits >> 23) - 127);
	bits = (bits & 0x7fffff) | 0x3f800000;
	memcpy(&m, &bits, sizeof m);
	/* log2 of 1..2: the polynomial of degree 4 by least squares */
	return 3.0103f *
	       (e - 2.496846f +
		       m * (4.028548f + m * (-2.081214f + m * (0.628874f - 0.079158f * m))));
}

VECTORS static void levels_of(
	int16_t *restrict out, const float *restrict power, float factor, size_t width)
{
	for (size_t k = 0; k < width; k++) {
		int32_t level =
			(int32_t)((db_of(power[k] * factor) - (float)LEVELS_LOWEST_DB) * PER_DB);

		level = level < LEVELS ? level : LEVELS - 1;
		out[k] = (int16_t)(level > 0 ? level : 0);
	}
}

void levels_add(struct levels *l, const float *power, float factor)
{
	levels_of(l->waiting + l->n_waiting * l->width, power, factor, l->width);
	if (++l->n_waiting == WAITING)
		levels_settle(l);
}

void levels_settle(struct levels *l)
{
	for (size_t k = 0; k < l->width; k++) {
		uint32_t *count = l->count + k * LEVELS;

		for (size_t i = 0; i < l->n_waiting; i++)
			count[l->waiting[i * l->width + k]]++;
	}
	l->n_waiting = 0;
}

bool levels_quantiles(const struct levels *l, size_t k, const double *q, double *ret_db, int n)
{
	const uint32_t *count = l->count + k * LEVELS;
	uint64_t total = 0, below = 0;
	int found = 0;

	for (size_t i = SILENCE; i < LEVELS; i++)
		total += count[i];
	if (total < HEARD_MIN)
		return false;
	for (size_t i = SILENCE; i < LEVELS && found < n; i++) {
		while (found < n && (double)(below + count[i]) >= q[found] * (double)total) {
			double into = (q[found] * (double)total - (double)below) / count[i];

			ret_db[found++] = ((double)i + into) / PER_DB + LEVELS_LOWEST_DB;
		}
		below += count[i];
	}
	return true;
}

double levels_expected(double n, double z)
{
	double x = 1 - 1 / (9 * n) + z / (3 * sqrt(n));

	return x * x * x;
}
