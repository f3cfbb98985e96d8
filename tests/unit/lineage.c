/* What came from what. */
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/lineage.h"
#include "library/takes.h"
#include "tests/unit/scratch.h"

static struct db *db;
static struct arena arena;

static int open_library(void **state)
{
	return scratch_open(state) ? -1 : db_open(*state, &db, NULL);
}

static int close_library(void **state)
{
	db_close(db);
	arena_done(&arena);
	arena = (struct arena){0};
	return scratch_close(state);
}

static int64_t prompt(const char *text, int64_t parent)
{
	int64_t id;

	assert_int_equal(prompts_add(db, text, NULL, parent, "edited", 1, &id, NULL), 0);
	return id;
}

static int64_t take(int64_t prompt_id, const char *file)
{
	const struct take t = {.prompt_id = prompt_id,
		.model = "m",
		.frames = 1,
		.rate = 1,
		.channels = 1,
		.file = file,
		.created = 1};
	int64_t id;

	assert_int_equal(takes_add(db, &t, &id, NULL), 0);
	return id;
}

/* a -> b -> (c -> d, e); f alone */
static void family(void **state)
{
	const int64_t a = prompt("a", 0), b = prompt("b", a), c = prompt("c", b);
	const int64_t d = prompt("d", c), e = prompt("e", b);
	const int64_t of_d = take(d, "1"), newer = take(d, "2");
	struct lineage_row *rows;
	size_t n;

	prompt("f", 0);
	assert_int_equal(lineage_of(db, b, &arena, &rows, &n, NULL), 0);
	assert_int_equal(n, 5);
	const struct {
		int64_t id;
		int depth;
	} want[] = {{a, 0}, {b, 1}, {c, 2}, {d, 3}, {e, 2}};
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rows[i].prompt, want[i].id);
		assert_int_equal(rows[i].depth, want[i].depth);
		assert_int_equal(rows[i].is_self, i == 1);
	}
	assert_string_equal(rows[3].text, "d");
	assert_string_equal(rows[3].changed, "edited");
	assert_int_equal(rows[3].n_takes, 2);
	assert_int_equal(rows[3].take, newer);
	assert_int_equal(rows[0].take, 0);
	/* The trash has left. */
	assert_int_equal(takes_edit(db, &newer, 1, "trashed", "5", "", NULL, NULL), 0);
	assert_int_equal(lineage_of(db, d, &arena, &rows, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_int_equal(rows[3].take, of_d);
}

/* A database may hold anything: a circle ends at the bounds. */
static void bounds(void **state)
{
	const int64_t a = prompt("a", 0), b = prompt("b", a);
	struct lineage_row *rows;
	size_t n;

	assert_int_equal(
		db_run(db, NULL, "UPDATE prompts SET parent = ?1 WHERE id = ?2", "ii", b, a), 0);
	assert_int_equal(lineage_of(db, a, &arena, &rows, &n, NULL), 0);
	assert_in_range(n, 2, LINEAGE_ROWS_MAX + LINEAGE_DEPTH_MAX);
	assert_int_equal(lineage_of(db, 999, &arena, &rows, &n, NULL), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(family, open_library, close_library),
		cmocka_unit_test_setup_teardown(bounds, open_library, close_library),
	};

	return RUN_TAP(tests);
}
