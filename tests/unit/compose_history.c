/* What was composed before, and the file that keeps it. */
#include "tests/unit/scratch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/takes.h"
#include "tui/compose_history.h"
#include "tui/draft_file.h"

static void open_history(void **state, struct compose_history *h, struct compose *c)
{
	struct err e = {0};

	*h = (struct compose_history){0};
	compose_init(c);
	if (compose_history_open(h, *state, c, &e))
		fail_msg("%s", e.text);
}

static void close_history(struct compose_history *h, struct compose *c)
{
	compose_history_close(h);
	compose_done(c);
}

static void type(struct compose_history *h, struct compose *c, const char *text)
{
	text_edit_reset(&c->prompt, text);
	c->is_queued = false;
	compose_history_typed(h, c);
}

static void shows(
	struct compose_history *h, struct db *db, int by, struct compose *c, const char *text)
{
	struct err e = {0};
	bool moved;

	assert_int_equal(compose_history_step(h, db, by, c, &moved, &e), 0);
	assert_int_equal(moved, text != NULL);
	if (text)
		assert_string_equal(text_edit_get(&c->prompt), text);
}

static void kept(void **state)
{
	struct compose_history h;
	struct compose c;

	open_history(state, &h, &c);
	type(&h, &c, "s");
	type(&h, &c, "slow\npiano");
	close_history(&h, &c);
	open_history(state, &h, &c);
	assert_string_equal(text_edit_get(&c.prompt), "slow\npiano");
	close_history(&h, &c);
}

/* Within the moment that draft_file.h tells, whoever dies then: nobody closes it. */
static void kept_soon(void **state)
{
	const char *path = scratch_path(state, "drafts/compose");
	struct compose_history h;
	struct compose c;
	struct stat st;

	open_history(state, &h, &c);
	type(&h, &c, "slow piano");
	for (int i = 0; i < 1000 && stat(path, &st); i++)
		usleep(10000); /* ten seconds, on a machine that is busy */
	assert_int_equal(stat(path, &st), 0);
	close_history(&h, &c);
}

static void back_and_forth(void **state)
{
	struct db *db = scratch_library(state);
	struct compose_history h;
	struct compose c;
	struct err e = {0};
	int64_t id;

	assert_int_equal(prompts_add(db, "first", NULL, 0, NULL, 1, &id, &e), 0);
	assert_int_equal(prompts_add(db, "a {b", NULL, 0, NULL, 2, &id, &e), 0);
	open_history(state, &h, &c);
	type(&h, &c, "aside");
	compose_history_put_aside(&h, &c);
	type(&h, &c, "now");
	shows(&h, db, -1, &c, NULL);
	shows(&h, db, 1, &c, "aside");
	shows(&h, db, 1, &c, "a \\{b"); /* what was made of it is no wildcard */
	shows(&h, db, 1, &c, "first");
	shows(&h, db, 1, &c, NULL);
	shows(&h, db, -1, &c, "a \\{b");
	shows(&h, db, -1, &c, "aside");
	shows(&h, db, -1, &c, "now");
	shows(&h, db, -1, &c, NULL);
	/* one of the past is edited: the present is put aside */
	shows(&h, db, 1, &c, "aside");
	shows(&h, db, 1, &c, "a \\{b");
	type(&h, &c, "a \\{b, edited");
	shows(&h, db, 1, &c, "now");
	shows(&h, db, 1, &c, "aside");
	shows(&h, db, -1, &c, "now");
	shows(&h, db, -1, &c, "a \\{b, edited");
	close_history(&h, &c);
	db_close(db);
}

/* What was queued is in the library, and what is empty is nothing. */
static void not_all_is_put_aside(void **state)
{
	struct compose_history h;
	struct compose c;

	open_history(state, &h, &c);
	type(&h, &c, " \n");
	compose_history_put_aside(&h, &c);
	type(&h, &c, "queued");
	c.is_queued = true;
	compose_history_put_aside(&h, &c);
	assert_int_equal(h.aside.n, 0);
	for (int i = 0; i < 2 * COMPOSE_ASIDE_MAX; i++) {
		type(&h, &c, i ? "other" : "first");
		compose_history_put_aside(&h, &c);
	}
	assert_int_equal(h.aside.n, COMPOSE_ASIDE_MAX);
	assert_null(strstr(h.aside.at[0], "first")); /* the oldest go */
	close_history(&h, &c);
}

