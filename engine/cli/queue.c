/* woodshed queue: adds jobs.
 *
 *	prompts	one from the command line, or one a line from a file; wildcards
 *		stand for several, or for some drawn from them
 *	sweep	each prompt with each combination of the swept values
 *	takes	each of these --count times, with seeds SEED, SEED + 1, ...
 *
 * The model is looked up and its description read before anything is queued: a
 * job that cannot work is refused here. */
#include "engine/cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/job_options.h"
#include "engine/cli/print.h"
#include "engine/cli/session.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/expand.h"
#include "library/forecast.h"
#include "library/globals.h"
#include "library/queue.h"

enum {
	JOBS_MAX = 10000,
	FILE_MAX_BYTES = 1 << 20,
	SWEEPS_MAX = 3,
	SPECS_MAX = 56,
};

struct queue_options {
	struct render_options r; /* first: the specs of render work on it */
	const char *file, *sweep[SWEEPS_MAX];
	uint64_t pick;
	double priority;
	bool dry_run, hold, json;
};

#define FIELD(f) offsetof(struct queue_options, f)

static const struct option_spec own_specs[] = {
	{"prompts", 0, OPTION_TEXT, "FILE", "a prompt a line from FILE; - is standard input",
		FIELD(file), 0, 0},
	{"pick", 0, OPTION_WHOLE, "N", "N prompts drawn from the {wild|cards} instead of all",
		FIELD(pick), 1, JOBS_MAX},
	{"sweep-cfg", 0, OPTION_TEXT, "VALUES", "one job for each, such as 2,3,4.5 or 1..6:0.5",
		FIELD(sweep[0]), 0, 0},
	{"sweep-steps", 0, OPTION_TEXT, "VALUES", "the same for --steps", FIELD(sweep[1]), 0, 0},
	{"sweep-temperature", 0, OPTION_TEXT, "VALUES", "the same for --temperature",
		FIELD(sweep[2]), 0, 0},
	{"priority", 0, OPTION_NUMBER, "N", "jobs of a higher one go first (default 0)",
		FIELD(priority), -1000, 1000},
	{"hold", 0, OPTION_FLAG, NULL, "waits until it is released", FIELD(hold), 0, 0},
	{"dry-run", 0, OPTION_FLAG, NULL, "tells time and size, and queues nothing", FIELD(dry_run),
		0, 0},
	{"json", 0, OPTION_FLAG, NULL, "the jobs, one JSON object a line", FIELD(json), 0, 0},
	{0},
};

/* Options of render that mean nothing to a queue. */
static const char *const left_out[] = {"out", "format", "json", "preview", "no-graphs"};

struct jobs {
	struct job_new *at;
	size_t n, cap;
};

struct queueing {
	struct queue_options o;
	struct session s; /* its arena holds everything here */
	struct option_spec specs[SPECS_MAX];
	const char **prompts;
	size_t n_prompts;
	struct jobs jobs;
	int64_t *ids;
	struct db *db;
};

/* ---- the words ---------------------------------------------------------- */

static void join_specs(struct option_spec out[SPECS_MAX])
{
	size_t n = 0;

	for (const struct option_spec *s = render_option_specs; s->name; s++) {
		bool wanted = n < SPECS_MAX - 1;

		for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
			wanted &= strcmp(s->name, left_out[i]) != 0;
		if (wanted)
			out[n++] = *s;
	}
	for (const struct option_spec *s = own_specs; s->name && n < SPECS_MAX - 1; s++)
		out[n++] = *s;
}

