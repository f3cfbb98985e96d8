/* view_library.h: the list of takes: what it is of, what of it is in memory, which of
 * it is marked.  The trash is another one. */
#ifndef WOODSHED_TUI_VIEW_LIBRARY_H
#define WOODSHED_TUI_VIEW_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/queue.h"
#include "library/takes.h"
#include "tui/ids.h"
#include "tui/line_edit.h"
#include "tui/list.h"
#include "tui/tree.h"

struct err;
struct ws;

/* A row that is seen. */
struct library_row {
	struct take take; /* of a prompt: the first of its takes; .id 0: gone meanwhile */
	int64_t number;   /* of the take among its prompt's, from 1 */
	bool favourite;   /* of a prompt: one of its takes is */
	bool unheard;     /* of a prompt: one of its takes is */
	struct job job;   /* that failed; .id 0: a take */
};

struct library_view {
	struct list list;
	struct line_edit filter;
	enum takes_order order;
	bool is_reversed, is_flat, is_trash;

	struct tree tree;
	struct ids open;  /* prompts */
	struct ids marks; /* takes */
	int64_t anchor;   /* row + 1 where a range begins that is being marked; 0: none */
	int64_t total;    /* takes without a filter */

	struct arena page; /* of rows */
	struct library_row *rows;
	int64_t first; /* the list's row that rows[0] is */
	size_t n;

	bool is_stale;   /* the cursor moved, or the list is of something else */
	bool is_changed; /* the database holds something else */
	bool is_reread;  /* the rows are not what it holds */
	bool has_found;  /* once */
	bool is_awaited; /* the list that was asked for is another than the one that is there */
	bool goes_up;    /* the cursor, to the first row of that one */
	bool is_lost;    /* the question: another list was asked for before it was answered */
	bool is_late;    /* the answer: somebody waited for it in vain */
	unsigned n_asked;
	struct str asked; /* what the list is of, or will be once it is found */
	struct str wrong; /* why nothing could be found: the filter, say; empty: it was */
	uint64_t stamp;   /* takes_stamp() when it was asked */
};

/* The list that is shown: the library's, or the trash. */
struct library_view *library_shown(struct ws *ws);
/* Whether keys go to the library or the trash. */
bool library_has_keys(const struct ws *ws);
void library_view_done(struct library_view *v);
/* What comes first in it: "newest", "shortest". */
const char *library_order(const struct library_view *v);

/* Asks for what the list is of where that is another than what it shows, and reads the
 * rows of the window. */
int library_load(struct ws *ws, struct library_view *v, int64_t height, struct err *e);

/* The list that is shown, for who acts on its rows: where another one was asked for it is
 * waited for.  NULL, with a message: it is still being read. */
struct library_view *library_now(struct ws *ws);
/* The same of any list, and of what the database holds now, too; false: it is not yet. */
bool library_read(struct ws *ws, struct library_view *v);
/* Without waiting for it, nor a message. */
bool library_is_read(struct ws *ws, struct library_view *v);

/* The take that the row under the cursor is, or shows of its prompt; 0: none. */
int64_t library_take(const struct library_view *v);
/* The row under the cursor; NULL: none. */
const struct library_row *library_row_at(const struct library_view *v, int64_t row);
bool library_is_marked(const struct library_view *v, int64_t row); /* or in the range */
/* The range becomes marks. */
void library_end_range(struct library_view *v);
void library_unmark(struct library_view *v);
size_t library_targets(struct library_view *v, struct arena *a, const int64_t **ret);

/* After folding or unfolding: the cursor stays where it is, or on the prompt. */
void library_unfold(struct library_view *v);
/* Puts the cursor on a take, its prompt unfolded; false when the list has it not. */
bool library_go(struct library_view *v, int64_t take);

/* Shows the library with the cursor on a take; false, with a message, when its list has
 * it not. */
bool library_show_take(struct ws *ws, int64_t take);

#endif
