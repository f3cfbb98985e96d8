/* mixer.h: everything that happens to samples on their way to a device.
 *
 * A clip is audio that lies in memory, at the rate of the mixer, and does not
 * change while the mixer has it.  Up to four clips share one clock (A/B
 * compare): one is heard, the others are at the same position.  Beside its dry
 * samples a clip may have wet ones (denoised) of the same length.
 *
 * Threads.  The functions that ask for something (mixer_put() to
 * mixer_mute()), mixer_read() and mixer_reap() belong to one thread, the UI's.
 * mixer_beat() and mixer_render() belong to whoever drives the clock, one
 * thread at a time: an audio callback may.  They take no lock, allocate
 * nothing, make no system call; commands come, and clips go back, through
 * rings.  A clip that was given to the mixer is the mixer's until
 * mixer_reap() returns it; it may be in one place only.
 *
 * Commands are taken at the beginning of a mixer_render(); all that wait at
 * that moment count as one change.  What is heard never jumps: pause and stop
 * ramp over 5 ms, volume and mute over 20 ms; a change of clip, gain, mode or
 * position is a linear cross-fade of 10 ms, whose weights add up to one.  One
 * cross-fade runs at a time; what is asked for meanwhile begins when it ends.
 * Three things are exact to the sample and have no fade: play from the
 * beginning of a clip, the wrap of a loop, and the step to the next clip.
 *
 * Channels.  The mixer works in stereo.  Mono goes to both sides as it is.
 * More than two channels, in the order of files (L R C LFE Ls Rs ...), are
 * folded down as in BS.775: centre and surrounds at -3 dB, without the LFE, and
 * all of it scaled so that nothing which did not clip before clips after.  A
 * device with one channel gets the mean of both sides; of more than two, the
 * first two. */
#ifndef WOODSHED_TUI_MIXER_H
#define WOODSHED_TUI_MIXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct mixer;

enum { MIXER_SLOTS = 4, MIXER_NEXT_MAX = 4 };

struct mixer_clip {
	const float *dry; /* interleaved */
	const float *wet; /* the same length and channels, or NULL */
	size_t n_frames;  /* may be 0 */
	int channels;     /* 1 to 64 */
};

enum mixer_state {
	MIXER_STOPPED, /* at the beginning, unless a seek moved it */
	MIXER_PLAYING,
	MIXER_PAUSED,
	MIXER_ENDED, /* the clip is over and no other followed */
};

/* Of a clip without wet samples all modes but the last are the dry ones; the last is
 * silence. */
enum mixer_mode {
	MIXER_DRY,
	MIXER_WET,
	MIXER_REMOVED, /* dry minus wet: what the denoiser took away */
};

/* on_post, if not NULL, is called on the UI's thread after each command. */
struct mixer_desc {
	int rate_hz;
	void (*on_post)(void *ud);
	void *ud;
};

/* A stopped mixer at full volume.  ERR_ARG, ERR_NOMEM. */
int mixer_open(const struct mixer_desc *d, struct mixer **ret, struct err *e);
/* Nobody may use the mixer any more.  Calls release for every clip it still has,
 * also for those in commands that were never taken.  NULL-safe. */
void mixer_close(struct mixer *m, void (*release)(const struct mixer_clip *clip));

/* Another rate (the lengths of the fades); only while nobody renders. */
void mixer_set_rate(struct mixer *m, int rate_hz);

/* ---- commands: false when 256 wait already, and then nothing happened ---- */

/* Puts a clip into a slot (0 to 3), in the place of the one there, at a linear
 * gain; NULL empties the slot, and stops if it is the one heard.  The position
 * stays as it is: seek to 0 as well for a fresh start. */
bool mixer_put(struct mixer *m, int slot, const struct mixer_clip *clip, float gain);
/* Appends a clip that follows, without a gap, when the one heard is over; the
 * slots are emptied then, it becomes slot 0, and the loop ends.  Once the last
 * clip has ended, it plays at once.  A fifth is handed back unheard. */
