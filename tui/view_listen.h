/* view_listen.h: the state of the Listen screen.  Private to the workstation. */
#ifndef WOODSHED_TUI_VIEW_LISTEN_H
#define WOODSHED_TUI_VIEW_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "library/base/str.h"
#include "library/colormap.h"
#include "library/spectrum.h"
#include "tui/list.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/interval.h"
#include "tui/picture_pane.h"

struct picture;
struct ws;

struct listening {
	struct picture *picture;      /* NULL until the screen is shown */
	int64_t take;                 /* whose picture it is; 0: none */
	struct str path, title, tail; /* tail: sound_take_tail() */
	char merit[4];                /* "*4": a favourite, rated 4; "": neither */
	bool is_stale;                /* that */

	struct interval span;   /* that is shown; begin == end: all of it */
	struct interval coming; /* shown as soon as its picture is there; begin == end: none */
	double turned;          /* clock_now() when that was the case last */
	enum spectrum_scale scale;
	int fft;
	double low_db;
	enum colormap map;
	enum picture_glyphs glyphs;

	struct listen_meters meters; /* as painted */
	float held[2];               /* the greatest peaks of the take that is played */
	double drawn;                /* where the playhead was painted; negative: nowhere */
	struct rect pane;            /* where the picture was painted */
	struct list no_rows;         /* what j and k move in */
};

void listening_open(struct listening *l);
void listening_close(struct listening *l);

/* Asks for the picture of what is set now, and has it painted. */
void listening_ask(struct ws *ws);
/* Shows what is played; at_once: even if it has not been long since the last time. */
void listening_follow(struct ws *ws, bool at_once);
/* The length of the take that is shown, and where it is played (0 when another one
 * is, or none); seconds. */
double listening_length(const struct ws *ws);
double listening_position(const struct ws *ws);

#endif
