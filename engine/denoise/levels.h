/* levels.h: how often each cell of a row had which level, for quantiles of the power of
 * noise (noise.h). */
#ifndef WOODSHED_ENGINE_DENOISE_LEVELS_H
#define WOODSHED_ENGINE_DENOISE_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define LEVELS_LOWEST_DB (-200.0) /* of power 1: nothing lower is told */

struct levels {
	size_t width;
	uint32_t *count;  /* owned; for each cell, by level */
	int16_t *waiting; /* owned; rows of levels that are not yet counted */
	size_t n_waiting;
};

int levels_open(struct levels *l, size_t width, struct err *e);
void levels_close(struct levels *l);

/* A row of `width` powers, times `factor`. */
void levels_add(struct levels *l, const float *power, float factor);

/* After the last levels_add(). */
void levels_settle(struct levels *l);

/* The n quantiles q (0..1, rising) of cell k's levels, in dB; silence (below -180 dB) does
 * not count.  false: too few rows were heard. */
bool levels_quantiles(const struct levels *l, size_t k, const double *q, double *ret_db, int n);

/* What the mean of n independent powers of noise, of mean 1 each, falls below as often as a
 * normal variable falls below z: E. Wilson and M. Hilferty, "The distribution of
 * chi-square", PNAS 17 (1931). */
double levels_expected(double n, double z);

#endif
