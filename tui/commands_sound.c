/* Listening: playing, what follows, where in the take, how loud, on which device. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/background.h"
#include "tui/denoiser.h"
#include "tui/listen.h"
#include "tui/player.h"
#include "tui/ws.h"

/* How long before the end of a take the next one is read. */
static const double AHEAD_S = 8;
static const double LAST_S = 1; /* the end: so much is left to hear */
/* A take of which so much was listened to has been heard; a shorter one, all of it but
 * a moment. */
static const double HEARD_S = 3, MOMENT_S = 0.3;

void sound_play(struct ws *ws, int64_t take, double begin_s)
{
	struct arena a = {0};
	struct err e = {0};
	struct take t;
	int rc = takes_get(ws->db, take, &a, &t, &e);

	if (!rc)
		rc = listen_play(ws->listen,
			&(struct listen_source){.take = t.id,
				.path = arena_printf(&a, "%s/%s", ws->library, t.file),
				.begin_s = begin_s},
			&e);
	if (rc)
		ws_fail(ws, &e);
	arena_done(&a);
	sound_follow(ws);
	ws->dirty |= DIRTY_NOW | DIRTY_BODY;
}

/* ---- what follows ------------------------------------------------------- */

/* Denoised, where this one is and the next one's twin is there. */
static void queue_next(struct ws *ws, const struct listen_view *v)
{
	int64_t take = view_library_neighbour(ws, v->take, 1);
	struct arena a = {0};
	struct err e = {0};
	struct take t;

	if (take && !takes_get(ws->db, take, &a, &t, &e)) {
		const char *path = arena_printf(&a, "%s/%s", ws->library, t.file);
		const struct listen_source s = {.take = t.id,
			.path = path,
			.wet = v->mode == MIXER_WET ? denoiser_find(ws->sound.denoiser, path,
							      ws->sound.method, &a)
						    : NULL};

		listen_next(ws->listen, &s, &e);
	}
	if (e.code)
		ws_fail(ws, &e);
	arena_done(&a);
}

void sound_take_tail(struct ws *ws, const struct take *t, struct str *out)
{
	int64_t number = 0, n = 0;
	struct err e = {0};

	if (t->prompt_id && !prompts_count(ws->db, t->prompt_id, &n, &e) && n > 1 &&
		!takes_number(ws->db, t->id, &number, &e))
		str_printf(out, " \u00b7 take %lld", (long long)number);
	if (e.code)
		ws_fail(ws, &e);
}

static void take_title(struct ws *ws, int64_t take)
{
	const char *hidden = comparing_hidden(ws, take);
	struct arena a = {0};
	struct take t = {.prompt = "", .heard = true};

	ws->sound.take = take;
	ws->sound.listened_s = 0;
	if (take)
		takes_get(ws->db, take, &a, &t, NULL);
	ws->sound.is_told = t.heard;
	str_clear(&ws->title);
	str_clear(&ws->tail);
	str_add(&ws->title, hidden ? hidden : t.prompt ? t.prompt : "");
	if (!hidden)
		sound_take_tail(ws, &t, &ws->tail);
	ws->sound.bpm = interval_bpm(t.prompt ? t.prompt : "");
	arena_done(&a);
}

/* ---- what has been heard ------------------------------------------------ */

struct hearing {
	struct task task;
	int64_t take;
};

static int hear(struct db *db, struct task *t, struct err *e)
{
	return takes_hear(db, ((struct hearing *)t)->take, true, NULL, e);
}

static void end_hear(struct ws *ws, struct task *t, int rc, struct err *e)
{
	if (rc && rc != ERR_CANCELLED)
		ws_fail(ws, e);
	ws_changed(ws);
	free(t);
}

void sound_heard(struct ws *ws, int64_t take)
{
	struct hearing *h = xcalloc(1, sizeof(*h));

	h->task.run = hear;
	h->task.end = end_hear;
	h->take = take;
	background_do(ws->writer, &h->task);
}

