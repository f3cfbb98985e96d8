/* A thread that does one thing after the other. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/db.h"
#include "tests/unit/scratch.h"
#include "tui/background.h"

enum { MANY = 200 };

/* What was run and ended, in order. */
struct log {
	int run[MANY], ended[MANY], rc[MANY];
	int n_run, n_ended;
};

struct step {
	struct task task;
	struct log *log;
	int number;
};

static int run(struct db *db, struct task *t, struct err *e)
{
	struct step *s = (struct step *)t;

	s->log->run[s->log->n_run++] = s->number;
	return s->number % 7 == 3 ? err_set(e, ERR_IO, "three of seven") : 0;
}

/* More rows than anybody waits for. */
static int run_for_ever(struct db *db, struct task *t, struct err *e)
{
	struct query q = db_query(db,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
		" SELECT count(*) FROM n",
		"");

	while (query_next(&q))
		;
	return query_done(&q, e);
}

static void end(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct step *s = (struct step *)t;
	struct log *log = s->log;

	if (rc == ERR_IO)
		assert_error(*e, ERR_IO, s->number % 7 == 3 ? "three" : "was moved or removed");
	log->rc[log->n_ended] = rc;
	log->ended[log->n_ended++] = s->number;
	free(s);
}

static struct task *step(struct log *log, int number)
{
	struct step *s = xcalloc(1, sizeof(*s));

	s->task.run = number < 0 ? run_for_ever : run;
	s->task.end = end;
	s->log = log;
	s->number = number;
	return &s->task;
}

static void in_order(void **state)
{
	const int fd = eventfd(0, EFD_NONBLOCK);
	struct background *b = background_open(NULL, 0, fd);
	struct log log = {0};
	eventfd_t n;

	assert_true(background_is_idle(b));
	assert_true(background_settle(b, NULL, 0));
	for (int i = 0; i < MANY; i++)
		background_do(b, step(&log, i));
	assert_true(background_settle(b, NULL, 60));
	assert_true(background_is_idle(b));
	assert_int_equal(log.n_run, MANY);
	assert_int_equal(log.n_ended, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(log.run[i], i);
		assert_int_equal(log.ended[i], i);
		assert_int_equal(log.rc[i], i % 7 == 3 ? ERR_IO : 0);
	}
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(n, MANY);
	background_close(b, NULL);
	close(fd);
}

/* A library that was removed is not made anew. */
static void gone(void **state)
{
	const int fd = eventfd(0, EFD_NONBLOCK);
	struct background *b = background_open(*state, 1000, fd);
	struct log log = {0};

	background_do(b, step(&log, 1));
	while (!background_settle(b, NULL, 1))
		;
	assert_int_equal(log.rc[0], ERR_IO);
	assert_int_equal(log.n_run, 0);
	assert_int_not_equal(access(scratch_path(state, "library.db"), F_OK), 0);
	background_close(b, NULL);
	close(fd);
}

/* What runs is interrupted, what waits is not begun; each is ended all the same. */
static void instead(void **state)
{
	const int fd = eventfd(0, EFD_NONBLOCK);
	struct background *b = background_open(*state, 1000, fd);
	struct log log = {0};
	struct db *db;
	int last = 1;

	assert_int_equal(db_open(*state, &db, NULL), 0);
	db_close(db);
	background_do(b, step(&log, -1));
	assert_false(background_settle(b, NULL, 0.01));
	assert_false(background_is_idle(b));
	background_do(b, step(&log, 7 * last));
	do /* until the query has begun, there is nothing to be interrupted */
		background_do_instead(b, step(&log, 7 * ++last));
	while (!background_settle(b, NULL, 0.05) && last < MANY - 2);
	assert_int_equal(log.n_ended, last + 1);
	for (int i = 0; i < log.n_ended; i++)
		assert_int_equal(log.rc[i], log.ended[i] == 7 * last ? 0 : ERR_CANCELLED);
	assert_int_equal(log.n_run, 1);
	assert_int_equal(log.run[0], 7 * last);
	background_close(b, NULL);
	close(fd);
}

static void closing_does_what_was_given(void **state)
{
	const int fd = eventfd(0, EFD_NONBLOCK);
	struct background *b = background_open(NULL, 0, fd);
	struct log log = {0};

	for (int i = 0; i < MANY; i++)
		background_do(b, step(&log, i));
	background_close(b, NULL);
	assert_int_equal(log.n_ended, MANY);
	background_close(NULL, NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test_setup_teardown(gone, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(instead, scratch_open, scratch_close),
		cmocka_unit_test(closing_does_what_was_given),
	};

	return RUN_TAP(tests);
}
