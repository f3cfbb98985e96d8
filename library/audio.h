/* Audio files: a writer that never leaves half a file, a reader for whatever
 * libsndfile knows, and the recipe that a written file carries.
 *
 * Writing: open, add frames as they come, commit, close.  The samples go to a
 * temporary file ".NAME.xxxxxxxx.tmp" in the target's folder; commit fills in
 * the sizes, syncs it, renames it to the final name and syncs the folder.
 * Until then nothing exists under the final name, and closing without a
 * commit (or after a failure) leaves nothing at all.  A writer belongs to one
 * thread; several may be open at once.
 *
 * A program that writes files should ignore SIGXFSZ, so that a file size
 * limit is an error in words and not the end of the process. */
#ifndef WOODSHED_LIBRARY_AUDIO_H
#define WOODSHED_LIBRARY_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
	AUDIO_CHANNELS_MAX = 64,
	AUDIO_RATE_MIN = 1000, /* Hz */
	AUDIO_RATE_MAX = 768000,
	AUDIO_RECIPE_MAX = 32 * 1024, /* bytes of JSON */
	AUDIO_COMMENT_MAX = 1999,
};

enum audio_format { AUDIO_FLOAT, AUDIO_PCM24, AUDIO_PCM16 };

struct audio_writer_desc {
	const char *path;
	int channels;
	int rate_hz;
	enum audio_format format;
	const char *recipe;  /* JSON, stored in the chunk `wshd`; NULL: none */
	const char *comment; /* its short form, stored in LIST/INFO ICMT; NULL: none */
	bool keep_existing;  /* an existing file is an error instead of replaced */
	uint64_t riff_max;   /* bytes above which the file is RF64; 0: the format's 4 GB */
};

struct audio_writer;

/* Checks the target and creates the temporary file.  A target that is a
 * folder, a device or a pipe, or that may not be written, is refused here. */
int audio_writer_open(const struct audio_writer_desc *d, struct audio_writer **ret, struct err *e);

/* Appends interleaved frames.  Float files store the samples untouched; PCM
 * rounds x * 2^(bits-1) to the nearest integer and clips it, without dither.
 * NaN and infinite samples are refused.  After a failure only close is left. */
int audio_writer_add(struct audio_writer *w, const float *samples, size_t n_frames, struct err *e);

/* Gives the file its final name.  To be called once. */
int audio_writer_commit(struct audio_writer *w, struct err *e);

/* Frees; removes the temporary file unless committed.  NULL-safe. */
void audio_writer_close(struct audio_writer *w);

/* Removes `name`, in the folder of `dir_fd`, if it is a temporary file of a
 * writer that lives no more: 1, else 0. */
int audio_remove_abandoned(int dir_fd, const char *name);

/* Removes the temporary files of all open writers.  Async-signal-safe: for
 * handlers that end the process.  A writer hit by it can no longer commit. */
void audio_writer_unlink_all(void);

struct audio {
	float *samples; /* interleaved; owned, freed by audio_done */
	size_t n_frames;
	int channels;
	int rate_hz;
};

struct audio_read_desc {
	const char *path;
	int rate_hz;  /* wanted; 0: the file's own */
	int channels; /* wanted; 0: the file's own */
	double max_s; /* a longer file is refused; 0: memory is the only limit */
};

/* Reads a whole file.  Channels: one is copied to several, several are
 * averaged to one, other changes are refused.  Another rate is resampled with
 * soxr at its "very high quality" to round(frames * wanted / rate) frames.
 * When rate and channels match, the samples are what libsndfile gives.  Files
 * that hold NaN or infinite samples, or no samples, are refused. */
int audio_read(const struct audio_read_desc *d, struct audio *ret, struct err *e);
void audio_done(struct audio *a);

/* The recipe stored in a WAV file, without a newline at its end, as
 * NUL-terminated UTF-8, to be freed by the caller.  ERR_FORMAT when the file is no WAV file, or
 * holds no recipe or a damaged one.  The text comes from a file: whoever parses it must not trust
 * it. */
int audio_read_recipe(const char *path, char **ret, struct err *e);

#endif