static void count_heard(struct ws *ws, const struct listen_view *v)
{
	struct sound *s = &ws->sound;
	const double now = clock_now();

	if (s->looked && v->take == s->take && !v->is_loading)
		s->listened_s += now - s->looked;
	s->looked = v->is_playing ? now : 0;
	if (s->is_told || v->take != s->take || !(v->length_s > 0) ||
		s->listened_s < fmin(HEARD_S, v->length_s - MOMENT_S))
		return;
	s->is_told = true;
	sound_heard(ws, s->take);
}

/* Once: the device may rest and be opened again. */
static void tell_device(struct ws *ws, const struct listen_view *v)
{
	struct str *told = &ws->sound.not_that;

	if (!*v->device || !strcmp(str_get(told), v->not_that ? v->not_that : ""))
		return;
	str_clear(told);
	str_add(told, v->not_that ? v->not_that : "");
	if (v->not_that)
		ws_complain(ws, "%s; it plays on '%s', and :device lists what there is",
			v->not_that, v->device);
}

/* Of each thing that is played, once it was read. */
static void tell_shortfall(struct ws *ws, const struct listen_view *v)
{
	if (v->is_loading || v->n_plays == ws->sound.n_told)
		return;
	ws->sound.n_told = v->n_plays;
	if (*v->shortfall)
		ws_complain(ws, "%s", v->shortfall);
}

void sound_follow(struct ws *ws)
{
	struct sound *s = &ws->sound;
	struct listen_view v;

	listen_read(ws->listen, &v);
	if (v.take != s->take || v.n_changes != s->n_changes)
		ws->dirty |= DIRTY_BODY | DIRTY_NOW;
	tell_device(ws, &v);
	count_heard(ws, &v);
	if (v.take != s->take)
		take_title(ws, v.take);
	if (v.n_plays != s->n_plays || !v.take) {
		s->loop = (struct interval){0};
		s->is_looping = false;
	}
	tell_shortfall(ws, &v);
	s->n_changes = v.n_changes;
	s->n_plays = v.n_plays;
	/* What was removed, of a take without a twin, is silence: nothing follows. */
	if (s->stops || s->is_looping || v.n_together > 1 || !v.is_playing || v.is_loading ||
		v.has_next || v.mode == MIXER_REMOVED || s->before == v.take ||
		v.length_s - v.position_s > AHEAD_S)
		return;
	if (!library_is_read(ws, &ws->takes))
		return; /* it is asked for again in a moment */
	s->before = v.take;
	queue_next(ws, &v);
}

void sound_loop(struct ws *ws, struct interval loop, bool is_on)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	ws->sound.loop = loop;
	ws->sound.is_looping = is_on && isfinite(loop.end);
	if (ws->sound.is_looping)
		listen_loop(ws->listen, loop.begin, loop.end);
	else
		listen_loop(ws->listen, 0, 0);
	if (ws->sound.is_looping && (v.position_s >= loop.end || v.position_s < loop.begin))
		listen_seek_to(ws->listen, loop.begin);
	ws->dirty |= DIRTY_BODY;
}

int64_t sound_instead(struct ws *ws)
{
	struct listen_view v;
	int64_t next;

	listen_read(ws->listen, &v);
	next = view_library_neighbour(ws, v.take, 1);
	return next ? next : view_library_neighbour(ws, v.take, -1);
}

void sound_replace(struct ws *ws, int64_t take)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	ws->sound.before = 0;
	if (!take) {
		listen_stop(ws->listen);
		return;
	}
	sound_play(ws, take, 0);
	if (!v.is_playing)
		listen_pause(ws->listen);
}

static void go_to_neighbour(struct ws *ws, bool is_next)
{
	const struct take *selected;
	struct listen_view v;
	int64_t from, to;

	if (!library_read(ws, &ws->takes))
		return;
	selected = view_library_selected(ws);
	listen_read(ws->listen, &v);
	from = v.take ? v.take : selected ? selected->id : 0;
	to = view_library_neighbour(ws, from, is_next ? 1 : -1);
	ws->sound.before = 0;
	if (to)
		sound_play(ws, to, 0);
	else if (v.take && tree_find(&ws->takes.tree, v.take) < 0)
		ws_refuse(ws, "what is played is not in the list, so nothing is next to it");
	else
		ws_refuse(ws, is_next ? "this is the last one" : "this is the first one");
}