bool mixer_next(struct mixer *m, const struct mixer_clip *clip, float gain);
/* Stops, empties the slots, drops what would follow, and the loop. */
bool mixer_clear(struct mixer *m);

/* Plays on; from the beginning after the end.  Without a clip, nothing. */
bool mixer_play(struct mixer *m);
bool mixer_pause(struct mixer *m);
/* Stops and returns to the beginning. */
bool mixer_stop(struct mixer *m);
/* To a frame, at most the length of the clip. */
bool mixer_seek(struct mixer *m, size_t frame);
/* A seek that is heard: while nothing is played, 80 ms of the clip sound from that frame
 * on, faded like a pause, and the position remains that frame. */
bool mixer_scrub(struct mixer *m, size_t frame);
/* From frame `end` on back to `begin`; begin >= end: no loop.  A position behind
 * the loop plays on to the end of the clip; an end behind the clip's is the
 * clip's. */
bool mixer_loop(struct mixer *m, size_t begin, size_t end);

/* Which slot is heard; an empty one changes nothing.  Where the clip before was over and
 * this one is not, it plays on. */
bool mixer_switch(struct mixer *m, int slot);
/* The gain of a slot, to match the loudness of others; linear. */
bool mixer_gain(struct mixer *m, int slot, float gain);
bool mixer_set_mode(struct mixer *m, enum mixer_mode mode);
/* How much of the wet samples MIXER_WET is made of: dry + mix (wet - dry), 0 to 1, at
 * first 1.  At 1 they are heard bit for bit. */
bool mixer_set_mix(struct mixer *m, float mix);
/* Of everything; linear, 1 is as it is. */
bool mixer_volume(struct mixer *m, float volume);
bool mixer_mute(struct mixer *m, bool is_muted);

/* ---- what became of it -------------------------------------------------- */

struct mixer_view {
	enum mixer_state state;
	enum mixer_mode mode;
	const struct mixer_clip *clip; /* that is heard, or would be; NULL: none */
	int slot;
	size_t position, length; /* frames */
	size_t n_next;           /* clips that follow */
	/* Of what went out since the last read (or since a block before it), full
	 * scale is 1; left, right. */
	float peak[2], rms[2];
	uint64_t n_frames; /* rendered since mixer_open() */
};

/* The state after the last mixer_render().  Before the first: zeros. */
void mixer_read(struct mixer *m, struct mixer_view *ret);

/* A clip that the mixer is done with, the caller's again, or NULL.  To be called
 * until NULL, now and then: after some 40 clips commands wait for it. */
const struct mixer_clip *mixer_reap(struct mixer *m);

/* Any thread. */
uint64_t mixer_underruns(const struct mixer *m);
uint64_t mixer_beats(const struct mixer *m);   /* calls of mixer_beat() */
double mixer_last_beat(const struct mixer *m); /* its now_s; 0: none yet */
/* Nothing is played and no command waits: rendering would give silence. */
bool mixer_is_idle(const struct mixer *m);

/* What of a clip is heard in a mode, before gain and volume: n frames from `frame` on,
 * which it has, with its channels.  Any thread. */
void mixer_clip_read(const struct mixer_clip *clip, enum mixer_mode mode, float mix, size_t frame,
	size_t n, float *ret);

/* ---- the driver --------------------------------------------------------- */

/* Tells that a callback is made at now_s (clock_now()).  An underrun is counted
 * when the device reports one, or when the last callback is more than late_s
 * ago (0: nobody knows). */
void mixer_beat(struct mixer *m, double now_s, double late_s, bool is_underflow);
/* Forgets when the last beat was: another device goes on. */
void mixer_restart_beat(struct mixer *m, double now_s);

/* Fills n_frames of `channels` interleaved channels; out NULL: only time goes
 * on. */
void mixer_render(struct mixer *m, float *out, size_t n_frames, int channels);

#endif
