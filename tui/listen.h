/* listen.h: what the workstation plays: one take at a time, and the one after it
 * without a gap; or up to four side by side, of which one is heard.
 *
 * The device is opened when something is played for the first time, files are
 * read on a thread; no call here waits for either.  One thread, the UI's. */
#ifndef WOODSHED_TUI_LISTEN_H
#define WOODSHED_TUI_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "tui/mixer.h"

struct arena;
struct err;
struct listen;
struct player_device;

/* log_fd: where sound libraries print, borrowed.  ERR_IO. */
int listen_open(int log_fd, struct listen **ret, struct err *e);
void listen_close(struct listen *l); /* may take 2 seconds (player_close()); NULL-safe */

/* Readable when listen_work() has something to do; fds[0..1], -1: none. */
void listen_fds(const struct listen *l, int fds[2]);
/* Goes on with what has become ready.  The error is of a file that cannot be played. */
int listen_work(struct listen *l, struct err *e);

struct listen_source {
	int64_t take;
	const char *path;
	const char *wet; /* its denoised twin, to be heard where that is so now; NULL: none */
	double cut;      /* how much softer, 0 to 1: by a gain of 1 - cut */
	/* Where it begins, and, if `end` is behind that, the loop that it goes round in. */
	double begin_s, end_s;
};

/* Plays a file, dry, in place of whatever is played. */
int listen_play(struct listen *l, const struct listen_source *s, struct err *e);
/* The same of several, at most MIXER_SLOTS, on one clock: the first is heard, the others
 * can be as soon as they are read; begin and end are the first one's.  Nothing follows. */
int listen_together(struct listen *l, const struct listen_source *s, int n, struct err *e);
/* Another of these is heard from the very frame on that comes next; false: it is not
 * read yet. */
bool listen_switch(struct listen *l, int which);
/* Follows what is played, without a gap; while nothing is, nothing happens. */
int listen_next(struct listen *l, const struct listen_source *s, struct err *e);
/* Or plays on.  What is still being read begins with a pause, or not. */
void listen_pause(struct listen *l);
void listen_stop(struct listen *l);
void listen_seek(struct listen *l, double by_s);
void listen_seek_to(struct listen *l, double s);
/* The same as something that is heard even in a pause: mixer_scrub(). */
void listen_scrub(struct listen *l, double s);
/* From end_s on back to begin_s, exact to the sample; equal: no loop.  Another take has
 * none. */
void listen_loop(struct listen *l, double begin_s, double end_s);
void listen_volume(struct listen *l, int percent); /* 0 to 100 */
void listen_mute(struct listen *l, bool is_muted);

/* Reads the take that is played once more, with its denoised twin, and goes on with
 * that mode at the same position. */
int listen_twin(struct listen *l, const char *wet, enum mixer_mode mode, struct err *e);
/* It has no twin any more: the next one is read anew. */
void listen_drop_twin(struct listen *l);
/* MIXER_DRY, or others while there is a twin.  Cross-fades. */
void listen_mode(struct listen *l, enum mixer_mode mode);
void listen_mix(struct listen *l, double mix); /* 0 dry, 1 wet; also of takes to come */

/* Goes on with another device (player_choose()); NULL: the default.  Also before
 * anything was played. */
void listen_device(struct listen *l, const char *name);
/* Looks for devices again: player_rescan(). */
int listen_rescan(struct listen *l, struct err *e);
/* player_devices(), after the player was opened and has looked for them. */
void listen_devices(struct listen *l, struct arena *a, struct player_device **ret, size_t *ret_n);
/* Opens the player without playing anything. */
int listen_wake(struct listen *l, struct err *e);

struct listen_view {
	int64_t take; /* that is played, or being read; 0: none */
	bool is_loading, is_playing, is_muted;
	bool is_settling; /* what is here changes without listen_work(): call it soon */
	bool has_next, has_twin;
	bool reads_twin; /* listen_twin() has not come to an end */
	enum mixer_mode mode;
	double position_s, length_s;
	double latency_s;   /* what is heard is that far behind */
	unsigned n_changes; /* files that were read, changes of mode */
	unsigned n_plays;   /* changes whenever something else is played, but not by a switch */
	int n_together;     /* of listen_together(); else 1 */
	uint64_t n_underruns;
	const char *device;    /* that plays, or ""; until the next call, as below */
	const char *no_device; /* why nothing is heard, or NULL */
	const char *shortfall; /* audio_shortfall() of what is played; "" */
	const char *not_that;  /* why it is not the device that is wanted, or NULL */
};
void listen_read(struct listen *l, struct listen_view *ret);

/* Levels since they were asked for last, or, when nothing was rendered since, those that
 * were told then; 1 is full scale. */
struct listen_meters {
	float peak[2], rms[2];
	double lufs; /* momentary, at the playhead, before the volume; -INFINITY: silence */
};
void listen_meters(struct listen *l, struct listen_meters *ret);

#endif