static void a_damaged_one(void **state)
{
	static const char *const bytes[] = {"", "{", "[1]", "{\"now\":[]}", "{\"aside\":[1]}",
		"\xff\xfe", "{\"now\":{\"prompt\":\"x\"},\"now\":{}}"};
	struct stat st;

	mkdir(scratch_path(state, "drafts"), 0700);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		struct compose_history h = {0};
		struct compose c;
		struct err e = {0};

		scratch_write(scratch_path(state, "drafts/compose"), bytes[i], strlen(bytes[i]));
		compose_init(&c);
		assert_int_equal(compose_history_open(&h, *state, &c, &e), ERR_FORMAT);
		assert_error(e, ERR_FORMAT, "compose.damaged");
		assert_int_equal(stat(scratch_path(state, "drafts/compose.damaged"), &st), 0);
		type(&h, &c, "and on"); /* with a new file */
		close_history(&h, &c);
		open_history(state, &h, &c);
		assert_string_equal(text_edit_get(&c.prompt), "and on");
		close_history(&h, &c);
	}
}

/* Each keeps its own draft, and who is alone later has them all. */
static void several_workstations(void **state)
{
	struct db *db = scratch_library(state);
	struct compose_history h[3];
	struct compose c[3];

	for (int i = 0; i < 2; i++)
		open_history(state, &h[i], &c[i]);
	type(&h[0], &c[0], "of the first");
	type(&h[1], &c[1], "of the second");
	compose_history_put_aside(&h[1], &c[1]);
	type(&h[1], &c[1], "of the second, later");
	type(&h[0], &c[0], "of the first, later");
	text_edit_reset(&c[0].seconds, "12");
	compose_history_typed(&h[0], &c[0]);
	close_history(&h[0], &c[0]);

	/* The first place is free again; the second's draft is left alone. */
	open_history(state, &h[0], &c[0]);
	assert_string_equal(text_edit_get(&c[0].prompt), "of the first, later");
	assert_int_equal(h[0].n_found + h[0].aside.n, 0);
	open_history(state, &h[2], &c[2]);
	assert_string_equal(text_edit_get(&c[2].prompt), "");
	assert_string_equal(text_edit_get(&c[2].seconds), "12"); /* settings are as there */
	for (int i = 2; i >= 0; i--)
		close_history(&h[i], &c[i]);

	open_history(state, &h[0], &c[0]);
	assert_string_equal(text_edit_get(&c[0].prompt), "of the first, later");
	assert_int_equal(h[0].n_found, 2);
	shows(&h[0], db, 1, &c[0], "of the second, later");
	shows(&h[0], db, 1, &c[0], "of the second");
	close_history(&h[0], &c[0]);

	/* They are in the one file, whatever is typed. */
	open_history(state, &h[0], &c[0]);
	assert_int_equal(h[0].n_found, 0);
	assert_int_equal(h[0].aside.n, 2);
	close_history(&h[0], &c[0]);
	assert_int_equal(access(scratch_path(state, "drafts/compose-2"), F_OK), -1);
	db_close(db);
}

/* A file of another that is damaged hinders neither, nor is it the second's to move. */
static void damaged_beside(void **state)
{
	struct compose_history h[2] = {0};
	struct compose c[2];
	struct err e = {0};

	open_history(state, &h[0], &c[0]);
	scratch_write(scratch_path(state, "drafts/compose"), "{", 1);
	open_history(state, &h[1], &c[1]);
	assert_int_equal(access(scratch_path(state, "drafts/compose"), F_OK), 0);
	close_history(&h[1], &c[1]);
	type(&h[0], &c[0], "mine");
	close_history(&h[0], &c[0]);

	scratch_write(scratch_path(state, "drafts/compose-2"), "{", 1);
	h[0] = (struct compose_history){0};
	compose_init(&c[0]);
	assert_int_equal(compose_history_open(&h[0], *state, &c[0], &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "compose-2.damaged");
	assert_string_equal(text_edit_get(&c[0].prompt), "mine");
	close_history(&h[0], &c[0]);
}

static void no_disk(void **state)
{
	struct draft_file *f;
	struct err e = {0};
	bool has_failed = false;

	assert_int_equal(draft_file_open("/proc/no/such", &f, &e), 0);
	draft_file_put(f, "x");
	for (int i = 0; i < 1000 && !has_failed; i++) {
		usleep(10000);
		has_failed = draft_file_has_failed(f, &e);
	}
	assert_true(has_failed);
	assert_error(e, ERR_IO, "/proc/no/such");
	assert_false(draft_file_has_failed(f, &e)); /* once */
	draft_file_close(f);
	draft_file_close(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kept),
		TEST(kept_soon),
		TEST(back_and_forth),
		TEST(not_all_is_put_aside),
		TEST(a_damaged_one),
		TEST(several_workstations),
		TEST(damaged_beside),
		TEST(no_disk),
	};
	return RUN_TAP(tests);
}
