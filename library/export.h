/* export.h: a take becomes a file for others: cut, resampled, faded, at a
 * loudness, in a format and under a name.
 *
 *	trim -> resample -> fades -> gain -> dither
 *
 * The file carries the recipe of its source, with a note of what was done to
 * the samples, and the licence of the weights.  The same source and description
 * give the same bytes.  Nothing is ever overwritten: a name that is taken gets
 * " (2)", also when several programs export at once. */
#ifndef WOODSHED_LIBRARY_EXPORT_H
#define WOODSHED_LIBRARY_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/audio.h"

struct arena;
struct err;

enum {
	EXPORT_DB_MIN = -150,
	EXPORT_LUFS_MIN = -70,
	EXPORT_FADE_MAX = 3600, /* seconds */
};

/* Zero is off, or the default. */
struct export_desc {
	const char *source;       /* any audio file that libsndfile reads */
	const char *samples;      /* a file whose samples and recipe stand in for the source's,
				     such as its denoised form; NULL: the source's own */
	const char *dir;          /* an existing folder */
	const char *pattern;      /* names.h; NULL: NAMES_DEFAULT */
	const char *take;         /* for {take}; NULL: the source's name without its ending */
	enum audio_format format; /* with 16 bits: dithered, unless all samples fit as they are */
	double trim_db; /* cuts what is below it (dBFS, negative) at both ends; 0: no trim */
	int rate_hz;    /* 0: the source's */
	double fade_in_s, fade_out_s; /* raised cosine */
	double lufs;                  /* target, negative; 0: the loudness stays */
	double ceiling_dbtp;          /* with lufs: the gain is what keeps the true peak below it */
	const char *licence; /* of the weights; NULL: that of the recipe's model, if it is known */
	bool no_commercial;  /* with licence: it forbids commercial use */
};

/* Strings are in the caller's arena. */
struct export_result {
	const char *path;
	uint64_t n_bytes;
	size_t n_frames;
	int rate_hz, channels;
	double lufs_before, lufs_after; /* of what is written, before and after the gain */
	double peak_dbtp;               /* after; -INFINITY: silence */
	double gain_db;
	bool held_back;   /* the ceiling left less gain than the target needs */
	uint64_t clipped; /* samples beyond what the format holds */
	const char *licence;
	bool no_commercial;    /* it forbids commercial use */
	const char *model;     /* of the recipe; NULL: none */
	const char *warning;   /* a recipe that could not be carried over, in a sentence; or NULL */
	const char *shortfall; /* how early the source ends, in a sentence; or NULL */
};

/* ERR_ARG for a description without sense, told before the source is read. */
int export_check(const struct export_desc *d, struct err *e);

/* On failure nothing is left behind. */
int export_file(
	const struct export_desc *d, struct arena *a, struct export_result *ret, struct err *e);

/* The steps, for themselves. */

/* Drops frames at both ends in which no channel reaches the threshold.
 * ERR_FORMAT when that is all of them. */
int export_trim(struct audio *a, double threshold_db, struct err *e);

/* ERR_ARG when the audio is shorter than its fades. */
int export_fade(struct audio *a, double in_s, double out_s, struct err *e);

/* Rounds samples to `bits`, with `dither` after adding noise of triangular
 * density, two steps wide (TPDF), which makes the error independent of the
 * signal: its mean is 0, its variance a quarter of a squared step.  The noise
 * depends on the sample's place alone.  The samples remain floats, exactly on
 * steps; returns how many had to be clipped. */
uint64_t export_round(struct audio *a, int bits, bool dither);

#endif
