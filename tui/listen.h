/* listen.h: what the workstation plays: one take at a time.
 *
 * The device is opened when something is played for the first time, files are
 * read on a thread; no call here waits for either.  One thread, the UI's. */
#ifndef WOODSHED_TUI_LISTEN_H
#define WOODSHED_TUI_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct listen;

/* log_fd: where sound libraries print, borrowed.  ERR_IO. */
int listen_open(int log_fd, struct listen **ret, struct err *e);
void listen_close(struct listen *l); /* may take 2 seconds (player_close()); NULL-safe */

/* Readable when listen_work() has something to do; fds[0..1], -1: none. */
void listen_fds(const struct listen *l, int fds[2]);
/* Goes on with what has become ready.  The error is of a file that cannot be played. */
int listen_work(struct listen *l, struct err *e);

/* Plays a file from its beginning in place of whatever is played. */
int listen_play(struct listen *l, const char *path, int64_t take, struct err *e);
void listen_pause(struct listen *l); /* or plays on */
void listen_stop(struct listen *l);
void listen_seek(struct listen *l, double by_s);
void listen_volume(struct listen *l, int percent); /* 0 to 100 */

struct listen_view {
	int64_t take; /* that is played, or being read; 0: none */
	bool is_loading, is_playing;
	double position_s, length_s;
	uint64_t n_underruns;
	const char *no_device; /* why nothing is heard, or NULL; until the next call */
};
void listen_read(struct listen *l, struct listen_view *ret);

#endif
