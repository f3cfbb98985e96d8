/* woodshed play: files on the sound device, one after another.
 *
 * The main thread shows and waits; a file is read on a thread of its own, the
 * next one while the one before plays. */
#include "tui/verbs.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/loudness.h"
#include "tui/player.h"
#include "tui/stderr.h"

enum {
	AHEAD = 2, /* clips that wait to follow */
	STEP_MS = 20,
};

static const double LINE_S = 0.1;

struct play_options {
	const char *device, *loop;
	double volume, start;
	bool list, json;
};

#define FIELD(f) offsetof(struct play_options, f)

static const struct option_spec specs[] = {
	{"device", 0, OPTION_TEXT, "NAME",
		"a device that --list-devices shows, or a part of its name", FIELD(device), 0, 0},
	{"list-devices", 0, OPTION_FLAG, NULL, "list the audio devices and play nothing",
		FIELD(list), 0, 0},
	{"json", 0, OPTION_FLAG, NULL, "with --list-devices: one JSON object a line", FIELD(json),
		0, 0},
	{"volume", 0, OPTION_NUMBER, "PERCENT", "0 to 100, of the amplitude (default 100)",
		FIELD(volume), 0, 100},
	{"start", 0, OPTION_NUMBER, "S", "begin S seconds into the first file", FIELD(start), 0,
		1e9},
	{"loop", 0, OPTION_TEXT, "A-B", "one file: from second B back to A, until stopped",
		FIELD(loop), 0, 0},
	{0},
};

struct play {
	struct play_options o;
	const struct globals *globals;
	struct verb_takes takes;
	struct arena arena;
	struct options words;

	const char **paths;
	const struct mixer_clip **clips; /* of each path, once it was given to the mixer */
	struct audio first;              /* what its header tells */
	double loop_begin, loop_end;     /* seconds; equal: none */
	struct player *player;
	int rate_hz;

	int n_loaded; /* files whose turn was */
	int last;     /* index of the last clip the mixer got, or -1 */
	int n_failed;
	struct clip_loading *loading; /* NULL: none is read */

	int saved_stderr; /* -1: fd 2 is where it belongs */
	FILE *line;       /* where the line is shown, or NULL */
	double shown;     /* clock_now() */
};

/* ---- the words ---------------------------------------------------------- */

static int read_loop(struct play *x, struct err *e)
{
	if (!parse_span(x->o.loop, &x->loop_begin, &x->loop_end))
		return err_set(e, ERR_ARG,
			"--loop takes two seconds, the earlier one first, such as 1.5-4; got "
			"'%.80s'",
			x->o.loop);
	return 0;
}

static int check(struct play *x, struct err *e)
{
	int n = x->words.argc;

	if (x->o.list && n)
		return err_set(e, ERR_ARG, "--list-devices plays nothing; leave '%.80s' away",
			x->words.argv[0]);
	if (x->o.json && !x->o.list)
		return err_set(e, ERR_ARG, "--json belongs to --list-devices");
	if (!x->o.list && !n)
		return err_set(e, ERR_ARG, "play takes files or takes: woodshed play song.wav");
	if (x->o.loop && n > 1)
		return err_set(
			e, ERR_ARG, "--loop takes one file: those after it would never play");
	return x->o.loop ? read_loop(x, e) : 0;
}

static int check_time(const struct play *x, double s, const char *option, struct err *e)
{
	double length = (double)x->first.n_frames / x->first.rate_hz;

	return s < length ? 0
			  : err_set(e, ERR_ARG,
				    "'%s' is %.2f seconds long; %s must lie before its end",
				    x->paths[0], length, option);
}

/* Whatever can be told without reading all of the samples is told before
 * anything plays. */
static int check_files(struct play *x, struct err *e)
{
	int n = x->words.argc, rc = 0;

	x->paths = ARENA_ARRAY(&x->arena, const char *, (size_t)n);
	x->clips = ARENA_ARRAY(&x->arena, const struct mixer_clip *, (size_t)n);
	for (int i = 0; i < n && !rc; i++) {
		struct audio a;

		rc = verb_find_take(&x->takes, x->words.argv[i], &x->arena, &x->paths[i], e);
		if (!rc)
			rc = audio_probe(x->paths[i], &a, e);
		if (!rc && !i)
			x->first = a;
	}
	if (!rc)
		rc = check_time(x, x->o.start, "--start", e);
	if (!rc && x->o.loop)
		rc = check_time(x, x->loop_begin, "--loop", e);
	return rc;
}

/* ---- the device --------------------------------------------------------- */

/* Until something happens, or for a short while. */
static void wait_step(struct play *x)
{
	struct pollfd fd = {.fd = player_event_fd(x->player), .events = POLLIN};

	poll(&fd, 1, STEP_MS);
}

