/* Where the cursor of a list is. */
#include "tui/list.h"

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v > high ? (high < low ? low : high) : v < low ? low : v;
}

static void settle(struct list *l)
{
	l->cursor = clamp(l->cursor, 0, l->n - 1);
	l->top = clamp(l->top, l->cursor - l->height + 1, l->cursor);
	l->top = clamp(l->top, 0, l->n - l->height);
}

void list_resize(struct list *l, int64_t height)
{
	l->height = height < 0 ? 0 : height;
	settle(l);
}

void list_set_count(struct list *l, int64_t n)
{
	l->n = n < 0 ? 0 : n;
	settle(l);
}

void list_go(struct list *l, int64_t to)
{
	l->cursor = to < 0 ? l->n - 1 : to;
	settle(l);
}

void list_move(struct list *l, int64_t by)
{
	/* Compared, not added: `by` may be any number that was typed. */
	if (by < 0)
		l->cursor = by < -l->cursor ? 0 : l->cursor + by;
	else
		l->cursor = by > l->n - 1 - l->cursor ? l->n - 1 : l->cursor + by;
	settle(l);
}

void list_page(struct list *l, double pages)
{
	int64_t by = (int64_t)(pages * (double)l->height);

	if (!by)
		by = pages < 0 ? -1 : 1;
	l->top += by;
	list_move(l, by);
}

void list_centre(struct list *l)
{
	l->top = l->cursor - l->height / 2;
	settle(l);
}

int64_t list_at(const struct list *l, int line)
{
	int64_t row = l->top + line;

	return line < 0 || line >= l->height || row >= l->n ? -1 : row;
}
