/* Denoised twins, made by a child. */
#include "tui/denoiser.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/cache_dir.h"
#include "tui/child.h"
#include "tui/thread.h"

enum {
	CACHE_MAX = 1 << 30,
	LOOK_MS = 200, /* how often it is asked how far it is, and whether it is wanted */
	TAIL = 2000,   /* of what the child prints */
};

static const double PATIENCE_S = 2; /* for a child that was told to end */

struct job {
	char *path, *method; /* owned; path NULL: none */
	int64_t take;
};

struct denoiser {
	pthread_t thread;
	char *program, *folder; /* owned */
	int wake_fd;
	atomic_uint n_asked; /* what is made for an older number ends */

	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t asked;
	bool wants_end;
	struct job wish;
	struct denoiser_view view;

	/* The thread's. */
	struct job now;
	unsigned number;
	uint64_t bytes; /* that the twin will have */
};

static const char *twin_name(const struct denoiser *d, const struct job *j, struct arena *a)
{
	return cache_dir_name(
		d->folder, j->path, arena_printf(a, "denoised %s", j->method), "wav", a);
}

static bool is_outdated(const struct denoiser *d)
{
	return atomic_load(&d->n_asked) != d->number;
}

static void free_job(struct job *j)
{
	free(j->path);
	free(j->method);
	*j = (struct job){0};
}

/* ---- the child ---------------------------------------------------------- */

/* Its stdout and stderr come through *ret_fd. */
static int start(
	const struct denoiser *d, const char *out, pid_t *ret_pid, int *ret_fd, struct err *e)
{
	const char *argv[] = {"woodshed-engine", "--quiet", "denoise", "--method", d->now.method,
		"--", d->now.path, out, NULL};
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC))
		return err_errno(e, errno, "cannot make a pipe");
	rc = child_start_engine(
		&(struct child_desc){
			.program = d->program,
			.argv = argv,
			.in = CHILD_NULL,
			.out = ends[1],
			.err = ends[1],
			.has_own_group = true,
		},
		ret_pid, e);
	close(ends[1]);
	*ret_fd = ends[0];
	if (rc)
		close(ends[0]);
	return rc;
}

/* What the child has written so far of `name`: it works on ".NAME.xxxxxxxx.tmp". */
static uint64_t written(const struct denoiser *d, const char *name)
{
	const char *base = strrchr(name, '/') + 1;
	DIR *dir = opendir(d->folder);
	uint64_t bytes = 0;
	struct stat st;

	if (!dir)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] == '.' && has_prefix(entry->d_name + 1, base) &&
			!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			bytes = (uint64_t)st.st_size;
	closedir(dir);
	return bytes;
}

static void tell_share(struct denoiser *d, const char *name)
{
	double share = d->bytes ? (double)written(d, name) / (double)d->bytes : 0;

	share = share < 1 ? share : 1;
	pthread_mutex_lock(&d->lock);
	if (share >= d->view.share + 0.01) {
		d->view.share = share;
		eventfd_write(d->wake_fd, 1);
	}
	pthread_mutex_unlock(&d->lock);
}

/* The end of what it prints. */
static void keep_tail(struct str *out, const char *bytes, size_t n)
{
	str_add_n(out, bytes, n);
	if (out->n > 2 * TAIL) {
		memmove(out->s, out->s + out->n - TAIL, TAIL + 1);
		out->n = TAIL;
	}
}

/* Until it has closed its end; a child that is not wanted any more is told so. */
static void attend(struct denoiser *d, pid_t pid, int fd, const char *name, struct str *out)
{
	double told = 0;
	char bytes[512];
	ssize_t n;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int any = poll(&p, 1, LOOK_MS);

		if (is_outdated(d) && !told) {
			kill(pid, SIGTERM);
			told = clock_now();
		} else if (told && clock_now() - told > PATIENCE_S) {
			kill(pid, SIGKILL);
			return;
		}
		if (any == 0) {
			tell_share(d, name);
			continue;
		}
		n = any > 0 ? read(fd, bytes, sizeof(bytes)) : -1;
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		if (n > 0)
			keep_tail(out, bytes, (size_t)n);
	}
}

/* The last line that it printed, without the program's name. */
static const char *last_line(struct str *out)
{
	char *line;

	while (out->n && out->s[out->n - 1] == '\n')
		out->s[--out->n] = 0;
	line = out->n ? strrchr(out->s, '\n') : NULL;
	line = line ? line + 1 : out->s;
	if (line && has_prefix(line, "woodshed: "))
		line += strlen("woodshed: ");
	return line ? line : "";
}

static int judge(int status, struct str *out, struct err *e)
{
	const char *line = last_line(out);

	if (child_succeeded(status))
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, ERR_IO, "the denoiser was ended by signal %d; try again",
			WTERMSIG(status));
	return err_set(e, ERR_IO, "%s", *line ? line : "the denoiser failed and did not say why");
}

