/* What a take was asked for. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/request.h"
#include "library/takes.h"

static int64_t add_take(struct db *db, int64_t job, const char *recipe)
{
	struct take t = {.model = "m",
		.job = job,
		.seed = UINT64_MAX,
		.frames = 32000,
		.rate = 32000,
		.channels = 1,
		.guidance = NAN,
		.lufs = NAN,
		.peak = NAN,
		.score = NAN,
		.file = job ? "takes/a.wav" : "takes/b.wav",
		.recipe = recipe,
		.created = 1};
	struct err e = {0};
	int64_t id;

	assert_int_equal(prompts_add(db, "slow piano", "vocals", 0, NULL, 1, &t.prompt_id, &e), 0);
	if (takes_add(db, &t, &id, &e))
		fail_msg("%s", e.text);
	return id;
}

static void from_its_job(void **state)
{
	const struct job_new job = {.prompt = "slow piano",
		.negative = "vocals",
		.model = "/models/m",
		.seed = UINT64_MAX,
		.seconds = "1.10",
		.options = "{\"cfg\":3,\"continue\":\"/a.wav\"}"};
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct job_new j;
	struct err e = {0};
	int64_t id, take;

	assert_int_equal(jobs_add(db, &job, 1, 1, &id, &e), 0);
	take = add_take(db, id, "{}");
	assert_int_equal(request_of_take(db, take, &a, &j, &e), 0);
	assert_string_equal(j.prompt, "slow piano");
	assert_string_equal(j.negative, "vocals");
	assert_string_equal(j.model, "/models/m");
	assert_string_equal(j.seconds, "1.10");
	assert_string_equal(j.options, job.options);
	assert_true(j.seed == UINT64_MAX);
	/* once more is of the very same prompt, not of a child of it */
	assert_int_equal(jobs_add(db, &j, 1, 2, NULL, &e), 0);
	struct query q = db_query(db, "SELECT count(*), count(parent) FROM prompts", "");
	assert_true(query_next(&q));
	assert_int_equal(query_int(&q, 0), 1);
	assert_int_equal(query_int(&q, 1), 0);
	query_done(&q, NULL);
	arena_done(&a);
	db_close(db);
}

static void from_its_recipe(void **state)
{
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct job_new j;
	struct err e = {0};
	int64_t take = add_take(db, 0,
		"{\"model\":\"m\",\"prompt\":\"slow piano\",\"seed\":1,\"seconds\":1.1,\"cfg\":2.5,"
		"\"top_k\":50,\"precision\":\"f32\",\"device\":\"cpu\"}");

	if (request_of_take(db, take, &a, &j, &e))
		fail_msg("%s", e.text);
	assert_string_equal(j.model, "m");
	assert_string_equal(j.seconds, "1.1");
	assert_string_equal(j.options,
		"{\"cfg\": 2.5, \"greedy\": false, \"temperature\": 1, \"top_k\": 50, "
		"\"top_p\": 0, \"precision\": \"f32\"}");
	/* one that was scored is scored again */
	assert_int_equal(db_run(db, &e, "UPDATE takes SET score = 0.25", ""), 0);
	assert_int_equal(request_of_take(db, take, &a, &j, &e), 0);
	assert_non_null(strstr(j.options, "\"precision\": \"f32\", \"rank\": true}"));
	arena_done(&a);
	db_close(db);
}

static void what_cannot_be(void **state)
{
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct job_new j;
	struct err e = {0};
	int64_t take = add_take(db, 0,
		"{\"model\":\"m\",\"prompt\":\"slow piano\",\"seed\":1,\"seconds\":1.1,"
		"\"continue\":\"song.wav\"}");

	assert_int_equal(request_of_take(db, take, &a, &j, &e), ERR_UNSUPPORTED);
	assert_error(e, ERR_UNSUPPORTED, "song.wav");
	err_clear(&e);
	assert_int_equal(request_of_take(db, take + 1, &a, &j, &e), ERR_ARG);
	err_clear(&e);
	assert_int_equal(db_run(db, &e, "UPDATE files SET recipe = '{'", ""), 0);
	assert_int_equal(request_of_take(db, take, &a, &j, &e), ERR_FORMAT);
	arena_done(&a);
	db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(from_its_job),
		TEST(from_its_recipe),
		TEST(what_cannot_be),
	};
	return RUN_TAP(tests);
}
