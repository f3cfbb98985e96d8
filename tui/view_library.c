/* The library: prompts and their takes, and what is in the one under the cursor. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "library/base/clock.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

/* No details in a body lower than that; more of them in one as high. */
enum { DETAIL_LINES = 5, DETAIL_FROM = 14, MORE_LINES = 9, MORE_FROM = 32 };

const struct take *view_library_selected(const struct ws *ws)
{
	const struct library_view *v = ws->screen == SCREEN_TRASH ? &ws->trash : &ws->takes;
	const struct library_row *r = library_row_at(v, v->list.cursor);

	return r && r->take.id ? &r->take : NULL;
}

int64_t view_library_neighbour(const struct ws *ws, int64_t take, int by)
{
	return tree_neighbour(&ws->takes.tree, take, by);
}

static int detail_lines(int height)
{
	return height >= MORE_FROM ? MORE_LINES : height >= DETAIL_FROM ? DETAIL_LINES : 0;
}

static int64_t list_lines(int height)
{
	const int lines = height - 2 - detail_lines(height); /* title and heads */

	return lines < 0 ? 0 : lines;
}

/* ---- words -------------------------------------------------------------- */

/* A sign, or what stands for it where it is no character. */
static const char *sign(const char *utf8, const char *ascii)
{
	return paint_is_utf8() ? utf8 : ascii;
}

/* "today 10:42", "24 Nov 10:42", "2025-11-24", in the local time zone. */
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

/* ---- rows --------------------------------------------------------------- */

/* What stands before a row's text: whether it is played or marked; what it is. */
static void draw_signs(
	const struct library_view *v, int64_t row, bool is_played, int y, enum theme_role role)
{
	const struct tree_row *r = &v->tree.rows[row];
	const struct tree_group *g = &v->tree.groups[r->group];
	const char *what = r->kind == TREE_JOB                    ? sign("\u2717", "x")
			   : r->kind == TREE_TAKE                 ? sign("\u2502", "|")
			   : r->kind == TREE_PROMPT && g->is_open ? sign("\u25be", "-")
			   : r->kind == TREE_PROMPT               ? sign("\u25b8", "+")
								  : "";

	paint(y, 0, 1, role,
		library_is_marked(v, row) ? "*"
		: is_played               ? sign("\u25b6", ">")
					  : "");
	paint(y, 1, 2, role, what);
}

static void row_text(const struct library_view *v, int64_t row, struct str *out)
{
	const struct tree_row *r = &v->tree.rows[row];
	const struct library_row *data = library_row_at(v, row);

	if (r->kind == TREE_JOB)
		str_printf(out, "%s  [failed: %s]", data->job.prompt ? data->job.prompt : "",
			data->job.error ? data->job.error : "");
	else if (!data->take.id)
		str_add(out, "gone");
	else if (r->kind == TREE_TAKE)
		str_printf(out, "take %lld  seed %llu", (long long)data->number,
			(unsigned long long)data->take.seed);
	else
		str_add(out, data->take.prompt);
}

/* What stands behind the text, however long that is. */
static void row_tail(const struct library_view *v, int64_t row, struct str *out)
{
	const struct tree_row *r = &v->tree.rows[row];
	const struct library_row *data = library_row_at(v, row);

	if (r->kind == TREE_PROMPT)
		str_printf(out, " (%u)", v->tree.groups[r->group].n);
	else if (data->take.id && *data->take.tags)
		str_printf(out, "  #%s", data->take.tags);
}

/* Columns from the right, those that matter least first to go; returns where they
 * begin.  NULL: their heads. */
static int draw_columns(const struct library_row *r, int y, int width, enum theme_role role)
{
	const struct take *t = r ? &r->take : NULL;
	char text[32];
	int right = width;

	if (width >= 40) {
		right -= 4;
		snprintf(text, sizeof(text), "%c%c%s", r && r->favourite ? '*' : ' ',
			t && t->rating ? '0' + t->rating : ' ',
			r && r->unheard ? sign("\u25cf", "o") : "");
		paint(y, right, 4, role, t ? text : "Fav");
	}
	if (width >= 60) {
		right -= 13;
		paint(y, right, 12, role, t ? when(t->created, text) : "Created");
	}
	if (width >= 40) {
		right -= 6;
		paint(y, right, 6, role, t ? format_duration(t->seconds + 0.5, text) : "Len");
	}
	if (width >= 70) {
		right -= 15;
		paint(y, right, 14, role, t ? t->model : "Model");
	}
	return right;
}

