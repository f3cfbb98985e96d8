/* woodshed spectrogram: a picture of a take, as a PNG file or in the terminal. */
#include "tui/verbs.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/colormap.h"
#include "library/globals.h"
#include "library/spectrum.h"
#include "library/spectrum_png.h"
#include "tui/spectrum_text.h"

enum { WIDTH = 80, HEIGHT = 24, SLICE = 256 };

struct spectrogram_options {
	const char *scale, *range, *map, *size;
	uint64_t fft;
};

#define FIELD(f) offsetof(struct spectrogram_options, f)

static const struct option_spec spectrogram_specs[] = {
	{"scale", 0, OPTION_CHOICE, "log|mel|linear", "of frequencies (default log, from 40 Hz)",
		FIELD(scale), 0, 0},
	{"fft", 0, OPTION_WHOLE, "N", "size of the FFT, a power of two (default 2048)", FIELD(fft),
		SPECTRUM_FFT_MIN, SPECTRUM_FFT_MAX},
	{"range", 0, OPTION_TEXT, "LOW:HIGH",
		"levels drawn darkest and lightest, in dBFS "
		"(default -90:0)",
		FIELD(range), 0, 0},
	{"map", 0, OPTION_CHOICE, "inferno|magma|plasma|viridis|cividis|grey",
		"colours (default inferno)", FIELD(map), 0, 0},
	{"size", 0, OPTION_TEXT, "WxH",
		"pixels of the file (default 1600x600), or characters (default: the terminal's)",
		FIELD(size), 0, 0},
	{0},
};

struct spectrogram {
	struct spectrogram_options o;
	const struct globals *globals;
	const struct environment *env;
	const char *out; /* NULL: the terminal */
	struct spectrum_desc desc;
	struct spectrum_png_desc png;
	struct spectrum_text_desc text;
};

/* ---- the words ---------------------------------------------------------- */

/* "A:B" into two copies; false when there is no such sign. */
static bool split(const char *words, char sign, char left[32], char right[32])
{
	const char *at = strchr(words, sign);

	if (!at || at - words >= 32 || strlen(at + 1) >= 32)
		return false;
	snprintf(left, 32, "%.*s", (int)(at - words), words);
	snprintf(right, 32, "%s", at + 1);
	return true;
}

static int parse_range(const char *words, struct spectrum_desc *d, struct err *e)
{
	char low[32], high[32];

	if (split(words, ':', low, high) && parse_f64(low, &d->low_db) &&
		parse_f64(high, &d->high_db) && d->low_db >= -200 && d->high_db <= 100 &&
		d->high_db - d->low_db >= 1)
		return 0;
	return err_set(e, ERR_ARG,
		"--range takes two levels from -200 to 100 dB, the lower one first, such as "
		"-90:0, not '%.80s'",
		words);
}

static int parse_size(const struct spectrogram *g, const char *words, int *ret_width,
	int *ret_height, struct err *e)
{
	const bool is_file = g->out != NULL;
	const uint64_t lo_w = is_file ? SPECTRUM_PNG_WIDTH_MIN : SPECTRUM_TEXT_WIDTH_MIN,
		       lo_h = is_file ? SPECTRUM_PNG_HEIGHT_MIN : SPECTRUM_TEXT_HEIGHT_MIN,
		       hi_w = is_file ? SPECTRUM_PNG_WIDTH_MAX : SPECTRUM_TEXT_MAX,
		       hi_h = is_file ? SPECTRUM_PNG_HEIGHT_MAX : SPECTRUM_TEXT_MAX;
	char left[32], right[32];
	uint64_t w, h;

	if (split(words, 'x', left, right) && parse_u64(left, &w) && parse_u64(right, &h) &&
		w >= lo_w && w <= hi_w && h >= lo_h && h <= hi_h) {
		*ret_width = (int)w;
		*ret_height = (int)h;
		return 0;
	}
	return err_set(e, ERR_ARG,
		"--size takes width and height in %s, from %llux%llu to %llux%llu, such as %s, not "
		"'%.80s'",
		is_file ? "pixels" : "characters", (unsigned long long)lo_w,
		(unsigned long long)lo_h, (unsigned long long)hi_w, (unsigned long long)hi_h,
		is_file ? "1600x600" : "80x24", words);
}

static int check_words(struct spectrogram *g, const struct options *o, struct err *e)
{
	if (o->argc < 1 || o->argc > 2)
		return err_set(e, ERR_ARG,
			"spectrogram takes a take or a file, and the picture's name: woodshed "
			"spectrogram take.wav take.png");
	g->out = o->argc == 2 ? o->argv[1] : NULL;
	if (g->out && (strlen(g->out) < 4 || strcasecmp(g->out + strlen(g->out) - 4, ".png")))
		return err_set(e, ERR_ARG,
			"cannot draw into '%s': pictures are PNG files; give a name that ends "
			"in .png",
			g->out);
	if (g->o.fft & (g->o.fft - 1))
		return err_set(e, ERR_ARG,
			"--fft takes a power of two from %d to %d, such as 4096, not %llu",
			SPECTRUM_FFT_MIN, SPECTRUM_FFT_MAX, (unsigned long long)g->o.fft);
	return g->o.range ? parse_range(g->o.range, &g->desc, e) : 0;
}

/* ---- the terminal ------------------------------------------------------- */

static enum text_colors find_colors(const struct spectrogram *g)
{
	const char *depth = g->env->colorterm, *term = g->env->term ? g->env->term : "";

