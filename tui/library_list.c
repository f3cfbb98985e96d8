/* The list of takes: found on a thread, kept as numbers; the rows that are seen are
 * read when they are. */
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "tui/background.h"
#include "tui/ws.h"

enum { FAILED_MAX = 20 }; /* jobs that are shown as rows */

static const double READ_S = 1; /* what is done to rows waits so long for them */

struct library_view *library_shown(struct ws *ws)
{
	return ws->screen == SCREEN_TRASH ? &ws->trash : &ws->takes;
}

bool library_has_keys(const struct ws *ws)
{
	return ws->screen == SCREEN_LIBRARY || ws->screen == SCREEN_TRASH;
}

void library_view_done(struct library_view *v)
{
	tree_done(&v->tree);
	ids_done(&v->open);
	ids_done(&v->marks);
	arena_done(&v->page);
	line_edit_done(&v->filter);
	str_done(&v->asked);
	str_done(&v->wrong);
}

/* ---- finding ------------------------------------------------------------ */

struct finding {
	struct task task;
	struct library_view *view;
	struct takes_prompts *prompts; /* the reader's */
	struct str filter;
	enum takes_order order;
	bool is_reversed, is_flat, is_trash;
	unsigned number;  /* of the view's questions */
	struct ids marks; /* when it was asked; then those of them that are no takes any more */
	struct takes_found found;
	struct tree tree;
	int64_t total;
	struct {
		struct tree_job *at;
		size_t n, cap;
	} jobs;
};

static bool is_oldest_first(const struct finding *f)
{
	return (f->order == TAKES_OLDEST) != f->is_reversed;
}

/* Those that failed lately stand where they would have become takes. */
static int find_failed(struct db *db, struct finding *f, struct err *e)
{
	struct arena a = {0};
	struct job *jobs = NULL;
	size_t n = 0;
	int64_t since = 0;
	int rc = queue_hidden(db, &since, e);

	if (!rc)
		rc = jobs_list_failed(db, since, FAILED_MAX, &a, &jobs, &n, e);

	for (size_t i = 0; i < n && !rc; i++) {
		struct tree_job *j = VEC_PUSH(&f->jobs);

		j->id = jobs[is_oldest_first(f) ? n - 1 - i : i].id;
		rc = takes_last_before(
			db, jobs[is_oldest_first(f) ? n - 1 - i : i].ended, &j->after, e);
	}
	arena_done(&a);
	return rc;
}

static void find_gone(struct finding *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->marks.n; i++)
		if (!takes_prompts_have(f->prompts, f->marks.at[i]))
			f->marks.at[n++] = f->marks.at[i];
	f->marks.n = n;
}

static int find(struct db *db, struct task *t, struct err *e)
{
	struct finding *f = (struct finding *)t;
	struct str filter = {0};
	struct takes_query wanted = {
		.order = f->order, .reversed = f->is_reversed, .now_ms = clock_unix_ms()};
	int64_t kept = 0, trashed = 0;
	int rc = takes_prompts_update(db, f->prompts, e);

	if (rc) {
		ids_clear(&f->marks); /* nobody knows */
		return rc;
	}
	find_gone(f);
	str_printf(&filter, "%s%s", f->is_trash ? "trash " : "", str_get(&f->filter));
	wanted.filter = filter.s;
	rc = takes_find(db, &wanted, f->prompts, &f->found, e);
	str_done(&filter);
	if (!rc && !f->filter.n && !f->is_trash && f->order <= TAKES_OLDEST)
		rc = find_failed(db, f, e);
	if (!rc)
		rc = takes_totals(db, &kept, &trashed, e);
	f->total = f->is_trash ? trashed : kept;
	if (!rc)
		tree_build(&f->tree, &f->found, f->is_flat, f->jobs.at, f->jobs.n,
			!is_oldest_first(f));
	return rc;
}

/* What the cursor is on, to find it again. */
struct place {
	int64_t take, job;
};

static struct place place_of(const struct library_view *v)
{
	const struct tree *t = &v->tree;
	const struct tree_row *r;

