/* woodshed pull: a model from Hugging Face into the library. */
#include "tui/verbs.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/catalogue.h"
#include "library/globals.h"
#include "library/http.h"
#include "library/models.h"
#include "library/pull.h"

static const double LINE_S = 0.1, JSON_S = 0.25;

struct pull_options {
	bool json;
	uint64_t tries, timeout;
	double wait;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, NULL, "progress and the result as one JSON object a line",
		offsetof(struct pull_options, json), 0, 0},
	{"tries", 0, OPTION_WHOLE, "N", "gives up after N tries without a new byte (default 5)",
		offsetof(struct pull_options, tries), 1, 1000},
	{"wait", 0, OPTION_NUMBER, "S",
		"seconds before the second try, doubled for each that follows (default 1)",
		offsetof(struct pull_options, wait), 0, 60},
	{"timeout", 0, OPTION_WHOLE, "S",
		"seconds of silence after which a line is cut (default 60)",
		offsetof(struct pull_options, timeout), 1, 3600},
	{0},
};

enum show { SHOW_NOTHING, SHOW_LINE, SHOW_PLAIN, SHOW_JSON };

struct watch {
	enum show show;
	bool is_quiet;
	bool is_line_shown;
	double shown;     /* clock_now() */
	const char *file; /* that was shown last */
	bool is_checking;
};

/* A pull ends between two pieces; what is there stays for the next. */
static bool is_stopped(void *ud)
{
	return verb_stop_signal != 0;
}

/* ---- progress ----------------------------------------------------------- */

static void format_line(const struct pull_state *s, struct str *out)
{
	char done[16], total[16], rate[16], left[16];
	double share = s->total ? (double)s->done / (double)s->total : 1;

	str_printf(out, "%s%s  %s of %s  %d %%", s->is_checking ? "checking " : "", s->file,
		format_bytes(s->done, done), format_bytes(s->total, total), (int)(share * 100));
	if (s->rate >= 1 && !s->is_checking)
		str_printf(out, "  %s/s", format_bytes((uint64_t)s->rate, rate));
	if (!isnan(s->eta_s) && !s->is_checking)
		str_printf(out, "  %s left", format_duration(s->eta_s + 0.5, left));
}

static void show_line(struct watch *w, const struct pull_state *s)
{
	struct winsize ws;
	int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col ? 80 : ws.ws_col;
	struct str line = {0};

	format_line(s, &line);
	fprintf(stderr, "\r%.*s\033[K", width - 1, line.s);
	w->is_line_shown = true;
	str_done(&line);
}

static void show_json(const struct pull_state *s)
{
	struct str line = {0};

	jsonw_begin(&line);
	jsonw_text(&line, "type", "progress");
	jsonw_text(&line, "stage", s->is_checking ? "check" : "fetch");
	jsonw_text(&line, "file", s->file);
	jsonw_u64(&line, "done", s->done);
	jsonw_u64(&line, "total", s->total);
	jsonw_num(&line, "rate", s->rate > 0 ? s->rate : NAN);
	jsonw_num(&line, "eta_s", s->eta_s);
	jsonw_end(&line);
	puts(line.s);
	fflush(stdout);
	str_done(&line);
}

static void on_progress(void *ud, const struct pull_state *s)
{
	struct watch *w = ud;
	bool is_new = s->file != w->file || s->is_checking != w->is_checking;
	double now = clock_now();

	w->file = s->file;
	w->is_checking = s->is_checking;
	if (w->show == SHOW_PLAIN && is_new)
		fprintf(stderr, "%s%s\n", s->is_checking ? "checking " : "", s->file);
	if (!is_new && s->done != s->total &&
		now - w->shown < (w->show == SHOW_JSON ? JSON_S : LINE_S))
		return;
	w->shown = now;
	if (w->show == SHOW_LINE)
		show_line(w, s);
	else if (w->show == SHOW_JSON)
		show_json(s);
}

static void clear_line(struct watch *w)
{
	if (w->is_line_shown)
		fputs("\r\033[K", stderr);
	w->is_line_shown = false;
}

static void on_note(void *ud, const char *text)
{
	struct watch *w = ud;

	clear_line(w);
	if (!w->is_quiet)
		complain(text);
}

static enum show how_to_show(const struct globals *g, const struct environment *env, bool json)
{
	if (json)
		return SHOW_JSON;
	if (g->quiet)
		return SHOW_NOTHING;
	return isatty(STDERR_FILENO) && globals_has_cursor(g, env) ? SHOW_LINE : SHOW_PLAIN;
}

/* ---- the verb ----------------------------------------------------------- */