static void do_next(struct ws *ws, const char *args)
{
	go_to_neighbour(ws, true);
}

static void do_previous(struct ws *ws, const char *args)
{
	go_to_neighbour(ws, false);
}

static void do_continue(struct ws *ws, const char *args)
{
	if (strcmp(args, "on") != 0 && strcmp(args, "off") != 0) {
		ws_complain(ws, "continue on, or continue off");
		return;
	}
	ws->sound.stops = !strcmp(args, "off");
	ws->sound.before = 0;
	ws_say(ws, ws->sound.stops ? "playing stops at the end of a take"
				   : "after a take follows the next one");
}

/* ---- playing ------------------------------------------------------------ */

/* Another take under the cursor is played; the same one is paused, or goes on. */
static void do_play(struct ws *ws, const char *args)
{
	const bool is_list = library_has_keys(ws);
	const struct take *t;
	struct listen_view v;

	if (is_list && !library_now(ws))
		return;
	t = view_library_selected(ws);
	listen_read(ws->listen, &v);
	ws->sound.before = 0;
	if (t && (v.take ? is_list && t->id != v.take : is_list || ws->screen == SCREEN_LISTEN))
		sound_play(ws, t->id, 0);
	else if (v.take)
		listen_pause(ws->listen);
	else
		ws_refuse(
			ws, ws->takes.total
				    ? "nothing is played; on the library Space plays the take "
				      "under the cursor"
				    : "there is no take yet that could be played; i composes one");
	ws->dirty |= DIRTY_NOW;
}

static void do_play_take(struct ws *ws, const char *args)
{
	const struct take *t = library_now(ws) ? view_library_selected(ws) : NULL;

	ws->sound.before = 0;
	if (t)
		sound_play(ws, t->id, 0);
}