	if (!globals_has_color(g->globals, g->env, isatty(STDOUT_FILENO)))
		return TEXT_NO_COLORS;
	if (depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit")))
		return TEXT_RGB;
	if (has_suffix(term, "-direct"))
		return TEXT_RGB;
	/* Who asks for colours gets them; the ramps need 256. */
	if (strstr(term, "256color") || (g->globals->color && !strcmp(g->globals->color, "always")))
		return TEXT_256_COLORS;
	return TEXT_NO_COLORS;
}

static int between(int x, int lo, int hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

/* The terminal's, but for the line of the next prompt. */
static void find_terminal_size(int *ret_width, int *ret_height)
{
	struct winsize w;

	*ret_width = WIDTH;
	*ret_height = HEIGHT;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_col)
		return;
	*ret_width = between(w.ws_col, SPECTRUM_TEXT_WIDTH_MIN, SPECTRUM_TEXT_MAX);
	*ret_height = between(w.ws_row - 1, SPECTRUM_TEXT_HEIGHT_MIN, SPECTRUM_TEXT_MAX);
}

/* ---- the picture -------------------------------------------------------- */

static int plan_file(struct spectrogram *g, struct err *e)
{
	struct spectrum_png_plot plot;
	int rc = 0;

	g->png.path = g->out;
	if (g->o.size)
		rc = parse_size(g, g->o.size, &g->png.width, &g->png.height, e);
	if (!rc)
		rc = spectrum_png_plot(g->png.width, g->png.height, &plot, e);
	if (rc)
		return rc;
	g->desc.columns = plot.columns;
	g->desc.rows = plot.rows;
	return 0;
}

static int plan_text(struct spectrogram *g, struct err *e)
{
	int rc = 0;

	find_terminal_size(&g->text.width, &g->text.height);
	if (g->o.size)
		rc = parse_size(g, g->o.size, &g->text.width, &g->text.height, e);
	g->text.colors = find_colors(g);
	g->text.is_utf8 = environment_is_utf8(g->env) && !g->globals->plain;
	spectrum_text_size(&g->text, &g->desc.columns, &g->desc.rows);
	return rc;
}

static void plan_spectrum(struct spectrogram *g)
{
	enum colormap map = COLORMAP_INFERNO;

	g->desc.fft = (int)g->o.fft;
	if (!strcmp(g->o.scale, "mel"))
		g->desc.scale = SPECTRUM_MEL;
	else if (!strcmp(g->o.scale, "linear"))
		g->desc.scale = SPECTRUM_LINEAR;
	colormap_find(g->o.map, &map);
	g->png.map = g->text.map = map;
}

static int show(const struct spectrogram *g, const struct spectrum *s, struct err *e)
{
	struct str out = {0};

	if (g->out)
		return spectrum_png_write(s, &g->png, e);
	spectrum_text_add(s, &g->text, &out);
	fputs(str_get(&out), stdout);
	str_done(&out);
	return 0;
}

static void warn_short(const struct spectrogram *g, const char *path, const struct audio *audio)
{
	char why[AUDIO_SHORTFALL_MAX];
	struct str line = {0};

	if (g->globals->quiet || !*audio_shortfall(audio, why))
		return;
	fflush(stdout);
	str_printf(&line, "warning: '%s' is damaged: %s", path, why);
	complain(line.s);
	str_done(&line);
}

static int draw(struct spectrogram *g, const char *path, struct err *e)
{
	struct audio audio = {0};
	struct spectrum *s = NULL;
	int rc = audio_read(&(struct audio_read_desc){.path = path}, &audio, e);

	if (rc)
		return rc;
	g->desc.samples = audio.samples;
	g->desc.n_frames = audio.n_frames;
	g->desc.channels = audio.channels;
	g->desc.rate_hz = audio.rate_hz;
	rc = spectrum_open(&g->desc, &s, e);
	if (!rc) {
		while (spectrum_work(s, SLICE))
			;
		rc = show(g, s, e);
	}
	if (!rc)
		warn_short(g, path, &audio);
	spectrum_close(s);
	audio_done(&audio);
	return rc;
}

static int run(struct spectrogram *g, const struct options *o, struct err *e)
{
	struct arena a = {0};
	struct verb_takes takes = {.globals = g->globals, .env = g->env};
	const char *path;
	int rc = check_words(g, o, e);

	if (!rc)
		rc = g->out ? plan_file(g, e) : plan_text(g, e);
	if (!rc && g->out)
		rc = globals_check_output(g->globals, g->env, g->out, e);
	if (!rc)
		rc = verb_find_take(&takes, o->argv[0], &a, &path, e);
	if (!rc) {
		plan_spectrum(g);
		signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error in words */
		rc = draw(g, path, e);
	}
	verb_takes_done(&takes);
	arena_done(&a);
	return rc;
}

int verb_spectrogram(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct spectrogram own = {
		.o = {.scale = "log", .map = "inferno"}, .globals = g, .env = env};
	struct options o = {
		.group = {{.specs = spectrogram_specs, .values = &own.o},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = verb_begin(&o, g,
		"usage: woodshed spectrogram [OPTION]... TAKE|FILE [OUT.png]\n\n"
		"Draws the frequencies of a take or an audio file over time, into a PNG file or\n"
		"the terminal.  A file of that name is replaced.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc)
		rc = run(&own, &o, &e);
	return rc ? verb_fail(rc, &e) : finish_output();
}
