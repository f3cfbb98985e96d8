/* The line that is typed at the foot. */
#include "tui/input.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

/* ---- beginning and ending ----------------------------------------------- */

static void forget_words(struct input *in)
{
	words_done(&in->words);
	in->words = (struct words){0};
}

void ws_input(struct ws *ws, enum input_kind kind, const char *text)
{
	forget_words(&ws->typing);
	str_clear(&ws->typing.draft);
	ws->typing.history.place = ws->typing.history.n;
	str_clear(&ws->typing.opened);
	ws->input = kind;
	ws_say(ws, "%s", "");
	line_edit_set(&ws->line, text);
	ws->dirty |= DIRTY_FOOT;
}

void ws_input_words(struct ws *ws, const char *command, const char *words, const char *emptied)
{
	struct input *in = &ws->typing;
	struct str line = {0};

	str_printf(&line, "%s %s", command, words);
	ws_input(ws, INPUT_COMMAND, str_get(&line));
	str_add(&in->opened, command);
	str_clear(&in->emptied);
	str_add(&in->emptied, emptied ? emptied : "");
	str_done(&line);
}

/* Nothing is left of the line but the command that opened it. */
static bool is_emptied(const struct input *in, const char *text)
{
	text += strspn(text, " ");
	return in->opened.n && has_prefix(text, in->opened.s) &&
	       !text[in->opened.n + strspn(text + in->opened.n, " ")];
}

void ws_ask(struct ws *ws, const char *command, const char *fmt, ...)
{
	struct input *in = &ws->typing;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ws_input(ws, INPUT_ASK, "");
	str_clear(&in->question);
	str_printf(&in->question, " %s (y or n) ", text);
	str_clear(&in->command);
	str_add(&in->command, command);
}

static void finish(struct ws *ws, enum input_kind kind, const char *text)
{
	struct str command = {0};

	if (kind == INPUT_COMMAND && is_emptied(&ws->typing, text)) {
		str_add(&command, str_get(&ws->typing.emptied));
	} else if (kind == INPUT_COMMAND) {
		history_add(&ws->typing.history, text);
		str_add(&command, text);
	} else if (kind == INPUT_ASK) {
		str_add(&command, str_get(&ws->typing.command));
	}
	if (command.n)
		commands_run(ws, str_get(&command));
	str_done(&command);
}

void input_end(struct ws *ws, bool accept)
{
	enum input_kind kind = ws->input;
	struct line_edit line = ws->line;

	forget_words(&ws->typing);
	ws->input = INPUT_NONE;
	ws->line = (struct line_edit){0};
	ws->dirty |= DIRTY_FOOT;
	ws_say(ws, "%s", ""); /* it was about the line */
	if (accept)
		finish(ws, kind, str_get(&line.text));
	else if (kind == INPUT_FILTER) {
		line_edit_set(&ws->filtered->filter, str_get(&ws->before));
		ws_moved(ws);
	} else if (kind == INPUT_ASK)
		ws_say(ws, "left as it is");
	line_edit_done(&line);
}

void input_close(struct ws *ws)
{
	struct input *in = &ws->typing;

	forget_words(in);
	history_close(&in->history);
	str_done(&in->draft);
	str_done(&in->question);
	str_done(&in->command);
	str_done(&in->opened);
	str_done(&in->emptied);
}

/* ---- completion --------------------------------------------------------- */

static void find_words(struct ws *ws)
{
	struct input *in = &ws->typing;
	const char *text = str_get(&ws->line.text);
	size_t name = strcspn(text, " "), from = ws->line.at;
	const struct command *c;

	while (from && text[from - 1] != ' ')
		from--;
	in->word_from = from;
	in->words.prefix = arena_strndup(&in->words.a, text + from, ws->line.at - from);
	if (!from) {
		for (size_t i = 0; (c = commands_at(i)); i++)
			words_add(&in->words, c->name);
		words_sort(&in->words);
		return;
	}
	c = commands_find(text, name);
	if (c && c->complete)
		c->complete(ws, arena_strndup(&in->words.a, text + name + 1, from - name - 1),
			&in->words);
}

static void put_word(struct ws *ws)
{
	struct input *in = &ws->typing;
	struct str rest = {0}, whole = {0};
	size_t at;

	str_add(&rest, str_get(&ws->line.text) + ws->line.at);
	str_add_n(&whole, str_get(&ws->line.text), in->word_from);
	str_add(&whole, in->words.at[in->word]);
	if (in->words.n == 1 && !rest.n)
		str_add_char(&whole, ' ');
	at = whole.n;
	str_add(&whole, str_get(&rest));
	line_edit_set(&ws->line, str_get(&whole));
	ws->line.at = at < ws->line.text.n ? at : ws->line.text.n;
	ws->dirty |= DIRTY_FOOT;
	str_done(&rest);
	str_done(&whole);
}

