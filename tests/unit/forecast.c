/* Forecasts. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "library/base/err.h"
#include "library/db.h"
#include "library/forecast.h"
#include "library/queue.h"

static void add(struct db *db, const char *model, double seconds, int64_t takes, double load_s,
	double wall_s)
{
	const struct measure m = {.model = model,
		.device = "cpu",
		.precision = "f32",
		.seconds = seconds,
		.takes = takes,
		.load_s = load_s,
		.wall_s = wall_s,
		.bytes = (uint64_t)(seconds * 64000 * (double)takes)};
	struct err e = {0};

	if (forecast_measured(db, &m, 1, &e))
		fail_msg("%s", e.text);
}

static void nothing_known(void **state)
{
	struct db *db = scratch_library(state);
	struct forecast f;
	struct err e = {0};

	assert_int_equal(forecast_take(db, "m", NULL, 10, &f, &e), 0);
	assert_true(isnan(f.wall_s) && isnan(f.load_s));
	assert_int_equal(f.n_seen, 0);
	db_close(db);
}

static void from_history(void **state)
{
	struct db *db = scratch_library(state);
	struct forecast f;
	struct err e = {0};

	for (int i = 0; i < 9; i++)
		add(db, "m", 10, 1, i ? 0 : 2.5, 5);
	add(db, "m", 10, 1, 0, 500); /* beside a compile */
	add(db, "other", 10, 1, 1, 1);
	assert_int_equal(forecast_take(db, "m", NULL, 20, &f, &e), 0);
	assert_true(fabs(f.wall_s - 10) < 1e-9);
	assert_true(fabs(f.load_s - 2.5) < 1e-9);
	assert_int_equal(f.bytes, 20 * 64000);
	assert_int_equal(f.n_seen, 10);
	assert_int_equal(forecast_take(db, "m", "cuda", 20, &f, &e), 0);
	assert_int_equal(f.n_seen, 0);
	db_close(db);
}

/* A second of a long take costs more: what is alike in length counts. */
static void lengths(void **state)
{
	struct db *db = scratch_library(state);
	struct forecast f;
	struct err e = {0};

	for (int i = 0; i < 15; i++) {
		add(db, "m", 10, 1, 0, 5);
		add(db, "m", 100, 1, 0, 100);
	}
	assert_int_equal(forecast_take(db, "m", NULL, 120, &f, &e), 0);
	assert_true(fabs(f.wall_s - 120) < 1e-9);
	assert_int_equal(forecast_take(db, "m", NULL, 8, &f, &e), 0);
	assert_true(fabs(f.wall_s - 4) < 1e-9);
	/* A batch is cheaper for each of its takes. */
	add(db, "batch", 10, 4, 0, 8);
	assert_int_equal(forecast_take(db, "batch", NULL, 10, &f, &e), 0);
	assert_true(fabs(f.wall_s - 2) < 1e-9);
	db_close(db);
}

/* What another device took says nothing: the last one counts, or the one that is named. */
static void devices(void **state)
{
	struct db *db = scratch_library(state);
	struct measure m = {.model = "m",
		.device = "cuda",
		.precision = "bf16",
		.seconds = 10,
		.takes = 1,
		.wall_s = 1};
	struct forecast f;
	struct err e = {0};

	for (int i = 0; i < 9; i++)
		add(db, "m", 10, 1, 0, 100);
	assert_int_equal(forecast_measured(db, &m, 1, &e), 0);
	assert_int_equal(forecast_take(db, "m", NULL, 10, &f, &e), 0);
	assert_true(fabs(f.wall_s - 1) < 1e-9);
	assert_int_equal(forecast_take(db, "m", "cpu", 10, &f, &e), 0);
	assert_true(fabs(f.wall_s - 100) < 1e-9);
	db_close(db);
}

static void add_jobs(struct db *db, const char *model, const char *seconds, int n)
{
	struct err e = {0};

	for (int i = 0; i < n; i++)
		assert_int_equal(jobs_add(db,
					 &(struct job_new){
						 .prompt = "p", .model = model, .seconds = seconds},
					 1, 1, NULL, &e),
			0);
}

static void what_is_ahead(void **state)
{
	struct db *db = scratch_library(state);
	struct forecast_ahead a;
	struct err e = {0};

	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_int_equal(a.jobs, 0);
	assert_true(a.wall_s == 0);
	add(db, "m", 10, 1, 0, 5);
	add_jobs(db, "m", "10", 2);
	add_jobs(db, "m", "", 1); /* as long as the last */
	add_jobs(db, "m", "20", 1);
	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_int_equal(a.jobs, 4);
	assert_true(fabs(a.wall_s - (5 + 5 + 5 + 10)) < 1e-9);
	/* those on hold, and those that ended, are not before anything */
	assert_int_equal(jobs_hold(db, 4, true, &e), 0);
	assert_int_equal(jobs_cancel(db, 3, 2, &(bool){false}, &e), 0);
	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_int_equal(a.jobs, 2);
	assert_true(fabs(a.wall_s - 10) < 1e-9);
	/* half of one is done, once it renders: to have read its text is no music yet */
	assert_int_equal(db_run(db, &e,
				 "INSERT INTO workers(id, lock, pid, host, heartbeat, started)"
				 " VALUES (1, 'x', 1, 'h', 1, 1)",
				 ""),
		0);
	assert_int_equal(db_run(db, &e,
				 "UPDATE jobs SET state = 'rendering', stage = 'text', worker = 1,"
				 " done = 3, total = 3 WHERE id = 1",
				 ""),
		0);
	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_true(fabs(a.wall_s - 10) < 1e-9);
	assert_int_equal(db_run(db, &e,
				 "UPDATE jobs SET stage = 'render', done = 3, total = 6"
				 " WHERE id = 1",
				 ""),
		0);
	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_true(fabs(a.wall_s - 7.5) < 1e-9);
	add_jobs(db, "other", "10", 1);
	assert_int_equal(forecast_ahead(db, &a, &e), 0);
	assert_int_equal(a.jobs, 3);
	assert_true(isnan(a.wall_s));
	db_close(db);
}

static void what_is_behind(void **state)
{
	struct db *db = scratch_library(state);
	struct forecast_ahead a;
	struct err e = {0};

	add(db, "m", 10, 1, 0, 5);
	add_jobs(db, "m", "10", 3);
	add_jobs(db, "m", "20", 2);
	assert_int_equal(jobs_move(db, 5, JOB_FIRST, &e), 0);
	assert_int_equal(jobs_hold(db, 3, true, &e), 0);
	assert_int_equal(forecast_behind(db, 2, &a, &e), 0); /* behind 5 and 1: 2, 3, 4 */
	assert_int_equal(a.jobs, 2);
	assert_true(fabs(a.wall_s - (5 + 10)) < 1e-9);
	assert_int_equal(forecast_behind(db, 5, &a, &e), 0);
	assert_int_equal(a.jobs, 0);
	assert_true(a.wall_s == 0);
	db_close(db);
}

static void old_ones_go(void **state)
{
	struct db *db = scratch_library(state);
	struct query q;

	for (int i = 0; i < 250; i++)
		add(db, "m", 10, 1, 0, 5);
	q = db_query(db, "SELECT count(*) FROM measures", "");
	assert_true(query_next(&q));
	assert_int_equal(query_int(&q, 0), 200);
	query_done(&q, NULL);
	db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_known),
		TEST(from_history),
		TEST(lengths),
		TEST(devices),
		TEST(what_is_ahead),
		TEST(what_is_behind),
		TEST(old_ones_go),
	};
	return RUN_TAP(tests);
}