static int make(struct denoiser *d, struct err *e)
{
	struct arena a = {0};
	struct str out = {0};
	struct audio info = {0};
	const char *name = twin_name(d, &d->now, &a);
	int fd = -1, rc;
	pid_t pid = 0;

	rc = name ? audio_probe(d->now.path, &info, e)
		  : err_set(e, ERR_IO, "the take's file is not there");
	d->bytes = (uint64_t)info.n_frames * (uint64_t)info.channels * sizeof(float);
	if (!rc)
		rc = cache_dir_make(d->folder, e);
	if (!rc) {
		cache_dir_trim(d->folder, d->bytes < CACHE_MAX ? CACHE_MAX - d->bytes : 0, name);
		rc = start(d, name, &pid, &fd, e);
	}
	if (!rc) {
		attend(d, pid, fd, name, &out);
		close(fd);
		rc = judge(child_wait(pid), &out, e);
	}
	str_done(&out);
	arena_done(&a);
	return rc;
}

/* ---- the thread --------------------------------------------------------- */

static void tell(struct denoiser *d, int rc, const struct err *e)
{
	pthread_mutex_lock(&d->lock);
	if (!is_outdated(d)) {
		d->view.state = rc ? DENOISER_FAILED : DENOISER_MADE;
		snprintf(d->view.why, sizeof(d->view.why), "%.500s", e->text);
		eventfd_write(d->wake_fd, 1);
	}
	pthread_mutex_unlock(&d->lock);
}

static void *run(void *ud)
{
	struct denoiser *d = ud;

	pthread_mutex_lock(&d->lock);
	while (!d->wants_end) {
		struct err e = {0};
		int rc;

		if (atomic_load(&d->n_asked) == d->number) {
			pthread_cond_wait(&d->asked, &d->lock);
			continue;
		}
		free_job(&d->now);
		d->now = d->wish;
		d->wish = (struct job){0};
		d->number = atomic_load(&d->n_asked);
		pthread_mutex_unlock(&d->lock);
		if (d->now.path) {
			rc = make(d, &e);
			tell(d, rc, &e);
		}
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- the UI's side ------------------------------------------------------ */

static void free_denoiser(struct denoiser *d)
{
	pthread_cond_destroy(&d->asked);
	pthread_mutex_destroy(&d->lock);
	free_job(&d->wish);
	free_job(&d->now);
	free(d->program);
	free(d->folder);
	free(d);
}

int denoiser_open(const struct denoiser_desc *desc, struct denoiser **ret, struct err *e)
{
	struct denoiser *d = xcalloc(1, sizeof(*d));
	struct str folder = {0};
	int why;

	str_printf(&folder, "%s/cache/denoised", desc->library);
	d->folder = xstrdup(str_get(&folder));
	str_done(&folder);
	d->program = xstrdup(desc->program);
	d->wake_fd = desc->wake_fd;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->asked, NULL);
	why = thread_start(&d->thread, run, d);
	if (!why) {
		*ret = d;
		return 0;
	}
	free_denoiser(d);
	return err_errno(e, why, "cannot start a thread");
}

/* What is wanted from now on. */
static void ask(struct denoiser *d, struct job j, bool wants_end)
{
	pthread_mutex_lock(&d->lock);
	free_job(&d->wish);
	d->wish = j;
	d->wants_end = wants_end;
	d->view = (struct denoiser_view){
		.state = j.path ? DENOISER_WORKING : DENOISER_IDLE, .take = j.take};
	atomic_fetch_add(&d->n_asked, 1);
	pthread_cond_broadcast(&d->asked);
	pthread_mutex_unlock(&d->lock);
}

void denoiser_close(struct denoiser *d)
{
	if (!d)
		return;
	ask(d, (struct job){0}, true);
	pthread_join(d->thread, NULL);
	free_denoiser(d);
}

const char *denoiser_find(
	const struct denoiser *d, const char *path, const char *method, struct arena *a)
{
	const struct job j = {(char *)path, (char *)method, 0};
	const char *name = twin_name(d, &j, a);

	if (!name || access(name, R_OK))
		return NULL;
	cache_dir_touch(name);
	return name;
}

void denoiser_begin(struct denoiser *d, const char *path, const char *method, int64_t take)
{
	ask(d, (struct job){xstrdup(path), xstrdup(method), take}, false);
}

void denoiser_cancel(struct denoiser *d)
{
	ask(d, (struct job){0}, false);
}

void denoiser_read(struct denoiser *d, struct denoiser_view *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->view;
	pthread_mutex_unlock(&d->lock);
}

void denoiser_seen(struct denoiser *d)
{
	pthread_mutex_lock(&d->lock);
	if (d->view.state > DENOISER_WORKING)
		d->view.state = DENOISER_IDLE;
	pthread_mutex_unlock(&d->lock);
}