static int say_no_device(const struct play *x, const struct player_status *s, struct err *e)
{
	return err_set(e, ERR_IO, "%s%s%s", s->reason,
		x->o.device
			? ""
			: "; start a sound server (PipeWire, PulseAudio, JACK) or plug a device "
			  "in",
		x->o.list ? "" : "; woodshed play --list-devices shows what there is");
}

static int open_device(struct play *x, int rate_hz, struct err *e)
{
	struct player_status s;
	int rc;

	rc = player_open(
		&(struct player_desc){.rate_hz = rate_hz, .device = x->o.device}, &x->player, e);
	if (rc)
		return rc;
	do {
		if (verb_stop_signal)
			return err_set(e, ERR_CANCELLED, "cancelled");
		wait_step(x);
		player_status(x->player, &s);
	} while (s.state == PLAYER_OPENING);
	x->rate_hz = s.rate_hz;
	return s.state == PLAYER_READY ? 0 : say_no_device(x, &s, e);
}

static void print_device(const struct player_device *d, bool json, struct str *out)
{
	if (json) {
		jsonw_begin(out);
		jsonw_text(out, "name", d->name);
		jsonw_text(out, "host", d->host);
		jsonw_u64(out, "channels", (uint64_t)d->channels);
		jsonw_num(out, "rate", d->rate_hz);
		jsonw_bool(out, "default", d->is_default);
		jsonw_end(out);
	} else {
		str_printf(out, "%s  (%s, %d channels%s)", d->name, d->host, d->channels,
			d->is_default ? ", default" : "");
		str_sanitize(out->s);
	}
	puts(out->s);
	str_clear(out);
}

/* What PortAudio found; that the default does not open does not matter here. */
static int list_devices(struct play *x, struct err *e)
{
	struct player_device *list;
	struct str line = {0};
	size_t n;
	int rc = open_device(x, 0, e);

	if (rc == ERR_CANCELLED || !x->player)
		return rc;
	player_devices(x->player, &x->arena, &list, &n);
	for (size_t i = 0; i < n; i++)
		print_device(&list[i], x->o.json, &line);
	str_done(&line);
	return n ? 0 : rc;
}

/* ---- loading ------------------------------------------------------------ */

static size_t frame_of(const struct play *x, double s)
{
	return (size_t)llround(s * x->rate_hz);
}

static void begin_playing(struct play *x)
{
	struct mixer *m = player_mixer(x->player);

	mixer_play(m);
	if (x->loop_end > x->loop_begin)
		mixer_loop(m, frame_of(x, x->loop_begin), frame_of(x, x->loop_end));
	if (x->o.start > 0)
		mixer_seek(m, frame_of(x, x->o.start));
}

/* The terminal is shown something else on, and standard error is diverted. */
static void tell(struct play *x, const char *text)
{
	stderr_return(&x->saved_stderr);
	complain(text);
	x->saved_stderr = stderr_divert(-1);
}

static void warn_short(struct play *x, const struct mixer_clip *clip)
{
	if (*clip_shortfall(clip) && !x->globals->quiet)
		tell(x, arena_printf(&x->arena, "warning: '%s' is damaged: %s",
				x->paths[x->n_loaded], clip_shortfall(clip)));
}

/* What was read goes to the mixer; what could not be read is left out. */
static void take_loaded(struct play *x)
{
	struct mixer *m = player_mixer(x->player);
	const struct mixer_clip *clip;
	struct err e = {0};
	int rc = clip_loading_end(x->loading, &clip, &e);

	x->loading = NULL;
	if (rc) {
		x->n_failed++;
		tell(x, e.text);
	} else {
		warn_short(x, clip);
		x->clips[x->n_loaded] = clip;
		mixer_next(m, clip, 1);
		if (x->last < 0)
			begin_playing(x);
		x->last = x->n_loaded;
	}
	x->n_loaded++;
}

/* ---- playing ------------------------------------------------------------ */

static const char *name_of(const struct play *x, const struct mixer_clip *clip)
{
	for (int i = 0; i < x->words.argc; i++) {
		const char *slash = strrchr(x->paths[i], '/');

		if (x->clips[i] == clip)
			return slash ? slash + 1 : x->paths[i];
	}
	return "";
}

static void show(struct play *x, const struct mixer_view *v)
{
	struct winsize ws;
	size_t width = ioctl(fileno(x->line), TIOCGWINSZ, &ws) || !ws.ws_col ? 80 : ws.ws_col;
	double level = loudness_db((double)fmaxf(v->peak[0], v->peak[1]));
	uint64_t underruns = mixer_underruns(player_mixer(x->player));
	struct str line = {0};
	char time[16];

	str_add(&line, format_duration((double)v->position / x->rate_hz, time));
	str_add(&line, " / ");
	str_add(&line, format_duration((double)v->length / x->rate_hz, time));
	if (level > -100)
		str_printf(&line, "  %5.1f dB", level);
	else
		str_add(&line, "   silent ");
	if (underruns)
		str_printf(&line, "  %llu underruns", (unsigned long long)underruns);
	str_printf(&line, "  %s", name_of(x, v->clip));
	str_sanitize(line.s);
	if (line.n >= width) /* cut between characters */
		for (line.n = width - 1; line.n && (line.s[line.n] & 0xc0) == 0x80;)
			line.n--;
	fprintf(x->line, "\r%.*s\033[K", (int)line.n, line.s);
	fflush(x->line);
	str_done(&line);
}

