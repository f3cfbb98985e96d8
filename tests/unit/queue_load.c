/* What the queue's screen shows when there is more than it reads. */
#include <math.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/forecast.h"
#include "tests/unit/scratch.h"
#include "tui/ws.h"

enum { N = 1200 };

/* One batch of N jobs, each of which takes 5 s. */
static struct db *fill(void **state)
{
	const struct measure m = {.model = "m",
		.device = "cpu",
		.precision = "f32",
		.seconds = 10,
		.takes = 1,
		.wall_s = 5};
	static struct job_new jobs[N];
	struct db *db = scratch_library(state);
	struct err e = {0};

	for (int i = 0; i < N; i++)
		jobs[i] = (struct job_new){
			.prompt = "p", .model = "m", .seed = (uint64_t)i, .seconds = "10"};
	assert_int_equal(forecast_measured(db, &m, 1, &e), 0);
	assert_int_equal(jobs_add(db, jobs, N, 1, NULL, &e), 0);
	return db;
}

static void all_of_them_count(void **state)
{
	static struct ws ws = {.queue.is_stale = true};
	struct err e = {0};
	bool at_work;

	ws.db = fill(state);
	assert_int_equal(jobs_cancel(ws.db, 1, clock_unix_ms(), &at_work, &e), 0);
	assert_int_equal(queue_hide_ended(ws.db, clock_unix_ms() + 1, &e), 0);
	assert_int_equal(queue_load(&ws, &e), 0);
	assert_in_range(ws.queue.n, 1, N - 2); /* a page */
	assert_int_equal(ws.queue.jobs[0].batch_at, 2);
	assert_int_equal(ws.queue.jobs[0].batch_n, N);
	assert_true(fabs(ws.queue.left_s[0] - 5) < 1e-9);
	assert_true(fabs(ws.queue.all_left_s - 5.0 * (N - 1)) < 1e-6);
	queue_view_done(&ws.queue);
	db_close(ws.db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_them_count, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
