/* Audio files: a writer of WAV and FLAC that never leaves half a file, a reader
 * for whatever libsndfile knows, and the recipe that a written file carries.
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

/* WAV in three, FLAC in two. */
enum audio_format { AUDIO_FLOAT, AUDIO_PCM24, AUDIO_PCM16, AUDIO_FLAC24, AUDIO_FLAC16 };

struct audio_writer_desc {
	const char *path;
	int channels;
	int rate_hz;
	enum audio_format format;
	/* Texts, NULL: none.  In a WAV file they are the chunk `wshd` and ICMT and
	 * ICOP in LIST/INFO, in a FLAC file the comments WOODSHED_RECIPE, COMMENT
	 * and COPYRIGHT. */
	const char *recipe;    /* JSON */
	const char *comment;   /* the recipe's short form */
	const char *copyright; /* whose rules hold for the samples; at most AUDIO_COMMENT_MAX */
	bool is_private;       /* for the user alone (0600), whatever the umask */
	bool keep_existing;    /* an existing file is an error instead of replaced */
	bool numbered;         /* an existing file stays; the new one becomes "NAME (2).wav" */
	uint64_t riff_max;     /* bytes above which the file is RF64; 0: the format's 4 GB */
};

struct audio_writer;

/* Checks the target and creates the temporary file.  A target that is a
 * folder, a device or a pipe, or that may not be written, is refused here. */
int audio_writer_open(const struct audio_writer_desc *d, struct audio_writer **ret, struct err *e);

/* Appends interleaved frames.  Float files store the samples untouched; others
 * hold audio_round() of them, without dither.  NaN and infinite samples are
 * refused.  After a failure only close is left. */
int audio_writer_add(struct audio_writer *w, const float *samples, size_t n_frames, struct err *e);

/* Gives the file its final name.  To be called once. */
int audio_writer_commit(struct audio_writer *w, struct err *e);

/* After a commit: the path of the file (with its number, if it got one) and its
 * size in bytes.  The path is the writer's, until close. */
const char *audio_writer_path(const struct audio_writer *w, uint64_t *ret_bytes);

/* Samples that were beyond what the format holds, so far. */
uint64_t audio_writer_clipped(const struct audio_writer *w);

/* Frees; removes the temporary file unless committed.  NULL-safe. */
void audio_writer_close(struct audio_writer *w);

/* Removes `name`, in the folder of `dir_fd`, if it is a temporary file of a
 * writer that lives no more: 1, else 0. */
int audio_remove_abandoned(int dir_fd, const char *name);

/* Removes the temporary files of all open writers.  Async-signal-safe: for
 * handlers that end the process.  A writer hit by it can no longer commit. */
void audio_writer_unlink_all(void);

/* Bits of an integer sample; 0: float. */
int audio_bits(enum audio_format format);

/* x * 2^(bits-1), rounded to the nearest integer and clipped to what `bits` hold. */
int32_t audio_round(float x, int bits);

struct audio {
	float *samples; /* interleaved; owned, freed by audio_done */
	size_t n_frames;
	int channels;
	int rate_hz;
	int bits; /* of the integers in the file; 0: floats, or nobody can tell */
	/* What the header promises behind the last frame, and the file does not hold: of
	 * WAV, RF64, W64, AIFF and AU; once it was read, of FLAC, and of MP3 where its
	 * encoder wrote how many frames there are.  Else 0: other MP3 files, raw streams and
	 * Ogg files do not tell how long they were meant to be; an Ogg file without its last
	 * page does not tell how long it is either, and is refused. */
	size_t n_missing;
};

enum { AUDIO_SHORTFALL_MAX = 96 };

/* "the file lacks 12 s: 0:18 of 0:30 are there"; "" when nothing is missing. */
const char *audio_shortfall(const struct audio *a, char out[AUDIO_SHORTFALL_MAX]);

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

/* A file read a piece at a time, at its own rate and in its own channels, in
 * memory that does not depend on its length. */
struct audio_reader;

/* Refuses what audio_read() refuses for its header. */
int audio_reader_open(const char *path, struct audio_reader **ret, struct err *e);
void audio_reader_close(struct audio_reader *r); /* NULL-safe */

/* Without samples; n_frames is what the header claims. */
const struct audio *audio_reader_info(const struct audio_reader *r);

/* Up to n interleaved frames; *ret_n is 0 at the end and nowhere else.  Samples are
 * what libsndfile gives; those that are no numbers are refused, as is a file that
 * ends before its first sample. */
int audio_reader_read(
	struct audio_reader *r, float *samples, size_t n_frames, size_t *ret_n, struct err *e);

/* audio_shortfall() of what was read, to the end for a FLAC file. */
const char *audio_reader_shortfall(const struct audio_reader *r, char out[AUDIO_SHORTFALL_MAX]);

/* The next frame to be read. */
int audio_reader_seek(struct audio_reader *r, size_t frame, struct err *e);

/* What the header of a file tells: *ret without samples.  Whatever audio_read()
 * refuses for its header is refused here; that the samples are whole is not
 * looked at. */
int audio_probe(const char *path, struct audio *ret, struct err *e);

/* Another rate for what was read, as above.  On failure *a is empty. */
int audio_resample(struct audio *a, int rate_hz, struct err *e);

/* The recipe stored in a WAV or FLAC file, without a newline at its end, as
 * NUL-terminated UTF-8, to be freed by the caller.  ERR_FORMAT when the file is
 * neither, or holds no recipe or a damaged one.  The text comes from a file:
 * whoever parses it (recipe_parse()) must not trust it. */
int audio_read_recipe(const char *path, char **ret, struct err *e);

#endif
