/* loudness.h: how loud audio is, after ITU-R BS.1770-4 and EBU R 128
 * (libebur128).
 *
 * Channels count as they are stored: a mono file is one loudspeaker, so it reads
 * 3.01 LU less than the same samples on two channels, as with other meters.
 * Which channel is where follows the usual order of files: left, right, centre,
 * LFE (which does not count), surrounds. */
#ifndef WOODSHED_LIBRARY_LOUDNESS_H
#define WOODSHED_LIBRARY_LOUDNESS_H

#include <stddef.h>

struct err;

struct loudness {
	double lufs; /* integrated; -INFINITY: shorter than 0.4 s, or all of it below -70 LUFS */
	double peak; /* true peak, 1 is full scale: the largest magnitude of any channel, also
			between samples (oversampled four times; twice from 96 kHz on) */
};

/* samples: interleaved, finite.  ERR_NOMEM, ERR_UNSUPPORTED. */
int loudness_measure(const float *samples, size_t n_frames, int channels, int rate_hz,
	struct loudness *ret, struct err *e);

/* Momentary loudness, LUFS: of the 0.4 s that the last of these frames end, or of
 * what there is; -INFINITY for silence.  What comes before those 0.4 s only sets the
 * filters: 0.1 s of it is enough.  Errors as above. */
int loudness_momentary(const float *samples, size_t n_frames, int channels, int rate_hz,
	double *ret, struct err *e);

/* The same for audio that comes in pieces; read once, at the end. */
struct loudness_meter;
int loudness_meter_open(int channels, int rate_hz, struct loudness_meter **ret, struct err *e);
int loudness_meter_add(
	struct loudness_meter *m, const float *samples, size_t n_frames, struct err *e);
int loudness_meter_read(struct loudness_meter *m, struct loudness *ret, struct err *e);
void loudness_meter_close(struct loudness_meter *m); /* NULL-safe */

/* Gains, linear and at most 1, that make n pieces equally loud: the louder ones become
 * softer, and all of them as much more as it takes for no true peak to go beyond full
 * scale.  lufs, peak_db: as measured; a loudness that is not known (NaN, -INFINITY) is
 * left as it is, and a peak that is not known is no limit. */
void loudness_match(const double *lufs, const double *peak_db, size_t n, double *ret_gain);

/* 20 log10(x); -INFINITY for 0.  And back. */
double loudness_db(double x);
double loudness_gain(double db);

#endif
