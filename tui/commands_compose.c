/* Composing: keys that are typed into the form, and what is done with it. */
#include <string.h>
#include <sys/random.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/queue.h"
#include "tui/editor.h"
#include "tui/queueing.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

/* ---- typing ------------------------------------------------------------- */

static void go(struct ws *ws, int by)
{
	view_compose_go(ws->compose, by);
	view_compose_suggest(ws);
	ws->dirty |= DIRTY_BODY;
}

static bool model_key(struct ws *ws, uint32_t key)
{
	if (key == '\r' || key == ' ')
		compose_choice_open(ws);
	else if (key == KEYS_LEFT || key == KEYS_RIGHT)
		compose_choice_turn(ws, key == KEYS_LEFT ? -1 : 1);
	else
		return false;
	return true;
}

/* Flags and choices. */
static bool turn_key(struct ws *ws, uint32_t key)
{
	struct compose_view *v = ws->compose;

	if (key == KEYS_BACKSPACE || key == KEYS_DELETE)
		text_edit_set(compose_edit(&v->c, v->field), "");
	else if (key != KEYS_LEFT && key != KEYS_RIGHT && key != ' ')
		return false;
	else if (!compose_turn(&v->c, v->field, key == KEYS_LEFT ? -1 : 1))
		return false;
	view_compose_changed(ws);
	return true;
}

/* The next of the suggestions, and after the last what was typed. */
static bool complete(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	struct text_edit *t = &v->c.prompt;
	const size_t n = v->n_suggestions, at = v->suggested % (n + 1);
	struct suggestion list[SUGGEST_MAX];
	size_t from;

	if (!n || v->field != FIELD_PROMPT)
		return false;
	if (!v->suggested) {
		str_clear(&v->completed);
		str_add_n(&v->completed, text_edit_get(t), t->line.at);
	}
	memcpy(list, v->suggestions, sizeof(list));
	from = v->suggested ? list[v->suggested - 1].from : t->line.at;
	if (at < n && list[at].from < from)
		from = list[at].from;
	if (at < n) {
		struct str text = {0};

		str_add_n(&text, str_get(&v->completed) + from, list[at].from - from);
		str_add(&text, list[at].text);
		text_edit_replace(t, from, str_get(&text));
		str_done(&text);
	} else {
		text_edit_replace(t, from, str_get(&v->completed) + from);
	}
	view_compose_changed(ws);
	memcpy(v->suggestions, list, sizeof(list)); /* Tab goes on among them */
	v->n_suggestions = at < n ? n : 0;          /* after the last it goes to the next field */
	v->suggested = at < n ? at + 1 : 0;
	return true;
}

static bool text_key(struct ws *ws, uint32_t key)
{
	struct compose_view *v = ws->compose;
	struct text_edit *t = compose_edit(&v->c, v->field);
	const size_t n = t->line.text.n;

	if (text_edit_key(t, key)) {
		if (t->line.text.n != n)
			view_compose_changed(ws);
		else
			view_compose_suggest(ws);
		ws->dirty |= DIRTY_BODY;
		return true;
	}
	return key >= ' ' && key < KEY_NAMED; /* no key of text is a command here */
}

/* Keys of the line editor that are commands elsewhere. */
static bool is_editing(uint32_t key)
{
	return key == 1 || key == 4 || key == 5 || key == 11 || key == 21 || key == 23 ||
	       key == KEYS_BACKSPACE || key == KEYS_DELETE || key == KEYS_HOME || key == KEYS_END ||
	       key == KEYS_LEFT || key == KEYS_RIGHT || key == KEYS_C_LEFT || key == KEYS_C_RIGHT;
}

static bool is_moving(uint32_t key)
{
	return key == KEYS_UP || key == KEYS_DOWN || key == '\t' || key == KEYS_S_TAB ||
	       key == '\r';
}

