/* denoiser.h: denoised twins of audio files, made in the background by
 * woodshed-engine and kept in the library's cache.
 *
 * One is made at a time, by a child that a thread waits for.  A twin is there
 * completely or not at all, is named by file and method, and the cache holds 1 GB of
 * them at most: what was not used for longest goes.  How much of a twin is heard
 * (its mix) is the mixer's.  All functions belong to one thread, the UI's, and none
 * waits, but denoiser_close(). */
#ifndef WOODSHED_TUI_DENOISER_H
#define WOODSHED_TUI_DENOISER_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct denoiser;
struct err;

struct denoiser_desc {
	const char *program; /* woodshed-engine */
	const char *library;
	int wake_fd; /* an eventfd, written to when there is something new; borrowed */
};

/* ERR_IO. */
int denoiser_open(const struct denoiser_desc *d, struct denoiser **ret, struct err *e);
/* Ends what is being made, after up to 2 seconds by force.  NULL-safe. */
void denoiser_close(struct denoiser *d);

/* The twin of a file by a method, in the arena, or NULL when there is none yet; it
 * counts as used. */
const char *denoiser_find(
	const struct denoiser *d, const char *path, const char *method, struct arena *a);

/* Begins to make it, in place of what is being made.  method: ss, wiener or df; take:
 * for denoiser_read(). */
void denoiser_begin(struct denoiser *d, const char *path, const char *method, int64_t take);
void denoiser_cancel(struct denoiser *d);

enum denoiser_state { DENOISER_IDLE, DENOISER_WORKING, DENOISER_MADE, DENOISER_FAILED };

struct denoiser_view {
	enum denoiser_state state; /* the last two until denoiser_seen() */
	int64_t take;
	double share;  /* that is done, 0 to 1 */
	char why[512]; /* it failed: a sentence */
};
void denoiser_read(struct denoiser *d, struct denoiser_view *ret);
/* That it was made, or has failed, is known. */
void denoiser_seen(struct denoiser *d);

#endif
