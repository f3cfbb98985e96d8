/* woodshed denoise: an audio file without its noise, in memory that does not depend
 * on its length.
 *
 *	learn	a first pass over the file, or over the stretch of --noise-from
 *	work	the second; the output and what was removed go to temporary files
 *	commit	both get their names */
#include "engine/cli/verbs.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/cli/output.h"
#include "engine/cli/print.h"
#include "engine/cli/stop.h"
#include "engine/denoise/denoise.h"
#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/paths.h"
#include "library/recipe.h"

enum { PIECE = 1 << 14 }; /* samples read at a time, of all channels together */

struct denoise_options {
	const char *method, *noise_from, *removed, *format;
	double mix, strength;
	bool report, json;
};

#define FIELD(f) offsetof(struct denoise_options, f)

static const struct option_spec denoise_specs[] = {
	{"method", 'm', OPTION_CHOICE, "ss|wiener|df",
		"spectral subtraction, Wiener filter, or DeepFilterNet, which was made for speech "
		"(default wiener)",
		FIELD(method), 0, 0},
	{"mix", 0, OPTION_NUMBER, "X", "0 (dry) to 1 (wet, the default)", FIELD(mix), 0, 1},
	{"strength", 0, OPTION_NUMBER, "X",
		"take the noise for X times as strong as it is estimated (default 1)",
		FIELD(strength), 0, DENOISE_STRENGTH_MAX},
	{"noise-from", 0, OPTION_TEXT, "A-B",
		"the seconds from A to B hold nothing but noise (default: estimated)",
		FIELD(noise_from), 0, 0},
	{"removed", 0, OPTION_TEXT, "FILE", "write what was taken out to FILE", FIELD(removed), 0,
		0},
	{"format", 0, OPTION_CHOICE, "float|pcm24|pcm16", "of the samples (default float)",
		FIELD(format), 0, 0},
	{"report", 0, OPTION_FLAG, NULL,
		"tell the noise and what is taken out, by bands; then OUT may be left away",
		FIELD(report), 0, 0},
	{"json", 0, OPTION_FLAG, NULL, "the result (and the bands) as one JSON object a line",
		FIELD(json), 0, 0},
	{0},
};

struct run {
	struct denoise_options o;
	const struct globals *globals;
	const struct environment *env;
	struct arena arena;
	const char *in, *out; /* out NULL: only a report */
	struct audio_reader *reader;
	struct audio info;
	struct denoise *denoise;
	struct audio_writer *writer, *removed;
	const char *recipe, *comment; /* for the output; NULL: none */
	float *x, *y, *r;             /* pieces */
	size_t piece;                 /* frames */
	bool marked;
	size_t from, to; /* frames that hold only noise */
};

/* ---- the words ----------------------------------------------------------- */

