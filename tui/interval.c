/* The part of a take that is shown. */
#include "tui/interval.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "library/base/str.h"

enum { BYTES_MAX = 6000 }; /* a second, for the playhead */

/* Moved to where it fits. */
static struct interval within(double begin, double width, double length_s)
{
	if (width >= length_s)
		return (struct interval){0, length_s};
	begin = fmax(0, fmin(begin, length_s - width));
	return (struct interval){begin, begin + width};
}

struct interval interval_zoom(struct interval s, double factor, double at, double length_s)
{
	double old = s.end - s.begin, width = fmax(old * factor, fmin(INTERVAL_MIN_S, length_s));
	double share;

	if (!(old > 0))
		return (struct interval){0, length_s};
	at = fmax(s.begin, fmin(at, s.end));
	share = (at - s.begin) / old;
	return within(at - share * width, width, length_s);
}

struct interval interval_follow(struct interval s, double at, double length_s)
{
	double width = s.end - s.begin;

	if (!(width > 0) || (at >= s.begin && at < s.end) || at < 0 || at > length_s)
		return s;
	if (at >= s.end && at < s.end + width)
		return within(s.end, width, length_s);
	if (at < s.begin && at >= s.begin - width)
		return within(s.begin - width, width, length_s);
	return within(at - width / 4, width, length_s);
}

int interval_column(struct interval s, double at, int columns)
{
	double width = s.end - s.begin;

	if (!(at >= s.begin) || !(width > 0))
		return -1;
	if (at > s.end)
		return columns;
	at = floor((at - s.begin) / width * columns);
	return at < columns ? (int)at : columns - 1;
}

double interval_time(struct interval s, int column, int columns)
{
	return columns > 0 ? s.begin + (s.end - s.begin) * column / columns : s.begin;
}

/* What is sent when the playhead enters another column, `jump` columns on: to restore
 * the cell where it was, to paint it, and whatever is between, because a terminal's
 * cursor is moved by sending those cells again while they are few. */
static double bytes_of(double jump)
{
	return 45 + 22 * fmin(fmax(jump - 1, 0), 3);
}

int interval_frame_ms(struct interval s, int columns, int lines, int fps)
{
	double width = s.end - s.begin, moves = width > 0 ? columns / width : 0;

	while (fps > 1 && fmin(moves, fps) * lines * bytes_of(moves / fps) > BYTES_MAX)
		fps--;
	return 1000 / fps;
}

/* ---- axis --------------------------------------------------------------- */

static const double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300,
	600, 900, 1800, 3600, 7200, 18000, 36000, 86400};

enum { N_STEPS = sizeof(steps) / sizeof(*steps) };

/* format_duration(), with the digits behind the point that a step needs. */
static void write_moment(double at, double step, char out[16])
{
	int digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
	double unit = pow(10, digits), whole = round(at * unit) / unit;
	char clock[16];

	format_duration(floor(whole), clock);
	if (digits && whole < 36000)
		snprintf(out, 16, "%.8s.%0*d", clock, digits,
			(int)lround((whole - floor(whole)) * unit) % 100);
	else
		snprintf(out, 16, "%s", clock);
}

size_t interval_ticks(struct interval s, size_t most, struct interval_tick ret[INTERVAL_TICKS_MAX])
{
	double width = s.end - s.begin;
	size_t n = 0;
	int i = 0;

	most = most < INTERVAL_TICKS_MAX ? most : INTERVAL_TICKS_MAX;
	if (!(width > 0) || !most)
		return 0;
	while (i < N_STEPS && width / steps[i] + 1 > (double)most)
		i++;
	if (i == N_STEPS)
		return 0;
	for (double k = ceil(s.begin / steps[i] - 1e-9); n < most; k++) {
		double at = k * steps[i];

		if (at > s.end + 1e-9)
			break;
		ret[n].at = fmin(at, s.end);
		write_moment(at, steps[i], ret[n++].text);
	}
	return n;
}

/* ---- beats -------------------------------------------------------------- */

static bool is_digit(char c)
{
	return isdigit((unsigned char)c) != 0;
}

/* The number that ends before `end`, blanks skipped. */
static double number_before(const char *text, const char *end)
{
	char digits[16] = "";
	const char *begin;
	double x;

	while (end > text && (end[-1] == ' ' || end[-1] == '-'))
		end--;
	begin = end;
	while (begin > text && (is_digit(begin[-1]) || begin[-1] == '.'))
		begin--;
	if (end - begin < 1 || end - begin > 8)
		return 0;
	memcpy(digits, begin, (size_t)(end - begin));
	return parse_f64(digits, &x) ? x : 0;
}

double interval_bpm(const char *text)
{
	for (const char *at = text; (at = strcasestr(at, "bpm")); at += 3) {
		double bpm = number_before(text, at);

		if (bpm >= 20 && bpm <= 400)
			return bpm;
	}
	return 0;
}
