/* Colours on a terminal: what it can do, and the pairs of ncurses.
 *
 * Pairs are numbered here and not by alloc_pair(): that of ncurses 6.4 has no pair
 * left for anybody once all were used on a terminal with direct colour. */
#include "tui/colors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tui/palette.h"

enum {
	CELLS_FIRST = 1 + THEME_N_ROLES, /* 0 is the terminal's own; then one a role */
	CELLS_MAX = 16384,               /* more than cells of a large screen */
	N_CHAINS = 4096,                 /* a power of two */
};

/* A pair of a picture; they are used in a circle. */
struct cell_pair {
	int fg, bg;
	int next; /* of its chain: a place in cells, or -1 */
};

struct colors {
	enum colors_level level;
	struct colors_terminal terminal;
	struct theme theme;
	struct cell_pair *cells; /* n_cells; owned, NULL without colours */
	int n_cells, n_used;
	int oldest;           /* the next to be given away, once all are used */
	int chains[N_CHAINS]; /* by colours: a place in cells, or -1 */
};

/* ---- what depends on nothing but the arguments ---- */

const char *colors_term(const struct colors_env *env)
{
	/* Terminals of the same kind as xterm under names of their own. */
	static const struct {
		const char *prefix, *entry;
	} kinds[] = {{"xterm", "woodshed-xterm"}, {"tmux", "woodshed-tmux"},
		{"screen", "woodshed-screen"}, {"alacritty", "woodshed-xterm"},
		{"foot", "woodshed-xterm"}, {"ghostty", "woodshed-xterm"},
		{"konsole", "woodshed-xterm"}, {"wezterm", "woodshed-xterm"}};
	const char *term = env->term ? env->term : "";
	bool is_promised = env->colorterm && (!strcmp(env->colorterm, "truecolor") ||
						     !strcmp(env->colorterm, "24bit"));

	if (has_prefix(term, "screen") && !(env->tmux && *env->tmux))
		return term;
	if (!is_promised || env->is_mono || !env->entries || has_suffix(term, "-direct") ||
		has_suffix(term, "-mono") || has_suffix(term, "-m"))
		return term;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (has_prefix(term, kinds[i].prefix))
			return kinds[i].entry;
	return term;
}

enum colors_level colors_level(const struct colors_env *env, const struct colors_terminal *t)
{
	if (env->is_mono || t->n_colors < 8)
		return COLORS_MONO;
	if (t->is_rgb)
		return COLORS_RGB;
	return t->n_colors >= 256 ? COLORS_256 : t->n_colors >= 16 ? COLORS_16 : COLORS_8;
}

/* Numbers below n_indexed are a palette's: a colour there moves by so few steps
 * of green that nobody sees it. */
static int direct(const struct colors_terminal *t, uint32_t rgb)
{
	if (rgb < (uint32_t)t->n_indexed)
		rgb = t->n_indexed > 255 ? 0x100 | rgb : (uint32_t)t->n_indexed;
	return (int)rgb;
}

int colors_number(enum colors_level level, const struct colors_terminal *t, struct theme_color c)
{
	bool is_indexed = c.kind == THEME_16 || c.kind == THEME_256;
	uint32_t rgb = is_indexed ? palette_rgb(c.index) : c.rgb;

	if (level == COLORS_MONO || c.kind == THEME_DEFAULT || c.kind == THEME_NONE)
		return -1;
	if (level == COLORS_RGB)
		return is_indexed && c.index < t->n_indexed ? c.index : direct(t, rgb);
	if (level == COLORS_256)
		return is_indexed || c.has_index ? c.index : (int)palette_nearest(rgb, 16, 255);
	return c.kind == THEME_16 ? c.index : (int)palette_nearest(rgb, 0, 15);
}

/* Black or white, whatever reads better on a colour of the 16. */
static int ink(int bg)
{
	uint32_t on = palette_rgb((unsigned)bg);

	return palette_contrast(0, on) > palette_contrast(0xe5e5e5, on) ? 0 : 7;
}

/* Eight colours: bright ones are bold ones, and grey, which would be bold black
 * and invisible on many terminals, is dim. */
static void make_eight(struct colors_style *s)
{
	if (s->bg >= 8)
		s->bg = s->bg == 8 ? 0 : s->bg - 8;
	if (s->fg == 8 && s->bg < 0) {
		s->fg = -1;
		s->attributes |= THEME_DIM;
	} else if (s->fg == 8) {
		s->fg = ink(s->bg);
	} else if (s->fg > 8) {
		s->fg -= 8;
		s->attributes |= THEME_BOLD;
	}
}

