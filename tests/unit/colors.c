/* Colours without a terminal: the palette, what TERM, COLORTERM and NO_COLOR
 * make of a terminal, and what becomes of a colour it does not have. */
#include "tui/colors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/globals.h"
#include "tests/unit/scratch.h"
#include "tui/palette.h"

static const struct colors_terminal none,
	eight = {.n_colors = 8}, sixteen = {.n_colors = 16}, many = {.n_colors = 256},
	ours = {.n_colors = 1 << 24, .is_rgb = true, .n_indexed = 256},
	direct = {.n_colors = 1 << 24, .is_rgb = true, .n_indexed = 8};

static struct theme_color rgb_at(uint32_t rgb, uint8_t index)
{
	struct theme_color c = colors_rgb(rgb);

	c.index = index;
	c.has_index = true;
	return c;
}

static struct theme_color indexed(uint8_t i)
{
	return (struct theme_color){.kind = i < 16 ? THEME_16 : THEME_256, .index = i};
}

static void the_palette(void **state)
{
	assert_int_equal(palette_rgb(0), 0);
	assert_int_equal(palette_rgb(1), 0xcd0000);
	assert_int_equal(palette_rgb(15), 0xffffff);
	assert_int_equal(palette_rgb(16), 0);
	assert_int_equal(palette_rgb(21), 0x0000ff);
	assert_int_equal(palette_rgb(208), 0xff8700);
	assert_int_equal(palette_rgb(231), 0xffffff);
	assert_int_equal(palette_rgb(232), 0x080808);
	assert_int_equal(palette_rgb(255), 0xeeeeee);
}

/* Values from the author's page: white, and pure red. */
static void oklab(void **state)
{
	struct oklab white = palette_oklab(0xffffff), red = palette_oklab(0xff0000);

	assert_true(fabs(white.l - 1) < 1e-4 && fabs(white.a) < 1e-4 && fabs(white.b) < 1e-4);
	assert_true(fabs(red.l - 0.6280) < 1e-4 && fabs(red.a - 0.2249) < 1e-4 &&
		    fabs(red.b - 0.1258) < 1e-4);
}

static void the_nearest_colour(void **state)
{
	for (unsigned i = 16; i < 256; i++) {
		unsigned n = palette_nearest(palette_rgb(i), 16, 255);
		assert_int_equal(palette_rgb(n), palette_rgb(i));
	}
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(palette_nearest(palette_rgb(i), 0, 15), i);
	assert_int_equal(palette_nearest(0xff8800, 16, 255), 208);
	assert_int_equal(palette_nearest(0x123456, 7, 7), 7);
	/* by eye this blue is blue; by distance in RGB it is grey (127) */
	assert_int_equal(palette_nearest(0x3a63b8, 0, 15), 12);
}

static void contrast(void **state)
{
	assert_true(fabs(palette_contrast(0xffffff, 0) - 21) < 1e-9);
	assert_true(fabs(palette_contrast(0, 0xffffff) - 21) < 1e-9);
	assert_true(fabs(palette_contrast(0x808080, 0x808080) - 1) < 1e-9);
	/* WCAG's own example of what just passes: #767676 on white */
	assert_true(palette_contrast(0x767676, 0xffffff) >= 4.5);
	assert_true(palette_contrast(0x777777, 0xffffff) < 4.5);
}