static bool move_key(struct ws *ws, uint32_t key)
{
	struct compose_view *v = ws->compose;
	const int by = key == KEYS_UP || key == KEYS_S_TAB ? -1 : 1;

	if (!is_moving(key))
		return false;
	if (v->field == FIELD_PROMPT && (key == '\r' || (key == '\t' && complete(ws))))
		return key == '\t';
	if (v->field == FIELD_PROMPT && (key == KEYS_UP || key == KEYS_DOWN) &&
		text_edit_vertical(&v->c.prompt, (size_t)v->text_width, by))
		ws->dirty |= DIRTY_BODY;
	else
		go(ws, by);
	return true;
}

/* Who came by on the way to another screen types nothing: Enter begins to. */
static bool rest_key(struct ws *ws, uint32_t key)
{
	const bool is_next = key == 'j' || key == KEYS_DOWN || key == '\t';

	if (key == '\r') {
		ws->compose->is_resting = false;
		view_compose_suggest(ws);
		ws->dirty |= DIRTY_BODY | DIRTY_FOOT;
	} else if (is_next || key == 'k' || key == KEYS_UP || key == KEYS_S_TAB) {
		go(ws, is_next ? 1 : -1);
	} else {
		return false;
	}
	return true;
}

bool view_compose_key(struct ws *ws, uint32_t key)
{
	struct compose_view *v = ws->compose;

	if (v->is_choosing)
		return compose_choice_key(ws, key);
	if (v->is_resting)
		return rest_key(ws, key);
	if (v->field == FIELD_MODEL && model_key(ws, key))
		return true;
	if (compose_is_turned(&v->c, v->field) && turn_key(ws, key))
		return true;
	if (move_key(ws, key))
		return true;
	if (v->field == FIELD_MODEL || compose_is_turned(&v->c, v->field))
		return (key >= ' ' && key < KEY_NAMED) || is_editing(key);
	return text_key(ws, key) || is_editing(key);
}

bool view_compose_is_typed(const struct ws *ws, uint32_t key)
{
	if (is_moving(key))
		return true;
	if (ws->compose->is_resting)
		return key == 'j' || key == 'k';
	return (key >= ' ' && key < KEY_NAMED) || is_editing(key);
}

/* ---- queueing ----------------------------------------------------------- */

/* Below 2^53, so that every reader of JSON keeps it exactly. */
uint64_t compose_seed_by_chance(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)clock_unix_ms();
	return (seed >> 11) % ((1ull << 53) - COMPOSE_TAKES_MAX);
}

/* It counted as queued from the key on, so that i began another meanwhile; the file of
 * drafts hears of it only now. */
static void end_queueing(struct ws *ws, const struct queueing *q, int rc)
{
	struct compose_view *v = ws->compose;

	if (rc)
		v->c.is_queued = false;
	else if (v->c.is_queued)
		compose_history_typed(&v->history, &v->c);
}

static int queue_all(struct ws *ws, struct err *e)
{
	struct compose_view *v = ws->compose;
	struct queueing *q = queueing_new();
	struct job_new *jobs;
	int rc = compose_jobs(&v->c, compose_seed_by_chance(), &q->arena, &jobs, &q->n, e);

	if (rc) {
		queueing_free(q);
		return rc;
	}
	q->jobs = jobs;
	q->end = end_queueing;
	v->c.is_queued = true;
	queueing_begin(ws, q);
	return 0;
}

static void do_queue_draft(struct ws *ws, const char *args)
{
	struct compose_view *v = ws->compose;
	const struct compose_model *m = compose_models_find(&v->models, v->c.model);
	struct arena a = {0};
	struct err e = {0};

	if (m && compose_model_hurdle(m, &a))
		ws_complain(ws, "%s", compose_model_hurdle(m, &a));
	else if (!m && v->c.model && !strchr(v->c.model, '/'))
		ws_complain(ws,
			"there is no model '%.80s' here; Enter on Model lists those there are",
			v->c.model);
	else if (queue_all(ws, &e))
		ws_fail(ws, &e);
	arena_done(&a);
}

static void do_new(struct ws *ws, const char *args)
{
	struct compose_view *v = ws->compose;

	if (v->c.is_queued || *args) {
		compose_history_put_aside(&v->history, &v->c);
		compose_clear(&v->c);
		text_edit_reset(&v->c.prompt, args);
	}
	v->field = FIELD_PROMPT;
	view_compose_changed(ws);
	ws_show(ws, SCREEN_COMPOSE);
}

