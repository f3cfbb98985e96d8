/* What is composed: fields, jobs, drafts, and what it costs. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/queue.h"
#include "tui/compose.h"
#include "tui/compose_cost.h"
#include "tui/text.h"

/* Of an engine that does not exist: no form knows one. */
static const struct parameter parameters[] = {
	{"negative", "Negative", "", PARAMETER_PROMPT, 0, 0, "", "", ""},
	{"steps", "Steps", "", PARAMETER_WHOLE, 1, 100, "50 (many)", "", "more is cleaner"},
	{"cfg", "Guidance", "", PARAMETER_NUMBER, 0, 10, "", "", ""},
	{"fast", "Fast", "", PARAMETER_FLAG, 0, 0, "no", "", ""},
	{"device", "Device", "", PARAMETER_CHOICE, 0, 0, "auto", "auto|cpu|cuda", ""},
	{"init", "Init", "", PARAMETER_FILE, 0, 0, "", "", ""},
};

enum { N = sizeof(parameters) / sizeof(*parameters), STEPS = FIELD_PARAMETERS + 1, DEVICE = 9 };

static void open_form(struct compose *c)
{
	compose_init(c);
	compose_set_model(c, "m");
	compose_set_parameters(c, parameters, N, 47.5);
}

static void set(struct compose *c, size_t field, const char *text)
{
	text_edit_reset(compose_edit(c, field), text);
}

static struct job_new *jobs_of(struct compose *c, struct arena *a, size_t *n)
{
	struct job_new *jobs;
	struct err e = {0};

	if (compose_jobs(c, 100, a, &jobs, n, &e))
		fail_msg("%s", e.text);
	return jobs;
}

static void fields(void **state)
{
	struct compose c;

	open_form(&c);
	assert_int_equal(compose_fields(&c), FIELD_PARAMETERS + N);
	assert_string_equal(compose_label(&c, STEPS), "Steps");
	assert_string_equal(compose_help(&c, STEPS), "more is cleaner");
	assert_null(compose_edit(&c, FIELD_MODEL));
	/* another engine, and back: what was typed is still there */
	set(&c, STEPS, "7");
	compose_set_parameters(&c, NULL, 0, 0);
	assert_int_equal(compose_fields(&c), FIELD_PARAMETERS);
	compose_set_parameters(&c, parameters, N, 0);
	assert_string_equal(compose_value(&c, "steps"), "7");
	compose_done(&c);
}

static void holds(const struct compose *c, size_t field, const char *wanted)
{
	struct str text = {0};

	compose_otherwise(c, field, &text);
	assert_string_equal(str_get(&text), wanted);
	str_done(&text);
}

static void what_holds_otherwise(void **state)
{
	struct compose c;

	open_form(&c);
	holds(&c, FIELD_SEED, "random");
	holds(&c, FIELD_SECONDS, "model's own");
	holds(&c, FIELD_PARAMETERS, "none");
	holds(&c, STEPS, "50 (many)");
	holds(&c, STEPS + 1, "model's own");
	str_add(&c.own, "xcfg=1 length_s=47.55 cfg=3");
	holds(&c, FIELD_SECONDS, "47.55 s (model's own)");
	holds(&c, STEPS, "50 (many)"); /* whatever the model */
	holds(&c, STEPS + 1, "3 (model's own)");
	compose_set_model(&c, "m");
	holds(&c, STEPS + 1, "3 (model's own)");
	compose_set_model(&c, "another");
	holds(&c, STEPS + 1, "model's own");
	compose_done(&c);
}

static void choices_turn(void **state)
{
	struct compose c;

	open_form(&c);
	assert_true(compose_turn(&c, DEVICE, 1));
	assert_string_equal(compose_value(&c, "device"), "cpu");
	assert_true(compose_turn(&c, DEVICE, -1));
	assert_true(compose_turn(&c, DEVICE, -1));
	assert_string_equal(compose_value(&c, "device"), "cuda");
	assert_true(compose_turn(&c, DEVICE - 1, 1));
	assert_string_equal(compose_value(&c, "fast"), "yes");
	assert_false(compose_turn(&c, STEPS, 1));
	compose_done(&c);
}

static void wrong(struct compose *c, size_t field, const char *text, const char *part)
{
	struct err e = {0};

	set(c, field, text);
	assert_int_equal(compose_check(c, field, &e), ERR_ARG);
	assert_error(e, ERR_ARG, part);
	set(c, field, "");
}

