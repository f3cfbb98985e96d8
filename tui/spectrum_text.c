/* Spectrograms as lines of text. */
#include "tui/spectrum_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/spectrum.h"
#include "library/spectrum_axis.h"

enum {
	LABEL = 4,        /* of a frequency */
	LEFT = LABEL + 1, /* with the axis */
	BELOW = 2,        /* the axis of time and its labels */
	LINES_A_LABEL = 2,
	COLUMNS_A_LABEL = 10,
};

static bool has_halves(const struct spectrum_text_desc *d)
{
	return d->colors != TEXT_NO_COLORS && d->is_utf8;
}

void spectrum_text_size(const struct spectrum_text_desc *d, int *ret_columns, int *ret_rows)
{
	*ret_columns = d->width - LEFT;
	*ret_rows = (d->height - BELOW) * (has_halves(d) ? 2 : 1);
}

/* ---- cells -------------------------------------------------------------- */

/* What the terminal draws with; changed only where the next cell needs it. */
struct pen {
	const struct spectrum_text_desc *d;
	struct str *out;
	int ink, paper; /* -1: the terminal's own */
};

static int color(const struct spectrum_text_desc *d, uint8_t level)
{
	struct rgb c = colormap_rgb(d->map, level);

	return d->colors == TEXT_RGB ? c.r << 16 | c.g << 8 | c.b : colormap_256(d->map, level);
}

static void set_color(struct pen *p, int *now, int plane, int value)
{
	if (*now == value)
		return;
	*now = value;
	if (p->d->colors == TEXT_RGB)
		str_printf(p->out, "\033[%d;2;%d;%d;%dm", plane, value >> 16, value >> 8 & 255,
			value & 255);
	else
		str_printf(p->out, "\033[%d;5;%dm", plane, value);
}

static void add_cell(struct pen *p, uint8_t upper, uint8_t lower)
{
	if (p->d->colors == TEXT_NO_COLORS) {
		str_add_char(p->out, colormap_glyph(upper));
		return;
	}
	set_color(p, &p->paper, 48, color(p->d, lower));
	if (!has_halves(p->d)) {
		str_add_char(p->out, ' ');
		return;
	}
	set_color(p, &p->ink, 38, color(p->d, upper));
	str_add(p->out, "\xe2\x96\x80"); /* U+2580, upper half block */
}

/* ---- lines -------------------------------------------------------------- */

/* The tick whose place is on this line, or NULL. */
static const struct axis_tick *tick_at(const struct axis_tick *t, size_t n, int line, int n_lines)
{
	for (size_t i = 0; i < n; i++) {
		int at = (int)((1 - t[i].at) * n_lines);

		if ((at < n_lines ? at : n_lines - 1) == line)
			return &t[i];
	}
	return NULL;
}

static void add_axis(struct str *out, const struct spectrum_text_desc *d, int columns)
{
	str_printf(out, "%*s%s", LABEL, "", d->is_utf8 ? "\xe2\x94\x94" : "+"); /* U+2514 */
	for (int i = 0; i < columns; i++)
		str_add(out, d->is_utf8 ? "\xe2\x94\x80" : "-"); /* U+2500 */
	str_add_char(out, '\n');
}

static void add_times(struct str *out, const struct spectrum *s, int columns)
{
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_times(s, (size_t)(columns / COLUMNS_A_LABEL) + 1, t);
	char line[SPECTRUM_TEXT_MAX + 1];
	int end = 0; /* of what is written */

	memset(line, ' ', sizeof(line));
	for (size_t i = 0; i < n; i++) {
		int width, at = (int)(t[i].at * (columns - 1));
		char text[sizeof(t->text) + 1];

		snprintf(text, sizeof(text), "%ss", t[i].text);
		width = (int)strlen(text);
		at = at < columns - width ? at : columns - width;
		if (at < end + (i > 0))
			continue;
		memcpy(line + at, text, (size_t)width);
		end = at + width;
	}
	str_printf(out, "%*s%.*s\n", LEFT, "", end, line);
}

void spectrum_text_add(
	const struct spectrum *s, const struct spectrum_text_desc *d, struct str *out)
{
	const int columns = spectrum_asked(s)->columns, rows = spectrum_asked(s)->rows;
	const int n_lines = d->height - BELOW, a_line = has_halves(d) ? 2 : 1;
	uint8_t *levels = xcalloc((size_t)columns, (size_t)rows);
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_frequencies(s, (double)LINES_A_LABEL / n_lines, t);

	spectrum_read(s, 0, (size_t)columns, levels);
	for (int line = 0; line < n_lines; line++) {
		const struct axis_tick *tick = tick_at(t, n, line, n_lines);
		struct pen pen = {.d = d, .out = out, .ink = -1, .paper = -1};
		const int row = rows - 1 - line * a_line;

		str_printf(out, "%*s%s", LABEL, tick ? tick->text : "",
			d->is_utf8 ? "\xe2\x94\x82" : "|"); /* U+2502 */
		for (int c = 0; c < columns; c++)
			add_cell(&pen, levels[(size_t)c * (size_t)rows + (size_t)row],
				levels[(size_t)c * (size_t)rows + (size_t)(row - a_line + 1)]);
		str_add(out, d->colors == TEXT_NO_COLORS ? "\n" : "\033[0m\n");
	}
	free(levels);
	add_axis(out, d, columns);
	add_times(out, s, columns);
}
