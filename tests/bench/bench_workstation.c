/* The workstation at a terminal of its own: how long keys take to be seen.
 *
 *	bench_workstation WOODSHED LIBRARY
 *
 * LIBRARY as bench_library makes it, and leaves it where it is told a folder.  What is
 * timed is from a key's write to the last byte that it makes the program send, seen
 * when nothing follows for QUIET_MS: lists that come late count.
 *
 * On a machine that others use, too, part of that is waiting for a processor.  The
 * second row of figures is without what the kernel tells of it (schedstat), added up
 * over all threads of both programs: a machine to itself lies between the two. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/takes.h"

enum { QUIET_MS = 60, START_QUIET_MS = 300, ROUNDS = 100, KEYS_MAX = 1024 };

static struct err e;
static int terminal = -1;
static pid_t pid;

static void must(int rc)
{
	if (!rc)
		return;
	fprintf(stderr, "bench_workstation: %s\n", e.text);
	exit(1);
}

/* ---- the terminal ------------------------------------------------------- */

static void start(const char *program, const char *library)
{
	const struct winsize size = {.ws_row = 24, .ws_col = 80};

	pid = forkpty(&terminal, NULL, NULL, &size);
	if (pid)
		return;
	setenv("TERM", "xterm-256color", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	unsetenv("TMUX");
	execl(program, program, "--library", library, (char *)NULL);
	_exit(127);
}

/* Reads until nothing comes for so long; *ret_last: when the last byte came. */
static size_t drain(int quiet_ms, double *ret_last)
{
	char bytes[65536];
	size_t n = 0;

	*ret_last = clock_now();
	for (;;) {
		struct pollfd fd = {.fd = terminal, .events = POLLIN};
		ssize_t got;

		if (poll(&fd, 1, quiet_ms) <= 0)
			return n;
		got = read(terminal, bytes, sizeof(bytes));
		if (got <= 0)
			return n;
		n += (size_t)got;
		*ret_last = clock_now();
	}
}

static void send(const char *keys)
{
	if (write(terminal, keys, strlen(keys)) < 0)
		perror("bench_workstation");
}

/* Seconds that threads of a process have waited for a processor. */
static double waited(pid_t of)
{
	char path[400];
	struct dirent *d;
	double s = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)of);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		unsigned long long ran = 0, wait = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%.32s/schedstat", (int)of, d->d_name);
		f = *d->d_name == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu %llu", &ran, &wait) == 2)
			s += (double)wait / 1e9;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return s;
}

static double waited_both(void)
{
	return waited(pid) + waited(getpid());
}

/* Milliseconds, and those without the waiting. */
struct span {
	double all, own;
};

/* From a key to the last byte it made; 0: none. */
static struct span press(const char *keys)
{
	const double waited0 = waited_both(), began = clock_now();
	double last, waiting;
	size_t n;

	send(keys);
	n = drain(QUIET_MS, &last);
	if (!n)
		return (struct span){0, 0};
	waiting = waited_both() - waited0;
	return (struct span){(last - began) * 1e3, fmax(last - began - waiting, 0) * 1e3};
}

static void end(void)
{
	double last;

	send("Q");
	drain(100, &last);
	waitpid(pid, NULL, 0);
	close(terminal);
}

/* ---- figures ------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tell_row(const char *what, double *ms, size_t n, const char *tail)
{
	qsort(ms, n, sizeof(*ms), ascending);
	printf("%-34s median %5.1f  p99 %5.1f  worst %5.1f ms%s\n", what, ms[n / 2],
		ms[n * 99 / 100], ms[n - 1], tail);
}

static void tell(const char *what, const struct span *spans, size_t n, double goal)
{
	double all[KEYS_MAX], own[KEYS_MAX];
	char tail[64];

	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		all[i] = spans[i].all;
		own[i] = spans[i].own;
	}
	snprintf(tail, sizeof(tail), "  (goal: p99 < %g), %zu keys", goal, n);
	tell_row(what, all, n, tail);
	tell_row("  without waiting", own, n, "");
	fflush(stdout);
}

/* The same keys again and again. */
static void rounds(const char *what, const char *const *keys, double goal)
{
	struct span ms[ROUNDS];
	size_t n = 0, k = 0;

	while (n < ROUNDS) {
		ms[n++] = press(keys[k++]);
		if (!keys[k])
			k = 0;
	}
	tell(what, ms, n, goal);
}

/* Each key of a filter, then each Backspace. */
static void filters(void)
{
	static const char *const texts[] = {"piano", "lofi rain night", "-drums", "fav",
		"#keep dark", "dur>25 model:musicgen", "rating>=3 -rain", "s", "zzzz"};
	struct span ms[KEYS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		press("/");
		for (const char *c = texts[i]; *c; c++)
			ms[n++] = press((char[]){*c, 0});
		for (const char *c = texts[i]; c[1]; c++)
			ms[n++] = press("\177");
		press("\033");
	}
	tell("a key of a filter", ms, n, 50);
}

/* ---- what it costs ------------------------------------------------------ */