	if (v->list.cursor >= (int64_t)t->n_rows)
		return (struct place){0};
	r = &t->rows[v->list.cursor];
	return r->kind == TREE_JOB ? (struct place){.job = t->jobs[r->group].id}
				   : (struct place){.take = t->ids[r->take]};
}

int64_t library_take(const struct library_view *v)
{
	return place_of(v).take;
}

static void go_back(struct library_view *v, struct place p, bool was_prompt)
{
	int64_t row = p.job    ? tree_find_job(&v->tree, p.job)
		      : p.take ? tree_find(&v->tree, p.take)
			       : -1;

	if (was_prompt && tree_parent(&v->tree, row) >= 0)
		row = tree_parent(&v->tree, row);
	list_set_count(&v->list, (int64_t)v->tree.n_rows);
	if (row >= 0)
		list_go(&v->list, row);
}

static bool is_on_prompt(const struct library_view *v)
{
	return v->list.cursor < (int64_t)v->tree.n_rows &&
	       v->tree.rows[v->list.cursor].kind == TREE_PROMPT;
}

void library_unfold(struct library_view *v)
{
	const struct place p = place_of(v);
	const bool was_prompt = is_on_prompt(v);

	library_end_range(v);
	tree_unfold(&v->tree, &v->open);
	go_back(v, p, was_prompt);
	v->is_stale = v->is_reread = true;
}

static void take_over(struct library_view *v, struct finding *f)
{
	const struct place p = v->goes_up ? (struct place){0} : place_of(v);
	const bool was_prompt = !v->goes_up && is_on_prompt(v), at_top = !v->list.top;

	library_end_range(v);
	ids_remove(&v->marks, f->marks.at, f->marks.n);
	tree_done(&v->tree);
	v->tree = f->tree;
	f->tree = (struct tree){0};
	v->total = f->total;
	tree_unfold(&v->tree, &v->open);
	if (v->goes_up)
		v->list.cursor = v->list.top = 0;
	go_back(v, p, was_prompt);
	if (at_top && v->list.cursor < v->list.height) /* what is new is seen */
		v->list.top = 0;
	v->has_found = true;
	v->is_awaited = v->goes_up = v->is_late = false;
	v->is_stale = v->is_reread = true;
}

/* Said once: it is found anew, and fails anew, whenever something changes. */
static void take_error(struct ws *ws, struct library_view *v, int rc, struct err *e)
{
	const bool is_known = rc && !strcmp(e->text, str_get(&v->wrong));

	str_clear(&v->wrong);
	if (!rc)
		return;
	str_add(&v->wrong, e->text);
	if (!is_known)
		ws_fail(ws, e);
	v->stamp = 0; /* the next change is a reason to look again */
}

static void end_find(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct finding *f = (struct finding *)t;

	if (f->number != f->view->n_asked) {
		/* Another list was asked for since, which is on its way. */
	} else if (rc == ERR_CANCELLED) {
		f->view->is_lost = f->view->is_stale = true;
	} else {
		take_error(ws, f->view, rc, e);
		if (rc) /* no list: one of something else is none to act on */
			f->total = f->view->total;
		take_over(f->view, f);
	}
	ws->dirty |= DIRTY_BODY;
	str_done(&f->filter);
	ids_done(&f->marks);
	takes_found_done(&f->found);
	tree_done(&f->tree);
	VEC_DONE(&f->jobs);
	free(f);
}

static void ask(struct ws *ws, struct library_view *v)
{
	struct finding *f = xcalloc(1, sizeof(*f));

	f->task.run = find;
	f->task.end = end_find;
	f->view = v;
	f->prompts = &ws->prompts;
	f->order = v->order;
	f->is_reversed = v->is_reversed;
	f->is_flat = v->is_flat;
	f->is_trash = v->is_trash;
	f->number = ++v->n_asked;
	library_end_range(v);
	ids_add(&f->marks, v->marks.at, v->marks.n);
	str_add(&f->filter, str_get(&v->filter.text));
	background_do_instead(ws->reader, &f->task);
}