static struct colors_style style_of(enum colors_level level, const struct colors_terminal *terminal,
	struct theme_color fg, struct theme_color bg, unsigned attributes)
{
	struct colors_style s = {.fg = colors_number(level, terminal, fg),
		.bg = colors_number(level, terminal, bg),
		.attributes = attributes};

	if (level == COLORS_8)
		make_eight(&s);
	return s;
}

struct colors_style colors_style(enum colors_level level, const struct colors_terminal *terminal,
	const struct theme *t, enum theme_role r)
{
	const struct theme_style *role = &t->roles[r];
	struct theme_color ground = t->roles[ROLE_TEXT].bg;
	bool has_own = role->bg.kind != THEME_NONE && r != ROLE_TEXT;
	struct colors_style s =
		style_of(level, terminal, role->fg, has_own ? role->bg : ground, role->attributes);

	if (level != COLORS_8 && level != COLORS_16)
		return s;
	if (s.bg >= 0 && s.fg == s.bg)
		s.fg = ink(s.bg);
	/* Shades of a ground become one: then marks tell what stands out. */
	if (has_own && role->bg.kind != THEME_DEFAULT &&
		s.bg == style_of(level, terminal, ground, ground, 0).bg)
		s.attributes |= theme_default()->roles[r].attributes;
	return s;
}

static uint32_t mix(uint32_t a, uint32_t b, double share)
{
	uint32_t ret = 0;

	for (int shift = 16; shift >= 0; shift -= 8) {
		const double from = a >> shift & 255, to = b >> shift & 255;

		ret |= (uint32_t)lrint(from + (to - from) * share) << shift;
	}
	return ret;
}

struct theme_color colors_gradient(
	enum colors_level level, const struct theme_gradient *g, double at)
{
	const double place = (at > 0 ? fmin(at, 1) : 0) * (double)(g->n - 1);
	const size_t before = (size_t)place, after = before + (before + 1 < g->n);
	const struct theme_color *a = &g->at[before], *b = &g->at[after];

	if (level == COLORS_RGB && a->kind == THEME_RGB && b->kind == THEME_RGB)
		return colors_rgb(mix(a->rgb, b->rgb, place - (double)before));
	return place - (double)before < 0.5 ? *a : *b;
}

struct theme_color colors_rgb(uint32_t rgb)
{
	return (struct theme_color){.kind = THEME_RGB, .rgb = rgb};
}

/* ---- ncurses ---- */

static void find_entries(const struct colors_env *env)
{
	struct str dirs = {0};

	/* An empty part is where ncurses looks by itself. */
	str_printf(&dirs, "%s:%s", env->entries, env->terminfo_dirs ? env->terminfo_dirs : "");
	setenv("TERMINFO_DIRS", str_get(&dirs), 1);
	str_done(&dirs);
}

int colors_newterm(const struct colors_env *env, FILE *out, FILE *in, SCREEN **ret, struct err *e)
{
	const char *term = colors_term(env);
	bool is_ours = env->term && strcmp(term, env->term);

	if (env->entries && !strchr(env->entries, ':'))
		find_entries(env);
	*ret = *term ? newterm(term, out, in) : NULL;
	if (!*ret && is_ours)
		*ret = newterm(env->term, out, in);
	if (!*ret)
		return err_set(e, ERR_UNSUPPORTED,
			"terminal '%.64s' is not known here; set TERM to what it is, or try "
			"TERM=xterm",
			env->term ? env->term : "");
	return 0;
}

/* The capability RGB says how colours are numbers: by its presence or by a count
 * of bits each.  Other layouts than 8 bits each are not for us. */
static bool has_direct_color(void)
{
	return COLORS == 1 << 24 && (tigetflag("RGB") > 0 || tigetnum("RGB") == 8);
}

static struct colors_terminal ask_terminal(void)
{
	struct colors_terminal t = {0};

	if (!has_colors())
		return t;
	t.n_colors = COLORS;
	t.is_rgb = has_direct_color();
	t.n_indexed = t.is_rgb ? tigetnum("CO") : 0;
	if (t.is_rgb && t.n_indexed < 8)
		t.n_indexed = 8;
	return t;
}

struct colors *colors_open(const struct colors_env *env, const struct theme *t)
{
	struct colors *c = xcalloc(1, sizeof *c);

