/* noise.h: how strong the noise is at each frequency, learned from all of a piece of
 * music, or from a stretch that holds nothing else.
 *
 * Blind.  Of the power of each cell, averaged over boxes of three shapes, the 2 %,
 * 5 % and 15 % quantiles over the whole piece.  The mean of n independent cells of
 * noise has a Gamma distribution, so the quantiles tell the noise's power, and the
 * distance between them tells whether it is noise: music that comes and goes
 * spreads wider.  Where it is, the levels give a smooth curve over log frequency
 * (noise spectra are smooth, notes are narrow), and no level may exceed the curve;
 * where too little can be trusted the estimate fades away.  So music without noise
 * yields next to none, and held notes are spared.
 *
 * Hum shows as a comb of lines at the harmonics of 50 or 60 Hz that stand out at all
 * times; it is looked for by itself.
 *
 * Marked.  The mean power, smoothed over frequency except at lines. */
#ifndef WOODSHED_ENGINE_DENOISE_NOISE_H
#define WOODSHED_ENGINE_DENOISE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct noise;
struct resolution;

int noise_open(const struct resolution *small, const struct resolution *large, int rate_hz,
	bool marked, struct noise **ret, struct err *e);
void noise_close(struct noise *n); /* NULL-safe */

/* A frame that lies in what is to be learned from, of either resolution: its number
 * there. */
void noise_hear(struct noise *n, const struct resolution *r, int64_t row);

/* Sets lambda of both; `strength` multiplies it.  ERR_ARG when a marked stretch was
 * too short. */
int noise_set(struct noise *n, struct resolution *small, struct resolution *large, double strength,
	struct err *e);

/* How much the powers of a marked stretch vary: 1 for noise, 0 for hum; music makes it
 * more.  Before noise_set(). */
double noise_unsteadiness(const struct noise *n);

#endif