static void show_result(
	const struct pull_request *q, const struct pull_result *r, double seconds, bool json)
{
	char size[16];
	struct str line = {0};

	if (json) {
		jsonw_begin(&line);
		jsonw_text(&line, "type", "result");
		jsonw_text(&line, "model", q->name);
		jsonw_text(&line, "repo", q->repo);
		jsonw_text(&line, "dir", r->dir);
		jsonw_u64(&line, "bytes", r->bytes);
		jsonw_u64(&line, "fetched", r->fetched);
		jsonw_num(&line, "wall_s", seconds);
		jsonw_end(&line);
	} else {
		str_printf(&line, "%s  %s  %s", q->name, format_bytes(r->bytes, size), r->dir);
		str_sanitize(line.s);
	}
	puts(line.s);
	str_done(&line);
}

/* Of the terms, before gigabytes come. */
static void tell_licence(const struct known_model *k)
{
	if (k && k->commercial == COMMERCIAL_NO)
		fprintf(stderr, "%s is under %s: what it makes is not for commercial use (%s)\n",
			k->name, k->licence, k->page);
	else if (k)
		fprintf(stderr, "%s is under the %s (%s)\n", k->name, k->licence, k->page);
}

/* Whether it is in the library already, or where other programs keep theirs. */
static bool is_here(
	const struct models *models, const struct pull_request *q, struct pull_result *ret)
{
	for (size_t i = 0; i < models->n; i++) {
		const struct model *m = &models->list[i];

		if (!m->repo || strcmp(m->repo, q->repo))
			continue;
		*ret = (struct pull_result){.dir = m->dir, .bytes = m->bytes};
		return true;
	}
	return false;
}

static int make_request(const struct globals *g, const struct environment *env, const char *word,
	struct arena *a, struct pull_request *q, const struct known_model **ret_known,
	struct err *e)
{
	const char *hf = globals_hf_home(env, a);
	char *endpoint =
		arena_strdup(a, env->hf_endpoint && *env->hf_endpoint ? env->hf_endpoint
								      : "https://huggingface.co");
	int rc = catalogue_resolve(word, ret_known, &q->repo, e);

	if (rc)
		return rc;
	while (has_suffix(endpoint, "/"))
		endpoint[strlen(endpoint) - 1] = 0;
	if (!is_endpoint(endpoint))
		return err_set(e, ERR_ARG,
			"HF_ENDPOINT is '%.200s'; it must be like https://huggingface.co",
			endpoint);
	q->endpoint = endpoint;
	q->name = repo_model_name(q->repo, a);
	q->is_gated = *ret_known && (*ret_known)->gated;
	q->page = *ret_known ? (*ret_known)->page : arena_printf(a, "%s/%s", endpoint, q->repo);
	q->token_file = hf ? arena_printf(a, "%s/token", hf) : NULL;
	rc = pull_token(env->hf_token, q->token_file, a, &q->token, e);
	return rc ? rc : globals_library(g, env, a, &q->library, e);
}

static int pull(const struct globals *g, const struct environment *env,
	const struct pull_options *own, const char *word, struct err *e)
{
	struct watch watch = {.show = how_to_show(g, env, own->json), .is_quiet = g->quiet};
	struct pull_request q = {
		.tries = (unsigned)own->tries,
		.wait_s = own->wait,
		.timeout_s = (unsigned)own->timeout,
		.progress = on_progress,
		.note = on_note,
		.stop = is_stopped,
		.ud = &watch,
	};
	const struct known_model *known;
	struct pull_result result = {0};
	struct models models;
	struct arena a = {0};
	double began = clock_now();
	int rc = make_request(g, env, word, &a, &q, &known, e);

	if (!rc)
		rc = globals_models(g, env, &a, &models, e);
	if (!rc && !is_here(&models, &q, &result)) {
		if (!g->quiet)
			tell_licence(known);
		verb_catch_signals();
		signal(SIGXFSZ, SIG_IGN); /* a plain write error */
		rc = pull_model(&q, &a, &result, e);
		clear_line(&watch);
	}
	if (!rc)
		show_result(&q, &result, clock_now() - began, own->json);
	arena_done(&a);
	return rc;
}

int verb_pull(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct pull_options own = {.tries = 5, .timeout = 60, .wait = 1};
	struct options o = {
		.group = {{.specs = specs, .values = &own},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = verb_begin(&o, g,
		"usage: woodshed pull [--json] MODEL\n\n"
		"Fetches a model that woodshed models lists, or any other by its repository on\n"
		"Hugging Face, OWNER/NAME.  A pull that was cut goes on where it ended.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc && o.argc != 1)
		rc = err_set(&e, ERR_ARG,
			"pull takes one model: woodshed pull MODEL; woodshed models lists them");
	if (!rc)
		rc = pull(g, env, &own, o.argv[0], &e);
	if (rc == ERR_CANCELLED && verb_stop_signal) {
		complain("cancelled; what is here is kept: pull again to go on");
		return 128 + verb_stop_signal;
	}
	return rc ? verb_fail(rc, &e) : finish_output();
}