static void what_is_wrong(void **state)
{
	struct compose c;
	struct err e = {0};

	open_form(&c);
	wrong(&c, FIELD_PROMPT, " \n ", "prompt is empty");
	wrong(&c, FIELD_PROMPT, "{a|b", "");
	wrong(&c, FIELD_SECONDS, "-3", "no length");
	wrong(&c, FIELD_SECONDS, "0", "no length");
	wrong(&c, FIELD_SECONDS, "1:75", "no length");
	wrong(&c, FIELD_SECONDS, "1:2:3", "no length");
	wrong(&c, FIELD_SECONDS, "0x10", "no length");
	wrong(&c, FIELD_SECONDS, "1e3", "no length");
	wrong(&c, FIELD_SECONDS, "nan", "no length");
	wrong(&c, FIELD_SECONDS, "90000", "no length");
	wrong(&c, FIELD_SECONDS, "47.6", "m makes at most 47.5 s");
	wrong(&c, FIELD_TAKES, "0", "number of takes");
	wrong(&c, FIELD_TAKES, "257", "number of takes");
	wrong(&c, FIELD_TAKES, "1.5", "number of takes");
	wrong(&c, FIELD_SEED, "-1", "no seed");
	wrong(&c, FIELD_SEED, "18446744073709551615", "no seed"); /* no room for more takes */
	wrong(&c, STEPS, "0", "Steps takes whole numbers from 1 to 100, not 0");
	wrong(&c, STEPS, "2.5", "whole numbers");
	wrong(&c, STEPS, "a", "Steps");
	wrong(&c, STEPS + 1, "1..20", "Guidance takes numbers from 0 to 10, not 11");
	wrong(&c, FIELD_PARAMETERS + 5, "music.wav", "whole path");
	compose_set_model(&c, NULL);
	assert_int_equal(compose_check(&c, FIELD_MODEL, &e), ERR_ARG);
	compose_done(&c);
}

static void lengths(void **state)
{
	static const struct {
		const char *typed, *seconds;
	} all[] = {{"", ""}, {"47", "47"}, {"1.10", "1.10"}, {"0:47", "47"}, {"1:30", "90"},
		{"2:05.25", "125.25"}};
	struct arena a = {0};
	struct err e = {0};
	const char *text;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_int_equal(compose_seconds(all[i].typed, &a, &text, &e), 0);
		assert_string_equal(text, all[i].seconds);
	}
	arena_done(&a);
}

static void one_job(void **state)
{
	struct arena a = {0};
	struct compose c;
	struct job_new *j;
	size_t n;

	open_form(&c);
	set(&c, FIELD_PROMPT, " slow\npiano \n");
	j = jobs_of(&c, &a, &n);
	assert_int_equal(n, 1);
	assert_string_equal(j->prompt, "slow piano"); /* a line break is a blank */
	assert_string_equal(j->model, "m");
	assert_string_equal(j->seconds, "");
	assert_string_equal(j->options, "{}");
	assert_int_equal(j->seed, 100);
	assert_null(j->negative);
	set(&c, FIELD_SECONDS, "0:30");
	set(&c, FIELD_SEED, "7");
	set(&c, STEPS - 1, "vocals");
	set(&c, STEPS, "20");
	set(&c, STEPS + 1, "2.5");
	set(&c, DEVICE, "cpu");
	set(&c, DEVICE - 1, "yes");
	set(&c, DEVICE + 1, "/a/b.wav");
	j = jobs_of(&c, &a, &n);
	assert_string_equal(j->seconds, "30");
	assert_string_equal(j->negative, "vocals");
	assert_string_equal(j->options, "{\"cfg\":2.5,\"device\":\"cpu\",\"fast\":true,"
					"\"init\":\"/a/b.wav\",\"steps\":20}");
	assert_int_equal(j->seed, 7);
	set(&c, STEPS - 1, "\"\""); /* the empty text, which is not none */
	assert_string_equal(jobs_of(&c, &a, &n)->negative, "");
	arena_done(&a);
	compose_done(&c);
}

