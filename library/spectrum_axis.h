/* spectrum_axis.h: what to write beside a spectrogram, and where. */
#ifndef WOODSHED_LIBRARY_SPECTRUM_AXIS_H
#define WOODSHED_LIBRARY_SPECTRUM_AXIS_H

#include <stddef.h>

struct spectrum;

enum { AXIS_TICKS_MAX = 64 };

struct axis_tick {
	double at;     /* 0 (lower end) to 1 (upper end) of the axis */
	char text[16]; /* ASCII */
};

/* The multiples of 1, 2 or 5 times a power of ten between low and high, at most
 * `most` (and AXIS_TICKS_MAX), ascending; 0 when the ends are no numbers or in the
 * wrong order.  Returns how many. */
size_t axis_numbers(double low, double high, size_t most, struct axis_tick ret[AXIS_TICKS_MAX]);

/* Frequencies, "50" for 50 Hz and "2k" for 2000, no two nearer to each other than
 * `gap`, as a share of the axis; those on top go first. */
size_t axis_frequencies(const struct spectrum *s, double gap, struct axis_tick ret[AXIS_TICKS_MAX]);

/* The span in seconds, and the range in dB. */
size_t axis_times(const struct spectrum *s, size_t most, struct axis_tick ret[AXIS_TICKS_MAX]);
size_t axis_levels(const struct spectrum *s, size_t most, struct axis_tick ret[AXIS_TICKS_MAX]);

#endif