static void do_stop(struct ws *ws, const char *args)
{
	listen_stop(ws->listen);
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

/* ---- where -------------------------------------------------------------- */

static void do_seek(struct ws *ws, const char *args)
{
	double by;

	if (!parse_f64(args, &by) || fabs(by) > 1e6) {
		ws_complain(ws, "'%.40s' is no number of seconds, such as 5 or -5", args);
		return;
	}
	listen_seek(ws->listen, by);
	listening_follow(ws, true);
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

static void do_seek_to(struct ws *ws, const char *args)
{
	struct listen_view v;
	double to = 0;

	listen_read(ws->listen, &v);
	if (!strcmp(args, "end")) {
		to = v.length_s - LAST_S;
	} else if (!parse_f64(args, &to) || !(to >= 0 && to < 1e6)) {
		ws_complain(
			ws, "'%.40s' is no number of seconds, such as 12.5, and not 'end'", args);
		return;
	}
	listen_seek_to(ws->listen, to);
	listening_follow(ws, true);
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

/* ---- how loud, on what -------------------------------------------------- */

static void do_volume(struct ws *ws, const char *args)
{
	int64_t by;

	if (!commands_number(ws, args, -100, 100, &by))
		return;
	ws->percent += (int)by;
	ws->percent = ws->percent < 0 ? 0 : ws->percent > 100 ? 100 : ws->percent;
	listen_volume(ws->listen, ws->percent);
	ws->dirty |= DIRTY_NOW;
}

static void do_mute(struct ws *ws, const char *args)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	listen_mute(ws->listen, !v.is_muted);
	ws->dirty |= DIRTY_NOW;
}

/* Without a name: which there are, and a line to name one. */
static void list_devices(struct ws *ws)
{
	struct player_device *devices;
	struct arena a = {0};
	struct str names = {0};
	struct err e = {0};
	size_t n;

	if (listen_wake(ws->listen, &e))
		ws_fail(ws, &e);
	listen_devices(ws->listen, &a, &devices, &n);
	for (size_t i = 0; i < n; i++)
		str_printf(&names, "%s%s%s", i ? ", " : " ", devices[i].name,
			devices[i].is_default ? " (default)" : "");
	ws_input_words(ws, "device", "", NULL);
	ws_say(ws, "devices:%s", n ? str_get(&names) : " none was found yet");
	str_done(&names);
	arena_done(&a);
}

static bool has_device(struct ws *ws, const char *name)
{
	struct player_device *devices;
	struct arena a = {0};
	bool is_there = false;
	size_t n;

	listen_devices(ws->listen, &a, &devices, &n);
	for (size_t i = 0; i < n; i++)
		is_there |= !strcmp(devices[i].name, name);
	arena_done(&a);
	return is_there;
}

/* The list of devices is what it was when somebody looked last. */
static bool rescan(struct ws *ws)
{
	struct err e = {0};

	if (listen_rescan(ws->listen, &e)) {
		ws_fail(ws, &e);
		return false;
	}
	return true;
}

static void do_device(struct ws *ws, const char *args)
{
	const bool is_default = !strcmp(args, "default");

	if (!*args) {
		list_devices(ws);
		return;
	}
	listen_device(ws->listen, is_default ? NULL : args);
	ws_set(ws, "device", is_default ? "" : args);
	if (is_default || has_device(ws, args)) {
		ws_say(ws, "played on %s from now on", is_default ? "the default device" : args);
	} else {
		rescan(ws); /* it may have been plugged in since */
		ws_complain(ws, "there is no device '%.80s' now; it is used once there is", args);
	}
	ws->dirty |= DIRTY_NOW;
}

static void do_audio(struct ws *ws, const char *args)
{
	if (strcmp(args, "rescan")) {
		ws_complain(ws, "audio takes rescan, not '%.40s'", args);
		return;
	}
	if (rescan(ws))
		ws_say(ws, "looking for devices again; :device lists them");
	ws->dirty |= DIRTY_NOW;
}

static const struct command commands[] = {
	{"play", "", "play this take; the one that is played: pause, go on", do_play, false},
	{"play-take", "", "play this take from its beginning", do_play_take, false},
	{"stop", "", "stop", do_stop, false},
	{"next", "", "play the next take of the list", do_next, false},
	{"previous", "", "play the take before", do_previous, false},
	{"continue", "on|off", "whether the next take follows when one ends", do_continue, true},
	{"seek", "SECONDS", "go forward, or back by a negative number", do_seek, true},
	{"seek-to", "SECONDS|end", "go to a moment of the take", do_seek_to, true},
	{"volume", "PERCENT", "louder, or softer by a negative number", do_volume, true},
	{"mute", "", "silence, or sound again", do_mute, false},
	{"device", "[NAME]", "play on another device; default is the default one", do_device,
		false},
	{"audio", "rescan", "look for devices again, as after one was plugged in", do_audio, true},
};

static const struct binding bindings[] = {
	{ON_ANY, "<Space>", "play"},
	{ON_ANY, "s", "stop"},
	{ON_ANY, ",", "seek -5"},
	{ON_ANY, ".", "seek 5"},
	{ON_ANY, "<lt>", "seek -30"},
	{ON_ANY, ">", "seek 30"},
	{1 << SCREEN_LISTEN, "h", "seek -1"},
	{1 << SCREEN_LISTEN, "l", "seek 1"},
	{1 << SCREEN_LISTEN, "<Left>", "seek -1"},
	{1 << SCREEN_LISTEN, "<Right>", "seek 1"},
	{1 << SCREEN_LISTEN, "0", "seek-to 0"},
	{1 << SCREEN_LISTEN, "<Home>", "seek-to 0"},
	{1 << SCREEN_LISTEN, "$", "seek-to end"},
	{1 << SCREEN_LISTEN, "<End>", "seek-to end"},
	{ON_ANY, "(", "previous"},
	{ON_ANY, ")", "next"},
	{ON_ANY, "M", "mute"},
	{ON_ANY, "+", "volume 5"},
	{ON_ANY, "=", "volume 5"},
	{ON_ANY, "-", "volume -5"},
};

const struct command_table commands_sound = COMMAND_TABLE(commands, bindings);
