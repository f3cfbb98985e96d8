/* view_compose.h: the Compose screen: what it shows, and what its parts call of one
 * another.  Private to the workstation.
 *
 *	view_compose.c		layout and drawing
 *	commands_compose.c	keys and commands
 *	compose_choice.c	choosing one of the models
 *	compose_models.c	the models there are to choose from
 */
#ifndef WOODSHED_TUI_VIEW_COMPOSE_H
#define WOODSHED_TUI_VIEW_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/suggest.h"
#include "tui/compose.h"
#include "tui/compose_history.h"
#include "tui/list.h"

struct err;
struct mouse;
struct suggest;
struct token_count;
struct ws;

/* A model to choose: one that is installed, or one that could be. */
struct compose_model {
	const char *name;
	const char *engine;  /* NULL: none that woodshed knows */
	const char *licence; /* NULL: not known */
	const char *selling; /* what it makes: what the licence says, in words */
	int rate_hz, channels;
	double longest_s; /* of a take; 0: any length, or not known */
	bool is_endless;  /* any length */
	bool is_rendered; /* by this program; false, too, before any engine has told */
	bool is_refused;  /* engines have told, and none renders it */
	uint64_t bytes;
	bool is_installed;
};

struct compose_models {
	struct arena arena;
	struct compose_model *list;
	size_t n;
};

/* Installed ones first. */
int compose_models_read(struct compose_models *m, struct ws *ws, struct err *e);
void compose_models_done(struct compose_models *m);
/* NULL: there is none of that name. */
const struct compose_model *compose_models_find(const struct compose_models *m, const char *name);
/* "32 kHz stereo", and "any length" or "up to 47.5 s"; "" when it is not known. */
void compose_model_rate(const struct compose_model *m, struct str *out);
void compose_model_length(const struct compose_model *m, struct str *out);
/* "32 kHz mono, any length, CC-BY-NC-4.0, no commercial use" */
void compose_model_describe(const struct compose_model *m, struct str *out);
/* Why it cannot be rendered with, and what to do; NULL: it can. */
const char *compose_model_hurdle(const struct compose_model *m, struct arena *a);

struct compose_view {
	struct compose c;
	size_t field;            /* of compose.h, that has the keys */
	bool is_resting;         /* nothing is typed in it yet: keys are commands */
	int top;                 /* first line of the form that is seen */
	int form_y, form_height; /* where, in the body */
	int height, width;       /* of the body, as it was drawn */
	struct list list;

	struct compose_models models;
	bool has_models;
	bool is_choosing; /* a model, from a list */
	struct list choice;

	bool is_stale; /* the lines below, and the parameters */
	struct arena page;
	struct engine_parameters parameters;
	struct str model;    /* the model in words */
	struct str estimate; /* what queueing it will cost, or why it cannot be queued */
	struct str brief;    /* the former, where that is longer than a line; "": there is none */
	bool is_wrong;       /* the estimate is the latter */
	bool is_short;       /* of disk space */

	struct compose_history history;
	struct err why;             /* they could not be read */
	struct token_count *tokens; /* owned; NULL: not asked yet */
	struct suggest *suggest;    /* owned; NULL: not made yet */
	int64_t suggest_version;
	struct suggestion suggestions[SUGGEST_MAX]; /* at the prompt's cursor */
	size_t n_suggestions, suggested;            /* which of them was put in, from 1; 0: none */
	struct str completed; /* what they were found for, from their `from` on */

	int cursor_y, cursor_x; /* of the body, where one types; -1: nowhere */
	int text_width;         /* of the prompt, in cells */
};

void view_compose_open(struct ws *ws);
/* What there was to say of the drafts, once it can be seen. */
void view_compose_tell(struct ws *ws);
void view_compose_close(struct compose_view *v); /* NULL-safe */
/* What is typed, or the model, changed. */
void view_compose_changed(struct ws *ws);
/* Chooses a model and reads what its engine can be told. */
int view_compose_use(struct ws *ws, const char *model, struct err *e);
/* The cursor of the prompt stands elsewhere: other words may follow. */
void view_compose_suggest(struct ws *ws);
/* The helper that counts tokens: to be polled, -1: nothing; and when it has something
 * to say. */
int view_compose_fd(const struct compose_view *v);
void view_compose_work(struct ws *ws);
/* Takes the fields in the order in which they stand: field -> the next (1) or the
 * one before (-1). */
void view_compose_go(struct compose_view *v, int by);
/* A key that is typed here; false: it is none of text. */
bool view_compose_key(struct ws *ws, uint32_t key);
bool view_compose_is_typed(const struct ws *ws, uint32_t key);
/* For COMPOSE_TAKES_MAX takes from it on. */
uint64_t compose_seed_by_chance(void);
void view_compose_paste(struct ws *ws, const char *text, size_t n);

/* ---- compose_choice.c --------------------------------------------------- */

/* Reads the models anew and shows the list of them. */
void compose_choice_open(struct ws *ws);
/* The whole body; says where its cursor stands. */
void compose_choice_draw(struct compose_view *v, int height, int width);
/* false: the key is none of the list's. */
bool compose_choice_key(struct ws *ws, uint32_t key);
/* ^C: the model stays as it was.  False: the list is not shown. */
bool compose_choice_leave(struct ws *ws);
void compose_choice_press(struct ws *ws, const struct mouse *m);
/* The model before (-1) or after (1) the one that is chosen, of those that are installed;
 * where none is, the list. */
void compose_choice_turn(struct ws *ws, int by);

#endif