/* The take that is heard now and may be told; 0: none. */
static int64_t heard_now(const struct ws *ws)
{
	struct listen_view playing;

	listen_read(ws->listen, &playing);
	return comparing_hidden(ws, playing.take) ? 0 : playing.take;
}

/* A folded prompt is while one of its takes is. */
static bool is_heard(const struct library_view *v, int64_t row, int64_t heard)
{
	const struct tree_row *r = &v->tree.rows[row];
	const int64_t *ids;
	size_t n = tree_takes(&v->tree, row, &ids);

	if (!heard || (r->kind == TREE_PROMPT && v->tree.groups[r->group].is_open))
		return false;
	while (n && ids[n - 1] != heard)
		n--;
	return n > 0;
}

static void draw_row(const struct library_view *v, int64_t row, int64_t heard, int y, int width)
{
	const struct library_row *data = library_row_at(v, row);
	const struct take *t = data && data->take.id ? &data->take : NULL;
	struct str text = {0}, tail = {0};
	enum theme_role role;
	int right = width, n, n_tail;

	if (!data)
		return;
	const bool is_played = is_heard(v, row, heard);
	role = row == v->list.cursor                               ? ROLE_ROW_SELECTED
	       : library_is_marked(v, row)                         ? ROLE_ROW_MARKED
	       : is_played                                         ? ROLE_ROW_PLAYING
	       : data->job.id || (t && t->missing && !v->is_trash) ? ROLE_ROW_FAILED
								   : ROLE_TEXT;
	paint(y, 0, width, role, "");
	draw_signs(v, row, is_played, y, role);
	if (t)
		right = draw_columns(data, y, width, role);
	row_text(v, row, &text);
	row_tail(v, row, &tail);
	n = (int)text_cells(str_get(&text));
	n_tail = (int)text_cells(str_get(&tail));
	n_tail = n_tail < (right - 4) / 2 ? n_tail : (right - 4) / 2;
	n = n < right - 4 - n_tail ? n : right - 4 - n_tail;
	paint(y, 3, n, role, str_get(&text));
	paint(y, 3 + n, n_tail, role == ROLE_TEXT ? ROLE_DIM : role, str_get(&tail));
	str_done(&tail);
	str_done(&text);
}

/* ---- around them -------------------------------------------------------- */

const char *library_order(const struct library_view *v)
{
	static const char *const names[][2] = {{"newest", "oldest"}, {"oldest", "newest"},
		{"best", "worst"}, {"longest", "shortest"}, {"loudest", "softest"},
		{"best fit", "worst fit"}};

	return names[v->order][v->is_reversed];
}

static void draw_title(const struct library_view *v, int y, int width)
{
	const long long n_shown = (long long)v->tree.n_ids, total = (long long)v->total;
	struct str right = {0};
	int n;

	if (v->anchor)
		str_add(&right, "range  ");
	if (v->marks.n)
		str_printf(&right, "%zu marked  ", v->marks.n);
	if (v->filter.text.n)
		str_printf(&right, "%lld of %lld  ", n_shown, total);
	else if (v->has_found)
		str_printf(&right, "%lld take%s  ", n_shown, n_shown == 1 ? "" : "s");
	str_printf(&right, "%s ", library_order(v));
	n = (int)right.n < width ? (int)right.n : width;
	paint(y, 0, width, ROLE_TITLE, "");
	if (v->filter.text.n) {
		paint(y, 0, 2, ROLE_PROMPT, " /");
		paint(y, 2, width - n - 3, ROLE_PROMPT, str_get(&v->filter.text));
	} else {
		paint(y, 0, width - n, ROLE_TITLE, v->is_trash ? " Trash" : " Library");
	}
	paint(y, width - n, n, ROLE_DIM, str_get(&right));
	str_done(&right);
}

static void draw_rule(const struct library_view *v, const struct take *t, int y, int width)
{
	const struct tree_row *r = &v->tree.rows[v->list.cursor];
	const struct library_row *data = library_row_at(v, v->list.cursor);
	struct str title = {0}, tail = {0};
	int n;

	if (r->kind == TREE_TAKE)
		str_printf(&tail, " \u00b7 take %lld", (long long)data->number);
	else if (r->kind == TREE_PROMPT) /* what is shown is of one of them */
		str_printf(&tail, " \u00b7 %u takes, here take %lld", v->tree.groups[r->group].n,
			(long long)data->number);
	str_add(&tail, t->heard ? " " : " \u00b7 not heard yet ");
	str_printf(&title, " %s", t->prompt);
	n = (int)(text_cells(title.s) + text_cells(tail.s));
	paint_rule(y, width);
	paint_tailed(y, 1, n < width - 2 ? n : width - 2, ROLE_TITLE, title.s, tail.s);
	str_done(&tail);
	str_done(&title);
}

