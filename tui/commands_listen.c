/* What is done on the Listen screen: how its picture is drawn, and the loop. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/listen.h"
#include "tui/ws.h"

static void do_scale(struct ws *ws, const char *args)
{
	static const char *const names[] = {"log", "mel", "linear"};
	int n = sizeof(names) / sizeof(*names), to = -1;

	for (int i = 0; i < n; i++)
		if (!strcmp(args, names[i]))
			to = i;
	if (to < 0 && *args) {
		ws_complain(ws, "scales are log, mel and linear");
		return;
	}
	ws->listening.scale =
		(enum spectrum_scale)(to < 0 ? ((int)ws->listening.scale + 1) % n : to);
	listening_ask(ws);
}

static void do_fft(struct ws *ws, const char *args)
{
	static const int sizes[] = {512, 1024, 2048, 4096, 8192};
	int64_t n = 0;

	if (*args) {
		if (!commands_number(ws, args, SPECTRUM_FFT_MIN, SPECTRUM_FFT_MAX, &n))
			return;
		if (n & (n - 1)) {
			ws_complain(ws, "the size of an FFT is a power of two, such as 2048");
			return;
		}
	} else {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes) && !n; i++)
			if (sizes[i] > ws->listening.fft)
				n = sizes[i];
		n = n ? n : sizes[0];
	}
	ws->listening.fft = (int)n;
	listening_ask(ws);
}

/* The darkest level: what is given, or the next of four. */
static void do_range(struct ws *ws, const char *args)
{
	static const int lows[] = {-60, -90, -120, -140};
	int64_t low = 0;

	if (*args && !commands_number(ws, args, -140, -10, &low))
		return;
	for (size_t i = 0; i < sizeof(lows) / sizeof(*lows) && !low; i++)
		if (lows[i] < ws->listening.low_db)
			low = lows[i];
	ws->listening.low_db = (double)(low ? low : lows[0]);
	ws->dirty |= DIRTY_BODY;
}

static void do_colours(struct ws *ws, const char *args)
{
	enum colormap *map = &ws->listening.map;

	if (*args && !colormap_find(args, map)) {
		ws_complain(ws, "there is no colour map '%.40s'; without a name comes the next one",
			args);
		return;
	}
	if (!*args)
		*map = (enum colormap)(((int)*map + 1) % COLORMAP_COUNT);
	ws_say(ws, "%s", colormap_name(*map));
	ws->dirty |= DIRTY_BODY;
}

static void do_glyphs(struct ws *ws, const char *args)
{
	static const char *const names[N_GLYPHS] = {"half", "quadrant", "shade"};
	struct listening *l = &ws->listening;
	int to = *args ? -1 : ((int)l->glyphs + 1) % N_GLYPHS;

	for (int i = 0; i < N_GLYPHS; i++)
		if (!strcmp(args, names[i]))
			to = i;
	if (to < 0) {
		ws_complain(ws, "glyphs are half (blocks), quadrant and shade");
		return;
	}
	l->glyphs = (enum picture_glyphs)to;
	ws_say(ws, "%s", names[to]);
	ws->dirty |= DIRTY_BODY;
}

static void do_zoom(struct ws *ws, const char *args)
{
	struct listening *l = &ws->listening;
	double factor, length = listening_length(ws);
	const struct interval now =
		l->span.end > l->span.begin ? l->span : (struct interval){0, length};

	if (!parse_f64(args, &factor) || !(factor >= 0.001 && factor <= 1000)) {
		ws_complain(ws, "'%.40s' is no factor, such as 2 (nearer) or 0.5", args);
		return;
	}
	l->span = interval_zoom(now, 1 / factor, listening_position(ws), length);
	if (l->span.end - l->span.begin >= length)
		l->span = (struct interval){0};
	listening_ask(ws);
}

/* ---- the loop ----------------------------------------------------------- */

/* "0:09.2". */
static const char *moment(double s, char out[24])
{
	char clock[16];
	double tenths = floor(10 * s + 0.5) / 10;

	snprintf(out, 24, "%s.%d", format_duration(tenths + 1e-6, clock),
		(int)(10 * (tenths - floor(tenths + 1e-6)) + 0.5));
	return out;
}

