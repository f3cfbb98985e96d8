/* Compose: a prompt, a model, what its engine can be told, and what it will cost.
 *
 * The form is one column of lines: texts take a line of their own, short fields
 * stand side by side as far as the width goes.  Below it, as far as the height
 * goes: what the field is, the estimate, and what Tab would complete. */
#include "tui/view_compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "library/base/err.h"
#include "library/db.h"
#include "library/forecast.h"
#include "library/parameters.h"
#include "library/suggest.h"
#include "tui/compose_cost.h"
#include "tui/draft_file.h"
#include "tui/paint.h"
#include "tui/terminal.h"
#include "tui/text.h"
#include "tui/token_count.h"
#include "tui/ws.h"

enum {
	LABEL = 13,       /* cells, with the mark before and the blank behind */
	SHORT_WIDTH = 36, /* of a short field, at least, with its label */
	PROMPT_LINES = 2, /* at least, where there is room */
	WIDE = 60,
	FOOT_LINES = 3,
	FIELDS_MAX = 64,
};

/* Where a field stands in the form. */
struct place {
	size_t field;
	int y, x, width, height; /* width: of the value */
};

struct form {
	struct place places[FIELDS_MAX]; /* in the order of Tab */
	size_t n;
	int height;
};

/* ---- layout ------------------------------------------------------------- */

static bool is_text(const struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return field == FIELD_PROMPT || field == FIELD_MODEL ||
	       (p && (p->kind == PARAMETER_PROMPT || p->kind == PARAMETER_TEXT ||
			     p->kind == PARAMETER_FILE));
}

static int lines_of(const struct compose_view *v, int width)
{
	struct arena a = {0};
	struct text_line *lines;
	size_t n = text_edit_wrap(&v->c.prompt, width > 1 ? (size_t)width - 1 : 1, &a, &lines);

	arena_done(&a);
	return n > 1000 ? 1000 : (int)n;
}

static void put(struct form *f, size_t field, int y, int x, int width, int height)
{
	if (f->n < FIELDS_MAX)
		f->places[f->n++] = (struct place){field, y, x + LABEL, width - LABEL - 1, height};
}

static void put_line(const struct compose_view *v, struct form *f, size_t field, int width, int max)
{
	int height = 1;

	if (field == FIELD_PROMPT) {
		height = lines_of(v, width - LABEL - 1);
		height = height < PROMPT_LINES ? PROMPT_LINES : height;
		height = height < max ? height : max;
	}
	put(f, field, f->height, 0, width, height);
	f->height += height;
}

/* Is it one that belongs to the prompt? */
static bool is_second_prompt(const struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return p && p->kind == PARAMETER_PROMPT;
}

static struct form form_of(const struct compose_view *v, int height, int width)
{
	const struct compose *c = &v->c;
	const int columns = width < 2 * SHORT_WIDTH ? 1 : width / SHORT_WIDTH;
	const int each = width / columns;
	struct form f = {0};
	int column = 0;

	put_line(v, &f, FIELD_PROMPT, width, height > 8 ? height / 3 : 1);
	for (size_t i = FIELD_PARAMETERS; i < compose_fields(c); i++)
		if (is_second_prompt(c, i))
			put_line(v, &f, i, width, 1);
	put_line(v, &f, FIELD_MODEL, width, 1);
	for (size_t i = FIELD_SECONDS; i < compose_fields(c); i++) {
		if (is_text(c, i))
			continue;
		put(&f, i, f.height, column * each, each, 1);
		column = (column + 1) % columns;
		f.height += column == 0;
	}
	f.height += column != 0;
	for (size_t i = FIELD_PARAMETERS; i < compose_fields(c); i++)
		if (is_text(c, i) && !is_second_prompt(c, i))
			put_line(v, &f, i, width, 1);
	return f;
}

void view_compose_go(struct compose_view *v, int by)
{
	const struct form f = form_of(v, 24, 80); /* the order is that of any size */
	size_t at = 0;

	for (size_t i = 0; i < f.n; i++)
		if (f.places[i].field == v->field)
			at = i;
	v->field = f.places[(at + f.n + (size_t)(by + (int)f.n)) % f.n].field;
}

/* ---- what is told about it ---------------------------------------------- */

