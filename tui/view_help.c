/* The keys and commands of the screen from which help was asked; what is typed is found
 * among these, and behind them among those of all other screens. */
#include <string.h>

#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

/* The text of the row under the cursor, below a rule, in a body as high as that. */
enum { WHOLE_LINES = 2, WHOLE_FROM = 14 };

enum { CTRL_U = 21 };

static struct list *list_of(struct ws *ws)
{
	return &ws->help.list;
}

static bool fits(const struct help_line *line, const char *text)
{
	if (line->on && (!*text || strcasestr(line->on->name, text)))
		return *text;
	return strcasestr(line->keys, text) || strcasestr(line->command, text) ||
	       strcasestr(line->text, text);
}

static size_t find(const struct ws *ws, struct arena *a, const struct help_line **ret)
{
	const struct help_line *all;
	size_t n = commands_help(ws, ws->help.of, a, &all), kept = 0;
	struct help_line *lines = ARENA_ARRAY(a, struct help_line, n + 1);

	for (size_t i = 0; i < n; i++)
		if (fits(&all[i], str_get(&ws->help.filter.text)))
			lines[kept++] = all[i];
	*ret = lines;
	return kept;
}

static void draw_row(const struct help_line *line, int y, int width, enum theme_role role)
{
	int keys = width < 60 ? 10 : 16, command = width < 60 ? 12 : 20;
	struct str text = {0};

	paint(y, 0, width, role, "");
	paint(y, 1, keys, role, line->keys);
	paint(y, keys + 2, command, role, line->command);
	if (line->on)
		str_printf(&text, "%s: ", line->on->name);
	str_add(&text, line->text);
	paint(y, keys + command + 3, width - keys - command - 4, role, str_get(&text));
	str_done(&text);
}

static void draw_title(const struct ws *ws, int width)
{
	const char *filter = str_get(&ws->help.filter.text);

	paint(0, 0, width, ROLE_TITLE, " Keys and commands: ");
	if (!*filter) {
		paint(0, 20, width - 20, ROLE_TITLE, views[ws->help.of]->name);
		return;
	}
	paint(0, 0, 2, ROLE_PROMPT, " /");
	paint(0, 2, width - 2, ROLE_PROMPT, filter);
}

/* The row under the cursor, all of it, which has not always room in its column. */
static void draw_whole(const struct help_line *line, int y, int width)
{
	paint_rule(y, width);
	paint(y + 1, 0, width, ROLE_TEXT, "");
	if (line)
		paint_lines(y + 1, 1, WHOLE_LINES - 1, width - 2, ROLE_TEXT, line->text);
}

static void draw(struct ws *ws, int height, int width)
{
	struct help_view *v = &ws->help;
	const struct help_line *lines;
	const int whole = height >= WHOLE_FROM ? WHOLE_LINES : 0;
	struct arena a = {0};
	size_t n = find(ws, &a, &lines);

	list_set_count(&v->list, (int64_t)n);
	list_resize(&v->list, height - 1 - whole);
	draw_title(ws, width);
	for (int i = 0; i + 1 < height - whole; i++) {
		int64_t row = list_at(&v->list, i);

		if (row < 0)
			paint(1 + i, 0, width, ROLE_TEXT, "");
		else
			draw_row(&lines[row], 1 + i, width,
				row == v->list.cursor ? ROLE_ROW_SELECTED : ROLE_TEXT);
	}
	if (!n && height > 1)
		paint(1, 1, width - 1, ROLE_DIM,
			"No key and no command is called that. Esc shows all.");
	if (whole)
		draw_whole(n ? &lines[v->list.cursor] : NULL, height - whole, width);
	arena_done(&a);
}

static void leave(struct ws *ws)
{
	ws->dirty = DIRTY_ALL;
	if (ws->help.filter.text.n)
		line_edit_set(&ws->help.filter, "");
	else
		commands_run(ws, "close");
}

/* Runs the command under the cursor, where help was asked for.  One of another screen is
 * shown its way: there it would do something to what nobody has looked at. */
static void run_selected(struct ws *ws)
{
	const struct help_line *lines;
	struct arena a = {0};
	size_t n = find(ws, &a, &lines), at = (size_t)ws->help.list.cursor;

	if (at < n) {
		const char *name = lines[at].command;

		commands_run(ws, "close");
		if (lines[at].on) {
			commands_run(ws, arena_printf(&a, "screen %s", lines[at].on->name));
			ws_say(ws, "here, %s: %s", lines[at].keys, lines[at].text);
		} else if (*lines[at].keys) {
			commands_run(ws, name);
		} else {
			ws_input(
				ws, INPUT_COMMAND, arena_strndup(&a, name, strcspn(name, " ") + 1));
		}
	}
	arena_done(&a);
}

/* What is typed narrows; q leaves as everywhere, as long as nothing is typed. */
static bool key(struct ws *ws, uint32_t k)
{
	struct line_edit *filter = &ws->help.filter;
	bool is_text = (k > ' ' && k < KEY_NAMED && k != 127) || (k == ' ' && filter->text.n);

	if (k == 27 || (k == KEYS_BACKSPACE && !filter->text.n)) {
		leave(ws);
	} else if (k == '\r') {
		run_selected(ws);
	} else if (k == '/' && !filter->text.n) {
		ws_say(ws, "type to narrow");
	} else if (k == KEYS_BACKSPACE || (k == CTRL_U && filter->text.n) ||
		   (is_text && (filter->text.n || !strchr("q:?Q", (int)k)))) {
		line_edit_key(filter, k);
		list_go(&ws->help.list, 0);
		ws->dirty |= DIRTY_BODY;
	} else {
		return false;
	}
	return true;
}

const struct view view_help = {.name = "help",
	.tab = "? Keys",
	.hints = "type to find on all screens  Enter runs it  Esc back",
	.draw = draw,
	.list = list_of,
	.heads = 1,
	.key = key};
