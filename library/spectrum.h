/* spectrum.h: spectrograms, from samples to a matrix of levels.
 *
 * A spectrum is opened on samples, worked on in slices, and read meanwhile:
 *
 *	spectrum_open(&d, &s, &e);
 *	while (spectrum_work(s, 64))
 *		draw what spectrum_coarse() and spectrum_done() say is there;
 *	spectrum_close(s);
 *
 * One thread works, with those of its pool, where it has one; any other may read,
 * ask how far it is, and cancel.  The samples must stay until nobody works any
 * more; opening and closing are for who owns the spectrum.
 *
 * What a level is.  A Hann window (periodic) and an FFT every `hop` frames,
 * centred on the multiples of hop, with silence around the samples; where a
 * column is narrower than a hop, one on the column's middle.  Of each frequency
 * bin the power, as the mean over the channels: unlike the spectrum of a mix it
 * loses nothing where channels cancel, and a signal reads the same in mono and
 * in several equal channels.  A sine with the amplitude 1 in all channels reads
 * 0 dB where its frequency is that of a bin, and up to 1.42 dB less between
 * bins (the scalloping loss of the window: F. J. Harris, "On the use of windows
 * for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66
 * (1978), table 1).  A constant 1 reads 0 dB as well.
 *
 * What a cell is.  The greatest power of its transforms within its band of
 * frequencies, the power between bins being interpolated; so nothing falls
 * between two cells, and bands narrower than a bin have no holes. */
#ifndef WOODSHED_LIBRARY_SPECTRUM_H
#define WOODSHED_LIBRARY_SPECTRUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct pool;

enum {
	SPECTRUM_FFT_MIN = 256,
	SPECTRUM_FFT_MAX = 16384,
	SPECTRUM_COLUMNS_MAX = 32768,
	SPECTRUM_ROWS_MAX = 16384,
};

enum spectrum_scale {
	SPECTRUM_LOG,
	SPECTRUM_MEL, /* 2595 log10(1 + f / 700): D. O'Shaughnessy, "Speech Communication", 1987 */
	SPECTRUM_LINEAR,
};

struct spectrum_desc {
	const float *samples; /* interleaved; borrowed.  Samples that are no numbers, or beyond
				 1e6, count as 0 */
	size_t n_frames;
	int channels;           /* 1..AUDIO_CHANNELS_MAX */
	int rate_hz;            /* AUDIO_RATE_MIN..AUDIO_RATE_MAX */
	size_t begin, end;      /* span of frames, both 0: all */
	int columns, rows;      /* of the matrix */
	int fft;                /* power of two; 0: 2048 */
	int hop;                /* frames, 1..fft / 2; 0: fft / 4 */
	double low_db, high_db; /* levels 0 and 255; both 0: -90 and 0 */
	double low_hz, high_hz; /* 0: 40 Hz (log) or 0 Hz; 20 kHz.  Cut at half the rate */
	enum spectrum_scale scale;
	struct pool *pool; /* that shares the work; borrowed; NULL: none */
};

struct spectrum;

/* Checks and allocates; all levels are 0.  ERR_ARG, ERR_NOMEM. */
int spectrum_open(const struct spectrum_desc *d, struct spectrum **ret, struct err *e);
void spectrum_close(struct spectrum *s); /* NULL-safe */

/* Does up to n_transforms more (some 10 microseconds each in stereo at 2048); with a
 * pool, whole columns: at least so many, and one for each thread.  False: no more to do, because
 * all is done or somebody cancelled.
 *
 * First comes the coarse picture: one transform for each column, or, of many
 * columns, for each of 512 groups of them.  Then columns are finished from the
 * first to the last.  The end result does not depend on slices and threads. */
bool spectrum_work(struct spectrum *s, size_t n_transforms);
/* The work in progress ends after the current transform, and none begins. */
void spectrum_cancel(struct spectrum *s);

/* Columns 0..n-1 of which there is at least a coarse picture; that are final. */
size_t spectrum_coarse(const struct spectrum *s);
size_t spectrum_done(const struct spectrum *s);

/* n columns from `column` on: `rows` levels each, that of the lowest frequency
 * first.  Of columns beyond the last nothing is written. */
void spectrum_read(const struct spectrum *s, size_t column, size_t n, uint8_t *ret);

/* What was asked for, with the defaults filled in. */
const struct spectrum_desc *spectrum_asked(const struct spectrum *s);

/* Where a frequency in Hz is between the lower edge of the first row (0) and the
 * upper edge of the last (1), and back.  Values outside go on, to -1 and 2 at most. */
double spectrum_position(const struct spectrum *s, double hz);
double spectrum_hz(const struct spectrum *s, double position);

/* The level in dB, and the level of a power (of a bin as described above). */
double spectrum_db(const struct spectrum *s, uint8_t level);
uint8_t spectrum_level(const struct spectrum *s, double power);

#endif