/* Those that Tab goes through, the one in the line first. */
static void show_words(struct ws *ws)
{
	const struct words *w = &ws->typing.words;
	struct str all = {0};

	for (size_t i = 0; i < w->n && all.n < 400; i++)
		str_printf(&all, " %s", w->at[(ws->typing.word + i) % w->n]);
	ws_say(ws, "%s", str_get(&all));
	str_done(&all);
}

static void complete(struct ws *ws, bool backwards)
{
	struct input *in = &ws->typing;

	if (in->words.n) {
		size_t n = in->words.n;

		in->word = (in->word + (backwards ? n - 1 : 1)) % n;
	} else {
		forget_words(in);
		find_words(ws);
		in->word = 0;
	}
	if (!in->words.n) {
		forget_words(in);
		ws_say(ws, "nothing begins like that");
		return;
	}
	put_word(ws);
	if (in->words.n == 1)
		forget_words(in);
	else
		show_words(ws);
}

static void recall(struct ws *ws, int by)
{
	struct input *in = &ws->typing;
	const char *line;

	if (in->history.place == in->history.n) {
		str_clear(&in->draft);
		str_add(&in->draft, str_get(&ws->line.text));
	}
	str_clear(&in->opened); /* the line is another */
	line = history_step(&in->history, by, str_get(&in->draft));
	if (line || by > 0)
		line_edit_set(&ws->line, line ? line : str_get(&in->draft));
	ws->dirty |= DIRTY_FOOT;
}

/* ---- keys --------------------------------------------------------------- */

/* Keys of the `:` line alone. */
static bool command_key(struct ws *ws, uint32_t key)
{
	if (ws->input != INPUT_COMMAND)
		return false;
	if (key == '\t' || key == KEYS_S_TAB)
		complete(ws, key != '\t');
	else if (key == KEYS_UP || key == KEYS_DOWN || key == 16 || key == 14) /* ^P ^N */
		recall(ws, key == KEYS_UP || key == 16 ? -1 : 1);
	else
		return false;
	return true;
}

static void filter_as_typed(struct ws *ws)
{
	ws_say(ws, "%s", "");
	line_edit_set(&ws->filtered->filter, str_get(&ws->line.text));
	ws_moved(ws);
	ws->dirty |= DIRTY_BODY;
}

void input_key(struct ws *ws, uint32_t key)
{
	if (ws->input == INPUT_ASK) {
		input_end(ws, key == 'y' || key == 'Y');
		return;
	}
	if (key == '\r' || key == 27 || (key == KEYS_BACKSPACE && !ws->line.text.n)) {
		input_end(ws, key == '\r');
		return;
	}
	if (command_key(ws, key) || !line_edit_key(&ws->line, key))
		return;
	if (ws->typing.words.n) {
		forget_words(&ws->typing);
		ws_say(ws, "%s", "");
	}
	ws->typing.history.place = ws->typing.history.n;
	ws->dirty |= DIRTY_FOOT;
	if (ws->input == INPUT_FILTER)
		filter_as_typed(ws);
}

/* ---- drawing ------------------------------------------------------------ */

const char *input_mark(const struct ws *ws)
{
	static const char *const marks[] = {[INPUT_COMMAND] = ":", [INPUT_FILTER] = "/"};

	if (ws->input == INPUT_NONE)
		return NULL;
	return ws->input == INPUT_ASK ? str_get(&ws->typing.question) : marks[ws->input];
}

const char *input_hints(const struct ws *ws)
{
	return ws->input == INPUT_ASK ? "y yes  n no"
	       : ws->input == INPUT_COMMAND
		       ? "Enter run  Esc leave  Tab complete  Up before"
		       : "Enter keep it  Esc drop it  fav  #tag  heard  -heard  "
			 "dur>30  rating>3  model:NAME  created:today  lufs<-14";
}

static size_t cells_before(const struct line_edit *l, size_t from)
{
	struct str before = {0};
	size_t cells;

	str_add_n(&before, str_get(&l->text) + from, l->at - from);
	cells = text_cells(str_get(&before));
	str_done(&before);
	return cells;
}

/* Bytes that are left out at the left, so that the cursor stands within. */
static size_t scroll(const struct line_edit *l, size_t width)
{
	size_t cells = cells_before(l, 0), from = 0;

	while (from < l->at && cells >= width) {
		char one[5] = {0};
		uint32_t cp;
		size_t n = utf8_decode(str_get(&l->text) + from, l->text.n - from, &cp);

		memcpy(one, str_get(&l->text) + from, n);
		cells -= text_cells(one) < cells ? text_cells(one) : cells;
		from += n;
	}
	return from;
}

void input_show(struct ws *ws, int x, int width)
{
	size_t from = width > 0 ? scroll(&ws->line, (size_t)width) : 0;

	ws->typing_x = x + (int)cells_before(&ws->line, from);
	paint(0, x, width, ROLE_TEXT, str_get(&ws->line.text) + from);
}

int input_cursor(const struct ws *ws)
{
	return ws->typing_x;
}
