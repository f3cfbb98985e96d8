/* woodshed export: takes as files for others.
 *
 * One file that fails does not stop the others; the exit status tells. */
#include "tui/verbs.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/export.h"
#include "library/globals.h"
#include "library/names.h"
#include "tui/denoise_process.h"

struct export_options {
	const char *format, *name, *denoise;
	double lufs, peak, trim, fade_in, fade_out;
	uint64_t rate;
	bool json;
};

#define FIELD(f) offsetof(struct export_options, f)

static const struct option_spec export_specs[] = {
	{"format", 0, OPTION_CHOICE, "float|pcm24|pcm16|flac|flac24",
		"WAV in 32-bit float, 24 or 16 bits, or FLAC in 16 or 24 (default float)",
		FIELD(format), 0, 0},
	{"name", 0, OPTION_TEXT, "PATTERN",
		"of {prompt:40} {model} {seed} {take} {date} (default: the first four)",
		FIELD(name), 0, 0},
	{"lufs", 0, OPTION_NUMBER, "X",
		"bring the loudness to X LUFS, such as -14 (default: as it is)", FIELD(lufs),
		EXPORT_LUFS_MIN, -1},
	{"peak", 0, OPTION_NUMBER, "X",
		"with --lufs: less gain where the true peak would exceed X dBTP (default -1)",
		FIELD(peak), EXPORT_DB_MIN, 0},
	{"trim", 0, OPTION_NUMBER, "DB", "cut what is below DB dBFS, such as -60, at both ends",
		FIELD(trim), EXPORT_DB_MIN, -1},
	{"fade-in", 0, OPTION_NUMBER, "S", "fade in over S seconds", FIELD(fade_in), 0,
		EXPORT_FADE_MAX},
	{"fade-out", 0, OPTION_NUMBER, "S", "fade out over S seconds", FIELD(fade_out), 0,
		EXPORT_FADE_MAX},
	{"rate", 0, OPTION_WHOLE, "HZ", "resample, such as to 44100 (default: as it is)",
		FIELD(rate), AUDIO_RATE_MIN, AUDIO_RATE_MAX},
	{"denoise", 0, OPTION_TEXT, "NAME[:MIX]",
		"take noise out by ss, wiener or df, with a mix from 0 to 1 (default none)",
		FIELD(denoise), 0, 0},
	{"json", 0, OPTION_FLAG, NULL, "one JSON object a line", FIELD(json), 0, 0},
	{0},
};

struct export_run {
	struct export_options o;
	const struct globals *globals;
	struct export_desc desc;         /* but for its source */
	struct denoise_process denoiser; /* method NULL: none */
	uint64_t n_written, n_failed, n_bytes;
	const char *warned; /* model of the last warning about a licence */
	struct arena arena;
	struct verb_takes takes;
};

/* ---- the words ---------------------------------------------------------- */

static enum audio_format format_of(const char *word)
{
	static const struct {
		const char *word;
		enum audio_format format;
	} formats[] = {
		{"pcm24", AUDIO_PCM24},
		{"pcm16", AUDIO_PCM16},
		{"flac", AUDIO_FLAC16},
		{"flac24", AUDIO_FLAC24},
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(word, formats[i].word))
			return formats[i].format;
	return AUDIO_FLOAT;
}

static int check(const struct export_run *x, const struct options *o, struct err *e)
{
	if (options_given(&o->group[0], "peak") && !options_given(&o->group[0], "lufs"))
		return err_set(e, ERR_ARG,
			"--peak belongs to --lufs: it holds back the gain; give a loudness, too");
	if (o->argc < 2)
		return err_set(e, ERR_ARG,
			"export takes files and a folder: woodshed export take.wav ~/Music");
	return 0;
}

