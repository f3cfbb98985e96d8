/* A text that is kept while it is typed. */
#include "tui/draft_file.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "tui/thread.h"

struct draft_file {
	char *path;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	char *line; /* not written yet; owned; NULL: none */
	bool has_ended, has_failed;
	struct err e;
};

/* More is typed in a moment; unless it is the end. */
static void wait_a_moment(struct draft_file *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += DRAFT_FILE_DELAY_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (!f->has_ended && !pthread_cond_timedwait(&f->changed, &f->lock, &until))
		;
}

static void write_line(struct draft_file *f)
{
	char *line = f->line;
	struct err e = {0};
	int rc;

	f->line = NULL;
	pthread_mutex_unlock(&f->lock);
	rc = line_write(f->path, line, &e);
	free(line);
	pthread_mutex_lock(&f->lock);
	if (rc) {
		f->e = e;
		f->has_failed = true;
	}
}

static void *run(void *ud)
{
	struct draft_file *f = ud;

	pthread_mutex_lock(&f->lock);
	while (f->line || !f->has_ended) {
		if (!f->line) {
			pthread_cond_wait(&f->changed, &f->lock);
			continue;
		}
		wait_a_moment(f);
		write_line(f);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

int draft_file_open(const char *path, struct draft_file **ret, struct err *e)
{
	struct draft_file *f = xcalloc(1, sizeof(*f));
	pthread_condattr_t attributes;
	int why;

	f->path = xstrdup(path);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	why = thread_start(&f->thread, run, f);
	*ret = why ? NULL : f;
	if (!why)
		return 0;
	free(f->path);
	free(f);
	return err_errno(e, why, "cannot start the thread that keeps drafts");
}

void draft_file_put(struct draft_file *f, const char *line)
{
	pthread_mutex_lock(&f->lock);
	free(f->line);
	f->line = xstrdup(line);
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

bool draft_file_has_failed(struct draft_file *f, struct err *e)
{
	bool has_failed;

	pthread_mutex_lock(&f->lock);
	has_failed = f->has_failed;
	f->has_failed = false;
	if (has_failed)
		*e = f->e;
	pthread_mutex_unlock(&f->lock);
	return has_failed;
}

void draft_file_close(struct draft_file *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->has_ended = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f->line);
	free(f->path);
	free(f);
}