static void tell_loop(struct ws *ws)
{
	const struct sound *s = &ws->sound;
	char begin[24], end[24], beats[32] = "";

	if (isfinite(s->loop.end) && s->bpm > 0)
		snprintf(beats, sizeof(beats), " (%.4g beats)",
			round(10 * (s->loop.end - s->loop.begin) * s->bpm / 60) / 10);
	if (isfinite(s->loop.end))
		ws_say(ws, "loop %s\u2013%s%s%s", moment(s->loop.begin, begin),
			moment(s->loop.end, end), beats, s->is_looping ? "" : ", off");
	else
		ws_say(ws, "loop from %s; } ends it", moment(s->loop.begin, begin));
}

/* What is heard at this moment; false, with a message, when nothing is played. */
static bool heard(struct ws *ws, double *ret_s, double *ret_length)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	*ret_s = v.is_playing ? fmax(0, v.position_s - v.latency_s) : v.position_s;
	*ret_length = v.length_s;
	if (v.take && !v.is_loading)
		return true;
	ws_refuse(ws, "nothing is played; Space plays");
	return false;
}

static void do_loop_start(struct ws *ws, const char *args)
{
	struct interval loop = ws->sound.loop;
	double at, length;

	if (!heard(ws, &at, &length))
		return;
	loop.begin = fmin(at, length - 0.01);
	if (!(loop.end > loop.begin))
		loop.end = INFINITY;
	sound_loop(ws, loop, ws->sound.is_looping);
	tell_loop(ws);
}

static void do_loop_end(struct ws *ws, const char *args)
{
	struct interval loop = ws->sound.loop;
	double at, length;

	if (!heard(ws, &at, &length))
		return;
	if (!(at > loop.begin)) {
		ws_say(ws, "the loop ends after it begins; { begins it");
		return;
	}
	loop.end = at;
	sound_loop(ws, loop, true);
	tell_loop(ws);
}

/* On or off; without one, all of the take. */
static void do_loop(struct ws *ws, const char *args)
{
	struct interval loop = ws->sound.loop;
	double at, length;

	if (!heard(ws, &at, &length))
		return;
	if (!(loop.end > loop.begin) || !isfinite(loop.end))
		loop = (struct interval){loop.begin, length};
	sound_loop(ws, loop, !ws->sound.is_looping);
	tell_loop(ws);
}

static void do_loop_clear(struct ws *ws, const char *args)
{
	sound_loop(ws, (struct interval){0}, false);
	ws_say(ws, "no loop");
}

static const struct command commands[] = {
	{"scale", "[log|mel|linear]", "how frequencies are spread; the next one", do_scale, false},
	{"fft", "[SIZE]", "size of the FFT: a power of two; the next one", do_fft, false},
	{"decibels", "[DB]", "the darkest level, such as -90; the next one", do_range, false},
	{"colours", "[MAP]", "colours of the spectrogram; the next ones", do_colours, false},
	{"glyphs", "[half|quadrant|shade]", "what the spectrogram is drawn with; the next ones",
		do_glyphs, false},
	{"zoom", "FACTOR", "nearer by a factor, or farther by one below 1", do_zoom, true},
	{"loop-start", "", "the loop begins with what is heard now", do_loop_start, false},
	{"loop-end", "", "the loop ends here, and begins", do_loop_end, false},
	{"loop", "", "go round in the loop, or not; without one, in the take", do_loop, false},
	{"loop-clear", "", "no loop any more", do_loop_clear, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LISTEN, "zs", "scale"},
	{1 << SCREEN_LISTEN, "zf", "fft"},
	{1 << SCREEN_LISTEN, "zd", "decibels"},
	{1 << SCREEN_LISTEN, "zc", "colours"},
	{1 << SCREEN_LISTEN, "c", "colours"},
	{1 << SCREEN_LISTEN, "zb", "glyphs"},
	{1 << SCREEN_LISTEN, "zi", "zoom 2"},
	{1 << SCREEN_LISTEN, "zo", "zoom 0.5"},
	{ON_ANY, "{", "loop-start"},
	{ON_ANY, "}", "loop-end"},
	{ON_ANY, "L", "loop"},
	{ON_ANY, "\\", "loop-clear"},
};

const struct command_table commands_listen = COMMAND_TABLE(commands, bindings);
