/* woodshed doctor: what this machine has, and what is there to work with. */
#include "engine/cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/cli/print.h"
#include "engine/engine.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/catalogue.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/models.h"
#include "library/queue.h"
#include "library/repair.h"
#include "library/takes.h"

extern char **environ;

static void say(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *what, const char *fmt, ...)
{
	struct str line = {0};
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_printf(&line, "%-11s%s", what, text);
	str_sanitize(line.s);
	print_line(line.s);
	str_done(&line);
}

/* What the kernel calls the processor; "" when it does not say. */
static void cpu_name(char out[128])
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	out[0] = 0;
	while (f && !out[0] && fgets(line, sizeof(line), f))
		if (!strncmp(line, "model name", 10) && strchr(line, ':'))
			sscanf(strchr(line, ':') + 1, " %127[^\n]", out);
	if (f)
		fclose(f);
}

static const char *const devices[] = {"cpu", "cuda"};
enum { N_DEVICES = sizeof(devices) / sizeof(*devices) };

/* ret: NULL for one that is not there. */
static void report_devices(struct gpu *ret[N_DEVICES])
{
	char text[16];

	for (int i = 0; i < N_DEVICES; i++) {
		struct err e = {0};

		if (gpu_open(devices[i], 0, &ret[i], &e))
			say(devices[i], "%s", e.text);
		else if (i) /* the CPU's is the machine's */
			say(devices[i], "%s, %s free", gpu_describe(ret[i]),
				format_bytes(gpu_bytes_free(ret[i]), text));
		else
			say(devices[i], "%s", gpu_describe(ret[i]));
	}
}

static void report_memory(void)
{
	char available[16], total[16];
	struct sysinfo info;

	if (sysinfo(&info))
		return;
	say("memory", "%s available of %s", format_bytes(mem_available(), available),
		format_bytes((uint64_t)info.totalram * info.mem_unit, total));
}

/* All that it prints goes to `out`.  0, or an errno. */
static int start_list(const char *program, int out, pid_t *ret)
{
	char *const argv[] = {
		(char[]){"woodshed"}, (char[]){"play"}, (char[]){"--list-devices"}, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	int why;

	sigemptyset(&none); /* Ctrl-C is for it, too: sound servers may hang */
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&files);
	why = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!why)
		why = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (!why)
		why = posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	if (!why)
		why = posix_spawn(ret, program, &files, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return why;
}

/* Devices, or why there are none. */
static void say_lines(FILE *f)
{
	static const char own[] = "woodshed: ";
	size_t size = 0, n = 0;
	char *line = NULL;

	while (getline(&line, &size, f) > 0) {
		const char *text = has_prefix(line, own) ? line + sizeof own - 1 : line;

		line[strcspn(line, "\n")] = 0;
		say(n++ ? "" : "outputs", "%s", text);
	}
	free(line);
}

/* The program that plays lies beside this one, which has no sound. */
static void report_outputs(const char *folder)
{
	struct str path = {0};
	struct err e = {0};
	FILE *f;
	int fds[2], why;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return;
	f = fdopen(fds[0], "r");
	str_printf(&path, "%s/woodshed", folder ? folder : ".");
	why = f ? start_list(path.s, fds[1], &pid) : errno;
	close(fds[1]);
	if (why) {
		err_errno(
			&e, why, "cannot start '%s', which belongs beside woodshed-engine", path.s);
		say("outputs", "%s", e.text);
	} else {
		say_lines(f);
		waitpid(pid, NULL, 0);
	}
	if (f)
		fclose(f);
	str_done(&path);
}

/* What a model takes on a device, and what --precision auto would make of that. */
static void report_needs(const struct model *m, struct gpu *g)
{
	const uint64_t left = g ? gpu_bytes_free(g) : 0;
	struct engine_needs needs;
	struct str line = {0};
	struct err e = {0};
	char text[16];

	if (!g || !m->engine)
		return;
	if (engine_needs(m->dir, g, &needs, &e)) {
		say("", "  %s", e.text);
		return;
	}
	for (enum engine_precision p = ENGINE_F32; p <= ENGINE_INT8; p++)
		if (needs.weights[p])
			str_printf(&line, "%s in %s, ", format_bytes(needs.weights[p], text),
				engine_precision_name(p));
	if (needs.render)
		str_printf(&line, "about %s more to render, ", format_bytes(needs.render, text));
	if (left)
		str_printf(&line, "of %s free; ", format_bytes(left, text));
	if (left && needs.weights[needs.automatic] > left)
		str_add(&line, "it does not fit");
	else
		str_printf(&line, "auto is %s%s", engine_precision_name(needs.automatic),
			left && needs.weights[needs.automatic] + needs.render > left
				? ", which leaves little room to render"
				: "");
	say("", "  %s: %s", gpu_device(g), str_get(&line));
	str_done(&line);
}

static void report_models(const struct models *models, struct gpu *const g[N_DEVICES])
{
	char size[16];

	if (!models->n)
		say("models", "none installed");
	for (size_t i = 0; i < models->n; i++) {
		const struct model *m = &models->list[i];

		say(i ? "" : "models", "%s (%s, %s%s)", m->name,
			m->engine ? m->engine : "no model that woodshed knows",
			format_bytes(m->bytes, size), m == models->chosen ? ", the default" : "");
		for (int k = 0; k < N_DEVICES; k++)
			report_needs(m, g[k]);
	}
}

