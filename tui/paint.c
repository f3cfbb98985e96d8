/* What the screens are drawn with. */
#include "tui/paint.h"

#include <curses.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/str.h"
#include "tui/colors.h"
#include "tui/text.h"

static struct colors *the;
static struct rect in;
static int top; /* the first line that is seen */
static bool is_focused, is_plain;

void paint_with(struct colors *c, bool plain)
{
	the = c;
	is_plain = plain;
}

void paint_in(const struct rect *r)
{
	in = *r;
	top = 0;
	is_focused = true;
}

void paint_from(int line)
{
	in.y -= line - top;
	in.height += line - top;
	top = line;
}

void paint_focused(bool focused)
{
	is_focused = focused;
}

/* What of `width` cells lies within; less than 1: nothing. */
static int clip(int y, int x, int width)
{
	if (y < top || y >= in.height || x < 0)
		return 0;
	return width < in.width - x ? width : in.width - x;
}

void paint(int y, int x, int width, enum theme_role role, const char *text)
{
	width = clip(y, x, width);
	if (width < 1)
		return;
	if (role == ROLE_ROW_SELECTED && !is_focused)
		role = ROLE_ROW_SELECTED_UNFOCUSED;
	colors_set(the, stdscr, role);
	text_put(stdscr, in.y + y, in.x + x, (size_t)width, text);
}

void paint_right(int y, int x, int width, enum theme_role role, const char *text)
{
	struct str padded = {0};

	if (width < 1)
		return;
	text_pad(&padded, text, (size_t)width, TEXT_RIGHT);
	paint(y, x, width, role, str_get(&padded));
	str_done(&padded);
}

void paint_tailed(int y, int x, int width, enum theme_role role, const char *text, const char *tail)
{
	const int room = width - (int)text_cells(tail);
	struct str line = {0};

	text_fit(&line, text, room > 0 ? (size_t)room : 0);
	str_add(&line, tail);
	paint(y, x, width, role, str_get(&line));
	str_done(&line);
}

void paint_lines(int y, int x, int height, int width, enum theme_role role, const char *text)
{
	struct str lines = {0};

	if (width < 1)
		return;
	text_wrap(&lines, text, (size_t)width);
	for (char *at = lines.s, *end; at && height > 0; height--, at = end) {
		end = strchr(at, '\n');
		for (char *rest = end; rest && height == 1; rest = strchr(rest, '\n'))
			*rest = ' ';
		if (height == 1)
			end = NULL;
		else if (end)
			*end++ = 0;
		paint(y++, x, width, role, at);
	}
	str_done(&lines);
}

void paint_rule(int y, int width)
{
	width = clip(y, 0, width);
	if (width < 1)
		return;
	if (is_plain) {
		paint(y, 0, width, ROLE_TEXT, "");
		return;
	}
	colors_set(the, stdscr, ROLE_BORDER);
	mvhline(in.y + y, in.x, ACS_HLINE, width);
}

void paint_upright(int x, int height)
{
	if (x < 0 || x >= in.width || is_plain)
		return;
	colors_set(the, stdscr, ROLE_BORDER);
	mvvline(in.y + top, in.x + x, ACS_VLINE,
		height < in.height - top ? height : in.height - top);
}

/* Heavy lines, in halves of a cell; the console's fonts take them for light ones. */
static bool has_heavy_lines(void)
{
	return paint_is_utf8() && strcmp(termname(), "linux") != 0;
}

/* calm 1: all of it is of ROLE_PROGRESS. */
static void paint_share(int y, int x, int width, double share, double calm)
{
	const int parts = has_heavy_lines() ? 2 : 1; /* of a cell */
	int done;

	width = clip(y, x, width);
	if (is_plain) {
		paint(y, x, width, ROLE_TEXT, "");
		return;
	}
	done = (int)lround(fmin(fmax(share, 0), 1) * width * parts);
	for (int i = 0; i < width; i++) {
		const double at = (i + 0.5) / width;
		const bool is_done = i * parts < done, is_half = i * parts + 1 == done;

		if (is_done && calm < 1)
			colors_set_gradient(the, stdscr, GRADIENT_METER, (at - calm) / (1 - calm));
		else
			colors_set(the, stdscr, is_done ? ROLE_PROGRESS : ROLE_PROGRESS_REST);
		move(in.y + y, in.x + x + i);
		if (!is_done)
			addch(ACS_HLINE);
		else if (parts == 1)
			addch(ACS_CKBOARD);
		else
			addstr(is_half ? "\u2578" : "\u2501");
	}
}