/* "wiener" or "wiener:0.5". */
static int choose_denoiser(struct export_run *x, const char *text, struct err *e)
{
	static const char *const names[] = {"none", "ss", "wiener", "df"};
	const char *colon = strchr(text, ':'), *folder = globals_program();
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	double mix = 1;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) != n || memcmp(names[i], text, n))
			continue;
		if (colon && !(parse_f64(colon + 1, &mix) && mix >= 0 && mix <= 1))
			break;
		if (!i)
			return 0;
		x->denoiser = (struct denoise_process){
			.program = arena_printf(
				&x->arena, "%s/woodshed-engine", folder ? folder : "."),
			.method = names[i],
			.mix = mix,
			.quiet = x->globals->quiet,
		};
		return 0;
	}
	return err_set(e, ERR_ARG,
		"--denoise takes none|ss|wiener|df and a mix from 0 to 1, such as wiener:0.5, not "
		"'%.80s'",
		text);
}

static int check_folder(const char *dir, struct err *e)
{
	struct stat st;

	if (stat(dir, &st))
		return err_errno(e, errno,
			"cannot export to '%s' (the last word is a folder; make it first)", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_IO,
			"cannot export to '%s': it is no folder; the last word is where the files "
			"go",
			dir);
	return 0;
}

static int describe(struct export_run *x, const char *dir, struct err *e)
{
	x->desc = (struct export_desc){
		.dir = dir,
		.pattern = x->o.name,
		.format = format_of(x->o.format),
		.trim_db = x->o.trim,
		.rate_hz = (int)x->o.rate,
		.fade_in_s = x->o.fade_in,
		.fade_out_s = x->o.fade_out,
		.lufs = x->o.lufs,
		.ceiling_dbtp = x->o.peak,
	};
	return export_check(&x->desc, e);
}

/* ---- telling ------------------------------------------------------------ */

static void tell_json(const char *source, const struct export_result *r, struct str *out)
{
	jsonw_begin(out);
	jsonw_text(out, "type", "export");
	jsonw_text(out, "source", source);
	jsonw_text(out, "file", r->path);
	jsonw_u64(out, "bytes", r->n_bytes);
	jsonw_u64(out, "frames", r->n_frames);
	jsonw_num(out, "seconds", (double)r->n_frames / r->rate_hz);
	jsonw_u64(out, "rate", (uint64_t)r->rate_hz);
	jsonw_u64(out, "channels", (uint64_t)r->channels);
	jsonw_num(out, "lufs_before", r->lufs_before);
	jsonw_num(out, "lufs", r->lufs_after);
	jsonw_num(out, "peak", r->peak_dbtp);
	jsonw_num(out, "gain_db", r->gain_db);
	jsonw_bool(out, "held_back", r->held_back);
	jsonw_u64(out, "clipped", r->clipped);
	jsonw_text(out, "licence", r->licence);
	jsonw_bool(out, "no_commercial", r->no_commercial);
	jsonw_end(out);
}

static void tell_text(const char *source, const struct export_result *r, struct str *out)
{
	char size[16];

	str_printf(out, "%s  %.2f s  %d Hz", r->path, (double)r->n_frames / r->rate_hz, r->rate_hz);
	if (isfinite(r->lufs_after))
		str_printf(out, "  %.1f LUFS", r->lufs_after);
	if (isfinite(r->peak_dbtp))
		str_printf(out, "  %.1f dBTP", r->peak_dbtp);
	if (r->gain_db != 0)
		str_printf(out, "  gain %+.1f dB%s", r->gain_db,
			r->held_back ? " (held back by the peak)" : "");
	str_printf(out, "  %s", format_bytes(r->n_bytes, size));
	if (isatty(STDOUT_FILENO))
		str_sanitize(out->s);
}

static void warn(const struct export_run *x, const char *text)
{
	struct str line = {0};

	if (x->globals->quiet)
		return;
	str_printf(&line, "warning: %s", text);
	complain(line.s);
	str_done(&line);
}

/* Once for each model in a row. */
static void warn_licence(struct export_run *x, const struct export_result *r)
{
	const char *model = r->model ? r->model : "the model";

	if (!r->no_commercial || (x->warned && !strcmp(x->warned, model)))
		return;
	x->warned = model;
	warn(x, arena_printf(&x->arena, "what %.100s makes is not for commercial use: %s", model,
			r->licence));
}

