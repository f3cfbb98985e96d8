/* FLAC for the writer of audio files.  Private to library/audio_*.c.
 *
 * libFLAC and not libsndfile, which writes ten fixed comments and none of our
 * own.  The stream goes to a file that the caller has opened and will sync,
 * name and close. */
#ifndef WOODSHED_LIBRARY_AUDIO_FLAC_H
#define WOODSHED_LIBRARY_AUDIO_FLAC_H

#include <stddef.h>
#include <stdint.h>

struct audio_writer_desc;
struct flac;

/* The comment that holds the recipe, with its '='. */
#define AUDIO_FLAC_RECIPE "WOODSHED_RECIPE="

enum {
	AUDIO_FLAC_CHANNELS_MAX = 8,
	AUDIO_FLAC_RATE_MAX = 655350, /* Hz */
};

/* These return 0 or an errno value; after a failure only close is left.
 * d: channels, rate, format and texts, checked by the caller; borrowed until close. */
int flac_open(const struct audio_writer_desc *d, int fd, struct flac **ret);

/* Appends interleaved frames of integers in the format's range. */
int flac_add(struct flac *f, const int32_t *samples, size_t n_frames);

/* Writes what is left, and the stream's length and checksum into its head. */
int flac_finish(struct flac *f);

void flac_close(struct flac *f); /* NULL-safe */

#endif
