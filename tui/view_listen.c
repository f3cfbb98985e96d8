/* Listening: the picture of the take that is played, or else of the one under the
 * library's cursor. */
#include "tui/view_listen.h"

#include <math.h>
#include <string.h>

#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/picture.h"
#include "tui/picture_pane.h"
#include "tui/ws.h"

static const char *const scale_names[] = {"log", "mel", "linear"};

void listening_open(struct listening *l)
{
	l->fft = 2048;
	l->low_db = -90;
	l->drawn = -1;
}

void listening_close(struct listening *l)
{
	picture_close(l->picture);
	str_done(&l->path);
	str_done(&l->title);
}

/* ---- what is shown ------------------------------------------------------ */

double listening_length(const struct ws *ws)
{
	double length = 0;

	if (ws->listening.picture) {
		length = picture_look(ws->listening.picture)->length_s;
		picture_leave(ws->listening.picture);
	}
	return length;
}

double listening_position(const struct ws *ws)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	return v.take == ws->listening.take && !v.is_loading ? v.position_s : 0;
}

static struct span shown(const struct ws *ws)
{
	const struct span s = ws->listening.span;

	return s.end > s.begin ? s : (struct span){0, listening_length(ws)};
}

void listening_ask(struct ws *ws)
{
	struct listening *l = &ws->listening;
	const struct picture_desc d = {.path = l->take ? str_get(&l->path) : NULL,
		.scale = l->scale,
		.fft = l->fft,
		.span = l->span};

	if (l->picture)
		picture_ask(l->picture, &d);
	ws->dirty |= DIRTY_BODY;
}

static int64_t wanted_take(const struct ws *ws)
{
	const struct take *t = view_library_selected(ws);
	struct listen_view v;

	listen_read(ws->listen, &v);
	return v.take ? v.take : t ? t->id : 0;
}

static int change_take(struct ws *ws, int64_t id, struct err *e)
{
	struct listening *l = &ws->listening;
	struct arena a = {0};
	struct take t;
	int rc = id ? takes_get(ws->db, id, &a, &t, e) : 0;

	str_clear(&l->path);
	str_clear(&l->title);
	l->take = rc ? 0 : id;
	l->span = (struct span){0};
	if (l->take) {
		str_printf(&l->path, "%s/%s", ws->library, t.file);
		str_add(&l->title, t.prompt);
		l->bpm = span_bpm(t.prompt);
	}
	listening_ask(ws);
	arena_done(&a);
	return rc;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct listening *l = &ws->listening;
	int64_t id = wanted_take(ws);
	int rc = 0;

	if (!l->picture) {
		struct arena a = {0};

		rc = picture_open(arena_printf(&a, "%s/cache/pictures", ws->library), ws->wake_fd,
			&l->picture, e);
		arena_done(&a);
	}
	return rc ? rc : id == l->take ? 0 : change_take(ws, id, e);
}

/* ---- painting ----------------------------------------------------------- */

static void draw_title(const struct ws *ws, int width)
{
	const struct listening *l = &ws->listening;
	struct str right = {0};
	int n;

	str_printf(&right, "  %s  %s  %d  %.0f..0 dB ", colormap_name(l->map),
		scale_names[l->scale], l->fft, l->low_db);
	n = width >= 60 ? (int)right.n : 0;
	paint(0, 0, 1, ROLE_TITLE, "");
	paint(0, 1, width - n - 1, ROLE_TITLE, str_get(&l->title));
	paint(0, width - n, n, ROLE_DIM, str_get(&right));
	str_done(&right);
}

static struct picture_pane pane_of(const struct ws *ws, double playhead)
{
	const struct listening *l = &ws->listening;

	return (struct picture_pane){.picture = l->picture,
		.span = shown(ws),
		.map = l->map,
		.low_db = l->low_db,
		.playhead = playhead};
}

static void draw_nothing(int height, int width)
{
	for (int y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	paint(height > 2 ? 2 : 0, 2, width - 2, ROLE_DIM,
		"No take to listen to. 1 is the library, i there begins a prompt.");
}

static void draw(struct ws *ws, int height, int width)
{
	struct listening *l = &ws->listening;
	struct picture_pane p;

	l->pane = (struct rect){1, 0, height - 1, width};
	if (!l->take || !l->picture) {
		draw_nothing(height, width);
		return;
	}
	draw_title(ws, width);
	l->drawn = listening_position(ws);
	p = pane_of(ws, l->drawn);
	if (l->pane.height > 0)
		picture_pane_draw(&p, &l->pane);
}

static void move_playhead(struct ws *ws, int height, int width)
{
	struct listening *l = &ws->listening;
	double was = l->drawn;
	struct picture_pane p;

	if (!l->take || !l->picture || l->pane.height < 1)
		return;
	l->drawn = listening_position(ws);
	p = pane_of(ws, l->drawn);
	picture_pane_move(&p, was, &l->pane);
}

/* Follows what is played. */
static void tick(struct ws *ws, bool is_awake)
{
	struct listening *l = &ws->listening;
	const struct span before = l->span;

	ws->dirty |= DIRTY_MOVE;
	if (is_awake || wanted_take(ws) != l->take)
		ws->dirty |= DIRTY_BODY;
	if (!(before.end > before.begin))
		return;
	l->span = span_follow(before, listening_position(ws), listening_length(ws));
	if (l->span.begin != before.begin)
		listening_ask(ws);
}

static struct list *list_of(struct ws *ws)
{
	return &ws->listening.no_rows;
}

const struct view view_listen = {.name = "listen",
	.tab = "4 Listen",
	.hints = "h/l \302\2611 s  ,/. \302\2615 s  { } loop  L loop  d denoise  z view  ? keys",
	.load = load,
	.draw = draw,
	.move = move_playhead,
	.tick = tick,
	.list = list_of};
