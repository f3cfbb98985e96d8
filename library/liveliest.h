/* liveliest.h: where in a take the most goes on, to hear it first.
 *
 * Of each window of time: its loudness in LUFS (the mean power of the momentary
 * loudness every half second) plus its spectral flux in dB (how much the levels of 48
 * mel bands between 40 Hz and 20 kHz rise from one quarter of a second to the next,
 * the mean over bands and time; after S. Dixon, "Onset detection revisited", DAFx
 * 2006, in decibels).  The liveliest is the one with the greatest sum, the earliest of
 * several. */
#ifndef WOODSHED_LIBRARY_LIVELIEST_H
#define WOODSHED_LIBRARY_LIVELIEST_H

#include <stddef.h>

struct err;

/* samples: interleaved, finite.  *ret_s: where the window begins, in half seconds; 0 for
 * what is no longer than the window.  ERR_NOMEM, ERR_ARG for a rate or a number of
 * channels that spectrum.h does not take. */
int liveliest(const float *samples, size_t n_frames, int channels, int rate_hz, double window_s,
	double *ret_s, struct err *e);

#endif
