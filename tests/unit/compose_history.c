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
		TEST(no_disk),
	};
	return RUN_TAP(tests);
}
