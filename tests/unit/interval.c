/* The part of a take that is shown. */
#include "tui/interval.h"

#include <math.h>
#include <string.h>

#include "tests/unit/scratch.h"

static void assert_is(struct interval s, double begin, double end)
{
	if (!(fabs(s.begin - begin) <= 1e-9 && fabs(s.end - end) <= 1e-9))
		fail_msg("%g to %g, not %g to %g", s.begin, s.end, begin, end);
}

static void zoom_keeps_the_moment(void **state)
{
	const struct interval all = {0, 40};
	struct interval s = interval_zoom(all, 0.5, 10, 40);

	assert_is(s, 5, 25);
	assert_int_equal(interval_column(all, 10, 80), interval_column(s, 10, 80));
	assert_is(interval_zoom(s, 2, 10, 40), 0, 40);
	assert_is(interval_zoom(s, 100, 10, 40), 0, 40);
	assert_is(interval_zoom((struct interval){30, 40}, 2, 40, 40), 20, 40); /* the end stays */
	assert_is(interval_zoom((struct interval){10, 11}, 1e-9, 10.5, 40), 10.375, 10.625);
	assert_is(interval_zoom(all, 0.5, 99, 40), 20, 40); /* played elsewhere: the edge */
	assert_is(interval_zoom((struct interval){0}, 0.5, 0, 40), 0, 40);
	assert_is(interval_zoom((struct interval){0, 0.1}, 0.5, 0, 0.1), 0, 0.1); /* short takes */
}

static void following_turns_pages(void **state)
{
	const struct interval s = {10, 15};

	assert_is(interval_follow(s, 12, 60), 10, 15);
	assert_is(interval_follow(s, 10, 60), 10, 15);
	assert_is(interval_follow(s, 15, 60), 15, 20);
	assert_is(interval_follow(s, 9, 60), 5, 10);
	assert_is(interval_follow(s, 40, 60), 38.75, 43.75);
	assert_is(interval_follow(s, 60, 60), 55, 60);
	assert_is(interval_follow(s, 0, 60), 0, 5);
	assert_is(interval_follow((struct interval){0}, 5, 60), 0, 0);
	assert_is(interval_follow(s, -1, 60), 10, 15); /* nothing is played */
}

static void columns_and_moments(void **state)
{
	const struct interval s = {10, 20};

	assert_int_equal(interval_column(s, 10, 100), 0);
	assert_int_equal(interval_column(s, 10.1001, 100), 1);
	assert_int_equal(interval_column(s, 20, 100), 99); /* the end is in the last one */
	assert_int_equal(interval_column(s, 9.99, 100), -1);
	assert_int_equal(interval_column(s, 20.01, 100), 100);
	assert_int_equal(interval_column(s, NAN, 100), -1);
	assert_int_equal(interval_column((struct interval){0}, 0, 100), -1);
	for (int c = 0; c < 100; c++)
		assert_int_equal(interval_column(s, interval_time(s, c, 100) + 1e-9, 100), c);
}

static void assert_ticks(struct interval s, size_t most, const char *want)
{
	struct interval_tick t[INTERVAL_TICKS_MAX];
	size_t n = interval_ticks(s, most, t);
	char all[1024] = "";

	assert_true(n <= most);
	for (size_t i = 0; i < n; i++) {
		assert_true(t[i].at >= s.begin - 1e-9 && t[i].at <= s.end + 1e-9);
		strcat(strcat(all, i ? " " : ""), t[i].text);
	}
	assert_string_equal(all, want);
}

static void moments_are_round(void **state)
{
	assert_ticks((struct interval){0, 47}, 6, "0:00 0:10 0:20 0:30 0:40");
	assert_ticks((struct interval){0, 200}, 8, "0:00 0:30 1:00 1:30 2:00 2:30 3:00");
	assert_ticks((struct interval){59, 62}, 5, "0:59 1:00 1:01 1:02");
	assert_ticks((struct interval){59.7, 60.3}, 4, "0:59.8 1:00.0 1:00.2");
	assert_ticks((struct interval){1.99, 2.04}, 7,
		"0:01.99 0:02.00 0:02.01 0:02.02 0:02.03 0:02.04");
	assert_ticks((struct interval){0, 7300}, 4, "0:00 1:00:00 2:00:00");
	assert_ticks((struct interval){0, 47}, 0, "");
	assert_ticks((struct interval){5, 5}, 6, "");
	assert_ticks((struct interval){0, 1e9}, 4, "");
}

/* Whatever is shown, however fast: what the playhead sends fits. */
static void frames_keep_to_the_line(void **state)
{
	assert_int_equal(interval_frame_ms((struct interval){0, 47}, 75, 15, 20), 50);
	assert_int_equal(interval_frame_ms((struct interval){0, 47}, 75, 15, 8), 125);
	assert_int_equal(interval_frame_ms((struct interval){0}, 75, 15, 20), 50);
	for (double width = 100; width > 0.1; width /= 1.3) {
		const struct interval s = {0, width};
		int ms = interval_frame_ms(s, 75, 15, 20);
		double moves = fmin(75 / width, 1000.0 / ms);

		assert_in_range(ms, 50, 1000);
		/* 45 bytes a line, more when it jumps: below 6 KB in any case. */
		assert_true(moves * 15 * 45 <= 6000 || ms == 1000);
	}
}

static void beats_a_minute(void **state)
{
	static const struct {
		const char *text;
		double bpm;
	} cases[] = {
		{"rainy lofi, 72 bpm", 72},
		{"72bpm", 72},
		{"Techno 140-BPM, acid", 140},
		{"swing at 92.5 bpm", 92.5},
		{"bpm", 0},
		{"", 0},
		{"5 bpm, no, 120 bpm", 120},
		{"99999999999 bpm", 0},
		{"1e3bpm", 0},
		{"fast", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (interval_bpm(cases[i].text) != cases[i].bpm)
			fail_msg("'%s' has %g", cases[i].text, interval_bpm(cases[i].text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zoom_keeps_the_moment),
		cmocka_unit_test(following_turns_pages),
		cmocka_unit_test(columns_and_moments),
		cmocka_unit_test(moments_are_round),
		cmocka_unit_test(frames_keep_to_the_line),
		cmocka_unit_test(beats_a_minute),
	};
	return RUN_TAP(tests);
}
