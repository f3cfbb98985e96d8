/* What the workstation does on threads: finding lists, writing to the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/background.h"
#include "tui/verbs.h"
#include "tui/ws.h"

enum {
	PATIENCE_MS = 40,       /* of what is asked while the screen waits */
	CACHE_KB = 2000,        /* of each connection; the reader's goes through all words */
	AHEAD_BYTES = 64 << 20, /* of the database, read while a filter is typed: 100 000 takes */
};

static const double SETTLE_S = 0.04;

void changes_open(struct ws *ws)
{
	db_patience(ws->db, PATIENCE_MS);
	db_cache(ws->db, CACHE_KB);
	ws->reader = background_open(ws->library, 4 * CACHE_KB, ws->wake_fd);
	ws->writer = background_open(ws->library, CACHE_KB, ws->wake_fd);
	ws->chores = background_open(ws->library, CACHE_KB, ws->wake_fd);
	ws->looks = background_open(NULL, 0, ws->wake_fd);
	ws->trash.is_trash = true;
}

void changes_close(struct ws *ws)
{
	/* The terminal is the shell's again: why it takes so long is said there. */
	if (ws->writer && !background_settle(ws->writer, ws, SETTLE_S))
		complain("another program is writing to the library; what was changed last waits "
			 "for it");
	background_close(ws->reader, ws);
	background_close(ws->chores, ws); /* their ends may give the writer something */
	background_close(ws->writer, ws);
	background_close(ws->looks, ws);
}

/* ---- threads ------------------------------------------------------------- */

void changes_work(struct ws *ws)
{
	background_work(ws->reader, ws);
	background_work(ws->writer, ws);
	background_work(ws->chores, ws);
	background_work(ws->looks, ws);
}

/* ---- chores ------------------------------------------------------------- */

/* What goes wrong is told by whoever needs what could not be read. */
static void end_chore(struct ws *ws, struct task *t, int rc, struct err *e)
{
	free(t);
}

static void do_chore(struct ws *ws, int (*run)(struct db *, struct task *, struct err *))
{
	struct task *t = xcalloc(1, sizeof(*t));

	t->run = run;
	t->end = end_chore;
	background_do(ws->chores, t);
}

static int read_ahead(struct db *db, struct task *t, struct err *e)
{
	db_read_ahead(db, AHEAD_BYTES);
	return 0;
}

void ws_read_ahead(struct ws *ws)
{
	if (!ws->has_read_ahead)
		do_chore(ws, read_ahead);
	ws->has_read_ahead = true;
}

static int tidy(struct db *db, struct task *t, struct err *e)
{
	size_t n;

	return takes_tidy(db_library(db), &n, e);
}

void ws_tidy(struct ws *ws)
{
	if (ws->has_tidied || !ws->takes.has_found)
		return;
	ws->has_tidied = true;
	do_chore(ws, tidy);
}

/* ---- what is due -------------------------------------------------------- */

void ws_settle(struct ws *ws)
{
	/* Once is enough for a writer that another program keeps waiting. */
	ws->is_writer_late = !background_settle(ws->writer, ws, ws->is_writer_late ? 0 : SETTLE_S);
	frame_load(ws); /* what was typed may ask for rows that nobody has seen yet */
	background_settle(ws->reader, ws, SETTLE_S);
	frame_load(ws);
}

size_t ws_targets(struct ws *ws, struct arena *a, const int64_t **ret, const char *none)
{
	const struct view *v = views[ws->screen];
	size_t n;

	*ret = NULL;
	/* Never those of a list that is not seen any more. */
	if (library_has_keys(ws) && !library_read(ws, library_shown(ws)))
		return 0;
	if (library_has_keys(ws) && library_shown(ws)->wrong.n) {
		ws_complain(ws, "%s", library_shown(ws)->wrong.s);
		return 0;
	}
	n = v->targets ? v->targets(ws, a, ret) : 0;
	if (!n)
		ws_refuse(ws, "%s", none);
	return n;
}

int64_t ws_target(struct ws *ws, const char *none)
{
	const struct library_view *v = library_has_keys(ws) ? library_shown(ws) : NULL;
	struct arena a = {0};
	const int64_t *ids;
	const size_t n = ws_targets(ws, &a, &ids, none);
	const int64_t take = !n ? 0 : v && !v->marks.n ? library_take(v) : ids[0];

	arena_done(&a);
	return take;
}

struct edit {
	struct task task;
	int64_t *ids;
	size_t n;
	int64_t action;
	char *field, *value, *label;
};

static int edit(struct db *db, struct task *t, struct err *e)
{
	struct edit *x = (struct edit *)t;

	return takes_edit(db, x->ids, x->n, x->field, x->value, x->label, &x->action, e);
}

void ws_tell_edit(struct ws *ws, const char *label, int64_t action)
{
	ws_say(ws, action ? "%s \u00b7 u takes it back" : "%s: it was so already", label);
}

static void end_edit(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct edit *x = (struct edit *)t;

	if (rc)
		ws_fail(ws, e);
	else
		ws_tell_edit(ws, x->label, x->action);
	if (!rc && !strcmp(x->field, "trashed")) { /* they leave the list, and so their marks */
		ids_remove(&ws->takes.marks, x->ids, x->n);
		ids_remove(&ws->trash.marks, x->ids, x->n);
	}
	ws_changed(ws);
	free(x->ids);
	free(x->field);
	free(x->value);
	free(x->label);
	free(x);
}

void ws_edit(struct ws *ws, const int64_t *ids, size_t n, const char *field, const char *value,
	const char *label)
{
	struct edit *x = xcalloc(1, sizeof(*x));

	x->task.run = edit;
	x->task.end = end_edit;
	x->ids = xcalloc(n ? n : 1, sizeof(*x->ids));
	if (n)
		memcpy(x->ids, ids, n * sizeof(*ids));
	x->n = n;
	x->field = xstrdup(field);
	x->value = value ? xstrdup(value) : NULL;
	x->label = xstrdup(label);
	background_do(ws->writer, &x->task);
}

struct kept_setting {
	struct task task;
	char *name, *value;
};

static int set(struct db *db, struct task *t, struct err *e)
{
	const struct kept_setting *s = (struct kept_setting *)t;

	return db_set_setting(db, s->name, s->value, e);
}

static void end_set(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct kept_setting *s = (struct kept_setting *)t;

	if (rc)
		ws_fail(ws, e);
	free(s->name);
	free(s->value);
	free(s);
}

void ws_set(struct ws *ws, const char *name, const char *value)
{
	struct kept_setting *s = xcalloc(1, sizeof(*s));

	s->task.run = set;
	s->task.end = end_set;
	s->name = xstrdup(name);
	s->value = xstrdup(value);
	background_do(ws->writer, &s->task);
}