static long status_of(const char *path, const char *name)
{
	char text[8192];
	const char *at;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	at = strstr(text, name);
	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static void tell_memory(const char *when)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	printf("%-34s %.1f MB, %.1f MB at most  (goal: < 80)\n", when,
		(double)status_of(path, "VmRSS:") * 1024 / 1e6,
		(double)status_of(path, "VmHWM:") * 1024 / 1e6);
}

/* How often any of its threads was waited for and came back. */
static long wake_ups(void)
{
	char path[64];
	struct dirent *d;
	long n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (*d->d_name != '.') {
			char status[400];

			snprintf(status, sizeof(status), "%s/%s/status", path, d->d_name);
			n += status_of(status, "\nvoluntary_ctxt_switches:");
		}
	if (dir)
		closedir(dir);
	return n;
}

static void tell_idle(void)
{
	const double began = clock_now();
	const long before = wake_ups();
	double last;
	size_t n = 0;

	while (clock_now() - began < 10)
		n += drain(1000, &last);
	printf("%-34s %zu bytes, %ld wake-ups  (goal: 0 and 0)\n", "idle for 10 s", n,
		wake_ups() - before);
}

/* ---- a library that is in use ------------------------------------------- */

/* Another program writes for five seconds; keys that write are among those pressed. */
static void tell_locked(const char *library)
{
	static const char *const keys[] = {"j", "f", "k", "m", "G", "gg", "/x\033", "l"};
	const double began = clock_now();
	struct span ms[KEYS_MAX];
	struct db *db;
	size_t n = 0;

	must(db_open(library, &db, &e));
	must(db_begin(db, &e));
	while (clock_now() - began < 5 && n < KEYS_MAX) {
		ms[n] = press(keys[n % (sizeof(keys) / sizeof(*keys))]);
		n++;
	}
	db_rollback(db);
	db_close(db);
	tell("the database locked for 5 s", ms, n, 100);
	press("u");
}

/* The newest take gets a file: 47 s of stereo. */
static void write_take(const char *library)
{
	const struct takes_query q = {.limit = 1, .now_ms = clock_unix_ms()};
	const size_t n = 44100 * 47;
	float *samples = xcalloc(2 * n, sizeof(*samples));
	struct audio_writer *w;
	struct arena a = {0};
	struct take *takes;
	size_t n_takes;
	struct db *db;
	char *path;

	must(db_open(library, &db, &e));
	must(takes_list(db, &q, &a, &takes, &n_takes, &e));
	path = arena_printf(&a, "%s/%s", library, takes[0].file);
	for (char *s = path + strlen(library) + 1; *s; s++)
		if (*s == '/') {
			*s = 0;
			mkdir(path, 0700);
			*s = '/';
		}
	for (size_t i = 0; i < n; i++)
		samples[2 * i] = samples[2 * i + 1] = 0.3f * (float)sin((double)i * 0.06);
	must(audio_writer_open(
		&(struct audio_writer_desc){.path = path, .channels = 2, .rate_hz = 44100}, &w,
		&e));
	must(audio_writer_add(w, samples, n, &e));
	must(audio_writer_commit(w, &e));
	audio_writer_close(w);
	free(samples);
	arena_done(&a);
	db_close(db);
}

/* What the kernel keeps of the database is dropped, as far as it lets us. */
static void make_cold(const char *library)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/library.db", library);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void tell_start(const char *program, const char *library, bool is_cold)
{
	double began, last;
	size_t n;

	if (is_cold)
		make_cold(library);
	began = clock_now();
	start(program, library);
	n = drain(START_QUIET_MS, &last);
	printf("%-34s %.0f ms, %.0f without waiting, %zu bytes  (goal: < 150)\n",
		is_cold ? "start to a full screen, cold" : "start to a full screen, warm",
		(last - began) * 1e3, fmax(last - began - waited(pid), 0) * 1e3, n);
}

int main(int argc, char **argv)
{
	double last;

	if (argc < 3) {
		fprintf(stderr, "usage: bench_workstation WOODSHED LIBRARY\n");
		return 2;
	}
	write_take(argv[2]);
	tell_start(argv[1], argv[2], true);
	end();
	tell_start(argv[1], argv[2], false);
	rounds("j and k", (const char *const[]){"j", "j", "k", NULL}, 20);
	rounds("a page, the ends", (const char *const[]){"\006", "\004", "G", "\002", "gg", NULL},
		20);
	rounds("unfold and fold", (const char *const[]){"l", "j", "h", "h", NULL}, 20);
	rounds("marks", (const char *const[]){"m", "v", "j", "j", "v", "\033", NULL}, 20);
	filters();
	rounds("all marked, all unmarked", (const char *const[]){"*", "*", NULL}, 50);
	press("\033");
	tell_locked(argv[2]);
	drain(1500, &last);
	tell_memory("memory");
	tell_idle();
	press("gg");
	press(" ");
	drain(1500, &last);
	tell_memory("memory, one take in the player");
	end();
	return 0;
}