static int parse(struct queueing *q, struct globals *g, int argc, char **argv, struct err *e)
{
	struct options o = {
		.group = {{.specs = q->specs, .values = &q->o},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	int rc;

	join_specs(q->specs);
	render_options_init(&q->o.r);
	rc = options_parse(&o, e);
	if (rc || g->help || g->version)
		return rc;
	if (o.argc > 1)
		return err_set(e, ERR_ARG,
			"queue takes one prompt, but got also '%.80s'; put the prompt in quotes",
			o.argv[1]);
	if (o.argc && q->o.file)
		return err_set(e, ERR_ARG, "a prompt and --prompts exclude each other; give one");
	if (!o.argc && !q->o.file && !q->o.r.recipe)
		return err_set(
			e, ERR_ARG, "queue needs a prompt: woodshed queue \"slow {piano|guitar}\"");
	q->o.r.prompt = o.argc ? o.argv[0] : q->o.file ? "" : NULL;
	if (q->o.sweep[1])
		q->o.r.diffusion_only = "sweep-steps";
	rc = render_options_finish(&q->o.r, &o.group[0], &q->s.arena, e);
	if (!rc && q->o.sweep[2] && !q->o.r.tokens_only)
		q->o.r.tokens_only = "sweep-temperature";
	return rc;
}

/* ---- prompts ------------------------------------------------------------ */

static int read_text(const char *name, struct str *out, struct err *e)
{
	int fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	char block[4096];
	ssize_t n = 0;

	if (fd < 0)
		return err_errno(
			e, errno, "cannot read '%s' (check the name and permissions)", name);
	while (out->n <= FILE_MAX_BYTES && (n = read(fd, block, sizeof(block))) > 0)
		str_add_n(out, block, (size_t)n);
	if (n < 0) {
		err_errno(e, errno, "cannot read '%s'", name);
		close(fd);
		return e->code;
	}
	close(fd);
	if (out->n > FILE_MAX_BYTES || strlen(str_get(out)) != out->n ||
		!is_utf8(str_get(out), out->n))
		return err_set(e, ERR_FORMAT, "'%s' is no text of at most %d bytes of UTF-8", name,
			FILE_MAX_BYTES);
	return 0;
}

struct lines {
	const char **at;
	size_t n, cap;
};

/* Empty lines and those that begin with '#' are left out. */
static int read_lines(struct queueing *q, struct lines *lines, struct err *e)
{
	struct str text = {0};
	char *rest, *line;
	int rc = read_text(q->o.file, &text, e);

	rest = text.s;
	if (!rc && has_prefix(str_get(&text), "\xef\xbb\xbf")) /* some editors' sign of UTF-8 */
		rest += 3;
	while (!rc && (line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t\r");
		line[strcspn(line, "\r")] = 0;
		if (*line && *line != '#')
			*VEC_PUSH(lines) = arena_strdup(&q->s.arena, line);
	}
	str_done(&text);
	if (!rc && !lines->n)
		rc = err_set(e, ERR_ARG, "'%s' holds no prompt; write one on each line", q->o.file);
	return rc;
}

static int expand_line(struct queueing *q, const char *line, struct lines *out, struct err *e)
{
	const char **all;
	size_t n;
	int rc = 0;

	for (uint64_t i = 0; i < q->o.pick && !rc && out->n <= JOBS_MAX; i++)
		rc = expand_pick(line, q->o.r.seed + i, &q->s.arena, VEC_PUSH(out), e);
	if (q->o.pick || rc)
		return rc;
	rc = expand_all(line, &q->s.arena, &all, &n, e);
	for (size_t i = 0; i < n && !rc && out->n <= JOBS_MAX; i++)
		*VEC_PUSH(out) = all[i];
	return rc;
}

static int find_prompts(struct queueing *q, struct err *e)
{
	struct lines lines = {0}, out = {0};
	int rc = 0;

	if (q->o.file)
		rc = read_lines(q, &lines, e);
	else
		*VEC_PUSH(&lines) = q->o.r.prompt;
	for (size_t i = 0; i < lines.n && !rc; i++)
		rc = expand_line(q, lines.at[i], &out, e);
	for (size_t i = 0; i < out.n && !rc; i++)
		rc = render_options_check_prompt(out.at[i], q->o.r.negative, e);
	q->prompts = ARENA_ARRAY(&q->s.arena, const char *, out.n + 1);
	if (out.n)
		memcpy(q->prompts, out.at, out.n * sizeof(*out.at));
	q->n_prompts = out.n;
	VEC_DONE(&lines);
	VEC_DONE(&out);
	return rc;
}

/* ---- jobs --------------------------------------------------------------- */

struct values {
	double *v;
	size_t n; /* 0: not swept */
};

static int check_swept(const struct values *v, double lo, double hi, const char *name,
	bool is_whole, struct err *e)
{
	for (size_t i = 0; i < v->n; i++)
		if (!(v->v[i] >= lo && v->v[i] <= hi) || (is_whole && v->v[i] != floor(v->v[i])))
			return err_set(e, ERR_ARG, "--sweep-%s takes %s from %g to %g, not %g",
				name, is_whole ? "whole numbers" : "numbers", lo, hi, v->v[i]);
	return 0;
}

static int read_sweeps(struct queueing *q, struct values out[SWEEPS_MAX], struct err *e)
{
	static const struct {
		const char *name;
		double lo, hi;
		bool is_whole;
	} swept[SWEEPS_MAX] = {{"cfg", 0, 1000, false}, {"steps", 1, 10000, true},
		{"temperature", 0.001, 1000, false}};
	int rc = 0;

	for (int i = 0; i < SWEEPS_MAX && !rc; i++) {
		out[i] = (struct values){0};
		if (!q->o.sweep[i])
			continue;
		rc = expand_numbers(q->o.sweep[i], &q->s.arena, &out[i].v, &out[i].n, e);
		if (rc)
			return err_wrap(e, rc, "--sweep-%s", swept[i].name);
		rc = check_swept(
			&out[i], swept[i].lo, swept[i].hi, swept[i].name, swept[i].is_whole, e);
	}
	return rc;
}

/* --count jobs of one prompt with one set of options. */
static int add_takes(
	struct queueing *q, const char *prompt, const struct render_options *r, struct err *e)
{
	struct str json = {0};
	int rc = job_options_json(r, &q->s.arena, &json, e);
	const char *options = arena_strdup(&q->s.arena, str_get(&json));

	str_done(&json);
	for (uint64_t i = 0; i < r->count && !rc; i++) {
		if (q->jobs.n == JOBS_MAX)
			return err_set(e, ERR_ARG,
				"that would be more than %d jobs; queue them in parts", JOBS_MAX);
		*VEC_PUSH(&q->jobs) = (struct job_new){
			.prompt = prompt,
			.negative = r->negative,
			.model = r->model,
			.seed = r->seed + i,
			.seconds = r->seconds,
			.options = options,
			.priority = (int64_t)q->o.priority,
			.held = q->o.hold,
		};
	}
	return rc;
}

static int add_sweep(struct queueing *q, const char *prompt, const struct values swept[SWEEPS_MAX],
	struct err *e)
{
	const size_t n[SWEEPS_MAX] = {
		swept[0].n + !swept[0].n, swept[1].n + !swept[1].n, swept[2].n + !swept[2].n};
	int rc = 0;

	for (size_t i = 0; i < n[0] * n[1] * n[2] && !rc; i++) {
		struct render_options r = q->o.r;

		if (swept[0].n)
			r.cfg = swept[0].v[i / n[2] / n[1]];
		if (swept[1].n)
			r.steps = (uint64_t)swept[1].v[i / n[2] % n[1]];
		if (swept[2].n)
			r.temperature = swept[2].v[i % n[2]];
		rc = add_takes(q, prompt, &r, e);
	}
	return rc;
}

/* What the model is called decides whether it is found when its turn comes. */
static int choose_model(struct queueing *q, struct err *e)
{
	struct render_options *r = &q->o.r;
	char *real;
	int rc;

	q->s.o = *r;
	rc = session_choose(&q->s, e);
	if (rc)
		return rc;
	*r = q->s.o; /* less what the engine has no use for */
	if (!q->s.model.engine)
		return err_set(e, ERR_FORMAT,
			"'%s' holds no model that woodshed knows; woodshed models lists those that "
			"it does",
			q->s.model.dir);
	rc = session_check_length(&q->s, e);
	if (rc)
		return rc;
	if (!r->model || !(strchr(r->model, '/') || q->s.is_folder)) {
		r->model = q->s.model.name;
		return 0;
	}
	real = realpath(q->s.model.dir, NULL);
	if (!real)
		return err_errno(e, errno, "cannot read '%s'", q->s.model.dir);
	r->model = arena_strdup(&q->s.arena, real);
	free(real);
	return 0;
}

static int make_jobs(struct queueing *q, struct err *e)
{
	struct values swept[SWEEPS_MAX];
	int rc = render_options_draw_seed(&q->o.r, e);

	if (!rc)
		rc = find_prompts(q, e);
	if (!rc)
		rc = choose_model(q, e);
	if (!rc)
		rc = read_sweeps(q, swept, e);
	for (size_t i = 0; i < q->n_prompts && !rc; i++)
		rc = add_sweep(q, q->prompts[i], swept, e);
	return rc;
}

/* ---- what it will take -------------------------------------------------- */

static const char *duration(double s, char out[32])
{
	if (s < 100)
		snprintf(out, 32, "%.1f s", s);
	else if (s < 6000)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.1f h", s / 3600);
	return out;
}

/* Memory, where the jobs would run. */
struct memory {
	const char *device; /* NULL: it cannot be told here; the rest is 0 then */
	const char *precision;
	uint64_t needed, free; /* 0: not known */
};

static struct memory find_memory(const struct queueing *q, struct gpu *g)
{
	enum engine_precision p = session_precision(&q->s);
	struct engine_needs needs;

	if (!g || engine_needs(q->s.model.dir, g, &needs, NULL))
		return (struct memory){0};
	if (p == ENGINE_AUTO)
		p = needs.automatic;
	return (struct memory){.device = gpu_device(g),
		.precision = engine_precision_name(p),
		.needed = needs.weights[p] + needs.render,
		.free = gpu_bytes_free(g)};
}

static int tell_forecast(struct queueing *q, struct err *e)
{
	const double n = (double)q->jobs.n;
	char size[16], left[16], time[32];
	struct str line = {0};
	struct gpu *g = NULL;
	struct memory m;
	struct forecast f;
	uint64_t bytes;
	int rc;

	gpu_open(q->o.r.device, 1, &g, NULL); /* the worker may be where there is one */
	m = find_memory(q, g);
	rc = forecast_take(q->db, q->s.model.name, m.device, session_seconds(&q->s), &f, e);
	gpu_close(g);
	if (rc)
		return rc;
	bytes = f.bytes ? f.bytes
			: (uint64_t)(f.seconds * q->s.model.rate_hz) *
				  (uint64_t)q->s.model.channels * sizeof(float);
	if (q->o.json) {
		jsonw_begin(&line);
		jsonw_text(&line, "type", "forecast");
		jsonw_u64(&line, "jobs", q->jobs.n);
		jsonw_num(&line, "wall_s", f.wall_s * n);
		jsonw_num(&line, "load_s", f.load_s);
		jsonw_u64(&line, "bytes", bytes * q->jobs.n);
		jsonw_u64(&line, "seen", (uint64_t)f.n_seen);
		if (m.device) {
			jsonw_text(&line, "device", m.device);
			jsonw_text(&line, "precision", m.precision);
			jsonw_u64(&line, "memory", m.needed);
			jsonw_u64(&line, "memory_free", m.free);
		}
		jsonw_end(&line);
	} else {
		str_printf(&line, "%zu job%s", q->jobs.n, q->jobs.n == 1 ? "" : "s");
		if (f.n_seen)
			str_printf(&line, ", about %s", duration(f.wall_s * n, time));
		else
			str_printf(&line, ", time unknown (%s has not rendered here yet)",
				q->s.model.name);
		if (bytes)
			str_printf(&line, ", %s", format_bytes(bytes * q->jobs.n, size));
		if (m.needed && m.free)
			str_printf(&line, "; %s of memory on %s in %s, %s is free",
				format_bytes(m.needed, size), m.device, m.precision,
				format_bytes(m.free, left));
	}
	str_sanitize(line.s);
	print_line(line.s);
	str_done(&line);
	return 0;
}

/* ---- the verb ----------------------------------------------------------- */

static int add(struct queueing *q, struct err *e)
{
	int rc;

	q->ids = ARENA_ARRAY(&q->s.arena, int64_t, q->jobs.n);
	rc = jobs_add(q->db, q->jobs.at, q->jobs.n, clock_unix_ms(), q->ids, e);
	for (size_t i = 0; i < q->jobs.n && !rc; i++) {
		struct str line = {0};
		struct job j;

		rc = jobs_get(q->db, q->ids[i], &q->s.arena, &j, e);
		if (!rc && q->o.json)
			job_json(&j, &line);
		else if (!rc)
			str_printf(&line, "job %lld  seed %llu  %s", (long long)j.id,
				(unsigned long long)j.seed, j.prompt);
		if (!rc) {
			str_sanitize(line.s);
			print_line(line.s);
		}
		str_done(&line);
	}
	return rc;
}

int verb_queue(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct queueing q = {.s = {.globals = g, .env = env}};
	const char *library;
	struct err e = {0};
	int rc = parse(&q, g, argc, argv, &e);

	if (!rc && g->help)
		print_help("usage: woodshed queue [OPTION]... PROMPT\n\n"
			   "Adds jobs to the queue; woodshed worker takes them. {a|b} in a prompt "
			   "stands for\n"
			   "each of them in turn.\n\n",
			q.specs);
	else if (!rc && g->version)
		print_version();
	else if (!rc)
		rc = make_jobs(&q, &e);
	if (!rc && q.jobs.n)
		rc = globals_library(g, env, &q.s.arena, &library, &e);
	if (!rc && q.jobs.n)
		rc = db_open(library, &q.db, &e);
	if (!rc && q.jobs.n && q.o.dry_run)
		rc = tell_forecast(&q, &e);
	else if (!rc && q.jobs.n)
		rc = add(&q, &e);
	db_close(q.db);
	VEC_DONE(&q.jobs);
	session_done(&q.s);
	if (!rc)
		rc = print_check(&e);
	if (rc)
		print_error(e.text);
	return rc == ERR_ARG ? 2 : rc ? 1 : 0;
}