/* Why it failed and what to do is what matters: where there is little room it has that of
 * the model and the seed. */
static void draw_failed(const struct job *j, int y, int height, int width)
{
	const char *why = j->error ? j->error : "";
	const int facts = height > DETAIL_LINES || (int)text_cells(why) <= width - 2;
	struct str line = {0};

	str_printf(&line, "%s  seed %llu  job %lld", j->model, (unsigned long long)j->seed,
		(long long)j->id);
	paint(y + 1, 1, width - 2, ROLE_TEXT, j->prompt);
	if (facts)
		paint(y + 2, 1, width - 2, ROLE_DIM, str_get(&line));
	paint_lines(y + 2 + facts, 1, height - 3 - facts, width - 2, ROLE_ERROR, why);
	paint(y + height - 1, 1, width - 2, ROLE_DIM,
		"R queues it again  Enter shows the log  C on the queue hides it");
	str_done(&line);
}

/* Onto the line as long as it has room, what comes then onto the next. */
static void add_fact(struct str *line, struct str *next, int room, const char *fact)
{
	const int cells = (int)(text_cells(str_get(line)) + text_cells(fact)) + 2;

	if (!*fact)
		return;
	line = next->n || (line->n && cells > room) ? next : line;
	str_printf(line, "%s%s", line->n ? "  " : "", fact);
}

/* How it was made, and what was measured; what finds no room goes on in *next. */
static void engine_lines(const struct take *t, int room, struct str *line, struct str *next)
{
	struct arena a = {0};
	const char *const facts[] = {t->model,
		arena_printf(&a, "seed %llu", (unsigned long long)t->seed),
		arena_printf(&a, "%.4g s", t->seconds),
		arena_printf(
			&a, "%.4g kHz %s", t->rate / 1e3, t->channels == 2 ? "stereo" : "mono"),
		isnan(t->guidance) ? "" : arena_printf(&a, "cfg %g", t->guidance),
		isnan(t->lufs) ? "" : arena_printf(&a, "%.1f LUFS", t->lufs),
		isnan(t->peak) ? "" : arena_printf(&a, "peak %.1f", t->peak),
		isnan(t->score) ? "" : arena_printf(&a, "score %.2f", t->score),
		t->parent ? arena_printf(&a, "goes on from take %lld", (long long)t->parent) : ""};

	for (size_t i = 0; i < sizeof(facts) / sizeof(*facts); i++)
		add_fact(line, next, room, facts[i]);
	arena_done(&a);
}

/* What is wrong with the file; "": nothing, as far as is known. */
static const char *damage_of(const struct take *t, const struct wave *w)
{
	return t->missing ? "the file is missing" : w ? w->shortfall : "";
}

static void file_line(const struct take *t, const char *damage, const char *more, struct str *out)
{
	str_printf(out, "%s%s%s%s%s%s%s%s%s", damage, *damage ? ": " : "", t->file,
		*t->tags ? "  #" : "", t->tags, *t->verdict ? "  " : "", t->verdict,
		*more ? "  " : "", more);
}

static void draw_wave(const struct wave *w, int y, int width)
{
	struct str text = {0};

	if (w && paint_is_utf8())
		wave_text(w, width - 2, &text);
	paint(y, 1, width - 2, ROLE_PROGRESS, str_get(&text));
	str_done(&text);
}

static void draw_details(struct ws *ws, const struct library_view *v, int y, int height, int width)
{
	const struct library_row *row = library_row_at(v, v->list.cursor);
	const struct take *t = row && row->take.id ? &row->take : NULL;
	const struct wave *w = t && !t->missing ? wave_of(ws, t) : NULL;
	const char *damage = t ? damage_of(t, w) : "";
	struct str engine = {0}, more = {0}, file = {0};
	int under = 3;

	for (int i = 1; i < height; i++)
		paint(y + i, 0, width, ROLE_TEXT, "");
	if (!t) {
		paint_rule(y, width);
		if (row && row->job.id)
			draw_failed(&row->job, y, height, width);
		return;
	}
	draw_rule(v, t, y, width);
	engine_lines(t, width - 2, &engine, &more);
	file_line(t, damage, str_get(&more), &file);
	/* From below: waveform, note or file, engine; then what is left. */
	draw_wave(w, y + height - 1, width);
	if (height > DETAIL_LINES && *t->note)
		paint(y + height - 1 - under++, 1, width - 2, ROLE_TEXT, t->note);
	if (height > DETAIL_LINES && t->negative)
		paint(y + height - 1 - under++, 1, width - 2, ROLE_DIM, t->negative);
	paint(y + height - 3, 1, width - 2, ROLE_DIM, str_get(&engine));
	if (height <= DETAIL_LINES && *t->note && !*damage)
		paint(y + height - 2, 1, width - 2, ROLE_TEXT, t->note);
	else
		paint(y + height - 2, 1, width - 2, *damage ? ROLE_ERROR : ROLE_DIM,
			str_get(&file));
	paint_lines(y + 1, 1, height - 1 - under, width - 2, ROLE_TEXT, t->prompt);
	str_done(&file);
	str_done(&more);
	str_done(&engine);
}

