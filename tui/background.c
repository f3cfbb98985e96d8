/* A thread that does one thing after the other. */
#include "tui/background.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "library/base/arena.h"
#include "library/db.h"
#include "tui/thread.h"

struct tasks {
	struct task *first, *last;
};

struct background {
	const char *library;
	int cache_kb, wake_fd;
	pthread_t thread;
	bool has_begun, has_thread; /* the first task came; its thread could be made */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t given, done;
	struct tasks waiting, ended;
	bool is_running, is_closing;
	bool is_late;  /* a settle was too short for what is still going on */
	struct db *db; /* NULL until the thread opened it */
};

static void push(struct tasks *l, struct task *t)
{
	t->next = NULL;
	if (l->last)
		l->last->next = t;
	else
		l->first = t;
	l->last = t;
}

static struct task *pop(struct tasks *l)
{
	struct task *t = l->first;

	if (t)
		l->first = t->next;
	if (!l->first)
		l->last = NULL;
	return t;
}

/* ---- the thread --------------------------------------------------------- */

static void end(struct background *b, struct task *t, int rc)
{
	t->rc = rc;
	push(&b->ended, t);
	eventfd_write(b->wake_fd, 1);
	pthread_cond_signal(&b->done);
}

static void run_one(struct background *b, struct task *t)
{
	struct db *db = b->db;
	int rc = 0;

	b->is_running = true;
	pthread_mutex_unlock(&b->lock);
	if (b->library && !db) {
		rc = db_open_again(b->library, &db, &t->error);
		if (!rc)
			db_cache(db, b->cache_kb);
	}
	pthread_mutex_lock(&b->lock);
	b->db = rc ? NULL : db;
	pthread_mutex_unlock(&b->lock);
	if (!rc)
		rc = t->run(db, t, &t->error);
	pthread_mutex_lock(&b->lock);
	b->is_running = false;
	end(b, t, rc);
}

static void *work(void *arg)
{
	struct background *b = arg;
	struct task *t;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		while (!(t = pop(&b->waiting)) && !b->is_closing)
			pthread_cond_wait(&b->given, &b->lock);
		if (!t)
			break;
		run_one(b, t);
	}
	pthread_mutex_unlock(&b->lock);
	db_close(b->db);
	return NULL;
}

/* ---- its owner ---------------------------------------------------------- */

struct background *background_open(const char *library, int cache_kb, int wake_fd)
{
	struct background *b = xcalloc(1, sizeof(*b));
	pthread_condattr_t monotonic;

	b->library = library;
	b->cache_kb = cache_kb;
	b->wake_fd = wake_fd;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->given, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return b;
}

static void begin(struct background *b)
{
	if (b->has_begun)
		return;
	b->has_begun = true;
	b->has_thread = !thread_start(&b->thread, work, b);
}

static void give(struct background *b, struct task *t, bool instead)
{
	struct task *old;

	begin(b);
	pthread_mutex_lock(&b->lock);
	while (instead && (old = pop(&b->waiting)))
		end(b, old, ERR_CANCELLED);
	if (instead && b->is_running && b->db)
		db_interrupt(b->db);
	if (b->has_thread)
		push(&b->waiting, t);
	else
		end(b, t,
			err_set(&t->error, ERR_NOMEM,
				"no thread can be started; end other programs"));
	pthread_cond_signal(&b->given);
	pthread_mutex_unlock(&b->lock);
}

void background_do(struct background *b, struct task *t)
{
	give(b, t, false);
}

void background_do_instead(struct background *b, struct task *t)
{
	give(b, t, true);
}

void background_work(struct background *b, struct ws *ws)
{
	struct task *t;

	do {
		pthread_mutex_lock(&b->lock);
		t = pop(&b->ended);
		pthread_mutex_unlock(&b->lock);
		if (t)
			t->end(ws, t, t->rc, &t->error);
	} while (t);
}

static bool has_work(const struct background *b)
{
	return b->waiting.first || b->is_running;
}

bool background_settle(struct background *b, struct ws *ws, double seconds)
{
	const int64_t billion = 1000000000;
	struct timespec until;
	bool is_done;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = until.tv_nsec + (int64_t)(seconds * 1e9);
	until.tv_sec += (time_t)(ns / billion);
	until.tv_nsec = (long)(ns % billion);
	pthread_mutex_lock(&b->lock);
	while (has_work(b) && !pthread_cond_timedwait(&b->done, &b->lock, &until))
		;
	is_done = !has_work(b);
	pthread_mutex_unlock(&b->lock);
	background_work(b, ws);
	return is_done;
}

bool background_is_idle(struct background *b)
{
	bool is_idle;

	pthread_mutex_lock(&b->lock);
	is_idle = !has_work(b) && !b->ended.first;
	pthread_mutex_unlock(&b->lock);
	return is_idle;
}

void background_close(struct background *b, struct ws *ws)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->is_closing = true;
	pthread_cond_signal(&b->given);
	pthread_mutex_unlock(&b->lock);
	if (b->has_thread)
		pthread_join(b->thread, NULL);
	background_work(b, ws);
	pthread_cond_destroy(&b->done);
	pthread_cond_destroy(&b->given);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
