/* player.h: the mixer on a sound device.
 *
 * PortAudio is slow and sometimes hangs, so it has a thread of its own.  A second
 * thread, the keeper, watches: a call that does not come back in time is given up
 * (the thread stays behind, and is used again if it does come back); a stream
 * that has ended, or made no callback for a second, is lost.  Without a device
 * the keeper drives the mixer in real time, in silence, so that whoever shows
 * positions needs no second way.
 *
 * No device is a state, not an error: player_status() tells which and why.
 *
 * Threads.  All functions but clip_load() belong to one thread, the UI's, as do
 * the commands of the mixer.  None of them waits for a device; locks are held for
 * microseconds.  The exceptions: clip_load() reads and resamples a file and
 * belongs on a helper thread; player_close() may take 2 seconds.
 *
 * File descriptor 2 points elsewhere while PortAudio opens, closes or looks for
 * devices, because it prints there; whatever else the process writes to it
 * meanwhile goes there, too.  When a device dies, PortAudio's callback thread
 * prints some lines at any time: who draws on the terminal points descriptor 2
 * elsewhere for as long as the player is open. */
#ifndef WOODSHED_TUI_PLAYER_H
#define WOODSHED_TUI_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/mixer.h"

struct arena;
struct err;
struct player;

struct player_desc {
	int rate_hz;        /* wanted; 0: 48000 */
	const char *device; /* as for player_choose(); NULL: the default */
	int log_fd;         /* where PortAudio prints to, borrowed; 0: /dev/null */
	double latency_s;   /* of the device's buffer; 0: 0.1 */
	/* For a program that stays: a device that nothing was played on for rest_s is
	 * closed until the next command (0: never); one that was lost is looked for again
	 * while something is played, or the default one taken instead; three underruns
	 * within 5 s make the buffer twice as long, up to 0.8 s. */
	bool stays;
	double rest_s; /* 0: 5 */
};

enum player_state {
	PLAYER_OPENING,   /* nothing is rendered, commands wait */
	PLAYER_READY,     /* a device plays */
	PLAYER_NO_DEVICE, /* the keeper's clock runs */
	PLAYER_LOST,      /* the same, after a device that had played */
	PLAYER_RESTING,   /* the device is closed until a command comes; nobody wakes up */
};

struct player_status {
	enum player_state state;
	int rate_hz;      /* final once the state is not PLAYER_OPENING */
	double latency_s; /* from a callback to the ear, as far as the device tells */
	char device[128]; /* its name; "" when there is none */
	char reason[512]; /* why there is none, as a sentence without its end */
};

struct player_device {
	const char *name, *host; /* "default", "ALSA" */
	int channels;
	double rate_hz; /* its own */
	bool is_default;
};

/* Starts the threads and returns; the device is opened behind it.  A device that
 * does not play at the wanted rate is opened at its own, and that is the
 * player's rate from then on.  Sets JACK_NO_START_SERVER in the environment, so
 * it is to be called before other threads read that.  ERR_NOMEM, ERR_IO. */
int player_open(const struct player_desc *d, struct player **ret, struct err *e);

/* Stops at once, gives all clips to clip_free() and frees.  Waits up to 2 seconds
 * for the device; what is stuck then is left behind, with its thread, until the
 * process ends.  NULL-safe. */
void player_close(struct player *p);

/* The player's, for commands and mixer_read(); clips are clip_load()'s. */
struct mixer *player_mixer(struct player *p);
/* clip_free() for all that mixer_reap() gives.  To be called now and then. */
void player_reap(struct player *p);

void player_status(struct player *p, struct player_status *ret);
/* Readable when the status or the list of devices has changed; player_status()
 * takes that back.  For poll(); never read or closed by the caller. */
int player_event_fd(const struct player *p);

/* The devices with an output, as they were when PortAudio last looked; texts and
 * list in the arena. */
void player_devices(struct player *p, struct arena *a, struct player_device **ret, size_t *ret_n);
/* Goes on with another device: the first whose name is `name`, else the only one
 * whose name holds it, in any case of letters; NULL: the default.  It must play
 * at the player's rate.  Playing goes on in silence until it is there; if it
 * cannot be had, the one before is opened again, and the reason tells. */
void player_choose(struct player *p, const char *name);
/* Looks for devices again and reopens the one that was wanted: after a device was
 * plugged in, or lost. */
void player_rescan(struct player *p);

/* ---- clips -------------------------------------------------------------- */

/* Reads a file at a rate, and, if wet_path is not NULL, its denoised twin, which
 * must have as many channels and, at that rate, as many frames.  Any thread;
 * takes as long as reading and resampling do.  Errors as audio_read(). */
int clip_load(const char *path, const char *wet_path, int rate_hz, const struct mixer_clip **ret,
	struct err *e);
/* audio_shortfall() of the file. */
const char *clip_shortfall(const struct mixer_clip *clip);
void clip_free(const struct mixer_clip *clip); /* NULL-safe; any thread */

/* clip_load() on a thread of its own, which gets no signals. */
struct clip_loading;
/* event_fd: an eventfd that becomes readable when it is done; -1: none.  ERR_IO. */
int clip_loading_begin(const char *path, const char *wet_path, int rate_hz, int event_fd,
	struct clip_loading **ret, struct err *e);
bool clip_loading_is_done(const struct clip_loading *l);
/* What clip_load() gave; waits until it is done.  Frees l. */
int clip_loading_end(struct clip_loading *l, const struct mixer_clip **ret, struct err *e);

#endif
