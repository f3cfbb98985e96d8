/* sound.h: what the workstation does with sound beyond playing: what follows, loops,
 * denoised twins.  Private to the workstation. */
#ifndef WOODSHED_TUI_SOUND_H
#define WOODSHED_TUI_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "library/base/str.h"
#include "tui/interval.h"
#include "tui/mixer.h"

struct denoiser;
struct err;
struct str;
struct take;
struct ws;

struct sound {
	int64_t take;                /* that ws->title and the loop are of; 0: none */
	bool stops;                  /* at the end of a take, instead of going on with the next */
	unsigned n_changes, n_plays; /* of struct listen_view, as they were last */
	unsigned n_told;             /* the play of which was told whether its file is whole */
	double listened_s;           /* to the take, without what was skipped */
	double looked;               /* clock_now() of the last sound_follow(); 0: nothing played */
	bool is_told;                /* that it was heard */
	int64_t before;              /* the take whose successor was looked for last */

	struct interval loop; /* begin == end: none; end INFINITY: has begun */
	bool is_looping;
	double bpm; /* that the prompt names; 0: none */

	struct str not_that; /* of struct listen_view, as it was told */

	struct denoiser *denoiser;
	const char *method;     /* "wiener" */
	double mix;             /* 0 dry to 1 wet */
	enum mixer_mode wanted; /* once the twin is there */
};

/* Needs ws->db and ws->library; ERR_IO. */
int sound_open(struct ws *ws, struct err *e);
void sound_close(struct ws *ws);

/* Plays a take from that moment on, in place of what is played. */
void sound_play(struct ws *ws, int64_t take, double begin_s);
/* What takes the place of the take that is played when that leaves the list, which was read: the
 * next one, or the one before; 0: none.  And that it does, paused if that was; 0: silence. */
int64_t sound_instead(struct ws *ws);
void sound_replace(struct ws *ws, int64_t take);
/* The mixer's loop is as it is here; what is heard is within. */
void sound_loop(struct ws *ws, struct interval loop, bool is_on);
/* To be called when something may have moved: takes the title of what is played now,
 * and has the next take follow before this one ends. */
void sound_follow(struct ws *ws);
/* What is said of a take behind its prompt, where that has several: " · take 2"; else
 * nothing. */
void sound_take_tail(struct ws *ws, const struct take *t, struct str *out);
/* The library keeps that somebody heard a take, if it is one that nobody did. */
void sound_heard(struct ws *ws, int64_t take);

/* To be called when wake_fd was readable: a twin may have been made. */
void sound_arrived(struct ws *ws);

/* Whether a take is heard denoised now, and how: for exports that keep the state of
 * the toggle. */
struct sound_denoised {
	const char *method; /* ss, wiener, df */
	double mix;
};
bool sound_is_denoised(const struct ws *ws, int64_t take, struct sound_denoised *ret);

/* "off", "wiener", "wiener 50%", "removed", "40%" while it is made. */
const char *sound_denoise_text(const struct ws *ws, char out[32]);

#endif
