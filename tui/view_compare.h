/* view_compare.h: up to four takes at the same position of one clock, equally loud.
 * Private to the workstation. */
#ifndef WOODSHED_TUI_VIEW_COMPARE_H
#define WOODSHED_TUI_VIEW_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"
#include "tui/list.h"
#include "tui/mixer.h"
#include "tui/paint.h"

struct err;
struct listen_view;
struct picture;
struct ws;

/* One that is compared. */
struct compared {
	int64_t take;
	uint64_t seed;
	int slot; /* of listen_switch() */
	struct str title;
	double seconds, lufs, cut;
	char path[256];          /* within the library */
	struct picture *picture; /* NULL until the screen is shown */
	struct rect pane;        /* where the picture was painted */
};

struct comparing {
	struct compared at[MIXER_SLOTS]; /* A, B, ... */
	int n;
	int heard;
	struct list list; /* its cursor is what is heard */
	bool has_wish;    /* another is to be heard once it is read: */
	int wish;
	bool is_blind; /* nothing is told of them until one is chosen */
	double drawn;  /* where the playhead was painted */
};

void comparing_close(struct comparing *c);
/* Compares these, from the position where one of them is played; plays.  More than
 * MIXER_SLOTS: the first. */
int comparing_begin(struct ws *ws, const int64_t *takes, size_t n, struct err *e);
/* The i-th is heard, from the very frame on that comes next, or once it is read; where
 * something else was played meanwhile, all of them from the beginning. */
void comparing_switch(struct ws *ws, int i);
/* Where the list's cursor was moved to is heard. */
void comparing_moved(struct ws *ws);
/* To be called when a file was read: it may be the one that is wished for. */
void comparing_follow(struct ws *ws);
/* Hides which is which, in a new order; or no more. */
void comparing_hide(struct ws *ws, bool hides);
/* What a take is called while nobody is to know which it is; NULL: its name. */
const char *comparing_hidden(const struct ws *ws, int64_t take);
/* How long what is played is said to be: a length may be as telling as a name, so of one
 * that is hidden it is the longest's. */
double comparing_length(const struct ws *ws, const struct listen_view *v);

#endif