static void clear_line(struct play *x)
{
	if (x->line && x->shown > 0) {
		fputs("\r\033[K", x->line);
		fflush(x->line);
	}
}

static bool is_over(const struct play *x, const struct mixer_view *v)
{
	if (x->loading || x->n_loaded < x->words.argc)
		return false;
	return x->last < 0 || (v->state == MIXER_ENDED && v->clip == x->clips[x->last]);
}

static int check_device(struct play *x, const struct mixer_view *v, struct err *e)
{
	struct player_status s;

	player_status(x->player, &s);
	if (s.state == PLAYER_READY)
		return 0;
	return err_set(e, ERR_IO,
		"%s, %.1f seconds into '%s'; start the sound server again or give another --device",
		s.reason, (double)v->position / x->rate_hz, name_of(x, v->clip));
}

/* One round: what is ready goes on, what is due is shown. */
static int step(struct play *x, bool *ret_is_over, struct err *e)
{
	struct mixer_view v;
	double now = clock_now();
	int rc = 0;

	wait_step(x);
	mixer_read(player_mixer(x->player), &v);
	player_reap(x->player);
	if (x->loading && clip_loading_is_done(x->loading))
		take_loaded(x);
	else if (!x->loading && x->n_loaded < x->words.argc && v.n_next < AHEAD)
		rc = clip_loading_begin(
			x->paths[x->n_loaded], NULL, x->rate_hz, -1, &x->loading, e);
	*ret_is_over = is_over(x, &v);
	if (!rc)
		rc = check_device(x, &v, e);
	if (x->line && v.clip && now - x->shown >= LINE_S) {
		x->shown = now;
		show(x, &v);
	}
	return rc;
}

/* What was rendered last is still on its way to the ear. */
static void play_out(struct play *x)
{
	struct player_status s;
	double until;

	player_status(x->player, &s);
	until = clock_now() + s.latency_s + 0.1;
	while (!verb_stop_signal && clock_now() < until)
		wait_step(x);
}

static int play(struct play *x, struct err *e)
{
	bool over = false;
	int rc = open_device(x, x->first.rate_hz, e);

	if (!rc)
		mixer_volume(player_mixer(x->player), (float)(x->o.volume / 100));
	while (!rc && !over && !verb_stop_signal)
		rc = step(x, &over, e);
	if (!rc && verb_stop_signal)
		rc = err_set(e, ERR_CANCELLED, "cancelled");
	if (!rc && x->last >= 0)
		play_out(x);
	return rc;
}

static void open_line(struct play *x)
{
	int fd;

	if (x->globals->quiet || !isatty(STDERR_FILENO) ||
		!globals_has_cursor(x->globals, x->takes.env))
		return;
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	x->line = fd < 0 ? NULL : fdopen(fd, "w");
}

static int run(struct play *x, struct err *e)
{
	int rc = check(x, e);

	if (!rc && !x->o.list)
		rc = check_files(x, e);
	if (rc)
		return rc;
	verb_catch_signals();
	open_line(x);
	/* The sound libraries print whenever something happens, from their own threads. */
	x->saved_stderr = stderr_divert(-1);
	rc = x->o.list ? list_devices(x, e) : play(x, e);
	clear_line(x);
	player_close(x->player);
	stderr_return(&x->saved_stderr);
	return rc;
}

int verb_play(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct play x = {
		.o = {.volume = 100},
		.globals = g,
		.takes = {.globals = g, .env = env},
		.words = {.argc = argc, .argv = argv},
		.last = -1,
		.saved_stderr = -1,
	};
	struct err e = {0};
	int rc;

	x.words.group[0] = (struct option_group){.specs = specs, .values = &x.o};
	x.words.group[1] = (struct option_group){.specs = globals_options, .values = g};
	rc = verb_begin(&x.words, g,
		"usage: woodshed play [OPTION]... FILE|TAKE...\n"
		"       woodshed play --list-devices [--json]\n\n"
		"Plays takes, by their numbers, or audio files, without a gap between them.\n\n",
		&e);
	if (rc > 0)
		return finish_output();
	if (!rc)
		rc = run(&x, &e);
	if (rc == ERR_CANCELLED && verb_stop_signal) {
		complain("cancelled");
		rc = 128 + verb_stop_signal;
	} else if (rc) {
		rc = verb_fail(rc, &e);
	} else {
		rc = finish_output() || x.n_failed;
	}
	if (x.line)
		fclose(x.line);
	verb_takes_done(&x.takes);
	arena_done(&x.arena);
	return rc;
}