static void do_undo_typing(struct ws *ws, const char *args)
{
	struct text_edit *t = compose_edit(&ws->compose->c, ws->compose->field);

	if (t && text_edit_undo(t))
		view_compose_changed(ws);
}

static void do_redo_typing(struct ws *ws, const char *args)
{
	struct text_edit *t = compose_edit(&ws->compose->c, ws->compose->field);

	if (t && text_edit_redo(t))
		view_compose_changed(ws);
}

static void do_recall(struct ws *ws, const char *args)
{
	struct compose_view *v = ws->compose;
	struct err e = {0};
	int64_t by;
	bool moved;

	if (!commands_number(ws, args, -1, 1, &by))
		return;
	if (compose_history_step(&v->history, ws->db, by < 0 ? -1 : 1, &v->c, &moved, &e))
		ws_fail(ws, &e);
	else if (!moved)
		ws_refuse(ws, by < 0 ? "this is the newest" : "there is nothing older");
	else
		ws_say(ws, "%s", "");
	v->field = FIELD_PROMPT;
	v->is_stale = true;
	view_compose_suggest(ws);
	ws->dirty |= DIRTY_BODY;
}

static void do_edit_outside(struct ws *ws, const char *args)
{
	struct compose_view *v = ws->compose;
	struct text_edit *t = compose_edit(&v->c, v->field);
	struct arena a = {0};
	struct str text = {0};
	struct err e = {0};

	if (!t || !t->line.has_lines) {
		v->field = FIELD_PROMPT;
		t = &v->c.prompt;
	}
	if (editor_run(ws->env->editor, arena_printf(&a, "%s/drafts", ws->library),
		    text_edit_get(t), &text, &e)) {
		ws_fail(ws, &e);
	} else if (strcmp(str_get(&text), text_edit_get(t))) {
		struct text_edit edited = {.line = {.has_lines = true, .max = t->line.max}};

		if (!text_edit_paste(&edited, str_get(&text), text.n))
			ws_complain(ws, "the text was cut: a prompt has at most %d bytes",
				COMPOSE_PROMPT_BYTES_MAX);
		text_edit_set(t, text_edit_get(&edited));
		text_edit_done(&edited);
		view_compose_changed(ws);
	}
	str_done(&text);
	arena_done(&a);
	ws->dirty = DIRTY_ALL;
}

void view_compose_paste(struct ws *ws, const char *text, size_t n)
{
	struct compose_view *v = ws->compose;
	struct text_edit *t = compose_edit(&v->c, v->field);

	if (!t || v->is_choosing || compose_is_turned(&v->c, v->field))
		return;
	v->is_resting = false;
	if (!text_edit_paste(t, text, n))
		ws_complain(ws, "the field is full; what came last was left out");
	view_compose_changed(ws);
}

static const struct command commands[] = {
	{"new", "[TEXT]", "compose a prompt", do_new, false},
	{"queue-draft", "", "queue what is composed", do_queue_draft, false},
	{"recall", "1|-1", "what was composed before, or after that", do_recall, true},
	{"edit-outside", "", "the prompt in $EDITOR", do_edit_outside, false},
	{"undo-typing", "", "take back what was typed in this field", do_undo_typing, false},
	{"redo-typing", "", "type it again", do_redo_typing, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "2", "screen compose"},
	{ON_ANY, "i", "new"},
	{1 << SCREEN_COMPOSE, "<F5>", "queue-draft"},
	{1 << SCREEN_COMPOSE, "<A-Enter>", "queue-draft"},
	{1 << SCREEN_COMPOSE, "^P", "recall 1"},
	{1 << SCREEN_COMPOSE, "^N", "recall -1"},
	{1 << SCREEN_COMPOSE, "^X^E", "edit-outside"},
	{1 << SCREEN_COMPOSE, "^_", "undo-typing"},
	{1 << SCREEN_COMPOSE, "u", "undo-typing"},
	{1 << SCREEN_COMPOSE, "^R", "redo-typing"},
	{1 << SCREEN_COMPOSE, "<Esc>", "close"},
};

const struct command_table commands_compose = COMMAND_TABLE(commands, bindings);
