/* Filters that were given a name: kept, replaced, refused. */
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/filters.h"
#include "library/undo.h"
#include "tests/unit/scratch.h"

enum { NOW = 1700000000 };

static void kept_and_replaced(void **state)
{
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct saved_filter *list;
	struct undone done;
	const char *text;
	size_t n;

	assert_int_equal(filters_list(db, &a, &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(filters_save(db, "long", "dur>30 fav", NOW, NULL), 0);
	assert_int_equal(filters_save(db, "best", "rating>=4", NOW, NULL), 0);
	assert_int_equal(filters_save(db, "long", "dur>60", NOW, NULL), 0);
	db_close(db);
	db = scratch_library(state); /* it is on disk */
	assert_int_equal(filters_list(db, &a, &list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].name, "best");
	assert_string_equal(list[1].text, "dur>60");
	assert_int_equal(filters_get(db, "best", &a, &text, NULL), 0);
	assert_string_equal(text, "rating>=4");
	assert_int_equal(filters_remove(db, "best", NULL), 0);
	assert_int_equal(filters_list(db, &a, &list, &n, NULL), 0);
	assert_int_equal(n, 1);
	/* Taken back: it is there again, and the other as it was at first. */
	assert_int_equal(undo_back(db, &a, &done, NULL), 0);
	assert_string_equal(done.label, "forgot the filter best");
	assert_int_equal(filters_get(db, "best", &a, &text, NULL), 0);
	assert_int_equal(undo_back(db, &a, &done, NULL), 0);
	assert_string_equal(done.label, "saved the filter long");
	assert_int_equal(filters_get(db, "long", &a, &text, NULL), 0);
	assert_string_equal(text, "dur>30 fav");
	arena_done(&a);
	db_close(db);
}

static void refused(struct db *db, const char *name, const char *text)
{
	struct err e = {0};

	assert_int_equal(filters_save(db, name, text, NOW, &e), ERR_ARG);
	assert_true(strlen(e.text) > 10);
}

static void what_is_no_name_or_filter(void **state)
{
	struct db *db = scratch_library(state);
	struct arena a = {0};
	struct saved_filter *list;
	struct err e = {0}, again = {0};
	const char *text;
	char name[FILTERS_NAME_MAX + 2];
	size_t n;

	memset(name, 'x', sizeof(name));
	name[FILTERS_NAME_MAX + 1] = 0;
	refused(db, "", "fav");
	refused(db, "two words", "fav");
	refused(db, "a\033[2J", "fav");
	refused(db, "\xff", "fav");
	refused(db, name, "fav");
	refused(db, "ok", "nonsense:3");
	assert_int_equal(filters_get(db, "gone", &a, &text, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "no filter 'gone' is saved");
	assert_int_equal(filters_remove(db, "gone", &again), ERR_ARG);
	assert_int_equal(filters_list(db, &a, &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	name[FILTERS_NAME_MAX] = 0;
	assert_int_equal(filters_save(db, name, "fav", NOW, NULL), 0);
	arena_done(&a);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_and_replaced, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(
			what_is_no_name_or_filter, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
