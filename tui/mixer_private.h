/* What the two sides of the mixer share.  Private to mixer.c and mixer_render.c. */
#ifndef WOODSHED_TUI_MIXER_PRIVATE_H
#define WOODSHED_TUI_MIXER_PRIVATE_H

#include <stdatomic.h>

#include "library/base/ring.h"
#include "tui/mixer.h"

enum {
	MIXER_CHANNELS_MAX = 64,
	MIXER_LEAVING_MAX = 64,
	MIXER_FRESH = 4, /* in `shared`: written since it was read */
};

enum verb {
	PUT,
	NEXT,
	CLEAR,
	PLAY,
	PAUSE,
	STOP,
	SEEK,
	SCRUB,
	LOOP,
	SWITCH,
	GAIN,
	MODE,
	MIX,
	VOLUME,
	MUTE,
};

struct command {
	enum verb verb;
	int n; /* slot, mode, flag */
	size_t a, b;
	float x;
	const struct mixer_clip *clip;
};

struct slot {
	const struct mixer_clip *clip;
	float gain;
};

struct head {
	const struct mixer_clip *clip; /* NULL: silence */
	enum mixer_mode mode;
	float mix; /* of MIXER_WET */
	float gain;
	size_t pos;
};

struct meter {
	float peak[2];
	double squares[2];
	uint64_t n;
};

struct snapshot {
	struct mixer_view view; /* but for peak and rms */
	struct meter meter;
};

struct mixer {
	struct ring *commands, *returned; /* owned */
	void (*on_post)(void *ud);
	void *ud;

	/* The driver's. */
	size_t level_frames, fade_frames, volume_frames, grain_frames;
	struct slot slot[MIXER_SLOTS], next[MIXER_NEXT_MAX];
	size_t n_next;
	int active;
	enum mixer_mode mode;
	float mix;
	enum mixer_state state;
	size_t loop_begin, loop_end;
	bool is_starting; /* play was asked for in silence */
	bool is_changed;  /* the head is not what is wanted */
	bool is_seeking;
	size_t seek_to;
	bool is_scrubbing; /* a grain is heard, or fades out; then back to: */
	size_t grain_at;   /* where it began */
	size_t grain_left; /* frames of it, before it fades out */
	struct head head, old;
	size_t fade_left; /* frames in which old is still heard */
	size_t level;     /* 0 to level_frames */
	float volume;     /* wanted, without mute */
	bool is_muted;
	float volume_from, volume_to;
	size_t volume_left;
	const struct mixer_clip *leaving[MIXER_LEAVING_MAX];
	size_t n_leaving;
	struct meter meter;
	uint64_t n_frames;

	/* Three snapshots: one is written, one is read, one waits between them; the
	 * sides swap theirs with it. */
	struct snapshot snapshot[3];
	unsigned writing, reading;
	_Atomic unsigned shared;

	_Atomic uint64_t n_beats, n_underruns;
	_Atomic double last_beat;
	atomic_bool is_idle;
};

#endif
