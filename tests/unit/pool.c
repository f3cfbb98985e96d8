/* The thread pool with 1 to 8 threads, most of them more than there are
 * processors.  Built with -fsanitize=thread it is the proof that the pool has
 * no data race: tasks use plain variables on purpose. */
#include "library/base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum { TASKS = 300, ROUNDS = 300 };

struct work {
	struct pool *pool;
	int hits[TASKS];
	int parts[64];
	bool is_main[TASKS];
	bool wrong;
	pthread_t main;
};

static void count(void *ud, size_t i)
{
	struct work *w = ud;

	w->hits[i]++;
}

static struct pool *open_pool(int n)
{
	struct err e = {0};
	struct pool *p;

	assert_int_equal(pool_open(n, &p, &e), 0);
	return p;
}

static void every_task_runs_once(void **state)
{
	for (int n = 1; n <= 8; n++) {
		struct pool *p = open_pool(n);
		assert_int_equal(pool_threads(p), n);
		for (int round = 0; round < ROUNDS; round++) {
			struct work w = {0};
			size_t n_tasks = (size_t)(round * 7) % TASKS;
			pool_run(p, n_tasks, count, &w);
			for (size_t i = 0; i < TASKS; i++)
				assert_int_equal(w.hits[i], i < n_tasks);
			if (round % 100 == 99)
				usleep(1000); /* long enough for the workers to sleep */
		}
		pool_close(p);
	}
}

static void tasks_of_few_threads_wait_for_each_other(void *ud, size_t i)
{
	struct work *w = ud;

	w->is_main[i] = pthread_equal(pthread_self(), w->main);
	usleep(20000);
}

/* Two tasks that sleep cannot both be the caller's: the pool does share. */
static void workers_take_part(void **state)
{
	struct pool *p = open_pool(2);
	struct work w = {.main = pthread_self()};
	int n_main = 0;

	for (int round = 0; round < 20 && !(n_main && n_main < 4); round++) {
		n_main = 0;
		pool_run(p, 4, tasks_of_few_threads_wait_for_each_other, &w);
		for (int i = 0; i < 4; i++)
			n_main += w.is_main[i];
	}
	assert_in_range(n_main, 1, 3);
	pool_close(p);
}

/* Each thread publishes a value, and after the barrier reads all of them. */
static void exchange(void *ud, int thread, int n_threads)
{
	struct work *w = ud;

	for (int round = 0; round < 100; round++) {
		w->parts[thread] = round + thread;
		pool_barrier(w->pool);
		for (int k = 0; k < n_threads; k++) {
			if (w->parts[k] != round + k)
				w->wrong = true;
		}
		pool_barrier(w->pool);
	}
	w->hits[thread]++;
}

static void a_team_has_every_thread_once(void **state)
{
	for (int n = 1; n <= 8; n++) {
		struct work w = {.pool = open_pool(n)};
		for (int round = 1; round <= 10; round++) {
			pool_team(w.pool, exchange, &w);
			assert_false(w.wrong);
			for (int k = 0; k < 64; k++)
				assert_int_equal(w.hits[k], k < n ? round : 0);
			if (round % 5 == 0)
				usleep(1000);
		}
		pool_close(w.pool);
	}
}

static void runs_and_teams_mix(void **state)
{
	struct work w = {.pool = open_pool(3)};

	for (int round = 0; round < 200; round++) {
		struct work tasks = {0};
		pool_run(w.pool, 2 + (size_t)round % 5, count, &tasks);
		assert_int_equal(tasks.hits[1], 1);
		if (round % 20 == 0)
			pool_team(w.pool, exchange, &w);
	}
	assert_false(w.wrong);
	assert_int_equal(w.hits[2], 10);
	pool_close(w.pool);
}

static void idle_pools_close(void **state)
{
	for (int i = 0; i < 50; i++) {
		struct pool *p = open_pool(1 + i % 8);
		if (i % 3 == 0)
			usleep(500);
		pool_close(p);
	}
	pool_close(NULL);
}

static void silly_numbers_are_refused(void **state)
{
	struct err e = {0};
	struct pool *p;

	assert_int_equal(pool_open(-1, &p, &e), ERR_ARG);
	assert_null(p);
	assert_error(e, ERR_ARG, "-1 threads");
	assert_int_equal(pool_open(1000000, &p, NULL), ERR_ARG);
	p = open_pool(0);
	assert_true(pool_threads(p) >= 1);
	pool_close(p);
}

static void nest(void *ud, size_t i)
{
	pool_run(ud, 1, nest, ud);
}

static void nested_use_is_caught(void **state)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		struct pool *p;
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr) || pool_open(1, &p, NULL))
			_exit(1);
		pool_run(p, 1, nest, p);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) ||
		    WEXITSTATUS(status) > 1); /* sanitizers turn it into an exit */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_task_runs_once),
		cmocka_unit_test(workers_take_part),
		cmocka_unit_test(a_team_has_every_thread_once),
		cmocka_unit_test(runs_and_teams_mix),
		cmocka_unit_test(idle_pools_close),
		cmocka_unit_test(silly_numbers_are_refused),
		cmocka_unit_test(nested_use_is_caught),
	};
	return RUN_TAP(tests);
}
