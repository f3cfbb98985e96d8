/* What each engine can be told: in the library, and as the engine tells it. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "engine/cli/job_options.h"
#include "engine/cli/parameters.h"
#include "engine/cli/render_options.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/parameters.h"
#include "library/queue.h"

static bool is_current(struct db *db, const char *version)
{
	struct err e = {0};
	bool ret;

	assert_int_equal(parameters_are_current(db, version, &ret, &e), 0);
	return ret;
}

static void kept(void **state)
{
	static const struct parameter list[] = {
		{"steps", "Steps", "", PARAMETER_WHOLE, 1, 200, "50", "", "more is cleaner"},
		{"sampler", "Sampler", "", PARAMETER_CHOICE, 0, 0, "a", "a|b", ""},
	};
	const struct engine_parameters engines[] = {
		{"one", true, true, list, 2}, {"two", true, false, list + 1, 1}};
	struct db *db = scratch_library(state);
	struct engine_parameters p;
	struct arena a = {0};
	struct err e = {0};

	assert_false(is_current(db, "1"));
	assert_int_equal(parameters_write(db, "1", engines, 2, &e), 0);
	assert_int_equal(parameters_write(db, "2", engines, 2, &e), 0); /* in their place */
	assert_true(is_current(db, "2"));
	assert_false(is_current(db, "1"));
	assert_int_equal(parameters_read(db, "one", &a, &p, &e), 0);
	assert_true(p.is_endless);
	assert_int_equal(p.n, 2);
	assert_string_equal(p.list[0].name, "steps");
	assert_int_equal(p.list[0].kind, PARAMETER_WHOLE);
	assert_true(p.list[0].low == 1 && p.list[0].high == 200);
	assert_string_equal(p.list[0].otherwise, "50");
	assert_string_equal(p.list[1].choices, "a|b");
	assert_int_equal(parameters_read(db, "two", &a, &p, &e), 0);
	assert_false(p.is_endless);
	assert_int_equal(p.n, 1);
	assert_true(p.is_known);
	assert_int_equal(parameters_read(db, "three", &a, &p, &e), 0);
	assert_false(p.is_known);
	assert_int_equal(p.n, 0);
	arena_done(&a);
	db_close(db);
}

static void engines_that_told(void **state)
{
	const struct engine_parameters written[] = {
		{"two", true, false, NULL, 0}, {"one", true, true, NULL, 0}};
	const struct engine_parameters *engines;
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct err e = {0};
	size_t n;

	assert_int_equal(parameters_engines(db, &a, &engines, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(parameters_write(db, "1", written, 2, &e), 0);
	assert_int_equal(parameters_engines(db, &a, &engines, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(engines[0].engine, "one");
	assert_true(engines[0].is_known && engines[0].is_endless);
	assert_string_equal(engines[1].engine, "two");
	assert_true(engines[1].is_known && !engines[1].is_endless);
	arena_done(&a);
	db_close(db);
}

static void a_kind_of_tomorrow(void **state)
{
	static const struct parameter list[] = {{"x", "X", "", PARAMETER_FLAG, 0, 0, "", "", ""}};
	const struct engine_parameters engine = {"one", true, true, list, 1};
	struct db *db = scratch_library(state);
	struct engine_parameters p;
	struct arena a = {0};
	struct err e = {0};

	assert_int_equal(parameters_write(db, "1", &engine, 1, &e), 0);
	assert_int_equal(db_run(db, &e, "UPDATE parameters SET kind = 'colour'", ""), 0);
	assert_int_equal(parameters_read(db, "one", &a, &p, &e), 0);
	assert_int_equal(p.list[0].kind, PARAMETER_TEXT);
	arena_done(&a);
	db_close(db);
}

static void published_once(void **state)
{
	struct db *db = scratch_library(state), *other = scratch_library(state);
	struct engine_parameters p;
	struct arena a = {0};
	struct err e = {0};
	int64_t before, after;

	assert_int_equal(parameters_publish(db, &e), 0);
	assert_int_equal(parameters_read(db, "musicgen", &a, &p, &e), 0);
	assert_true(p.n > 3 && p.is_endless);
	assert_int_equal(db_version(other, &before, &e), 0);
	assert_int_equal(parameters_publish(db, &e), 0); /* writes nothing */
	assert_int_equal(db_version(other, &after, &e), 0);
	assert_int_equal(before, after);
	arena_done(&a);
	db_close(other);
	db_close(db);
}

/* A value that no parameter has by default. */
static json_t *sample(const struct parameter *p)
{
	switch (p->kind) {
	case PARAMETER_FLAG:
		return json_true();
	case PARAMETER_WHOLE:
		return json_integer((json_int_t)p->low + 7);
	case PARAMETER_NUMBER:
		return json_real(0.37);
	case PARAMETER_CHOICE:
		return json_string(strrchr(p->choices, '|') + 1);
	case PARAMETER_TEXT:
		return json_string("1-2"); /* seconds, for one of them */
	default:
		return json_string("/a/b");
	}
}

static void read_options(const char *options, struct arena *a, struct render_options *ret)
{
	const struct job job = {.prompt = "", .model = "", .seconds = "", .options = options};
	struct err e = {0};

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(job_options_read(&job, a, ret, &e), 0);
	ret->prompt = ret->model = NULL; /* copies, each elsewhere */
}

/* Every parameter is read from a job's options: that alone makes it another job. */
static void all_are_options(void **state)
{
	struct arena a = {0};
	struct engine_parameters *engines;
	struct render_options without, with;
	size_t n = parameters_list(&a, &engines);

	read_options("{}", &a, &without);
	read_options("{\"nonsense\": 1}", &a, &with);
	assert_memory_equal(&with, &without, sizeof(with));
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < engines[i].n; k++) {
			const struct parameter *p = &engines[i].list[k];
			json_t *o;
			char *text;

			if (p->kind == PARAMETER_PROMPT)
				continue; /* a column of its own */
			o = json_object();
			json_object_set_new(o, p->name, sample(p));
			text = json_dumps(o, 0);
			json_decref(o);
			read_options(text, &a, &with);
			if (!memcmp(&with, &without, sizeof(with)))
				fail_msg("%s is no option of a job", p->name);
			free(text);
		}
	arena_done(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kept),
		TEST(engines_that_told),
		TEST(a_kind_of_tomorrow),
		TEST(published_once),
		TEST(all_are_options),
	};
	return RUN_TAP(tests);
}