static void our_entry_where_true_colour_is_promised(void **state)
{
	static const struct {
		const char *term, *colorterm, *want;
	} cases[] = {
		{"xterm-256color", "truecolor", "woodshed-xterm"},
		{"xterm-256color", "24bit", "woodshed-xterm"},
		{"xterm-kitty", "truecolor", "woodshed-xterm"},
		{"alacritty", "truecolor", "woodshed-xterm"},
		{"tmux-256color", "truecolor", "woodshed-tmux"},
		{"screen", "truecolor", "woodshed-screen"},
		{"screen-256color", "truecolor", "woodshed-screen"},
		{"xterm-256color", NULL, "xterm-256color"},
		{"xterm-256color", "", "xterm-256color"},
		{"xterm-256color", "yes", "xterm-256color"},
		{"xterm-direct", "truecolor", "xterm-direct"},
		{"xterm-mono", "truecolor", "xterm-mono"},
		{"linux", "truecolor", "linux"},
		{"vt100", "truecolor", "vt100"},
		{"dumb", "truecolor", "dumb"},
		{"", "truecolor", ""},
		{NULL, "truecolor", ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct colors_env env = {.term = cases[i].term,
			.colorterm = cases[i].colorterm,
			.tmux = "socket",
			.entries = "/entries"};
		assert_string_equal(colors_term(&env), cases[i].want);
		env.is_mono = true;
		assert_string_equal(colors_term(&env), env.term ? env.term : "");
		env.is_mono = false;
		env.entries = NULL;
		assert_string_equal(colors_term(&env), env.term ? env.term : "");
	}
}

static void screen_itself_is_not_believed(void **state)
{
	struct colors_env env = {
		.term = "screen-256color", .colorterm = "truecolor", .entries = "/entries"};

	assert_string_equal(colors_term(&env), "screen-256color");
	env.tmux = "";
	assert_string_equal(colors_term(&env), "screen-256color");
	env.tmux = "socket";
	assert_string_equal(colors_term(&env), "woodshed-screen");
}

static void levels(void **state)
{
	const struct colors_env color = {.term = "x"}, mono = {.term = "x", .is_mono = true};
	const struct colors_terminal odd = {.n_colors = 2}, more = {.n_colors = 88};

	assert_int_equal(colors_level(&color, &none), COLORS_MONO);
	assert_int_equal(colors_level(&color, &odd), COLORS_MONO);
	assert_int_equal(colors_level(&color, &eight), COLORS_8);
	assert_int_equal(colors_level(&color, &sixteen), COLORS_16);
	assert_int_equal(colors_level(&color, &more), COLORS_16);
	assert_int_equal(colors_level(&color, &many), COLORS_256);
	assert_int_equal(colors_level(&color, &ours), COLORS_RGB);
	assert_int_equal(colors_level(&mono, &ours), COLORS_MONO);
	assert_int_equal(colors_level(&mono, &eight), COLORS_MONO);
}

/* is_mono is globals_has_color()'s: the option first, then NO_COLOR. */
static void who_says_no(void **state)
{
	static const struct {
		const char *option, *no_color, *term;
		bool want;
	} cases[] = {
		{NULL, NULL, "xterm", true},
		{"auto", "", "xterm", true}, /* empty is not set: no-color.org */
		{"auto", "1", "xterm", false},
		{"never", NULL, "xterm", false},
		{"always", "1", "xterm", true},
		{"auto", NULL, "dumb", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct globals g = {.color = cases[i].option};
		struct environment env = {.no_color = cases[i].no_color, .term = cases[i].term};
		assert_int_equal(globals_has_color(&g, &env, true), cases[i].want);
	}
}

static void a_colour_goes_down_the_levels(void **state)
{
	struct theme_color orange = colors_rgb(0xff8700), given = rgb_at(0xff8700, 99);
	struct theme_color own = {.kind = THEME_DEFAULT}, unsaid = {0};

	assert_int_equal(colors_number(COLORS_RGB, &ours, orange), 0xff8700);
	assert_int_equal(colors_number(COLORS_RGB, &ours, given), 0xff8700);
	assert_int_equal(colors_number(COLORS_256, &many, orange), 208);
	assert_int_equal(colors_number(COLORS_256, &many, given), 99);
	assert_int_equal(
		colors_number(COLORS_16, &sixteen, orange), (int)palette_nearest(0xff8700, 0, 15));
	assert_int_equal(
		colors_number(COLORS_16, &sixteen, given), (int)palette_nearest(0xff8700, 0, 15));
	assert_int_equal(colors_number(COLORS_MONO, &none, orange), -1);
	for (enum colors_level l = COLORS_MONO; l <= COLORS_RGB; l++) {
		assert_int_equal(colors_number(l, &ours, own), -1);
		assert_int_equal(colors_number(l, &ours, unsaid), -1);
	}
}

static void places_in_the_palette(void **state)
{
	for (unsigned i = 0; i < 256; i++) {
		struct theme_color c = indexed((uint8_t)i);
		assert_int_equal(colors_number(COLORS_RGB, &ours, c), i);
		assert_int_equal(colors_number(COLORS_256, &many, c), i);
		if (i < 16)
			assert_int_equal(colors_number(COLORS_16, &sixteen, c), i);
		else
			assert_in_range(colors_number(COLORS_16, &sixteen, c), 0, 15);
		/* an entry whose palette is smaller gets the values instead */
		if (i < 8)
			assert_int_equal(colors_number(COLORS_RGB, &direct, c), i);
		else
			assert_int_equal(colors_number(COLORS_RGB, &direct, c),
				palette_rgb(i) < 8 ? 8 : palette_rgb(i));
	}
}

/* A value that a terminal would take for a place in its palette. */
static void values_that_are_no_places(void **state)
{
	for (uint32_t rgb = 0; rgb < 256; rgb++) {
		int n = colors_number(COLORS_RGB, &ours, colors_rgb(rgb));
		assert_int_equal(n, 0x100 | rgb);
		n = colors_number(COLORS_RGB, &direct, colors_rgb(rgb));
		assert_int_equal(n, rgb < 8 ? 8 : rgb);
	}
	assert_int_equal(colors_number(COLORS_RGB, &ours, colors_rgb(0x000100)), 0x000100);
	assert_int_equal(colors_number(COLORS_RGB, &ours, colors_rgb(0xffffff)), 0xffffff);
}

static struct colors_style style(enum colors_level level, const struct colors_terminal *terminal,
	struct theme_color fg, struct theme_color bg)
{
	struct theme t = *theme_default();

	t.roles[ROLE_TITLE] = (struct theme_style){.fg = fg, .bg = bg};
	return colors_style(level, terminal, &t, ROLE_TITLE);
}

static void bright_colours_of_eight(void **state)
{
	struct theme_color unsaid = {0};
	struct colors_style s = style(COLORS_8, &eight, indexed(9), unsaid);

	assert_int_equal(s.fg, 1);
	assert_int_equal(s.bg, -1);
	assert_int_equal(s.attributes, THEME_BOLD);
	s = style(COLORS_8, &eight, indexed(8), unsaid);
	assert_int_equal(s.fg, -1);
	assert_int_equal(s.attributes, THEME_DIM);
	s = style(COLORS_8, &eight, indexed(8), indexed(15));
	assert_int_equal(s.fg, 0);
	assert_int_equal(s.bg, 7);
	s = style(COLORS_8, &eight, indexed(8), indexed(0));
	assert_int_equal(s.fg, 7);
	assert_int_equal(s.bg, 0);
	s = style(COLORS_16, &sixteen, indexed(9), indexed(8));
	assert_int_equal(s.fg, 9);
	assert_int_equal(s.bg, 8);
	assert_int_equal(s.attributes, 0);
}

static void a_role_stands_on_the_ground_of_text(void **state)
{
	struct theme t = *theme_default();
	struct colors_style s;

	t.roles[ROLE_TEXT].bg = indexed(17);
	s = colors_style(COLORS_256, &many, &t, ROLE_ERROR);
	assert_int_equal(s.fg, 1);
	assert_int_equal(s.bg, 17);
	assert_int_equal(s.attributes, THEME_BOLD);
	s = colors_style(COLORS_256, &many, &t, ROLE_MATCH);
	assert_int_equal(s.bg, 3);
}

/* Grounds that are two greys by value are one black among 16. */
static void a_ground_that_got_lost_is_marked(void **state)
{
	struct theme_dirs d = {.shipped = THEMES};
	struct colors_style s;
	struct theme t;

	assert_int_equal(theme_load(&d, "gruvbox", &t, NULL), 0);
	s = colors_style(COLORS_256, &many, &t, ROLE_ROW_SELECTED);
	assert_int_equal(s.bg, 239);
	assert_int_equal(s.attributes, 0);
	s = colors_style(COLORS_8, &eight, &t, ROLE_ROW_SELECTED);
	assert_int_equal(s.attributes & THEME_REVERSE, THEME_REVERSE);
	s = colors_style(COLORS_8, &eight, &t, ROLE_ROW_SELECTED_UNFOCUSED);
	assert_int_equal(s.attributes, THEME_UNDERLINE);
	s = colors_style(COLORS_8, &eight, &t, ROLE_TEXT);
	assert_int_equal(s.attributes, 0);
	s = colors_style(COLORS_8, &eight, &t, ROLE_MATCH); /* yellow is no black */
	assert_int_equal(s.bg, 3);
	assert_int_equal(s.attributes, 0);
}

/* No text of a shipped theme vanishes where there are few colours. */
static void text_and_ground_stay_apart(void **state)
{
	static const char *const names[] = {"dark", "light", "gruvbox", "nord", "solarized-dark",
		"solarized-light", "high-contrast", "default"};
	struct theme_dirs d = {.shipped = THEMES};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct theme t;
		assert_int_equal(theme_load(&d, names[i], &t, NULL), 0);
		for (enum theme_role r = 0; r < THEME_N_ROLES; r++) {
			struct colors_style s = colors_style(COLORS_8, &eight, &t, r);
			assert_true(s.fg < 8 && s.bg < 8);
			assert_true(s.bg < 0 || s.fg != s.bg);
			assert_true(s.fg >= 0 || s.bg < 0);
			s = colors_style(COLORS_16, &sixteen, &t, r);
			assert_true(s.bg < 0 || s.fg != s.bg);
		}
	}
}

/* A colour of a gradient as its nearest place between the stops: 0 to n - 1. */
static double place_of(const struct theme_gradient *g, enum colors_level level,
	const struct colors_terminal *terminal, struct theme_color c)
{
	const int number = colors_number(level, terminal, c);

	for (size_t i = 0; i < g->n; i++)
		if (colors_number(level, terminal, g->at[i]) == number)
			return (double)i;
	for (size_t i = 0; i + 1 < g->n; i++)
		for (double share = 0; share < 1; share += 1.0 / 1024) {
			const double at = ((double)i + share) / (double)(g->n - 1);

			if (colors_gradient(level, g, at).rgb == c.rgb)
				return (double)i + share;
		}
	fail_msg("%06x is no colour of the gradient", (unsigned)c.rgb);
	return 0;
}

/* From the first colour to the last, never back, and seen on their ground. */
static void meters_go_one_way(void **state)
{
	static const char *const names[] = {"dark", "light", "gruvbox", "nord", "solarized-dark",
		"solarized-light", "high-contrast", "default", "mono"};
	static const struct {
		enum colors_level level;
		const struct colors_terminal *terminal;
	} levels[] = {{COLORS_8, &eight}, {COLORS_16, &sixteen}, {COLORS_256, &many},
		{COLORS_RGB, &ours}};
	struct theme_dirs d = {.shipped = THEMES};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (size_t k = 0; k < 4; k++) {
			const struct theme_gradient *g;
			struct theme t;
			double last = 0;

			assert_int_equal(theme_load(&d, names[i], &t, NULL), 0);
			g = &t.gradients[GRADIENT_METER];
			for (int at = -1; at <= 101; at++) {
				struct theme_color c =
					colors_gradient(levels[k].level, g, (double)at / 100);
				double place = place_of(g, levels[k].level, levels[k].terminal, c);
				int ground = colors_number(
					levels[k].level, levels[k].terminal, t.roles[ROLE_TEXT].bg);

				assert_true(place >= last);
				/* Of 16, colors_set_gradient() sets them apart. */
				assert_true(levels[k].level < COLORS_256 || ground < 0 ||
					    ground != colors_number(levels[k].level,
							      levels[k].terminal, c));
				last = place;
			}
			assert_true(last == (double)(g->n - 1));
		}
}

static void a_gradient_between_its_stops(void **state)
{
	const struct theme_gradient g = {
		3, {rgb_at(0x004080, 17), rgb_at(0x80c0ff, 18), indexed(1)}};

	assert_int_equal(colors_gradient(COLORS_RGB, &g, 0.25).rgb, 0x4080c0);
	assert_int_equal(colors_gradient(COLORS_256, &g, 0.2).index, 17);
	assert_int_equal(colors_gradient(COLORS_256, &g, 0.3).index, 18);
	/* To a colour of the user's palette there is no way between. */
	assert_int_equal(colors_gradient(COLORS_RGB, &g, 0.7).rgb, 0x80c0ff);
	assert_int_equal(colors_gradient(COLORS_RGB, &g, 0.8).kind, THEME_16);
	assert_int_equal(colors_gradient(COLORS_RGB, &g, NAN).rgb, 0x004080);
}

static void mono_on_paper(void **state)
{
	for (enum theme_role r = 0; r < THEME_N_ROLES; r++) {
		struct colors_style s = colors_style(COLORS_MONO, &none, theme_mono(), r);
		assert_int_equal(s.fg, -1);
		assert_int_equal(s.bg, -1);
		assert_int_equal(s.attributes, theme_mono()->roles[r].attributes);
	}
}

static void a_terminal_that_nobody_knows(void **state)
{
	struct colors_env env = {.term = "no-such-terminal"};
	FILE *null = fopen("/dev/null", "r+");
	struct err e = {0};
	SCREEN *screen;

	assert_int_equal(colors_newterm(&env, null, null, &screen, &e), ERR_UNSUPPORTED);
	assert_null(screen);
	assert_error(e, ERR_UNSUPPORTED, "terminal 'no-such-terminal' is not known here; set TERM");
	e.code = 0;
	env.term = NULL;
	assert_int_equal(colors_newterm(&env, null, null, &screen, &e), ERR_UNSUPPORTED);
	fclose(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_palette),
		cmocka_unit_test(oklab),
		cmocka_unit_test(the_nearest_colour),
		cmocka_unit_test(contrast),
		cmocka_unit_test(our_entry_where_true_colour_is_promised),
		cmocka_unit_test(screen_itself_is_not_believed),
		cmocka_unit_test(levels),
		cmocka_unit_test(who_says_no),
		cmocka_unit_test(a_colour_goes_down_the_levels),
		cmocka_unit_test(places_in_the_palette),
		cmocka_unit_test(values_that_are_no_places),
		cmocka_unit_test(bright_colours_of_eight),
		cmocka_unit_test(a_role_stands_on_the_ground_of_text),
		cmocka_unit_test(a_ground_that_got_lost_is_marked),
		cmocka_unit_test(text_and_ground_stay_apart),
		cmocka_unit_test(meters_go_one_way),
		cmocka_unit_test(a_gradient_between_its_stops),
		cmocka_unit_test(mono_on_paper),
		cmocka_unit_test(a_terminal_that_nobody_knows),
	};
	return RUN_TAP(tests);
}