	if (!env->is_mono && has_colors() && start_color() != ERR) {
		c->terminal = ask_terminal();
		if (use_default_colors() == ERR || COLOR_PAIRS <= CELLS_FIRST)
			c->terminal.n_colors = 0;
	}
	c->level = colors_level(env, &c->terminal);
	if (c->level != COLORS_MONO) {
		int n = COLOR_PAIRS - CELLS_FIRST;
		c->n_cells = n < CELLS_MAX ? n : CELLS_MAX;
		c->cells = xcalloc((size_t)c->n_cells, sizeof *c->cells);
	}
	for (size_t i = 0; i < N_CHAINS; i++)
		c->chains[i] = -1;
	colors_theme(c, t);
	return c;
}

void colors_close(struct colors *c)
{
	if (!c)
		return;
	free(c->cells);
	free(c);
}

enum colors_level colors_level_of(const struct colors *c)
{
	return c->level;
}

static struct colors_style role_style(const struct colors *c, enum theme_role r)
{
	return colors_style(c->level, &c->terminal, &c->theme, r);
}

void colors_theme(struct colors *c, const struct theme *t)
{
	c->theme = c->level == COLORS_MONO ? *theme_mono() : *t;
	for (enum theme_role r = 0; c->level != COLORS_MONO && r < THEME_N_ROLES; r++) {
		struct colors_style s = role_style(c, r);
		init_extended_pair(1 + (int)r, s.fg, s.bg);
	}
}

static attr_t attributes_of(unsigned attributes)
{
	return (attributes & THEME_BOLD ? A_BOLD : 0) | (attributes & THEME_DIM ? A_DIM : 0) |
	       (attributes & THEME_UNDERLINE ? A_UNDERLINE : 0) |
	       (attributes & THEME_REVERSE ? A_REVERSE : 0);
}

static short pair_of(const struct colors *c, enum theme_role r)
{
	return c->level == COLORS_MONO ? 0 : (short)(1 + r);
}

void colors_set(struct colors *c, WINDOW *w, enum theme_role r)
{
	struct colors_style s = role_style(c, r);

	(void)wattr_set(w, attributes_of(s.attributes), pair_of(c, r), NULL);
}

void colors_fill(struct colors *c, WINDOW *w, enum theme_role r)
{
	struct colors_style s = role_style(c, r);
	cchar_t blank;

	if (setcchar(&blank, L" ", attributes_of(s.attributes), pair_of(c, r), NULL) != ERR)
		wbkgrndset(w, &blank);
}

static int *chain_of(struct colors *c, int fg, int bg)
{
	uint32_t hash = ((uint32_t)fg * 0x9e3779b1u ^ (uint32_t)bg) * 0x85ebca6bu;

	return &c->chains[hash >> 20 & (N_CHAINS - 1)];
}

/* A place for a new pair: a fresh one, or the oldest, which leaves its chain. */
static int take_place(struct colors *c)
{
	int place = c->oldest, *at;

	if (c->n_used < c->n_cells)
		return c->n_used++;
	c->oldest = (c->oldest + 1) % c->n_cells;
	at = chain_of(c, c->cells[place].fg, c->cells[place].bg);
	while (*at != place)
		at = &c->cells[*at].next;
	*at = c->cells[place].next;
	return place;
}

short colors_cell(struct colors *c, struct theme_color fg, struct theme_color bg)
{
	struct colors_style s = style_of(c->level, &c->terminal, fg, bg, 0);
	int *chain = chain_of(c, s.fg, s.bg), place = *chain;

	if (s.fg < 0 && s.bg < 0)
		return 0;
	while (place >= 0 && (c->cells[place].fg != s.fg || c->cells[place].bg != s.bg))
		place = c->cells[place].next;
	if (place < 0) {
		place = take_place(c);
		c->cells[place] = (struct cell_pair){.fg = s.fg, .bg = s.bg, .next = *chain};
		*chain = place;
		init_extended_pair(CELLS_FIRST + place, s.fg, s.bg);
	}
	return (short)(CELLS_FIRST + place);
}

void colors_set_gradient(struct colors *c, WINDOW *w, enum theme_gradient_id g, double at)
{
	const struct theme_color ground = c->theme.roles[ROLE_TEXT].bg;
	const int bg = colors_number(c->level, &c->terminal, ground);
	struct theme_color fg = colors_gradient(c->level, &c->theme.gradients[g], at);

	if (c->level == COLORS_MONO) {
		colors_set(c, w, ROLE_PROGRESS);
		return;
	}
	if (bg >= 0 && bg < 16 && colors_number(c->level, &c->terminal, fg) == bg)
		fg = (struct theme_color){.kind = THEME_16, .index = (uint8_t)ink(bg)};
	(void)wattr_set(w, A_NORMAL, colors_cell(c, fg, ground), NULL);
}