static void tell(struct export_run *x, const char *source, const struct export_result *r)
{
	struct str line = {0};

	(x->o.json ? tell_json : tell_text)(source, r, &line);
	puts(line.s);
	fflush(stdout);
	str_done(&line);
	warn_licence(x, r);
	if (r->warning)
		warn(x, arena_printf(
				&x->arena, "'%s' goes without its recipe: %s", source, r->warning));
	if (r->shortfall && !x->denoiser.method) /* which has told */
		warn(x, arena_printf(&x->arena, "'%s' is damaged: %s", source, r->shortfall));
	if (r->clipped)
		warn(x, arena_printf(&x->arena,
				"'%s': %llu samples were too loud for the format and are clipped; "
				"lower it with --lufs",
				r->path, (unsigned long long)r->clipped));
}

static void tell_summary(const struct export_run *x)
{
	uint64_t n = x->n_written + x->n_failed;
	struct str line = {0};
	char size[16];

	if (x->o.json) {
		jsonw_begin(&line);
		jsonw_text(&line, "type", "summary");
		jsonw_u64(&line, "written", x->n_written);
		jsonw_u64(&line, "failed", x->n_failed);
		jsonw_u64(&line, "bytes", x->n_bytes);
		jsonw_end(&line);
	} else {
		str_printf(&line, "%llu of %llu files written, %s",
			(unsigned long long)x->n_written, (unsigned long long)n,
			format_bytes(x->n_bytes, size));
	}
	puts(line.s);
	str_done(&line);
}

/* ---- the verb ----------------------------------------------------------- */

static void export_one(struct export_run *x, const char *word)
{
	struct export_desc desc = x->desc;
	struct export_result result;
	struct err e = {0};
	int rc = verb_find_take(&x->takes, word, &x->arena, &desc.source, &e);

	if (!rc && x->denoiser.method)
		rc = denoise_process_run(&x->denoiser, desc.source, desc.dir, &desc.samples, &e);
	if (!rc)
		rc = export_file(&desc, &x->arena, &result, &e);
	denoise_process_remove();
	if (rc) {
		x->n_failed++;
		if (rc != ERR_CANCELLED) /* the denoiser has told */
			complain(e.text);
		return;
	}
	x->n_written++;
	x->n_bytes += result.n_bytes;
	tell(x, word, &result);
}

/* Half a file does not stay behind. */
static void on_signal(int signal_number)
{
	audio_writer_unlink_all();
	denoise_process_abandon();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void watch_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error in words */
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (signal(ends[i], on_signal) == SIG_IGN)
			signal(ends[i], SIG_IGN); /* as with nohup */
}

static int run(struct export_run *x, struct options *o, struct err *e)
{
	int rc = check(x, o, e);

	if (!rc)
		rc = describe(x, o->argv[o->argc - 1], e);
	if (!rc)
		rc = choose_denoiser(x, x->o.denoise, e);
	if (!rc)
		rc = check_folder(x->desc.dir, e);
	if (rc)
		return rc;
	watch_signals();
	for (int i = 0; i < o->argc - 1; i++)
		export_one(x, o->argv[i]);
	tell_summary(x);
	return 0;
}

int verb_export(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct export_run x = {
		.o = {.format = "float", .denoise = "none", .peak = -1},
		.globals = g,
		.takes = {.globals = g, .env = env},
	};
	struct options o = {
		.group = {{.specs = export_specs, .values = &x.o},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = verb_begin(&o, g,
		"usage: woodshed export [OPTION]... TAKE|FILE... DIR\n\n"
		"Writes takes or audio files into a folder, under names made from their recipes.\n"
		"Nothing is overwritten.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc)
		rc = run(&x, &o, &e);
	if (rc)
		rc = verb_fail(rc, &e);
	else
		rc = finish_output() || x.n_failed;
	verb_takes_done(&x.takes);
	arena_done(&x.arena);
	return rc;
}