/* Another number when the list may be another. */
static int stamp_of(struct ws *ws, uint64_t *ret, struct err *e)
{
	uint64_t failed = 0;
	int rc = takes_stamp(ws->db, ret, e);

	if (!rc)
		rc = jobs_failed_stamp(ws->db, &failed, e);
	*ret ^= failed;
	return rc;
}

/* Asks anew where the filter, the order or what the database holds is another. */
static int ask_if_other(struct ws *ws, struct library_view *v, struct err *e)
{
	struct str wanted = {0};
	uint64_t stamp = v->stamp;
	bool is_other;
	int rc = 0;

	str_printf(&wanted, "%d %d %d %s", (int)v->order, v->is_reversed, v->is_flat,
		str_get(&v->filter.text));
	is_other = strcmp(str_get(&wanted), str_get(&v->asked)) != 0;
	if (v->is_changed || is_other)
		rc = stamp_of(ws, &stamp, e);
	if (!rc && (is_other || v->is_lost || stamp != v->stamp)) {
		str_clear(&v->asked);
		str_add(&v->asked, str_get(&wanted));
		v->stamp = stamp;
		v->is_lost = false;
		v->is_awaited |= is_other;
		v->goes_up |= is_other && v->filter.text.n;
		ask(ws, v);
	}
	str_done(&wanted);
	return rc;
}

/* ---- rows --------------------------------------------------------------- */

static int read_row(
	struct ws *ws, struct library_view *v, int64_t row, struct library_row *out, struct err *e)
{
	const struct tree_row *r = &v->tree.rows[row];
	struct err gone = {0};
	int rc;

	if (r->kind == TREE_JOB)
		rc = jobs_get(ws->db, v->tree.jobs[r->group].id, &v->page, &out->job, &gone);
	else
		rc = takes_get(ws->db, v->tree.ids[r->take], &v->page, &out->take, &gone);
	if (rc == ERR_ARG) /* the list is asked for again */
		return 0;
	if (rc)
		return err_set(e, rc, "%s", gone.text);
	out->favourite = out->take.favourite;
	out->unheard = !out->take.heard;
	if (r->kind == TREE_PROMPT)
		rc = prompts_signs(ws->db, out->take.prompt_id, &out->favourite, &out->unheard, e);
	if (!rc && (r->kind == TREE_PROMPT || r->kind == TREE_TAKE))
		rc = takes_number(ws->db, out->take.id, &out->number, e);
	return rc;
}

static int read_rows(struct ws *ws, struct library_view *v, struct err *e)
{
	const int64_t left = v->list.n - v->list.top, height = v->list.height ? v->list.height : 1;
	int rc = 0;

	if (!v->is_reread && v->first == v->list.top &&
		v->n == (size_t)(left < height ? left : height))
		return 0;
	arena_done(&v->page);
	v->page = (struct arena){0};
	v->first = v->list.top;
	v->n = (size_t)(left < height ? left : height);
	v->rows = ARENA_ARRAY(&v->page, struct library_row, v->n + 1);
	for (size_t i = 0; i < v->n && !rc; i++)
		rc = read_row(ws, v, v->first + (int64_t)i, &v->rows[i], e);
	v->is_reread = rc != 0;
	return rc;
}

int library_load(struct ws *ws, struct library_view *v, int64_t height, struct err *e)
{
	int rc = 0;

	list_resize(&v->list, height);
	if (v->is_stale || v->is_changed)
		rc = ask_if_other(ws, v, e);
	v->is_reread |= v->is_changed;
	v->is_stale = v->is_changed = false;
	return rc ? rc : read_rows(ws, v, e);
}

bool library_read(struct ws *ws, struct library_view *v)
{
	struct err e = {0};
	int rc = library_load(ws, v, v->list.height, &e);

	/* Once is enough for one that takes longer. */
	v->is_late = !background_settle(ws->reader, ws, v->is_late ? 0 : READ_S);
	if (!rc)
		rc = library_load(ws, v, v->list.height, &e);
	if (rc)
		ws_fail(ws, &e);
	else if (v->is_late)
		ws_complain(ws, "the list is still being read; try again");
	return !rc && !v->is_late;
}

