/* What is done on the Listen screen: how its picture is drawn. */
#include <stdio.h>
#include <string.h>

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

static void do_zoom(struct ws *ws, const char *args)
{
	struct listening *l = &ws->listening;
	double factor, length = listening_length(ws);
	const struct span now = l->span.end > l->span.begin ? l->span : (struct span){0, length};

	if (!parse_f64(args, &factor) || !(factor >= 0.001 && factor <= 1000)) {
		ws_complain(ws, "'%.40s' is no factor, such as 2 (nearer) or 0.5", args);
		return;
	}
	l->span = span_zoom(now, 1 / factor, listening_position(ws), length);
	if (l->span.end - l->span.begin >= length)
		l->span = (struct span){0};
	listening_ask(ws);
}

static const struct command commands[] = {
	{"scale", "[log|mel|linear]", "how frequencies are spread; the next one", do_scale, false},
	{"fft", "[SIZE]", "size of the FFT: a power of two; the next one", do_fft, false},
	{"range", "[DB]", "the darkest level, such as -90; the next one", do_range, false},
	{"colours", "[MAP]", "colours of the spectrogram; the next ones", do_colours, false},
	{"zoom", "FACTOR", "nearer by a factor, or farther by one below 1", do_zoom, true},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LISTEN, "zs", "scale"},
	{1 << SCREEN_LISTEN, "zf", "fft"},
	{1 << SCREEN_LISTEN, "zd", "range"},
	{1 << SCREEN_LISTEN, "zc", "colours"},
	{1 << SCREEN_LISTEN, "c", "colours"},
	{1 << SCREEN_LISTEN, "zi", "zoom 2"},
	{1 << SCREEN_LISTEN, "zo", "zoom 0.5"},
	{1 << SCREEN_LISTEN, "h", "seek -1"},
	{1 << SCREEN_LISTEN, "l", "seek 1"},
};

const struct command_table commands_listen = COMMAND_TABLE(commands, bindings);