static uint64_t bytes_free(const char *folder)
{
	struct statvfs st;

	return statvfs(folder, &st) ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

/* Samples are floats; what a take's length is when nobody told it was seen before. */
static uint64_t bytes_of(const struct forecast *f, const struct compose_model *m)
{
	return f->bytes ? f->bytes
	       : m ? (uint64_t)(f->seconds * m->rate_hz) * (uint64_t)m->channels * sizeof(float)
		   : 0;
}

static int estimate(struct ws *ws, struct err *e)
{
	struct compose_view *v = ws->compose;
	struct compose_cost cost = {.model = v->c.model,
		.is_paused = ws->is_paused,
		.is_repeat = v->c.is_queued && *text_edit_get(&v->c.seed)};
	const struct compose_model *m = compose_models_find(&v->models, v->c.model);
	struct arena a = {0};
	const char *seconds, *device, *hurdle = m ? compose_model_hurdle(m, &a) : NULL;
	int rc;

	str_clear(&v->estimate);
	str_clear(&v->brief);
	v->is_short = false;
	v->is_wrong = compose_count(&v->c, &cost.n, e) ||
		      compose_seconds(text_edit_get(&v->c.seconds), &a, &seconds, e) || hurdle;
	if (v->is_wrong) {
		str_add(&v->estimate, e->code ? e->text : hurdle);
		err_clear(e);
		arena_done(&a);
		return 0;
	}
	device = compose_value(&v->c, "device");
	rc = forecast_take(ws->db, v->c.model, *device && strcmp(device, "auto") ? device : NULL,
		*seconds ? strtod(seconds, NULL) : compose_own_s(&v->c), &cost.take, e);
	if (!rc)
		rc = forecast_ahead(ws->db, &cost.ahead, e);
	cost.take.bytes = bytes_of(&cost.take, m);
	cost.bytes_free = bytes_free(ws->library);
	if (!rc) {
		v->is_short = compose_cost_tell(&cost, false, &v->estimate);
		compose_cost_tell(&cost, true, &v->brief);
	}
	arena_done(&a);
	return rc;
}

static int load_suggest(struct ws *ws, struct err *e)
{
	struct compose_view *v = ws->compose;
	int64_t version = 0;
	int rc = suggest_version(ws->db, &version, e);

	if (rc || (v->suggest && version == v->suggest_version))
		return rc;
	suggest_close(v->suggest);
	v->suggest = NULL;
	v->n_suggestions = v->suggested = 0; /* they were its */
	v->suggest_version = version;
	rc = suggest_open(ws->db, &v->suggest, e);
	if (!rc)
		view_compose_suggest(ws);
	return rc;
}

void view_compose_suggest(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	const struct text_edit *t = &v->c.prompt;

	v->suggested = 0;
	v->n_suggestions =
		v->suggest && v->field == FIELD_PROMPT
			? suggest_find(v->suggest, text_edit_get(t), t->line.at, v->suggestions)
			: 0;
}

int view_compose_fd(const struct compose_view *v)
{
	return v->tokens ? token_count_fd(v->tokens) : -1;
}

void view_compose_work(struct ws *ws)
{
	struct compose_view *v = ws->compose;

	if (!token_count_work(v->tokens))
		return;
	ws->dirty |= DIRTY_BODY;
	if (!strcmp(str_get(&v->c.own), token_count_own(v->tokens)))
		return;
	str_clear(&v->c.own);
	str_add(&v->c.own, token_count_own(v->tokens));
	v->is_stale = true; /* what it costs depends on it */
}

/* It also sees to it that the library holds the engines' parameters. */
static void ask_tokens(struct ws *ws)
{
	struct compose_view *v = ws->compose;

	if (!v->tokens && !ws->has_lost)
		v->tokens =
			token_count_open(ws->worker.program, ws->worker.library, ws->worker.log_fd);
	if (v->tokens && v->c.model)
		token_count_ask(v->tokens, v->c.model, text_edit_get(&v->c.prompt));
}

static int load_parameters(struct ws *ws, const struct compose_model *m, struct err *e)
{
	struct compose_view *v = ws->compose;
	int rc = 0;

	arena_done(&v->page);
	v->page = (struct arena){0};
	v->parameters = (struct engine_parameters){0};
	if (m && m->engine)
		rc = parameters_read(ws->db, m->engine, &v->page, &v->parameters, e);
	compose_set_parameters(&v->c, v->parameters.list, v->parameters.n, m ? m->longest_s : 0);
	if (v->field >= compose_fields(&v->c))
		v->field = FIELD_PROMPT;
	str_clear(&v->model);
	if (m)
		compose_model_describe(m, &v->model);
	return rc;
}

/* Once, and again when an engine has told what it can do. */
static int load_models(struct ws *ws, struct err *e)
{
	struct compose_view *v = ws->compose;
	bool has_told = false;

	for (size_t i = 0; i < v->models.n; i++)
		has_told |= v->models.list[i].is_rendered;
	if (v->has_models && (!v->is_stale || has_told))
		return 0;
	v->has_models = true;
	return compose_models_read(&v->models, ws, e);
}

int view_compose_use(struct ws *ws, const char *model, struct err *e)
{
	struct compose_view *v = ws->compose;
	int rc = load_models(ws, e);

	compose_set_model(&v->c, model);
	return rc ? rc : load_parameters(ws, compose_models_find(&v->models, model), e);
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct compose_view *v = ws->compose;
	int rc = load_models(ws, e);

	if (rc || !v->is_stale)
		return rc;
	v->is_stale = false;
	rc = load_parameters(ws, compose_models_find(&v->models, v->c.model), e);
	if (!rc)
		rc = estimate(ws, e);
	if (!rc)
		rc = load_suggest(ws, e);
	ask_tokens(ws);
	return rc;
}

/* ---- drawing ------------------------------------------------------------ */

/* Is that line of the body one of the form? */
static bool is_seen(const struct compose_view *v, int y)
{
	return y >= v->form_y && y < v->form_y + v->form_height;
}

/* The first of the prompt's lines that is seen, when its cursor stands in that one. */
static size_t first_seen(const struct place *p, size_t at)
{
	return at >= (size_t)p->height ? at + 1 - (size_t)p->height : 0;
}

static void draw_prompt(struct compose_view *v, const struct place *p, int y, bool is_here)
{
	struct arena a = {0};
	struct text_line *lines;
	struct str line = {0};
	size_t n, at, column, first;

	v->text_width = p->width > 1 ? p->width - 1 : 1;
	n = text_edit_wrap(&v->c.prompt, (size_t)v->text_width, &a, &lines);
	at = text_edit_cursor(&v->c.prompt, lines, n, &column);
	first = first_seen(p, at);
	for (int i = 0; i < p->height; i++) {
		if (!is_seen(v, y + i))
			continue;
		str_clear(&line);
		if (first + (size_t)i < n)
			str_add_n(&line,
				text_edit_get(&v->c.prompt) + lines[first + (size_t)i].from,
				lines[first + (size_t)i].to - lines[first + (size_t)i].from);
		paint(y + i, p->x, p->width, ROLE_TEXT, str_get(&line));
	}
	if (is_here) {
		v->cursor_y = y + (int)(at - first);
		v->cursor_x = p->x + ((int)column < p->width ? (int)column : p->width - 1);
	}
	str_done(&line);
	arena_done(&a);
}

/* A line of text of which the cursor is seen. */
static void draw_line(
	struct compose_view *v, const struct text_edit *t, const struct place *p, int y, bool here)
{
	const char *s = text_edit_get(t);
	struct str before = {0};
	size_t from = 0, column;

	str_add_n(&before, s, t->line.at);
	while (here && (column = text_cells(str_get(&before) + from)) >= (size_t)p->width &&
		from < t->line.at)
		from = line_edit_next(&t->line, from);
	paint(y, p->x, p->width, ROLE_TEXT, s + (here ? from : 0));
	if (here) {
		v->cursor_y = y;
		v->cursor_x = p->x + (int)text_cells(str_get(&before) + from);
	}
	str_done(&before);
}

static void draw_model(const struct compose_view *v, const struct place *p, int y, bool here)
{
	const char *name = v->c.model ? v->c.model : "none";
	const struct compose_model *m = compose_models_find(&v->models, v->c.model);
	int n = (int)text_cells(name);

	n = n < p->width ? n : p->width;
	paint(y, p->x, p->width, ROLE_TEXT, "");
	paint(y, p->x, n, here ? ROLE_ROW_SELECTED : ROLE_TEXT, name);
	if (m && m->is_installed)
		paint(y, p->x + n + 2, p->width - n - 2, ROLE_DIM, str_get(&v->model));
	else if (v->c.model)
		paint(y, p->x + n + 2, p->width - n - 2, ROLE_ERROR, "is not installed");
}

static void draw_label(const struct compose_view *v, const struct place *p, int y, bool here)
{
	struct err wrong = {0};

	paint(y, p->x - LABEL, LABEL, ROLE_TEXT, "");
	paint(y, p->x - LABEL, 1, ROLE_PROMPT, here ? ">" : "");
	paint(y, p->x - LABEL + 1, LABEL - 2,
		p->field != FIELD_PROMPT && compose_check(&v->c, p->field, &wrong) ? ROLE_ERROR
		: here                                                             ? ROLE_TITLE
										   : ROLE_DIM,
		compose_label(&v->c, p->field));
}

/* What is not typed: a choice, or what holds until something is. */
static void draw_word(struct compose_view *v, const struct place *p, int y, bool here)
{
	const char *typed = text_edit_get(compose_edit(&v->c, p->field));
	struct str text = {0};
	int n;

	if (*typed)
		str_add(&text, typed);
	else
		compose_otherwise(&v->c, p->field, &text);
	n = (int)text_cells(str_get(&text));

	paint(y, p->x, p->width, *typed ? ROLE_TEXT : ROLE_DIM, str_get(&text));
	if (here && compose_is_turned(&v->c, p->field))
		paint(y, p->x, n < p->width ? n : p->width, ROLE_ROW_SELECTED, str_get(&text));
	str_done(&text);
}

static void draw_field(struct compose_view *v, const struct place *p, int y)
{
	const bool here = p->field == v->field;
	const struct text_edit *t = compose_edit(&v->c, p->field);

	if (is_seen(v, y))
		draw_label(v, p, y, here);
	if (p->field == FIELD_PROMPT)
		draw_prompt(v, p, y, here);
	else if (!t)
		draw_model(v, p, y, here);
	else if (t->line.text.n && !compose_is_turned(&v->c, p->field))
		draw_line(v, t, p, y, here);
	else
		draw_word(v, p, y, here);
	if (here && v->cursor_y < 0) {
		v->cursor_y = y;
		v->cursor_x = p->x;
	}
}

static void draw_form(struct compose_view *v, const struct form *f, int width)
{
	const int height = v->form_height;
	const struct place *here = f->places;

	for (size_t i = 0; i < f->n; i++)
		if (f->places[i].field == v->field)
			here = &f->places[i];
	if (v->top > here->y)
		v->top = here->y;
	if (here->y + here->height - v->top > height)
		v->top = here->y + here->height - height;
	if (v->top + height > f->height)
		v->top = f->height > height ? f->height - height : 0;
	for (size_t i = 0; i < f->n; i++)
		if (f->places[i].y + f->places[i].height > v->top &&
			f->places[i].y - v->top < height)
			draw_field(v, &f->places[i], v->form_y + f->places[i].y - v->top);
}

static void tell_suggestions(const struct compose_view *v, struct str *out)
{
	str_add(out, "Tab completes: ");
	for (size_t i = 0; i < v->n_suggestions; i++)
		str_printf(out, "%s%s", i ? ", " : "", v->suggestions[i].text);
}

/* About the field that has the keys: what is wrong with it, else what could follow,
 * else what it is. */
static void draw_help(const struct compose_view *v, int y, int width)
{
	struct err wrong = {0};
	struct str line = {0};
	bool is_wrong = v->field != FIELD_PROMPT && compose_check(&v->c, v->field, &wrong);

	if (is_wrong)
		str_add(&line, wrong.text);
	else if (v->n_suggestions && v->field == FIELD_PROMPT)
		tell_suggestions(v, &line);
	else
		str_printf(&line, "%s%s", compose_help(&v->c, v->field),
			compose_is_turned(&v->c, v->field) ? "; Left and Right change it" : "");
	paint(y, 1, width - 2, is_wrong ? ROLE_ERROR : ROLE_DIM, str_get(&line));
	str_done(&line);
}

/* room: lines from y on, of which the foot has `height` for itself. */
static void draw_foot(const struct compose_view *v, int y, int height, int room, int width)
{
	struct err wrong = {0};
	const bool is_long = (int)text_cells(str_get(&v->estimate)) > width - 2;

	if (height > 1) {
		draw_help(v, y++, width);
		room--;
	}
	if (height < 1)
		return;
	if (height > 1 && v->field != FIELD_PROMPT && compose_check(&v->c, v->field, &wrong))
		return; /* that is what hinders, and it was said */
	paint_lines(y, 1, room, width - 2,
		v->is_short   ? ROLE_ERROR
		: v->is_wrong ? ROLE_DIM
			      : ROLE_TEXT,
		str_get(is_long && v->brief.n ? &v->brief : &v->estimate));
}

static void draw_title(const struct compose_view *v, int width)
{
	struct str right = {0};
	bool is_cut = false;
	size_t n, max;

	if (v->tokens && token_count_get(v->tokens, &n, &max)) {
		is_cut = n > max;
		str_printf(&right,
			is_cut ? "%zu tokens, the model reads %zu " : "%zu of %zu tokens ", n, max);
	}
	if (!is_cut && width >= WIDE)
		str_printf(&right, "%skept as you type ", right.n ? "\u00b7 " : "");
	paint(0, 0, width, ROLE_TITLE, " Compose");
	if (width > 9)
		paint_right(0, 9, width - 9, is_cut ? ROLE_ERROR : ROLE_DIM, str_get(&right));
	str_done(&right);
}

static int title_lines(int height)
{
	return height >= 6;
}

static int foot_lines(int height)
{
	return height >= 8 ? FOOT_LINES : height >= 4 ? 1 : 0;
}

/* The foot stands below the form, and at the bottom where the form is higher. */
static void draw(struct ws *ws, int height, int width)
{
	struct compose_view *v = ws->compose;
	const int foot = foot_lines(height), title = title_lines(height);
	const struct form f = form_of(v, height - title - foot, width);
	int y;

	v->height = height;
	v->width = width;
	v->cursor_y = v->cursor_x = -1;
	if (v->is_choosing) {
		compose_choice_draw(v, height, width);
		return;
	}
	for (y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	if (title)
		draw_title(v, width);
	v->form_y = title;
	v->form_height = height - title - foot < f.height ? height - title - foot : f.height;
	draw_form(v, &f, width);
	y = title + v->form_height;
	if (foot > 1)
		paint_rule(y++, width);
	draw_foot(v, y, foot > 1 ? foot - 1 : foot, height - y, width);
}

static bool cursor(struct ws *ws, int *ret_y, int *ret_x)
{
	const struct compose_view *v = ws->compose;

	*ret_y = v->cursor_y < 0 ? 0 : v->cursor_y;
	*ret_x = v->cursor_x < 0 ? 0 : v->cursor_x;
	return v->cursor_y >= 0 && !v->is_choosing && !v->is_resting &&
	       compose_edit(&ws->compose->c, v->field) && !compose_is_turned(&v->c, v->field);
}

/* ---- clicks -------------------------------------------------------------- */

static void point(struct compose_view *v, const struct place *p, int y, int x)
{
	struct arena a = {0};
	struct text_line *lines;
	const size_t n = text_edit_wrap(&v->c.prompt, (size_t)v->text_width, &a, &lines);
	size_t column;
	const size_t first = first_seen(p, text_edit_cursor(&v->c.prompt, lines, n, &column));

	arena_done(&a);
	text_edit_point(&v->c.prompt, (size_t)v->text_width, first + (size_t)y,
		(size_t)(x > p->x ? x - p->x : 0));
}

/* The field that is pressed gets the keys; twice on one that is turned turns it, on the
 * model lists the others. */
static void press_field(struct ws *ws, const struct mouse *m)
{
	struct compose_view *v = ws->compose;
	const int height = v->height - title_lines(v->height) - foot_lines(v->height);
	const struct form f = form_of(v, height, v->width);
	const int y = m->y - v->form_y + v->top;

	for (size_t i = 0; i < f.n && is_seen(v, m->y); i++) {
		const struct place *p = &f.places[i];

		if (y < p->y || y >= p->y + p->height || m->x < p->x - LABEL ||
			m->x >= p->x + p->width)
			continue;
		if (p->field == FIELD_PROMPT)
			point(v, p, y - p->y, m->x);
		v->field = p->field;
		view_compose_suggest(ws);
		if (m->is_double && (p->field == FIELD_MODEL || compose_is_turned(&v->c, p->field)))
			ws_key(ws, ' ');
		break;
	}
}

static bool on_mouse(struct ws *ws, const struct mouse *m)
{
	struct compose_view *v = ws->compose;
	const int by = m->what == MOUSE_WHEEL_UP ? -1 : m->what == MOUSE_WHEEL_DOWN ? 1 : 0;

	if (m->what == MOUSE_DRAG || m->what == MOUSE_RELEASE)
		return true;
	if (v->is_choosing && by)
		list_move(&v->choice, by);
	else if (v->is_choosing && m->what == MOUSE_PRESS)
		compose_choice_press(ws, m);
	else if (by)
		view_compose_go(v, by);
	else if (m->what == MOUSE_PRESS)
		press_field(ws, m);
	ws->dirty |= DIRTY_BODY;
	return true;
}

static struct list *list_of(struct ws *ws)
{
	return &ws->compose->list;
}

static const char *hints_now(const struct ws *ws)
{
	const struct compose_view *v = ws->compose;

	if (v->is_choosing)
		return "Enter take it  j k move  Esc leave it as it was";
	if (v->is_resting)
		return "Enter or i type  j k fields  F5 queue  gt gT screens  Esc leave  ? keys";
	return view_compose.hints;
}

static const struct edit_key editing[] = {
	{"<Tab>", "complete the prompt, where that can be, or the next field"},
	{"<S-Tab>", "the field before"},
	{"<Up> <Down>", "the line or the field above, below"},
	{"<Left> <Right>", "a character; what is chosen from few: the one before, after"},
	{"<C-Left> <C-Right>", "a word"},
	{"<Home> ^A", "to the start of the line"},
	{"<End> ^E", "to its end"},
	{"<Del> ^D", "delete the character under the cursor"},
	{"^W", "delete the word before the cursor"},
	{"^U", "delete the line before the cursor"},
	{"^K", "delete the line behind it"},
	{0},
};

const struct view view_compose = {.name = "compose",
	.tab = "2 Compose",
	.hints = "F5 queue  Tab next  ^U clear line  ^P ^N history  Esc leave  F1 keys  ^X^E "
		 "editor  "
		 "Alt-Enter queue",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.list = list_of,
	.key = view_compose_key,
	.is_typed = view_compose_is_typed,
	.editing = editing,
	.paste = view_compose_paste,
	.mouse = on_mouse,
	.cursor = cursor};

/* ---- opening ------------------------------------------------------------ */

void view_compose_open(struct ws *ws)
{
	struct compose_view *v = xcalloc(1, sizeof(*v));

	ws->compose = v;
	compose_init(&v->c);
	v->is_stale = true;
	/* A draft less is no reason not to start. */
	compose_history_open(&v->history, ws->library, &v->c, &v->why);
	if (!v->c.model && ws->model)
		compose_set_model(&v->c, ws->model);
}

void view_compose_tell(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	const size_t n = v->history.n_found;

	if (v->why.code)
		ws_fail(ws, &v->why);
	else if (n && !ws->is_error)
		ws_say(ws, "%zu draft%s of another workstation put aside; ^P on Compose shows %s",
			n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
}

void view_compose_close(struct compose_view *v)
{
	if (!v)
		return;
	compose_history_close(&v->history);
	token_count_close(v->tokens);
	suggest_close(v->suggest);
	compose_done(&v->c);
	compose_models_done(&v->models);
	arena_done(&v->page);
	str_done(&v->completed);
	str_done(&v->model);
	str_done(&v->estimate);
	str_done(&v->brief);
	free(v);
}

void view_compose_changed(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	struct err e = {0};

	v->c.is_queued = false;
	v->is_stale = true;
	compose_history_typed(&v->history, &v->c);
	if (v->history.file && draft_file_has_failed(v->history.file, &e))
		ws_fail(ws, &e);
	view_compose_suggest(ws);
	ws->dirty |= DIRTY_BODY;
}
