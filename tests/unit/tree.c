/* The rows of a list: prompts, their takes, jobs that failed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "tests/unit/scratch.h"
#include "tui/tree.h"

/* Takes 9 to 1, of the prompts 10 (9, 7, 2), 20 (8), 30 (6 to 3), 40 (1). */
static const int64_t takes[] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
static const int64_t prompts[] = {10, 20, 10, 30, 30, 30, 30, 10, 40};

enum { N = sizeof(takes) / sizeof(*takes) };

static struct takes_found found(void)
{
	struct takes_found f = {xcalloc(N, sizeof(*f.ids)), xcalloc(N, sizeof(*f.prompts)), N};

	memcpy(f.ids, takes, sizeof(takes));
	memcpy(f.prompts, prompts, sizeof(prompts));
	return f;
}

/* "p10 a20 t6 j5": each row by its kind and number. */
static const char *shape(const struct tree *t)
{
	static char text[256];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct tree_row *r = &t->rows[i];
		const int64_t id = r->kind == TREE_JOB      ? t->jobs[r->group].id
				   : r->kind == TREE_PROMPT ? t->groups[r->group].prompt
							    : t->ids[r->take];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%c%lld", i ? " " : "",
			"aptj"[r->kind], (long long)id);
	}
	return text;
}

static void folds(void **state)
{
	struct takes_found f = found();
	struct tree t = {0};
	struct ids open = {0};
	const int64_t thirty = 30, *ids;

	tree_build(&t, &f, false, NULL, 0, true);
	tree_unfold(&t, &open);
	assert_string_equal(shape(&t), "p10 a8 p30 a1");
	ids_add(&open, &thirty, 1);
	tree_unfold(&t, &open);
	assert_string_equal(shape(&t), "p10 a8 p30 t3 t4 t5 t6 a1");
	assert_int_equal(tree_takes(&t, 0, &ids), 3);
	assert_true(ids[0] == 2 && ids[1] == 7 && ids[2] == 9);
	assert_int_equal(tree_takes(&t, 4, &ids), 1);
	assert_int_equal(ids[0], 4);
	assert_int_equal(tree_takes(&t, 99, &ids), 0);
	assert_int_equal(tree_find(&t, 7), 0);
	assert_int_equal(tree_find(&t, 5), 5);
	assert_int_equal(tree_find(&t, 77), -1);
	assert_int_equal(tree_parent(&t, 6), 2);
	assert_int_equal(tree_parent(&t, 2), -1);
	assert_int_equal(tree_parent(&t, 1), -1);
	assert_int_equal(tree_prompt(&t, 3), 30);
	/* In the order of the list, folded or not. */
	assert_int_equal(tree_neighbour(&t, 9, 1), 8);
	assert_int_equal(tree_neighbour(&t, 8, -1), 9);
	assert_int_equal(tree_neighbour(&t, 1, 1), 0);
	assert_int_equal(tree_neighbour(&t, 2, -1), 0);
	ids_done(&open);
	tree_done(&t);
}

static void takes_alone(void **state)
{
	struct takes_found f = found();
	struct tree t = {0};
	struct ids open = {0};

	tree_build(&t, &f, true, NULL, 0, true);
	tree_unfold(&t, &open);
	assert_string_equal(shape(&t), "a9 a8 a7 a6 a5 a4 a3 a2 a1");
	tree_done(&t);
}

static void failures_between(void **state)
{
	struct takes_found f = found();
	const struct tree_job jobs[] = {{90, 99}, {91, 8}, {92, 0}};
	struct tree t = {0};
	struct ids open = {0};

	tree_build(&t, &f, false, jobs, 3, true);
	tree_unfold(&t, &open);
	assert_string_equal(shape(&t), "j90 p10 j91 a8 p30 a1 j92");
	assert_int_equal(tree_find_job(&t, 91), 2);
	assert_int_equal(tree_find(&t, 1), 5);
	assert_int_equal(tree_prompt(&t, 2), 0);
	tree_done(&t);
}

static void nothing(void **state)
{
	struct takes_found f = {0};
	struct tree t = {0};
	struct ids open = {0};
	const int64_t *ids;

	tree_build(&t, &f, false, NULL, 0, true);
	tree_unfold(&t, &open);
	assert_string_equal(shape(&t), "");
	assert_int_equal(tree_takes(&t, 0, &ids), 0);
	assert_int_equal(tree_find(&t, 1), -1);
	tree_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folds),
		cmocka_unit_test(takes_alone),
		cmocka_unit_test(failures_between),
		cmocka_unit_test(nothing),
	};

	return RUN_TAP(tests);
}