void paint_bar(int y, int x, int width, double share)
{
	paint_share(y, x, width, share, 1);
}

void paint_meter(int y, int x, int width, double share, double calm)
{
	paint_share(y, x, width, share, calm);
}

bool paint_is_utf8(void)
{
	return MB_CUR_MAX > 1 && !is_plain;
}

static struct theme_color level_color(enum colormap map, uint8_t level, bool is_rgb)
{
	struct rgb c = colormap_rgb(map, level);

	if (is_rgb)
		return colors_rgb((uint32_t)c.r << 16 | (uint32_t)c.g << 8 | c.b);
	return (struct theme_color){.kind = THEME_256, .index = colormap_256(map, level)};
}

static void paint_block(
	int y, int x, enum colormap map, const wchar_t *block, uint8_t upper, uint8_t lower)
{
	enum colors_level level = colors_level_of(the);
	bool is_rgb = level == COLORS_RGB;
	cchar_t cell;

	if (clip(y, x, 1) < 1)
		return;
	(void)attr_set(A_NORMAL, 0, NULL); /* curses adds those of what was painted before */
	setcchar(&cell, block, 0,
		colors_cell(the, level_color(map, upper, is_rgb), level_color(map, lower, is_rgb)),
		NULL);
	mvadd_wch(in.y + y, in.x + x, &cell);
}

static bool has_blocks(void)
{
	return colors_level_of(the) >= COLORS_256 && paint_is_utf8();
}

void paint_levels(int y, int x, enum colormap map, uint8_t upper, uint8_t lower)
{
	if (has_blocks())
		paint_block(y, x, map, L"\u2580", upper, lower);
	else
		paint_shade(y, x, upper > lower ? upper : lower);
}

void paint_shade(int y, int x, uint8_t level)
{
	if (clip(y, x, 1) < 1)
		return;
	colors_set(the, stdscr, ROLE_TEXT);
	mvaddch(in.y + y, in.x + x, (chtype)colormap_glyph(level));
}

/* Four levels in two groups, bit i of `upper`: levels[i] is in the lighter one. */
struct split {
	int upper;
	uint8_t lighter, darker; /* the groups' means */
	double distance;         /* of the levels from these, squared */
};

/* Those above `from`, of which there are some, and the others. */
static struct split split_at(const uint8_t levels[4], uint8_t from)
{
	struct split s = {0};
	double sum[2] = {0}, squares = 0, n[2] = {0};

	for (int i = 0; i < 4; i++) {
		const int group = levels[i] > from;

		s.upper |= group << i;
		sum[group] += levels[i];
		squares += (double)levels[i] * levels[i];
		n[group]++;
	}
	s.darker = (uint8_t)lrint(sum[0] / n[0]);
	s.lighter = (uint8_t)lrint(sum[1] / n[1]);
	s.distance = squares - sum[0] * sum[0] / n[0] - sum[1] * sum[1] / n[1];
	return s;
}

void paint_quadrants(int y, int x, enum colormap map, const uint8_t levels[4])
{
	static const wchar_t *const blocks[16] = {L"\u2580", L"\u2598", L"\u259d", L"\u2580",
		L"\u2596", L"\u258c", L"\u259e", L"\u259b", L"\u2597", L"\u259a", L"\u2590",
		L"\u259c", L"\u2584", L"\u2599", L"\u259f", L"\u2580"};
	struct split best = {.lighter = levels[0], .darker = levels[0], .distance = INFINITY};
	uint8_t most = 0;

	for (int i = 0; i < 4; i++)
		most = levels[i] > most ? levels[i] : most;
	if (!has_blocks()) {
		paint_shade(y, x, most);
		return;
	}
	for (int i = 0; i < 4; i++) {
		struct split s;

		if (levels[i] == most)
			continue;
		s = split_at(levels, levels[i]);
		if (s.distance < best.distance)
			best = s;
	}
	paint_block(y, x, map, blocks[best.upper], best.lighter, best.darker);
}
