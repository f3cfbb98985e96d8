/* Layouts, at every size that a terminal may have. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/scratch.h"
#include "tui/layout.h"

enum { LINES_MAX = 80, COLUMNS_MAX = 250 };

static unsigned char cells[LINES_MAX][COLUMNS_MAX];

/* Counts the cells of a part; no other part has them, all are on the screen. */
static int cover(const struct rect *r, int lines, int columns)
{
	assert_true(r->height >= 0 && r->width >= 0);
	if (!r->height || !r->width)
		return 0;
	assert_true(r->y >= 0 && r->x >= 0);
	assert_true(r->y + r->height <= lines && r->x + r->width <= columns);
	for (int y = r->y; y < r->y + r->height; y++)
		for (int x = r->x; x < r->x + r->width; x++)
			assert_int_equal(cells[y][x]++, 0);
	return r->height * r->width;
}

static int cover_all(const struct layout *l, int lines, int columns)
{
	int n = 0;

	memset(cells, 0, sizeof(cells));
	n += cover(&l->tabs, lines, columns) + cover(&l->now, lines, columns);
	n += cover(&l->message, lines, columns) + cover(&l->hints, lines, columns);
	for (int i = 0; i < LAYOUT_PANES_MAX; i++) {
		n += cover(&l->panes[i], lines, columns) + cover(&l->rules[i], lines, columns);
		assert_int_equal(l->panes[i].height > 0, i < l->n_panes);
	}
	return n;
}

static void every_size(void **state)
{
	for (int lines = 1; lines <= LINES_MAX; lines++)
		for (int columns = 1; columns <= COLUMNS_MAX; columns++)
			for (int n = 0; n < 5; n++) {
				struct layout l = layout_of(lines, columns, n);
				int covered = cover_all(&l, lines, columns);

				assert_int_equal(
					covered, l.kind == LAYOUT_LINE ? columns : lines * columns);
				assert_int_equal(l.message.height, 1);
			}
}

/* More room never shows less. */
static void grows(void **state)
{
	for (int lines = 2; lines <= LINES_MAX; lines++)
		for (int columns = 2; columns <= COLUMNS_MAX; columns++) {
			enum layout_kind kind = layout_of(lines, columns, 2).kind;

			assert_true(layout_of(lines - 1, columns, 2).kind <= kind);
			assert_true(layout_of(lines, columns - 1, 2).kind <= kind);
		}
}

static void steps(void **state)
{
	static const struct {
		int columns, lines;
		enum layout_kind kind;
	} cases[] = {
		{120, 30, LAYOUT_COLUMNS},
		{119, 30, LAYOUT_SCREEN},
		{120, 29, LAYOUT_SCREEN},
		{80, 24, LAYOUT_SCREEN},
		{79, 80, LAYOUT_PANE},
		{250, 23, LAYOUT_PANE},
		{40, 10, LAYOUT_PANE},
		{39, 80, LAYOUT_NOW},
		{250, 9, LAYOUT_NOW},
		{20, 3, LAYOUT_NOW},
		{19, 80, LAYOUT_LINE},
		{250, 2, LAYOUT_LINE},
		{1, 1, LAYOUT_LINE},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(
			layout_of(cases[i].lines, cases[i].columns, 0).kind, cases[i].kind);
}

/* The second column: the first pane of it is the largest, the screen keeps half. */
static void columns(void **state)
{
	struct layout l = layout_of(48, 160, 2);

	assert_int_equal(l.n_panes, 3);
	assert_int_equal(l.panes[0].width, 79);
	assert_int_equal(l.panes[1].x, 80);
	assert_int_equal(l.panes[2].width, 80);
	assert_true(l.panes[1].height > 2 * l.panes[2].height);
	assert_int_equal(layout_of(48, 160, 0).n_panes, 1);
	assert_int_equal(layout_of(24, 80, 2).n_panes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(grows),
		cmocka_unit_test(steps),
		cmocka_unit_test(columns),
	};

	return RUN_TAP(tests);
}
