/* Denoising what is played.  The twin is made once, in the background; then the mixer
 * changes between the two without a gap. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/db.h"
#include "tui/denoiser.h"
#include "tui/listen.h"
#include "tui/ws.h"

static const char *const methods[] = {"ss", "wiener", "df"};

enum { N_METHODS = sizeof(methods) / sizeof(*methods) };

static const char *path_of(struct ws *ws, int64_t take, struct arena *a)
{
	struct err e = {0};
	struct take t;

	if (!takes_get(ws->db, take, a, &t, &e))
		return arena_printf(a, "%s/%s", ws->library, t.file);
	ws_fail(ws, &e);
	return NULL;
}

/* ---- making ------------------------------------------------------------- */

/* Where a denoised file comes from is said where one would ask. */
static void tell_heard(struct ws *ws, enum mixer_mode mode)
{
	if (mode == MIXER_WET)
		ws_say(ws, "heard denoised (%s) \u00b7 w on Listen exports it so",
			ws->sound.method);
	else
		ws_say(ws, "heard is what denoising removes");
}

/* Hears the take in that mode: at once where its twin is loaded, else as soon as it
 * has been read, or made. */
static void hear(struct ws *ws, int64_t take, enum mixer_mode mode)
{
	struct sound *s = &ws->sound;
	struct arena a = {0};
	const char *path = path_of(ws, take, &a), *wet;
	struct err e = {0};

	if (path) {
		wet = denoiser_find(s->denoiser, path, s->method, &a);
		s->wanted = mode;
		ws_say(ws, "%s", wet ? "" : "denoising; d leaves it");
		if (!wet) {
			listen_drop_twin(ws->listen); /* that of another method */
			denoiser_begin(s->denoiser, path, s->method, take);
		} else if (listen_twin(ws->listen, wet, mode, &e)) {
			ws_fail(ws, &e);
		} else {
			tell_heard(ws, mode);
		}
	}
	arena_done(&a);
	ws->dirty |= DIRTY_BODY | DIRTY_NOW;
}

/* Between dry and that mode. */
static void toggle(struct ws *ws, enum mixer_mode mode)
{
	struct denoiser_view making;
	struct listen_view v;

	listen_read(ws->listen, &v);
	denoiser_read(ws->sound.denoiser, &making);
	ws->dirty |= DIRTY_BODY | DIRTY_NOW;
	if (making.state == DENOISER_WORKING) {
		denoiser_cancel(ws->sound.denoiser);
		ws_say(ws, "not denoised");
	} else if (!v.take || v.is_loading) {
		ws_refuse(ws, "nothing is played; Space plays");
	} else if (v.mode == mode) {
		listen_mode(ws->listen, MIXER_DRY);
		ws_say(ws, "heard as it is");
	} else if (v.has_twin) {
		listen_mode(ws->listen, mode);
		tell_heard(ws, mode);
	} else {
		hear(ws, v.take, mode);
	}
}

void sound_arrived(struct ws *ws)
{
	struct denoiser_view made;
	struct listen_view v;

	denoiser_read(ws->sound.denoiser, &made);
	if (made.state == DENOISER_IDLE)
		return;
	denoiser_seen(ws->sound.denoiser);
	ws->dirty |= DIRTY_BODY | DIRTY_NOW;
	listen_read(ws->listen, &v);
	if (made.state == DENOISER_FAILED)
		ws_complain(ws, "%s", made.why);
	else if (made.state == DENOISER_MADE && made.take == v.take)
		hear(ws, v.take, ws->sound.wanted);
}

/* ---- telling ------------------------------------------------------------ */

bool sound_is_denoised(const struct ws *ws, int64_t take, struct sound_denoised *ret)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	*ret = (struct sound_denoised){ws->sound.method, ws->sound.mix};
	return take && v.take == take && v.mode == MIXER_WET;
}