/* What those that are not here would need. */
static void report_known(const struct models *models, const char *token, uint64_t room)
{
	const char *what = "to pull";
	char size[16];

	for (const struct known_model *k = catalogue; k->name; k++) {
		if (models_has(models, k))
			continue;
		say(what, "%s (%s) needs %s of disk%s%s%s", k->name, k->engine,
			format_bytes(k->about_bytes, size),
			k->about_bytes > room ? ", more than is free" : "",
			k->gated && !token ? ", and HF_TOKEN, once its licence is accepted: " : "",
			k->gated && !token ? k->page : "");
		what = "";
	}
}

static int64_t count(struct db *db, const char *sql)
{
	struct query q = db_prepare(db, sql);
	int64_t n = query_next(&q) ? query_int(&q, 0) : 0;

	return query_done(&q, NULL) ? 0 : n;
}

static int report_database(const char *dir, struct err *e)
{
	int64_t takes, missing, waiting, workers = 0;
	struct db *db;
	int rc = db_open(dir, &db, e);

	if (rc)
		return rc;
	rc = db_verify(db, e);
	if (rc)
		goto out;
	takes_look(db, NULL); /* where nothing can be written, as it was seen last */
	takes = count(db, "SELECT count(*) FROM takes WHERE trashed IS NULL");
	missing = count(db, "SELECT count(*) FROM takes WHERE missing AND trashed IS NULL");
	waiting = count(db, "SELECT count(*) FROM jobs WHERE state = 'queued'");
	rc = workers_count(db, &workers, e);
	say("takes", missing ? "%lld, of which %lld lack their file" : "%lld", (long long)takes,
		(long long)missing);
	say("queue", "%lld waiting, %lld %s", (long long)waiting, (long long)workers,
		workers == 1 ? "worker" : "workers");
out:
	db_close(db);
	return rc;
}

static int repair_library(const char *dir, struct arena *a, struct err *e)
{
	struct repair r;
	int rc = library_repair(dir, clock_unix_ms(), a, &r, e);

	if (rc)
		return rc;
	if (r.moved)
		say("database", "was damaged: moved to %s, made anew from the takes", r.moved);
	else
		say("database", "sound");
	say("takes", "%zu adopted, %zu found again, %zu missing, %zu not readable", r.swept.adopted,
		r.swept.found_again, r.swept.missing, r.swept.unreadable);
	say("removed", "%zu files left half written", r.swept.removed);
	say("workers", "%zu had died", r.dead_workers);
	return 0;
}

static int report_library(const struct globals *g, const struct environment *env,
	struct gpu *const gpus[N_DEVICES], bool repair, struct err *e)
{
	struct arena a = {0};
	struct models models;
	struct statvfs fs;
	const char *dir;
	uint64_t cached, room = UINT64_MAX; /* not known */
	char text[16];
	int rc = globals_library(g, env, &a, &dir, e);

	if (rc)
		goto out;
	say("library", "%s%s", dir,
		access(dir, W_OK | X_OK) ? " (cannot be written: takes cannot be kept)" : "");
	if (!statvfs(dir, &fs)) {
		room = (uint64_t)fs.f_bavail * fs.f_frsize;
		say("disk", "%s free there", format_bytes(room, text));
	}
	rc = repair ? repair_library(dir, &a, e) : report_database(dir, e);
	if (!rc)
		rc = globals_models(g, env, &a, &models, e);
	if (!rc) {
		report_models(&models, gpus);
		report_known(&models, env->hf_token, room);
	}
	if (!rc)
		rc = models_cache(dir, false, &cached, e);
	if (!rc && cached)
		say("cache", "%s of converted weights (woodshed models --drop-cache removes them)",
			format_bytes(cached, text));
out:
	arena_done(&a);
	return rc;
}

struct doctor_options {
	bool repair;
};

static const struct option_spec doctor_specs[] = {
	{"repair", 0, OPTION_FLAG, NULL,
		"sets the library right: a damaged database, lost files, dead workers",
		offsetof(struct doctor_options, repair), 0, 0},
	{0},
};

int verb_doctor(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct doctor_options own = {0};
	struct options o = {.group = {{.specs = doctor_specs, .values = &own},
				    {.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv};
	struct gpu *gpus[N_DEVICES] = {NULL};
	struct err e = {0};
	char name[128];
	int rc = options_parse(&o, &e);

	if (!rc && o.argc)
		rc = err_set(&e, ERR_ARG, "doctor takes no argument, but got '%.80s'", o.argv[0]);
	if (!rc && g->help) {
		print_help("usage: woodshed doctor [--repair]\n\n"
			   "Reports devices, memory, audio outputs, the library and its "
			   "models.\n\n",
			doctor_specs);
		return 0;
	}
	if (!rc) {
		print_version();
		cpu_name(name);
		if (name[0])
			say("processor", "%s", name);
		report_devices(gpus);
		report_memory();
		report_outputs(env->program);
		rc = report_library(g, env, gpus, own.repair, &e);
		for (int i = 0; i < N_DEVICES; i++)
			gpu_close(gpus[i]);
	}
	if (!rc)
		rc = print_check(&e);
	if (rc)
		print_error(e.text);
	return !rc ? 0 : rc == ERR_ARG ? 2 : 1;
}
