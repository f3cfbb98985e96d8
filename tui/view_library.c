/* The library: takes, one a row, and what is in the one under the cursor. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "library/base/clock.h"
#include "tui/paint.h"
#include "tui/ws.h"

enum { DETAIL_LINES = 4, DETAIL_FROM = 14 }; /* no details in a body lower than that */

const struct take *view_library_selected(const struct ws *ws)
{
	int64_t i = ws->takes.list.cursor - ws->takes.first;

	return i >= 0 && i < (int64_t)ws->takes.n ? &ws->takes.takes[i] : NULL;
}

static int64_t list_lines(int64_t height)
{
	int64_t lines = height - 2; /* title and heads */

	return height >= DETAIL_FROM ? lines - DETAIL_LINES : lines < 0 ? 0 : lines;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct library_view *v = &ws->takes;
	struct takes_query q = {
		.filter = str_get(&v->filter.text), .order = v->order, .now_ms = clock_unix_ms()};
	int64_t n = 0;
	int rc;

	if (!v->is_stale)
		return 0;
	rc = takes_count(ws->db, &q, &n, e);
	if (rc)
		return rc;
	list_set_count(&v->list, n);
	list_resize(&v->list, list_lines(height));
	arena_done(&v->page);
	v->page = (struct arena){0};
	v->n = 0;
	v->first = q.offset = v->list.top;
	q.limit = v->list.height ? v->list.height : 1;
	v->is_stale = false;
	return takes_list(ws->db, &q, &v->page, &v->takes, &v->n, e);
}

/* "today 10:42", "yesterday", "24 Nov", "2025-11-24", in the local time zone. */
static const char *when(int64_t unix_ms, char out[16])
{
	time_t now = (time_t)(clock_unix_ms() / 1000), then = (time_t)(unix_ms / 1000);
	struct tm a, b;
	int days;

	localtime_r(&now, &a);
	localtime_r(&then, &b);
	days = (int)((now / 86400) - (then / 86400));
	if (a.tm_yday == b.tm_yday && a.tm_year == b.tm_year)
		strftime(out, 16, "today %H:%M", &b);
	else
		strftime(out, 16, days < 300 ? "%e %b %H:%M" : "%Y-%m-%d", &b);
	return out;
}

static const char *length(double seconds, char out[16])
{
	unsigned s = seconds < 1e6 ? (unsigned)lround(seconds) : 999999;

	snprintf(out, 16, "%u:%02u", s / 60, s % 60);
	return out;
}

/* Columns from the right, those that matter least first to go. */
static void draw_row(const struct take *t, int y, int width, enum theme_role role)
{
	char text[32];
	int right = width;

	paint(y, 0, width, role, "");
	if (width >= 60) {
		right -= 13;
		paint(y, right, 12, role, t ? when(t->created, text) : "Created");
	}
	if (width >= 40) {
		right -= 7;
		paint(y, right, 6, role, t ? length(t->seconds, text) : "Length");
	}
	if (width >= 70) {
		right -= 17;
		paint(y, right, 16, role, t ? t->model : "Model");
	}
	if (!t) {
		paint(y, 4, right - 5, role, "Prompt");
		return;
	}
	snprintf(text, sizeof(text), "%c%c", t->favourite ? '*' : ' ',
		t->rating ? '0' + t->rating : ' ');
	paint(y, 1, 2, role, text);
	paint(y, 4, right - 5, role, t->prompt);
}

static void draw_title(const struct ws *ws, int y, int width)
{
	const struct library_view *v = &ws->takes;
	char count[64];
	int n;

	n = snprintf(count, sizeof(count), "%lld take%s ", (long long)v->list.n,
		v->list.n == 1 ? "" : "s");
	paint(y, 0, width, ROLE_TITLE, "");
	if (v->filter.text.n) {
		paint(y, 0, 2, ROLE_PROMPT, " /");
		paint(y, 2, width - n - 3, ROLE_PROMPT, str_get(&v->filter.text));
	} else {
		paint(y, 0, width - n, ROLE_TITLE, " Library");
	}
	paint(y, width - n, n, ROLE_DIM, count);
}

static void draw_details(const struct take *t, int y, int width)
{
	struct str line = {0};

	paint_rule(y, width);
	for (int i = 1; i < DETAIL_LINES; i++)
		paint(y + i, 0, width, ROLE_TEXT, "");
	if (!t)
		return;
	paint(y + 1, 1, width - 2, ROLE_TEXT, t->prompt);
	str_printf(&line, "%s  seed %llu  %.2f s  %d Hz %s", t->model, (unsigned long long)t->seed,
		t->seconds, t->rate, t->channels == 2 ? "stereo" : "mono");
	if (!isnan(t->lufs))
		str_printf(&line, "  %.1f LUFS", t->lufs);
	paint(y + 2, 1, width - 2, ROLE_DIM, str_get(&line));
	str_clear(&line);
	str_printf(&line, "%s%s%s", t->missing ? "the file is missing: " : "", t->file,
		*t->tags ? "  #" : "");
	str_add(&line, t->tags);
	paint(y + 3, 1, width - 2, t->missing ? ROLE_ERROR : ROLE_DIM, str_get(&line));
	str_done(&line);
}

static void draw_empty(const struct ws *ws, int y, int width)
{
	const char *text =
		ws->takes.filter.text.n
			? "Nothing matches. Esc clears the filter."
			: "No takes yet. Press i, type what you want to hear, and Enter.";

	paint(y, 2, width - 2, ROLE_DIM, text);
}

static void draw(struct ws *ws, int height, int width)
{
	const struct library_view *v = &ws->takes;
	bool has_details = height >= DETAIL_FROM;

	draw_title(ws, 0, width);
	if (height > 1)
		draw_row(NULL, 1, width, ROLE_DIM);
	for (int i = 0; i < v->list.height; i++) {
		int64_t row = list_at(&v->list, i), at = row - v->first;

		paint(2 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0 && at >= 0 && at < (int64_t)v->n)
			draw_row(&v->takes[at], 2 + i, width,
				row == v->list.cursor  ? ROLE_ROW_SELECTED
				: v->takes[at].missing ? ROLE_ROW_FAILED
						       : ROLE_TEXT);
	}
	if (!v->list.n && v->list.height > 1)
		draw_empty(ws, 3, width);
	if (has_details)
		draw_details(view_library_selected(ws), height - DETAIL_LINES, width);
}

static struct list *list_of(struct ws *ws)
{
	return &ws->takes.list;
}

const struct view view_library = {.name = "library",
	.tab = "1 Library",
	.hints = "i new  Space play  / filter  r again  f favourite  D trash  u undo  ? keys",
	.load = load,
	.draw = draw,
	.list = list_of,
	.heads = 2};