const char *sound_denoise_text(const struct ws *ws, char out[32])
{
	struct denoiser_view making;
	struct listen_view v;

	listen_read(ws->listen, &v);
	denoiser_read(ws->sound.denoiser, &making);
	if (making.state == DENOISER_WORKING)
		snprintf(out, 32, "%.0f%%", floor(100 * making.share));
	else if (v.reads_twin)
		snprintf(out, 32, "100%%");
	else if (v.mode == MIXER_REMOVED)
		snprintf(out, 32, "removed");
	else if (v.mode == MIXER_WET && ws->sound.mix < 1)
		snprintf(out, 32, "%s %.0f%%", ws->sound.method, 100 * ws->sound.mix);
	else
		snprintf(out, 32, "%s", v.mode == MIXER_WET ? ws->sound.method : "off");
	return out;
}

/* ---- commands ----------------------------------------------------------- */

static void do_denoise(struct ws *ws, const char *args)
{
	toggle(ws, MIXER_WET);
}

static void do_removed(struct ws *ws, const char *args)
{
	toggle(ws, MIXER_REMOVED);
}

/* What is heard by another method goes on by the new one. */
static void do_method(struct ws *ws, const char *args)
{
	struct listen_view v;
	int to = -1;

	for (int i = 0; i < N_METHODS; i++)
		if (!strcmp(args, methods[i]))
			to = i;
	if (to < 0) {
		ws_complain(ws, "methods are ss (spectral subtraction), wiener and df "
				"(DeepFilterNet)");
		return;
	}
	ws->sound.method = methods[to];
	ws_set(ws, "denoise-method", args);
	listen_read(ws->listen, &v);
	if (v.has_twin && v.take && v.mode != MIXER_DRY)
		hear(ws, v.take, v.mode);
	else if (v.has_twin && v.take)
		listen_drop_twin(ws->listen);
	ws->dirty |= DIRTY_BODY;
}

static void do_mix(struct ws *ws, const char *args)
{
	double mix;

	if (!parse_f64(args, &mix) || !(mix >= 0 && mix <= 1)) {
		ws_complain(ws, "'%.40s' is no mix from 0 (dry) to 1 (wet)", args);
		return;
	}
	ws->sound.mix = mix;
	listen_mix(ws->listen, mix);
	ws->dirty |= DIRTY_BODY;
}

static const struct command commands[] = {
	{"denoise", "", "hear it denoised, or as it is; while it is made: leave it", do_denoise,
		false},
	{"removed", "", "hear only what denoising takes away, or all", do_removed, false},
	{"denoise-method", "ss|wiener|df", "how it is denoised", do_method, true},
	{"mix", "0..1", "how much of the denoised sound is heard: 0 dry, 1 wet", do_mix, true},
};

static const struct binding bindings[] = {
	{ON_ANY, "d", "denoise"},
	{1 << SCREEN_LISTEN, "n", "removed"},
};

const struct command_table commands_denoise = COMMAND_TABLE(commands, bindings);

/* ---- life --------------------------------------------------------------- */

int sound_open(struct ws *ws, struct err *e)
{
	const char *device = NULL, *method = NULL;
	int rc = db_setting(ws->db, "device", &ws->arena, &device, e);

	if (!rc)
		rc = db_setting(ws->db, "denoise-method", &ws->arena, &method, e);
	if (rc)
		return rc;
	ws->sound.mix = 1;
	ws->sound.method = "wiener";
	for (int i = 0; i < N_METHODS; i++)
		if (method && !strcmp(method, methods[i]))
			ws->sound.method = methods[i];
	if (device && *device)
		listen_device(ws->listen, device);
	return denoiser_open(&(struct denoiser_desc){.program = ws->worker.program,
				     .library = ws->library,
				     .wake_fd = ws->wake_fd},
		&ws->sound.denoiser, e);
}

void sound_close(struct ws *ws)
{
	denoiser_close(ws->sound.denoiser);
	str_done(&ws->sound.not_that);
}