static void draw_empty(const struct ws *ws, const struct library_view *v, int y, int width)
{
	if (v->wrong.n) {
		paint_lines(y, 2, (int)v->list.height - 1, width - 2, ROLE_ERROR, v->wrong.s);
		return;
	}
	const char *text =
		!v->has_found      ? ""
		: v->filter.text.n ? "Nothing matches. Esc clears the filter."
		: v->is_trash      ? "The trash is empty. 1 goes back to the library."
		: ws->n_waiting    ? "The first take is being made."
		: !ws->model       ? "No model is installed. 2, then Enter on Model, lists those "
				     "there are."
		: width < 60       ? "No takes yet. Press i for the first."
				   : "No takes yet. Press i, type what you want to hear, and F5.";

	paint(y, 2, width - 2, ROLE_DIM, text);
}

static void draw_list(struct ws *ws, const struct library_view *v, int height, int width)
{
	const int64_t heard = heard_now(ws);

	draw_title(v, 0, width);
	if (height > 1) {
		paint(1, 0, width, ROLE_DIM, "");
		paint(1, 3, draw_columns(NULL, 1, width, ROLE_DIM) - 4, ROLE_DIM, "Title");
	}
	for (int i = 0; i < v->list.height; i++) {
		int64_t row = list_at(&v->list, i);

		paint(2 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_row(v, row, heard, 2 + i, width);
	}
	if (!v->list.n && v->list.height > 1)
		draw_empty(ws, v, 3, width);
	if (detail_lines(height))
		draw_details(ws, v, height - detail_lines(height), detail_lines(height), width);
}

/* ---- the two of them ---------------------------------------------------- */

static int load_library(struct ws *ws, int height, struct err *e)
{
	return library_load(ws, &ws->takes, list_lines(height), e);
}

static void draw_library(struct ws *ws, int height, int width)
{
	draw_list(ws, &ws->takes, height, width);
}

static struct list *list_of_library(struct ws *ws)
{
	return &ws->takes.list;
}

static int load_trash(struct ws *ws, int height, struct err *e)
{
	return library_load(ws, &ws->trash, list_lines(height), e);
}

static void draw_trash(struct ws *ws, int height, int width)
{
	draw_list(ws, &ws->trash, height, width);
}

static struct list *list_of_trash(struct ws *ws)
{
	return &ws->trash.list;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	return library_targets(library_shown(ws), a, ret);
}

/* Where there are no rows, what most keys are for is not there. */
static bool is_empty(const struct library_view *v)
{
	return v->has_found && !v->list.n;
}

static const char *hints_of_library(const struct ws *ws)
{
	return !is_empty(&ws->takes)     ? view_library.hints
	       : ws->takes.filter.text.n ? "Esc all takes  / filter  i new  q quit  ? keys"
	       : ws->n_waiting           ? "i new  3 queue  q quit  ? keys"
					 : "i new  q quit  ? keys";
}

static const char *hints_of_trash(const struct ws *ws)
{
	return is_empty(&ws->trash) ? "i new  q back  ? keys" : view_trash.hints;
}

const struct view view_library = {.name = "library",
	.tab = "1 Library",
	.hints = "Space play  i new  f keep  w export  / filter  m mark  D trash  u undo  Enter "
		 "open  "
		 "r again  e edit  d denoise  ? keys",
	.hints_now = hints_of_library,
	.load = load_library,
	.draw = draw_library,
	.list = list_of_library,
	.targets = targets,
	.heads = 2,
	.has_column = true};

const struct view view_trash = {.name = "trash",
	.tab = "",
	.hints = "Enter restore  ! delete for good  Space play  v m mark  u undo  q back  ? keys",
	.hints_now = hints_of_trash,
	.load = load_trash,
	.draw = draw_trash,
	.list = list_of_trash,
	.targets = targets,
	.heads = 2};
