/* Draws every role by its name, for tests/tui/roles.sh to look at.
 *
 * draw_roles TERMINFO THEMES THEME WHEN      (WHEN: auto, always, never)
 *
 * Keys: a theme's place in the list, 0 to 8, switches to it; p draws a picture of
 * more colours than there are pairs, then the roles once more; q ends it. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/globals.h"
#include "tui/colors.h"
#include "tui/text.h"

enum { PICTURE_WIDTH = 30, PICTURE_X = 40 };

static void draw_roles(struct colors *c, const char *state)
{
	static const char *const levels[] = {"mono", "8", "16", "256", "rgb"};

	for (enum theme_role r = 0; r < THEME_N_ROLES; r++) {
		colors_set(c, stdscr, r);
		text_put(stdscr, (int)r, 0, 30, theme_role_name(r));
	}
	colors_set(c, stdscr, ROLE_TEXT);
	text_put(stdscr, THEME_N_ROLES, 0, 30, levels[colors_level_of(c)]);
	text_put(stdscr, THEME_N_ROLES + 1, 0, 30, state);
	refresh();
}

/* A colour of the 16 in the left half, else one of 14 x 22 values. */
static struct theme_color picture_color(int x, int i, uint32_t rgb)
{
	if (x < 16)
		return (struct theme_color){.kind = THEME_16, .index = (uint8_t)(i % 16)};
	return colors_rgb(rgb);
}

/* Half blocks of which nearly all differ, after as many others as a long evening
 * shows: more than there are pairs. */
static void draw_picture(struct colors *c)
{
	for (uint32_t i = 0; i < 70000; i++)
		colors_cell(c, colors_rgb(0x200000 + i), colors_rgb(0x400000 + i));
	for (int y = 0; y < THEME_N_ROLES; y++) {
		for (int x = 0; x < PICTURE_WIDTH; x++) {
			short pair = colors_cell(c,
				picture_color(x, x, 0x080000u * (unsigned)x + 0x080000u),
				picture_color(x, y, 0x000b00u * (unsigned)y + 0x10u));
			cchar_t cell;
			setcchar(&cell, L"▀", 0, pair, NULL);
			mvadd_wch(y, PICTURE_X + x, &cell);
		}
	}
}

static void run(struct colors *c, const struct theme_dirs *d)
{
	const struct theme_entry *list;
	struct arena a = {0};
	struct theme t;
	size_t n = 0;
	int key;

	if (theme_list(d, &a, &list, &n, NULL))
		n = 0;
	colors_fill(c, stdscr, ROLE_TEXT);
	erase();
	draw_roles(c, "ready");
	while ((key = getch()) != 'q' && key != ERR) {
		if (key == 'p') {
			draw_picture(c);
			clearok(stdscr, TRUE); /* so that pairs that changed show it */
			draw_roles(c, "picture");
		} else if (key >= '0' && key < '0' + (int)n) {
			theme_load(d, list[key - '0'].name, &t, NULL);
			colors_theme(c, &t);
			colors_fill(c, stdscr, ROLE_TEXT);
			erase();
			draw_roles(c, list[key - '0'].name);
		}
	}
	arena_done(&a);
}

int main(int argc, char **argv)
{
	struct globals g = {.color = argc == 5 ? argv[4] : NULL};
	struct environment env = {.no_color = getenv("NO_COLOR"), .term = getenv("TERM")};
	struct colors_env ce = {.term = env.term,
		.colorterm = getenv("COLORTERM"),
		.terminfo_dirs = getenv("TERMINFO_DIRS"),
		.tmux = getenv("TMUX"),
		.is_mono = !globals_has_color(&g, &env, true)};
	struct theme_dirs d = {0};
	struct err e = {0};
	struct theme t;
	SCREEN *screen;

	if (argc != 5 || !setlocale(LC_ALL, ""))
		return 2;
	ce.entries = argv[1];
	d.shipped = argv[2];
	if (theme_load(&d, argv[3], &t, &e) || colors_newterm(&ce, stdout, stdin, &screen, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 3;
	}
	struct colors *c = colors_open(&ce, &t);
	cbreak();
	noecho();
	run(c, &d);
	colors_close(c);
	endwin();
	delscreen(screen);
	return 0;
}
