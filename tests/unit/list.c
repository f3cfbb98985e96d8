/* Lists: cursor and window of rows, whatever is asked of them. */
#include <stdlib.h>

#include "library/base/splitmix.h"
#include "tests/unit/scratch.h"
#include "tui/list.h"

static void check(const struct list *l)
{
	assert_true(l->cursor >= 0 && (l->n ? l->cursor < l->n : l->cursor == 0));
	assert_true(l->top >= 0);
	if (!l->height)
		return;
	assert_true(l->n == 0 || (l->cursor >= l->top && l->cursor < l->top + l->height));
	assert_true(l->n <= l->height ? l->top == 0 : l->top + l->height <= l->n);
}

static void moves(void **state)
{
	struct list l = {0};

	list_set_count(&l, 100);
	list_resize(&l, 10);
	list_move(&l, 1);
	assert_int_equal(l.cursor, 1);
	assert_int_equal(l.top, 0);
	list_move(&l, 9);
	assert_int_equal(l.cursor, 10);
	assert_int_equal(l.top, 1);
	list_go(&l, -1);
	assert_int_equal(l.cursor, 99);
	assert_int_equal(l.top, 90);
	list_move(&l, INT64_MIN);
	assert_int_equal(l.cursor, 0);
	list_move(&l, INT64_MAX);
	assert_int_equal(l.cursor, 99);
	list_go(&l, 50);
	list_centre(&l);
	assert_int_equal(l.top, 45);
	list_page(&l, 1);
	assert_int_equal(l.cursor, 60);
	assert_int_equal(l.top, 55);
	list_page(&l, -0.5);
	assert_int_equal(l.cursor, 55);
	assert_int_equal(list_at(&l, 0), l.top);
	assert_int_equal(list_at(&l, 10), -1);
	assert_int_equal(list_at(&l, -1), -1);
}

static void short_lists(void **state)
{
	struct list l = {0};

	list_move(&l, -3);
	list_page(&l, 1);
	list_go(&l, -1);
	check(&l);
	assert_int_equal(l.cursor, 0);
	assert_int_equal(list_at(&l, 0), -1);
	list_set_count(&l, 3);
	list_resize(&l, 10);
	list_go(&l, 7);
	assert_int_equal(l.cursor, 2);
	assert_int_equal(list_at(&l, 2), 2);
	assert_int_equal(list_at(&l, 3), -1);
	list_set_count(&l, 1); /* the others were filtered out */
	assert_int_equal(l.cursor, 0);
}

static void anything_goes(void **state)
{
	struct list l = {0};
	uint64_t draw = 0;

	for (int i = 0; i < 200000; i++) {
		const uint64_t r = splitmix64(draw += SPLITMIX_STEP),
			       v = splitmix64(draw += SPLITMIX_STEP);

		switch (r % 6) {
		case 0:
			list_resize(&l, (int64_t)(v % 60) - 5);
			break;
		case 1:
			list_set_count(&l, (int64_t)(v % 200) - 5);
			break;
		case 2:
			list_move(&l, (int64_t)(v >> v % 60) * (v & 1 ? 1 : -1));
			break;
		case 3:
			list_go(&l, (int64_t)(v % 300) - 50);
			break;
		case 4:
			list_page(&l, (double)(v % 40) / 8 - 2.5);
			break;
		default:
			list_centre(&l);
		}
		check(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),
		cmocka_unit_test(short_lists),
		cmocka_unit_test(anything_goes),
	};

	return RUN_TAP(tests);
}
