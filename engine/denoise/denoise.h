/* denoise.h: noise out of music, as a stream.
 *
 *	denoise_open(&desc, &d, &e);
 *	if (denoise_learns(d))                   a first pass over the same audio,
 *		denoise_learn(d, x, n, &e) ...   or over a stretch of noise alone
 *	denoise_push(d, x, n, &e) ...            with denoise_pull(d, out, removed, n) between
 *	denoise_flush(d, &e);                    and after it, until it gives no more
 *	denoise_close(d);
 *
 * As many frames come out as went in, at the same rate, in as many channels.  All
 * channels get the same gains, so that nothing moves between the loudspeakers.
 * Every method yields what it takes away, R, and the output is
 *
 *	out = in - mix * R
 *
 * so mix 0 gives the very bits of the input, and out + removed is the input, but
 * for the rounding of one addition.  A method that works at one rate only gets its
 * input resampled, and only R is resampled back: what is left alone never is.
 *
 * The result does not depend on the sizes in which frames are pushed and pulled.
 * One stream belongs to one thread at a time. */
#ifndef WOODSHED_ENGINE_DENOISE_DENOISE_H
#define WOODSHED_ENGINE_DENOISE_DENOISE_H

#include <stdbool.h>
#include <stddef.h>

struct denoise;
struct err;

enum {
	DENOISE_CHANNELS_MAX = 64,
	DENOISE_RATE_MIN = 1000, /* Hz */
	DENOISE_RATE_MAX = 768000,
	DENOISE_STRENGTH_MAX = 4,
	DENOISE_BANDS = 24, /* of a report */
};

/* Samples beyond this are refused like those that are no numbers. */
#define DENOISE_LEVEL_MAX 1e6f

struct denoise_desc {
	const char *method;     /* "ss", "wiener", "df" */
	const char *df_weights; /* df: the folder of its weights; NULL: not there */
	int rate_hz;            /* DENOISE_RATE_MIN..DENOISE_RATE_MAX */
	int channels;           /* 1..DENOISE_CHANNELS_MAX */
	double mix;             /* 0 (dry) .. 1 (wet) */
	double strength; /* 0..DENOISE_STRENGTH_MAX: the noise is taken for so many times as strong
			    as it is estimated (power); 0 removes nothing */
	bool report;     /* ss, wiener: count for denoise_report(); df always does */
	bool marked;     /* what is learned is noise alone */
};

/* Whether there is a method of that name in this program. */
bool denoise_has(const char *method);

/* ERR_ARG for a description without sense, ERR_UNSUPPORTED for a method that is
 * not built in, ERR_NOMEM. */
int denoise_open(const struct denoise_desc *d, struct denoise **ret, struct err *e);
void denoise_close(struct denoise *d); /* NULL-safe */

/* Whether the method must hear the audio before it can work. */
bool denoise_learns(const struct denoise *d);

/* Hears n interleaved frames of the audio whose noise it will remove: all of it,
 * or, with `marked`, a stretch of DENOISE_MARKED_MIN_S or more that holds nothing
 * but noise.  Before the first push.  ERR_FORMAT for samples that are no numbers. */
int denoise_learn(struct denoise *d, const float *samples, size_t n_frames, struct err *e);

#define DENOISE_MARKED_MIN_S 0.5

/* Takes n interleaved frames.  ERR_FORMAT for samples that are no numbers;
 * ERR_NOMEM when nobody pulls.  After a failure only close is left. */
int denoise_push(struct denoise *d, const float *samples, size_t n_frames, struct err *e);

/* Gives up to n interleaved frames of the output and, unless `removed` is NULL, of
 * what was taken out (mix * R); returns how many. */
size_t denoise_pull(struct denoise *d, float *out, float *removed, size_t n_frames);

/* Says that no more is pushed. */
int denoise_flush(struct denoise *d, struct err *e);

/* The most frames that are held back: once more than this were pushed, the first
 * can be pulled. */
size_t denoise_latency(const struct denoise *d);

/* What was done so far, for a report.  Levels are relative to full scale. */
struct denoise_band {
	double low_hz, high_hz;
	double noise_db;  /* estimated noise in the band; -INFINITY: none */
	double removed;   /* share of the band's energy taken out, 0..1 */
	double resembles; /* -1..1: how much the removed part's level moves with the output's */
};

struct denoise_report {
	size_t n_bands; /* 0: the method looks at none (df) */
	struct denoise_band band[DENOISE_BANDS];
	double noise_db;  /* of all bands; -INFINITY: no noise was found; NAN: not sought (df) */
	double unsteady;  /* of what was marked: 1 noise, 0 hum, 2 and more: music */
	double removed;   /* share of all energy, before the mix */
	double resembles; /* mean of the bands', weighted by the energy removed; NAN: none */
	bool takes_music; /* it is likely that music goes with the noise */
};

/* Whether the method can tell; what it can.  After flush. */
bool denoise_report(const struct denoise *d, struct denoise_report *ret);

#endif