bool library_is_read(struct ws *ws, struct library_view *v)
{
	struct err e = {0};

	if (library_load(ws, v, v->list.height, &e))
		ws_fail(ws, &e);
	return background_is_idle(ws->reader);
}

struct library_view *library_now(struct ws *ws)
{
	struct library_view *v = library_shown(ws);

	return !v->is_awaited || library_read(ws, v) ? v : NULL;
}

const struct library_row *library_row_at(const struct library_view *v, int64_t row)
{
	const int64_t i = row - v->first;

	return i >= 0 && i < (int64_t)v->n && row < v->list.n ? &v->rows[i] : NULL;
}

bool library_go(struct library_view *v, int64_t take)
{
	int64_t row = tree_find(&v->tree, take), prompt = tree_prompt(&v->tree, row);

	if (row >= 0 && v->tree.rows[row].kind == TREE_PROMPT) {
		ids_add(&v->open, &prompt, 1);
		library_unfold(v);
		row = tree_find(&v->tree, take);
	}
	if (row < 0)
		return false;
	list_go(&v->list, row);
	v->is_stale = true;
	return true;
}

bool library_show_take(struct ws *ws, int64_t take)
{
	struct library_view *v = &ws->takes;
	struct err e = {0};
	bool is_there;

	ws_show(ws, SCREEN_LIBRARY);
	if (!library_read(ws, v))
		return false;
	is_there = library_go(v, take);
	if (library_load(ws, v, v->list.height, &e))
		ws_fail(ws, &e);
	else if (!is_there)
		ws_say(ws,
			"the take is not in this list: Esc clears the filter, T shows the trash");
	return is_there;
}

/* ---- marks -------------------------------------------------------------- */

static void range_of(const struct library_view *v, int64_t *ret_from, int64_t *ret_to)
{
	const int64_t a = v->anchor - 1, b = v->list.cursor;

	*ret_from = a < b ? a : b;
	*ret_to = a < b ? b : a;
	if (*ret_to >= (int64_t)v->tree.n_rows)
		*ret_to = (int64_t)v->tree.n_rows - 1;
}

/* A prompt above its takes, which are in the range themselves, or are not. */
static bool is_heading(const struct library_view *v, int64_t row, int64_t from, int64_t to)
{
	const struct tree_row *r = &v->tree.rows[row];

	return from != to && r->kind == TREE_PROMPT && v->tree.groups[r->group].is_open;
}

bool library_is_marked(const struct library_view *v, int64_t row)
{
	const int64_t *ids;
	int64_t from, to;
	size_t n = tree_takes(&v->tree, row, &ids);

	range_of(v, &from, &to);
	if (v->anchor && n && row >= from && row <= to && !is_heading(v, row, from, to))
		return true;
	for (size_t i = 0; i < n; i++)
		if (!ids_has(&v->marks, ids[i]))
			return false;
	return n > 0;
}

void library_end_range(struct library_view *v)
{
	struct {
		int64_t *at;
		size_t n, cap;
	} all = {0};
	const int64_t *ids;
	int64_t from, to;

	if (!v->anchor)
		return;
	range_of(v, &from, &to);
	v->anchor = 0;
	for (int64_t row = from; row <= to; row++) {
		const size_t n = is_heading(v, row, from, to) ? 0 : tree_takes(&v->tree, row, &ids);

		for (size_t i = 0; i < n; i++)
			*VEC_PUSH(&all) = ids[i];
	}
	ids_add(&v->marks, all.at, all.n);
	VEC_DONE(&all);
}

void library_unmark(struct library_view *v)
{
	v->anchor = 0;
	ids_clear(&v->marks);
}

size_t library_targets(struct library_view *v, struct arena *a, const int64_t **ret)
{
	const int64_t *ids;
	int64_t *copy;
	size_t n;

	library_end_range(v);
	if (v->marks.n) {
		ids = v->marks.at;
		n = v->marks.n;
	} else {
		n = tree_takes(&v->tree, v->list.cursor, &ids);
	}
	copy = ARENA_ARRAY(a, int64_t, n + 1);
	if (n)
		memcpy(copy, ids, n * sizeof(*copy));
	*ret = copy;
	return n;
}