static void many_jobs(void **state)
{
	struct compose_count count;
	struct arena a = {0};
	struct compose c;
	struct job_new *j;
	struct err e = {0};
	size_t n;

	open_form(&c);
	set(&c, FIELD_PROMPT, "{slow|fast} piano");
	set(&c, FIELD_TAKES, "3");
	set(&c, STEPS, "10,20");
	set(&c, STEPS + 1, "1..2:0.5");
	assert_int_equal(compose_count(&c, &count, &e), 0);
	assert_int_equal(count.prompts, 2);
	assert_int_equal(count.settings, 6);
	assert_int_equal(count.takes, 3);
	j = jobs_of(&c, &a, &n);
	assert_int_equal(n, 36);
	assert_string_equal(j[0].prompt, "slow piano");
	assert_string_equal(j[3].prompt, "fast piano");
	assert_int_equal(j[2].seed, 102);
	assert_int_equal(j[3].seed, 100);
	assert_string_equal(j[0].options, "{\"cfg\":1.0,\"steps\":10}");
	assert_string_equal(j[6].options, "{\"cfg\":1.5,\"steps\":10}");
	assert_string_equal(j[35].options, "{\"cfg\":2.0,\"steps\":20}");
	/* 2 * 100 * 1001 * 256 */
	set(&c, FIELD_TAKES, "256");
	set(&c, STEPS, "1..100");
	set(&c, STEPS + 1, "0..10:0.01");
	assert_int_equal(compose_count(&c, &count, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "more than 10000 jobs");
	arena_done(&a);
	compose_done(&c);
}

static void from_a_take(void **state)
{
	const struct job_new take = {.prompt = "slow {piano} \\ x",
		.negative = "",
		.parent_prompt = 12,
		.model = "m",
		.seed = 99,
		.seconds = "5.5",
		.options =
			"{\"steps\":50,\"cfg\":0.5,\"fast\":true,\"device\":\"cpu\",\"length_s\":9,"
			"\"threads\":2}"};
	struct arena a = {0};
	struct compose c;
	struct job_new *j;
	size_t n;

	open_form(&c);
	set(&c, STEPS, "7");
	compose_take(&c, &take, true, "edited");
	assert_string_equal(compose_value(&c, "steps"), ""); /* as it is by itself */
	assert_string_equal(compose_value(&c, "cfg"), "0.5");
	assert_string_equal(compose_value(&c, "fast"), "yes");
	j = jobs_of(&c, &a, &n);
	assert_int_equal(n, 1); /* its braces are no wildcards */
	assert_string_equal(j->prompt, take.prompt);
	assert_string_equal(j->negative, "");
	assert_string_equal(j->seconds, "5.5");
	assert_int_equal(j->seed, 99);
	assert_int_equal(j->parent_prompt, 12);
	assert_string_equal(j->changed, "edited");
	/* what no field shows is kept, and length is not told twice */
	assert_string_equal(
		j->options, "{\"cfg\":0.5,\"device\":\"cpu\",\"fast\":true,\"threads\":2}");
	set(&c, STEPS + 1, ""); /* what is emptied is the model's own again */
	assert_null(strstr(jobs_of(&c, &a, &n)->options, "cfg"));
	compose_set_model(&c, "other");
	assert_null(strstr(jobs_of(&c, &a, &n)->options, "threads"));
	compose_take(&c, &take, false, "made from it");
	assert_int_equal(jobs_of(&c, &a, &n)->seed, 100);
	arena_done(&a);
	compose_done(&c);
}

static void drafts(void **state)
{
	struct str json = {0}, again = {0};
	struct compose c, d;
	struct err e = {0};

	open_form(&c);
	open_form(&d);
	set(&c, FIELD_PROMPT, "a \"b\"\n日本");
	set(&c, FIELD_SECONDS, "1:3");
	set(&c, STEPS, "1..");
	compose_set_value(&c, "of another engine", "x");
	c.parent = 5;
	c.is_queued = true;
	compose_write(&c, &json);
	assert_null(strchr(str_get(&json), '\n')); /* a line of a file */
	set(&d, STEPS + 1, "9");
	assert_int_equal(compose_read(&d, str_get(&json), &e), 0);
	compose_write(&d, &again);
	assert_string_equal(str_get(&again), str_get(&json));
	assert_int_equal(compose_read(&d, "{\"prompt\":", &e), ERR_FORMAT);
	err_clear(&e);
	assert_int_equal(compose_read(&d, "[1]", &e), ERR_FORMAT);
	assert_string_equal(text_edit_get(&d.prompt), "a \"b\"\n日本"); /* as it was */
	err_clear(&e);
	/* other kinds than it has are nothing */
	assert_int_equal(
		compose_read(
			&d, "{\"prompt\":7,\"values\":[1],\"parent\":\"x\",\"model\":null}", &e),
		0);
	assert_string_equal(text_edit_get(&d.prompt), "");
	str_done(&json);
	str_done(&again);
	compose_done(&c);
	compose_done(&d);
}

/* ---- what it costs ------------------------------------------------------ */

static void costs(const struct compose_cost *c, bool is_short, const char *text)
{
	struct str out = {0};

	assert_int_equal(compose_cost_tell(c, false, &out), is_short);
	assert_string_equal(str_get(&out), text);
	str_done(&out);
}

static void costs_in_brief(const struct compose_cost *c, const char *text)
{
	struct str out = {0};

	compose_cost_tell(c, true, &out);
	assert_string_equal(str_get(&out), text);
	assert_in_range(text_cells(text), 1, 78); /* a line of 80 columns */
	str_done(&out);
}

static void cost_in_brief(void **state)
{
	struct compose_cost c = {.n = {1, 1, 1000},
		.model = "a-model-with-a-long-name",
		.take = {.wall_s = 5900, .bytes = 999900},
		.ahead = {.jobs = 1000, .wall_s = 59000},
		.bytes_free = UINT64_MAX};

	costs_in_brief(&c, "F5: 1000 takes, 98 min each to render, 1.0 GB, starts in ~16.4 h");
	c.ahead.wall_s = NAN;
	costs_in_brief(&c, "F5: 1000 takes, 98 min each to render, 1.0 GB, starts after 1000 jobs");
	c.n = (struct compose_count){10, 10, 10};
	c.ahead = (struct forecast_ahead){0};
	costs_in_brief(&c,
		"F5: 1000 takes (10 × 10 × 10), 98 min each to render, 1.0 GB, starts at "
		"once");
	c.n = (struct compose_count){2, 1, 1};
	costs_in_brief(
		&c, "F5: 2 takes (2 prompts), 98 min each to render, 2.0 MB, starts at once");
	c.n = (struct compose_count){2, 1, 4};
	c.is_paused = true;
	costs_in_brief(&c,
		"F5: 8 takes (2 prompts × 4 takes), 98 min each to render, 8.0 MB, queue paused");
	c.n.settings = 3;
	costs_in_brief(
		&c, "F5: 24 takes (2 × 3 × 4), 98 min each to render, 24.0 MB, queue paused");
	c.is_repeat = true;
	c.n = (struct compose_count){1, 1, 4};
	costs_in_brief(
		&c, "F5: 4 takes, the same again, 98 min each to render, 4.0 MB, queue paused");
	c.is_paused = false;
	costs_in_brief(
		&c, "F5: 4 takes, the same again, 98 min each to render, 4.0 MB, starts at once");
	c.is_repeat = false;
	c.take.wall_s = NAN;
	costs_in_brief(&c, "F5: 4 takes, time not known yet, 4.0 MB, starts at once");
	c.n.takes = 1000;
	c.bytes_free = 500000000;
	costs_in_brief(&c, "the disk is too small: 1.0 GB needed, 500 MB free; F5: 1000 takes");
	c.bytes_free = 1500000000;
	costs_in_brief(&c, "only 500 MB of disk will be left; F5: 1000 takes");
}

static void cost(void **state)
{
	struct compose_cost c = {.n = {1, 1, 4},
		.model = "m",
		.take = {.wall_s = 9, .bytes = 1500000},
		.ahead = {.jobs = 3, .wall_s = 62},
		.bytes_free = UINT64_MAX};

	costs(&c, false,
		"F5 queues 4 takes, 9.0 s each to render, 6.0 MB, starts in ~62 s (3 jobs ahead)");
	c.ahead.wall_s = NAN;
	costs(&c, false, "F5 queues 4 takes, 9.0 s each to render, 6.0 MB, starts after 3 jobs");
	c.ahead = (struct forecast_ahead){0};
	costs(&c, false, "F5 queues 4 takes, 9.0 s each to render, 6.0 MB, starts at once");
	c.is_paused = true;
	costs(&c, false,
		"F5 queues 4 takes, 9.0 s each to render, 6.0 MB, starts when the queue goes on: "
		"it is paused");
	c.is_paused = false;
	c.n = (struct compose_count){2, 3, 4};
	costs(&c, false,
		"F5 queues 24 takes (2 prompts × 3 settings × 4 takes), 9.0 s each to render, 36.0 "
		"MB, starts at once");
	c.n = (struct compose_count){1, 1, 1};
	c.is_repeat = true;
	costs(&c, false,
		"F5 queues 1 take, the same music once more (its seed is fixed), 9.0 s to render, "
		"1.5 MB, starts at once");
	c.is_repeat = false;
	c.take.wall_s = 0.02; /* no "0.0 s" */
	costs(&c, false, "F5 queues 1 take, under 0.1 s to render, 1.5 MB, starts at once");
	c.take = (struct forecast){.wall_s = NAN};
	costs(&c, false,
		"F5 queues 1 take, time unknown until m has rendered once, starts at once");
	c.take = (struct forecast){.wall_s = 7200, .bytes = 2000000};
	c.bytes_free = 1000000;
	costs(&c, true,
		"the disk is too small: it needs 2.0 MB, and 1.0 MB are free; F5 queues 1 take, "
		"2.0 h to "
		"render, "
		"2.0 MB, starts at once");
	c.bytes_free = 302000000;
	costs(&c, true,
		"only 300 MB of disk will be left; F5 queues 1 take, 2.0 h to render, 2.0 MB, "
		"starts at once");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(choices_turn),
		cmocka_unit_test(what_holds_otherwise),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(lengths),
		cmocka_unit_test(one_job),
		cmocka_unit_test(many_jobs),
		cmocka_unit_test(from_a_take),
		cmocka_unit_test(drafts),
		cmocka_unit_test(cost),
		cmocka_unit_test(cost_in_brief),
	};
	return RUN_TAP(tests);
}