static int check_stretch(struct run *x, struct err *e)
{
	double from = 0, to = 0, length = (double)x->info.n_frames / x->info.rate_hz;

	if (!x->o.noise_from)
		return 0;
	if (!parse_span(x->o.noise_from, &from, &to))
		return err_set(e, ERR_ARG,
			"--noise-from takes two times in seconds, such as 0-1.5, not '%.80s'",
			x->o.noise_from);
	if (to > length + 0.5 / x->info.rate_hz)
		return err_set(e, ERR_ARG,
			"--noise-from %s reaches beyond the end of '%s', which is %.3f seconds "
			"long",
			x->o.noise_from, x->in, length);
	if (to - from < DENOISE_MARKED_MIN_S)
		return err_set(e, ERR_ARG,
			"--noise-from %s is too short to learn from; mark %g seconds or more",
			x->o.noise_from, DENOISE_MARKED_MIN_S);
	x->marked = true;
	x->from = (size_t)(from * x->info.rate_hz + 0.5);
	x->to = (size_t)(to * x->info.rate_hz + 0.5);
	return 0;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !strcmp(a, b) ||
	       (!stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* Also of files that are not there yet. */
static bool is_same_target(const char *a, const char *b, struct arena *arena)
{
	const char *slash_a = strrchr(a, '/'), *slash_b = strrchr(b, '/');
	const char *dir_a = slash_a ? arena_strndup(arena, a, (size_t)(slash_a + 1 - a)) : ".";
	const char *dir_b = slash_b ? arena_strndup(arena, b, (size_t)(slash_b + 1 - b)) : ".";

	return is_same_file(a, b) ||
	       (!strcmp(slash_a ? slash_a + 1 : a, slash_b ? slash_b + 1 : b) &&
		       is_same_file(dir_a, dir_b));
}

static int check_names(struct run *x, struct err *e)
{
	const char *removed = x->o.removed;

	if ((x->out && is_same_file(x->in, x->out)) || (removed && is_same_file(x->in, removed)))
		return err_set(e, ERR_ARG,
			"'%s' would be overwritten by its own result; give another name", x->in);
	if (x->out && removed && is_same_target(x->out, removed, &x->arena))
		return err_set(e, ERR_ARG,
			"the result and what was removed cannot both be '%s'; give two names",
			removed);
	return 0;
}

/* ---- through the denoiser ------------------------------------------------ */

static int learn(struct run *x, struct err *e)
{
	size_t left = x->marked ? x->to - x->from : SIZE_MAX, n;
	int rc = audio_reader_seek(x->reader, x->from, e);

	while (!rc && left) {
		rc = audio_reader_read(x->reader, x->x, left < x->piece ? left : x->piece, &n, e);
		if (rc || !n)
			break;
		rc = denoise_learn(x->denoise, x->x, n, e);
		left -= n;
	}
	return rc ? rc : audio_reader_seek(x->reader, 0, e);
}

static int deliver(struct run *x, struct err *e)
{
	size_t n;
	int rc = 0;

	while (!rc && (n = denoise_pull(x->denoise, x->y, x->removed ? x->r : NULL, x->piece))) {
		if (x->writer)
			rc = audio_writer_add(x->writer, x->y, n, e);
		if (!rc && x->removed)
			rc = audio_writer_add(x->removed, x->r, n, e);
	}
	return rc;
}

static int work(struct run *x, struct err *e)
{
	size_t n;
	int rc = 0;

	do {
		rc = audio_reader_read(x->reader, x->x, x->piece, &n, e);
		if (!rc)
			rc = n ? denoise_push(x->denoise, x->x, n, e)
			       : denoise_flush(x->denoise, e);
		if (!rc)
			rc = deliver(x, e);
	} while (!rc && n);
	return rc;
}

/* ---- files --------------------------------------------------------------- */

/* The output is no longer what its recipe makes, and says so. */
static void carry_recipe(struct run *x)
{
	struct recipe recipe;
	struct str text = {0};
	const char *what = arena_printf(&x->arena, "denoised (%s, mix %g)", x->o.method, x->o.mix);

	if (recipe_read(x->in, &x->arena, &recipe, NULL, NULL))
		return;
	recipe.exported = recipe.exported
				  ? arena_printf(&x->arena, "%.400s; %s", recipe.exported, what)
				  : what;
	recipe_json(&recipe, &text);
	x->recipe = arena_strdup(&x->arena, str_get(&text));
	str_clear(&text);
	recipe_comment(&recipe, &text);
	x->comment = arena_strdup(&x->arena, str_get(&text));
	str_done(&text);
}

static int open_writer(struct run *x, const char *path, struct audio_writer **ret, struct err *e)
{
	enum audio_format format = output_format(x->o.format);
	uint64_t bytes = (uint64_t)x->info.n_frames * (uint64_t)x->info.channels *
			 output_sample_bytes(format);
	int rc = output_check(x->globals, x->env, path, bytes, e);

	if (rc)
		return rc;
	return audio_writer_open(&(struct audio_writer_desc){.path = path,
					 .channels = x->info.channels,
					 .rate_hz = x->info.rate_hz,
					 .format = format,
					 .recipe = x->recipe,
					 .comment = x->comment},
		ret, e);
}

static int open_files(struct run *x, struct err *e)
{
	size_t channels = (size_t)x->info.channels;
	void *mem;
	int rc;

	x->piece = PIECE / channels;
	rc = mem_try_alloc(&mem, 3 * x->piece * channels, sizeof(float), "audio", e);
	if (rc)
		return rc;
	x->x = mem;
	x->y = x->x + x->piece * channels;
	x->r = x->y + x->piece * channels;
	carry_recipe(x);
	if (x->out)
		rc = open_writer(x, x->out, &x->writer, e);
	if (!rc && x->o.removed)
		rc = open_writer(x, x->o.removed, &x->removed, e);
	return rc;
}

static int commit(struct run *x, struct err *e)
{
	int rc = 0;

	if (x->removed)
		rc = audio_writer_commit(x->removed, e);
	if (!rc && x->writer)
		rc = audio_writer_commit(x->writer, e);
	return rc;
}

/* ---- telling ------------------------------------------------------------- */

/* What there is none of is told as a dash. */
static void add_number(struct str *out, int width, int digits, double v)
{
	if (isfinite(v))
		str_printf(out, "%*.*f", width, digits, v);
	else
		str_printf(out, "%*s", width, "-");
}

static void tell_text(const struct denoise_report *r)
{
	struct str line = {0};

	print_line("        band (Hz)   noise (dBFS)   removed   moves with the music");
	for (size_t i = 0; i < r->n_bands; i++) {
		const struct denoise_band *b = &r->band[i];

		if (!(b->high_hz > b->low_hz))
			continue;
		str_clear(&line);
		str_printf(&line, "%8.0f %8.0f       ", b->low_hz, b->high_hz);
		add_number(&line, 8, 1, b->noise_db);
		str_printf(&line, "  %6.2f %%   %20.2f", 100 * b->removed, b->resembles);
		print_line(line.s);
	}
	str_clear(&line);
	str_add(&line, "             all       ");
	add_number(&line, 8, 1, r->noise_db);
	str_printf(&line, "  %6.2f %%   ", 100 * r->removed);
	add_number(&line, 20, 2, r->resembles);
	print_line(line.s);
	str_done(&line);
}

static void tell_band_json(const struct denoise_band *b)
{
	struct str line = {0};

	jsonw_begin(&line);
	jsonw_text(&line, "type", "band");
	jsonw_num(&line, "low_hz", b->low_hz);
	jsonw_num(&line, "high_hz", b->high_hz);
	jsonw_num(&line, "noise_db", b->noise_db);
	jsonw_num(&line, "removed", b->removed);
	jsonw_num(&line, "resembles", b->resembles);
	jsonw_end(&line);
	print_line(line.s);
	str_done(&line);
}

static uint64_t clipped(const struct audio_writer *w)
{
	return w ? audio_writer_clipped(w) : 0;
}

static void tell_json(const struct run *x, const struct denoise_report *r)
{
	struct str line = {0};

	for (size_t i = 0; r && i < r->n_bands; i++)
		tell_band_json(&r->band[i]);
	jsonw_begin(&line);
	jsonw_text(&line, "type", "denoise");
	jsonw_text(&line, "source", x->in);
	jsonw_text(&line, "file", x->out);
	jsonw_text(&line, "method", x->o.method);
	jsonw_num(&line, "seconds", (double)x->info.n_frames / x->info.rate_hz);
	jsonw_u64(&line, "clipped", clipped(x->writer));
	if (r) {
		jsonw_num(&line, "noise_db", r->noise_db);
		jsonw_num(&line, "removed", r->removed);
		jsonw_num(&line, "resembles", r->resembles);
		jsonw_bool(&line, "takes_music", r->takes_music);
	}
	jsonw_end(&line);
	print_line(line.s);
	str_done(&line);
}

static void warn_of_speech(double percent)
{
	char text[256];

	snprintf(text, sizeof text,
		"this takes music away: DeepFilterNet was made for speech, heard none, and removes "
		"%.3g %% of the sound; keep some with --strength 0.75 or --mix 0.75, or use "
		"--method wiener",
		percent);
	print_warning(text);
}

static void warn_of_shortfall(const struct run *x)
{
	char why[AUDIO_SHORTFALL_MAX];
	struct str text = {0};

	if (!*audio_reader_shortfall(x->reader, why))
		return;
	str_printf(&text, "'%s' is damaged: %s", x->in, why);
	print_warning(text.s);
	str_done(&text);
}

static void warn(const struct run *x, const struct denoise_report *r)
{
	if (x->o.strength > 0 && isinf(r->noise_db))
		print_warning("no steady noise was found, so nothing is removed; mark a stretch of "
			      "it with --noise-from");
	else if (r->takes_music && isnan(r->noise_db))
		warn_of_speech(100 * r->removed * x->o.mix * x->o.mix);
	else if (r->takes_music)
		print_warning("this takes music away: what is removed, or was marked, comes and "
			      "goes as music does; lower --strength or --mix, or mark noise alone "
			      "with --noise-from");
}

static void tell(const struct run *x)
{
	struct denoise_report report;
	const struct denoise_report *r = denoise_report(x->denoise, &report) ? &report : NULL;

	if (x->o.json)
		tell_json(x, x->o.report ? r : NULL);
	else if (r && x->o.report)
		tell_text(r);
	if (x->globals->quiet)
		return;
	warn_of_shortfall(x);
	output_warn_clipped(x->out, clipped(x->writer));
	output_warn_clipped(x->o.removed, clipped(x->removed));
	if (r)
		warn(x, r);
}

/* ---- the verb ------------------------------------------------------------ */

static int parse(struct run *x, struct options *o, struct err *e)
{
	int rc = options_parse(o, e);

	if (rc || x->globals->help || x->globals->version)
		return rc;
	if (o->argc < 1 || o->argc > 2 || (o->argc == 1 && !x->o.report && !x->o.removed))
		return err_set(
			e, ERR_ARG, "denoise takes two files: woodshed denoise IN.wav OUT.wav");
	x->in = o->argv[0];
	x->out = o->argc > 1 ? o->argv[1] : NULL;
	return check_names(x, e);
}

static int run(struct run *x, struct err *e)
{
	int rc = audio_reader_open(x->in, &x->reader, e);

	if (rc)
		return rc;
	x->info = *audio_reader_info(x->reader);
	rc = check_stretch(x, e);
	if (!rc)
		rc = denoise_open(&(struct denoise_desc){.method = x->o.method,
					  .df_weights = paths_shared(
						  x->env->program, "deepfilternet3", &x->arena),
					  .rate_hz = x->info.rate_hz,
					  .channels = x->info.channels,
					  .mix = x->o.mix,
					  .strength = x->o.strength,
					  .report = x->o.report,
					  .marked = x->marked},
			&x->denoise, e);
	if (!rc)
		rc = stop_watch(audio_writer_unlink_all, e);
	if (!rc)
		rc = open_files(x, e);
	if (!rc && denoise_learns(x->denoise))
		rc = learn(x, e);
	if (!rc)
		rc = work(x, e);
	if (!rc)
		rc = commit(x, e);
	if (rc)
		return rc;
	stop_finish();
	tell(x);
	return print_check(e);
}

int verb_denoise(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct run x = {
		.globals = g,
		.env = env,
		.o = {.method = "wiener", .format = "float", .mix = 1, .strength = 1},
	};
	struct options o = {
		.group = {{.specs = denoise_specs, .values = &x.o},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = parse(&x, &o, &e);

	if (!rc && g->help)
		print_help("usage: woodshed denoise [OPTION]... IN OUT\n\n"
			   "Takes noise out of an audio file.  OUT has the length, rate and "
			   "channels of IN.\n\n",
			denoise_specs);
	else if (!rc && g->version)
		print_version();
	else if (!rc)
		rc = run(&x, &e);
	if (rc)
		print_error(e.text);
	audio_writer_close(x.writer);
	audio_writer_close(x.removed);
	denoise_close(x.denoise);
	audio_reader_close(x.reader);
	free(x.x);
	arena_done(&x.arena);
	return rc ? (rc == ERR_ARG ? 2 : 1) : 0;
}
