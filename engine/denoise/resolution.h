/* resolution.h: the spectrum at one size of window: frames of all channels, the
 * share of each cell that is noise, and back to samples.
 *
 * Window: periodic Hann, n samples, a frame every n / 4; the same for analysis and
 * synthesis, whose squares add up to 1.5.  Two channels are the real and the
 * imaginary part of one transform, and a gain that is equal at k and n - k acts on
 * both alike; so they are never taken apart.  A cell's power is the mean over the
 * channels of |X|^2, divided by the sum of the squared window: white noise of
 * variance v reads v at every size.
 *
 * The share u of a cell that is taken out (0: nothing, 1: all) comes from its
 * power in units of the noise, g, averaged over boxes of neighbours.  For a box of
 * n independent cells with mean m:
 *
 *	u = min((1 + (c - 1) c / m) / m, 1)
 *
 * c is what m exceeds in noise alone equally seldom for boxes of every size; below it
 * all is taken.  A c of 1 + k / sqrt(n) let single cells through a hundred times as often
 * as wide boxes, and those are what musical noise is made of.  Far above c, u is 1 / m,
 * that of the Wiener filter, so that caution costs loud music nothing.  Stein's estimate
 * of the risk, the error's power in units of the noise, is
 *
 *	r = u^2 g + 2 (1 - u) + 2 [u < 1] g (2 u - 1 / m) / (n m) - 1
 *
 * (C. Stein, "Estimation of the mean of a multivariate normal distribution", Ann.
 * Statist. 9 (1981); the third term is the derivative of u).  Smoothed over cells,
 * it weighs the boxes: exp(-r / T).  Notes get narrow boxes, noise wide ones, and
 * there is no threshold between them. */
#ifndef WOODSHED_ENGINE_DENOISE_RESOLUTION_H
#define WOODSHED_ENGINE_DENOISE_RESOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/denoise/rows.h"

struct err;
struct fft;

enum {
	RESOLUTION_BOXES = 7,
	RESOLUTION_LAG = 6, /* rows from a frame to its shares */
};

struct resolution {
	size_t n, hop, width; /* window; hop; cells of a row: n / 2 + 1 */
	size_t n_pairs;       /* of channels */
	int channels;
	struct fft *fft;
	float *window;      /* n */
	float *lambda;      /* width: the noise's power */
	struct rows re, im; /* spectra, n wide, n_pairs rows for each frame */
	struct rows power;  /* of a cell */
	bool *twins;        /* for each row of re: both channels are equal, and shall remain so */
	struct rows g, g3, g9;           /* in units of noise; sums over 3 and 9 rows */
	struct rows u[RESOLUTION_BOXES]; /* share by box */
	struct rows r[RESOLUTION_BOXES]; /* risk by box, summed over 9 cells of a row */
	struct rows share, risk;         /* of the boxes together */
	struct rows tmp;                 /* rows for sums */
};

/* n: power of two; keeps the spectra of n_kept frames. */
int resolution_open(struct resolution *r, size_t n, int channels, size_t n_kept, struct err *e);
void resolution_close(struct resolution *r);
void resolution_clear(struct resolution *r); /* as if nothing had been heard */

/* Frame number `row`, from n samples of each channel, `stride` apart: spectrum and
 * power. */
void resolution_analyse(struct resolution *r, int64_t row, const float *samples, size_t stride);

/* After resolution_analyse(row) has been called for all rows up to `row`: shares
 * and risks of row - RESOLUTION_LAG. */
void resolution_shares(struct resolution *r, int64_t row);

/* Adds what is taken out of frame `row` to n samples of each channel: the spectrum
 * times `gain` (width). */
void resolution_synthesise(
	struct resolution *r, int64_t row, const float *gain, float *samples, size_t stride);

#endif
