/* The mixer, sample by sample.  Clips are ramps, constants and sines; where the
 * header promises exact samples, they are compared bit for bit. */
#include "tui/mixer.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum {
	RATE = 48000,
	FADE = 480,   /* frames of a cross-fade */
	LEVEL = 240,  /* of pause and stop */
	VOLUME = 960, /* of volume and mute */
	GRAIN = 3840, /* of a scrub */
	LONG = 20000,
};

/* ---- tools -------------------------------------------------------------- */

struct stereo {
	float *at; /* interleaved; owned */
	size_t n;
};

static struct mixer *open_mixer(void)
{
	struct err e = {0};
	struct mixer *m;

	assert_int_equal(mixer_open(&(struct mixer_desc){.rate_hz = RATE}, &m, &e), 0);
	return m;
}

static void release(const struct mixer_clip *clip)
{
}

static struct stereo render(struct mixer *m, size_t n)
{
	struct stereo s = {malloc((n + 1) * 2 * sizeof(float)), n};

	assert_non_null(s.at);
	mixer_render(m, s.at, n, 2);
	return s;
}

static float *make(size_t n, int channels, float (*f)(size_t frame, int channel))
{
	float *p = malloc((n + 1) * (size_t)channels * sizeof(*p));

	assert_non_null(p);
	for (size_t i = 0; i < n * (size_t)channels; i++)
		p[i] = f(i / (size_t)channels, (int)(i % (size_t)channels));
	return p;
}

/* Each frame and side has a value of its own, exact in float. */
static float numbers(size_t frame, int channel)
{
	return (float)(frame + 1) / 65536 * (channel ? -1 : 1);
}

static float numbers_behind(size_t frame, int channel)
{
	return numbers(frame + 30000, channel);
}

static float half(size_t frame, int channel)
{
	return 0.5f;
}

static float quarter(size_t frame, int channel)
{
	return 0.25f;
}

/* 100 frames a period; left and right in quadrature. */
static float sine(size_t frame, int channel)
{
	return (float)(0.5 * sin(2 * M_PI * (double)frame / 100 + (channel ? M_PI / 2 : 0)));
}

static const struct mixer_clip *clip_of(const float *dry, const float *wet, size_t n, int channels)
{
	static struct mixer_clip clips[64]; /* immutable long enough for any test here */
	static size_t next;
	struct mixer_clip *c = &clips[next++ % 64];

	*c = (struct mixer_clip){.dry = dry, .wet = wet, .n_frames = n, .channels = channels};
	return c;
}

static void start(struct mixer *m, const struct mixer_clip *clip)
{
	assert_true(mixer_put(m, 0, clip, 1));
	assert_true(mixer_play(m));
}

static struct mixer_view view_of(struct mixer *m)
{
	struct mixer_view v;

	mixer_read(m, &v);
	return v;
}

/* Whether frames [0, n) of s are frames [from, from + n) of a stereo source. */
static void assert_frames(struct stereo s, size_t at, const float *source, size_t from, size_t n)
{
	assert_true(at + n <= s.n);
	for (size_t i = 0; i < 2 * n; i++)
		if (s.at[2 * at + i] != source[2 * from + i])
			fail_msg("frame %zu is %.9g, not frame %zu, which is %.9g", at + i / 2,
				(double)s.at[2 * at + i], from + i / 2,
				(double)source[2 * from + i]);
}

static void assert_silent(struct stereo s, size_t at, size_t n)
{
	for (size_t i = 2 * at; i < 2 * (at + n); i++)
		assert_true(s.at[i] == 0);
}

static void assert_near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%.9g is not %.9g within %g", got, want, tolerance);
}

/* The largest step between neighbours of one side. */
static float largest_step(struct stereo s)
{
	float largest = 0;

	for (size_t i = 2; i < 2 * s.n; i++) {
		const float step = fabsf(s.at[i] - s.at[i - 2]);

		largest = step > largest || isnan(step) ? step : largest;
	}
	return largest;
}

/* ---- play, pause, stop -------------------------------------------------- */

static void play_gives_the_samples_of_the_clip(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(1000, 2, numbers);
	struct stereo s;

	s = render(m, 100);
	assert_silent(s, 0, 100);
	free(s.at);
	start(m, clip_of(a, NULL, 1000, 2));
	s = render(m, 600);
	assert_frames(s, 0, a, 0, 600);
	assert_int_equal(view_of(m).state, MIXER_PLAYING);
	assert_int_equal(view_of(m).position, 600);
	assert_int_equal(view_of(m).length, 1000);
	assert_int_equal(view_of(m).n_frames, 700);
	free(s.at);
	s = render(m, 600);
	assert_frames(s, 0, a, 600, 400);
	assert_silent(s, 400, 200);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	assert_int_equal(view_of(m).position, 1000);
	assert_true(mixer_is_idle(m));
	free(s.at);

	mixer_play(m); /* once more */
	assert_false(mixer_is_idle(m));
	s = render(m, 1000);
	assert_frames(s, 0, a, 0, 1000);
	free(s.at);
	free(a);
	mixer_close(m, release);
}

static void channels_are_mapped_as_documented(void **state)
{
	struct mixer *m = open_mixer();
	const float mono[] = {0.5f, -0.25f, 0.125f};
	const float two[] = {0.5f, 0.25f, -1, 0.5f};
	/* L R C LFE Ls Rs */
	const float six[] = {
		1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
	const float four[] = {1, 1, 1, 1, 0, 0, 1, 0};
	const double centre = M_SQRT1_2 / (1 + 2 * M_SQRT1_2);
	float out[16];

	start(m, clip_of(mono, NULL, 3, 1));
	mixer_render(m, out, 3, 2);
	for (int i = 0; i < 6; i++)
		assert_true(out[i] == mono[i / 2]);

	mixer_clear(m);
	start(m, clip_of(two, NULL, 2, 2));
	mixer_render(m, out, 2, 1);
	assert_true(out[0] == 0.375f && out[1] == -0.25f);
	mixer_play(m);
	mixer_render(m, out, 2, 4);
	assert_memory_equal(out, ((float[]){0.5f, 0.25f, 0, 0, -1, 0.5f, 0, 0}), 8 * sizeof(*out));

	mixer_clear(m);
	start(m, clip_of(six, NULL, 4, 6));
	mixer_render(m, out, 4, 2);
	assert_near((double)out[0], 1 / (1 + 2 * M_SQRT1_2), 1e-6);
	assert_true(out[1] == 0);
	assert_near((double)out[2], centre, 1e-6);
	assert_near((double)out[3], centre, 1e-6);
	assert_true(out[4] == 0 && out[5] == 0); /* LFE */
	assert_true(out[6] == 0);
	assert_near((double)out[7], centre, 1e-6);

	mixer_clear(m);
	start(m, clip_of(four, NULL, 2, 4)); /* no centre: the third is the left surround */
	mixer_render(m, out, 2, 2);
	assert_near((double)out[0], 1, 1e-6); /* full scale stays full scale */
	assert_near((double)out[1], 1, 1e-6);
	assert_near((double)out[2], M_SQRT1_2 / (1 + M_SQRT1_2), 1e-6);
	assert_true(out[3] == 0);
	mixer_close(m, release);
}

static void pause_and_resume_ramp(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, half);
	struct stereo s;
	size_t position;

	start(m, clip_of(a, NULL, LONG, 2));
	s = render(m, 100);
	free(s.at);
	mixer_pause(m);
	s = render(m, LEVEL + 100);
	for (size_t i = 0; i < LEVEL; i++)
		assert_near((double)s.at[2 * i], 0.5 * (double)(LEVEL - i) / LEVEL, 1e-7);
	assert_silent(s, LEVEL, 100);
	free(s.at);
	position = view_of(m).position;
	assert_int_equal(position, 100 + LEVEL);
	assert_int_equal(view_of(m).state, MIXER_PAUSED);
	s = render(m, 500);
	assert_silent(s, 0, 500);
	assert_int_equal(view_of(m).position, position);
	free(s.at);

	mixer_play(m);
	s = render(m, LEVEL + 100);
	for (size_t i = 0; i < LEVEL; i++)
		assert_near((double)s.at[2 * i], 0.5 * (double)i / LEVEL, 1e-7);
	assert_frames(s, LEVEL, a, 0, 100);
	assert_int_equal(view_of(m).position, position + LEVEL + 100);
	assert_true(largest_step(s) <= 0.5f / LEVEL + 1e-6f);
	free(s.at);
	free(a);
	mixer_close(m, release);
}

/* Pressed faster than the ramp is long: no step, and the level turns round. */
static void pause_can_be_taken_back(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, half), *out = calloc(2 * LONG, sizeof(*out));
	struct stereo s = {out, 0};

	start(m, clip_of(a, NULL, LONG, 2));
	for (int i = 0; i < 20; i++) {
		mixer_render(m, out + 2 * s.n, 100, 2);
		s.n += 100;
		(i % 2 ? mixer_play : mixer_pause)(m);
	}
	assert_true(largest_step(s) <= 0.5f / LEVEL + 1e-6f);
	assert_int_equal(view_of(m).position, 2000); /* it was heard all the time */
	free(out);
	free(a);
	mixer_close(m, release);
}

static void stop_returns_to_the_beginning(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, numbers);
	struct stereo s;

	start(m, clip_of(a, NULL, LONG, 2));
	s = render(m, 5000);
	free(s.at);
	mixer_stop(m);
	s = render(m, LEVEL + 10);
	assert_true(s.at[0] == a[2 * 5000]);
	assert_silent(s, LEVEL, 10);
	assert_int_equal(view_of(m).position, 0);
	assert_int_equal(view_of(m).state, MIXER_STOPPED);
	free(s.at);
	mixer_play(m);
	s = render(m, 100);
	assert_frames(s, 0, a, 0, 100);
	free(s.at);

	/* Stop and a new beginning in one go. */
	mixer_stop(m);
	mixer_play(m);
	s = render(m, FADE + 100);
	assert_frames(s, FADE, a, FADE, 100);
	free(s.at);

	/* A seek that comes with a stop holds. */
	mixer_stop(m);
	mixer_seek(m, 7000);
	s = render(m, 1000);
	assert_int_equal(view_of(m).position, 7000);
	assert_int_equal(view_of(m).state, MIXER_STOPPED);
	free(s.at);
	mixer_play(m);
	s = render(m, LEVEL + 100);
	assert_true(s.at[0] == 0); /* not at the beginning: a ramp */
	assert_frames(s, LEVEL, a, 7000 + LEVEL, 100);
	free(s.at);
	free(a);
	mixer_close(m, release);
}

/* ---- loop, seek --------------------------------------------------------- */

/* The loop is a whole number of periods, so the sine must go on as if there were
 * no loop, sample for sample. */
static void loop_is_exact_over_many_wraps(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, sine);
	enum { BEGIN = 1234, LOOP = 700, ROUNDS = 200 };
	size_t from = BEGIN, done = 0;

	start(m, clip_of(a, NULL, LONG, 2));
	mixer_seek(m, BEGIN);
	mixer_loop(m, BEGIN, BEGIN + LOOP);
	free(render(m, LEVEL).at); /* starts with a ramp */
	from += LEVEL;
	for (size_t i = 0; i < ROUNDS; i++) {
		struct stereo s = render(m, 641);

		for (size_t k = 0; k < s.n; k++, done++) {
			size_t frame = BEGIN + (from - BEGIN + done) % LOOP;
			double endless = 0.5 * sin(2 * M_PI * (double)(from + done) / 100);

			assert_true(s.at[2 * k] == a[2 * frame]);
			assert_true(s.at[2 * k + 1] == a[2 * frame + 1]);
			assert_near((double)s.at[2 * k], endless, 1e-6);
		}
		free(s.at);
	}
	assert_int_equal(view_of(m).position, BEGIN + (LEVEL + done) % LOOP);

	mixer_loop(m, 0, 0); /* leaves it: on to the end */
	free(render(m, LONG).at);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	free(a);
	mixer_close(m, release);
}

static void loop_bounds(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(100, 2, numbers);
	struct stereo s;

	start(m, clip_of(a, NULL, 100, 2)); /* an end behind the clip's is the clip's */
	mixer_loop(m, 90, 5000);
	s = render(m, 125);
	assert_frames(s, 0, a, 0, 100);
	assert_frames(s, 100, a, 90, 10);
	assert_frames(s, 110, a, 90, 10);
	assert_frames(s, 120, a, 90, 5);
	free(s.at);
	mixer_loop(m, 10, 11); /* one frame, which is behind us: plays to the end */
	s = render(m, 10);
	assert_frames(s, 0, a, 95, 5);
	assert_silent(s, 5, 5);
	free(s.at);
	mixer_play(m);
	s = render(m, 50);
	assert_frames(s, 0, a, 0, 11);
	for (size_t i = 11; i < 50; i++)
		assert_frames(s, i, a, 10, 1);
	free(s.at);
	mixer_loop(m, 200, 300); /* nowhere in the clip */
	s = render(m, 100);
	assert_frames(s, 0, a, 10, 90);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	free(s.at);
	free(a);
	mixer_close(m, release);
}

static void seek_cross_fades(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, numbers);
	struct stereo s;

	start(m, clip_of(a, NULL, LONG, 2));
	free(render(m, 1000).at);
	mixer_seek(m, 10000);
	s = render(m, FADE + 500);
	for (size_t i = 0; i < FADE; i++) {
		double w = (double)(FADE - i) / FADE;
		double want = w * (double)a[2 * (1000 + i)] + (1 - w) * (double)a[2 * (10000 + i)];

		assert_near((double)s.at[2 * i], want, 1e-6);
	}
	assert_frames(s, FADE, a, 10000 + FADE, 500);
	assert_int_equal(view_of(m).position, 10000 + FADE + 500);
	free(s.at);

	/* The last of several in one fade is the one that counts; the view already
	 * tells it. */
	mixer_seek(m, 2000);
	free(render(m, 100).at);
	mixer_seek(m, 3000);
	mixer_seek(m, 4000);
	free(render(m, 100).at);
	assert_int_equal(view_of(m).position, 4000);
	s = render(m, 2 * FADE);
	assert_frames(s, 2 * FADE - 200, a, 4000 + 2 * FADE - 200 - (FADE - 200), 200);
	free(s.at);

	mixer_seek(m, (size_t)-1); /* behind the end is the end */
	free(render(m, 2 * FADE).at);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	assert_int_equal(view_of(m).position, LONG);
	mixer_seek(m, 5000);
	free(render(m, 10).at);
	assert_int_equal(view_of(m).state, MIXER_PAUSED);
	assert_int_equal(view_of(m).position, 5000);
	free(a);
	mixer_close(m, release);
}

/* ---- clips -------------------------------------------------------------- */

/* A grain: up in 5 ms, as it is to 80 ms, down in 5 ms, silence; the position stays. */
static void assert_grain(struct stereo s, size_t at, const float *a, size_t from)
{
	for (size_t i = 0; i < LEVEL; i++) {
		assert_near((double)s.at[2 * (at + i)],
			(double)i / LEVEL * (double)a[2 * (from + i)], 1e-6);
		assert_near((double)s.at[2 * (at + GRAIN + i)],
			(double)(LEVEL - i) / LEVEL * (double)a[2 * (from + GRAIN + i)], 1e-6);
	}
	assert_frames(s, at + LEVEL, a, from + LEVEL, GRAIN - LEVEL);
	assert_silent(s, at + GRAIN + LEVEL, s.n - at - GRAIN - LEVEL);
}

static void scrubbing_is_heard_in_grains(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, numbers), *wave = make(LONG, 2, sine);
	struct stereo s;

	assert_true(mixer_put(m, 0, clip_of(a, NULL, LONG, 2), 1));
	mixer_scrub(m, 7000); /* stopped */
	s = render(m, GRAIN + 2 * LEVEL);
	assert_grain(s, 0, a, 7000);
	assert_int_equal(view_of(m).state, MIXER_STOPPED);
	assert_int_equal(view_of(m).position, 7000);
	assert_true(mixer_is_idle(m));
	free(s.at);
	s = render(m, 100);
	assert_silent(s, 0, 100);
	free(s.at);

	mixer_play(m); /* from there */
	s = render(m, 1000);
	assert_frames(s, LEVEL, a, 7000 + LEVEL, 1000 - LEVEL);
	free(s.at);
	mixer_scrub(m, 2000); /* while it plays, a seek */
	free(render(m, FADE).at);
	s = render(m, GRAIN + 1000);
	assert_frames(s, 0, a, 2000 + FADE, GRAIN + 1000);
	free(s.at);

	mixer_pause(m);
	free(render(m, LEVEL).at);
	mixer_scrub(m, LONG - 100); /* the end is within the grain */
	free(render(m, 1000).at);
	assert_int_equal(view_of(m).position, LONG - 100);
	mixer_play(m); /* while it is heard: from where it began */
	s = render(m, FADE + 1000);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	free(s.at);
	mixer_scrub(m, 300); /* after the end */
	free(render(m, GRAIN + LEVEL).at);
	assert_int_equal(view_of(m).state, MIXER_PAUSED);
	assert_int_equal(view_of(m).position, 300);

	/* A drag, an event each 10 ms: no step larger than those of the sine and of a
	 * cross-fade (two sines of 0.5 in FADE frames) together. */
	mixer_put(m, 0, clip_of(wave, NULL, LONG, 2), 1);
	free(render(m, 10).at);
	s = (struct stereo){
		calloc((size_t)2 * 60 * RATE / 100, sizeof(float)), (size_t)60 * RATE / 100};
	assert_non_null(s.at);
	for (size_t i = 0; i < 60; i++) {
		if (i < 40)
			mixer_scrub(m, 313 * i);
		mixer_render(m, s.at + 2 * i * (RATE / 100), RATE / 100, 2);
	}
	assert_true(largest_step(s) < (float)(0.5 * 2 * M_PI / 100 + 1.0 / LEVEL));
	assert_int_equal(view_of(m).position, 313 * 39);
	mixer_scrub(m, 400);
	free(render(m, 100).at);
	mixer_stop(m); /* a stop is one */
	free(render(m, GRAIN).at);
	assert_int_equal(view_of(m).position, 0);
	free(s.at);
	free(a);
	free(wave);
	mixer_close(m, release);
}

static void the_next_clip_follows_without_a_gap(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(777, 2, numbers), *b = make(500, 2, numbers_behind);
	const struct mixer_clip *first = clip_of(a, NULL, 777, 2), *other = clip_of(b, NULL, 9, 2),
				*empty = clip_of(b, NULL, 0, 2), *second = clip_of(b, NULL, 500, 2);
	struct stereo s;

	start(m, first);
	mixer_put(m, 2, other, 1);
	mixer_next(m, empty, 1);
	mixer_next(m, second, 1);
	s = render(m, 700);
	assert_int_equal(view_of(m).n_next, 2);
	assert_null(mixer_reap(m));
	free(s.at);
	s = render(m, 600);
	assert_frames(s, 0, a, 700, 77);
	assert_frames(s, 77, b, 0, 500);
	assert_silent(s, 577, 23);
	assert_ptr_equal(view_of(m).clip, second);
	assert_int_equal(view_of(m).n_next, 0);
	assert_ptr_equal(mixer_reap(m), first);
	assert_ptr_equal(mixer_reap(m), other);
	assert_ptr_equal(mixer_reap(m), empty);
	assert_null(mixer_reap(m));
	free(s.at);

	mixer_next(m, first, 1); /* late: plays at once */
	s = render(m, 100);
	assert_frames(s, 0, a, 0, 100);
	assert_ptr_equal(mixer_reap(m), second);
	free(s.at);
	free(a);
	free(b);
	mixer_close(m, release);
}

static void switching_keeps_the_position(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, numbers), *b = make(LONG, 2, numbers_behind);
	struct stereo s;

	start(m, clip_of(a, NULL, LONG, 2));
	mixer_put(m, 1, clip_of(b, NULL, LONG, 2), 0.5f);
	free(render(m, 3000).at);
	mixer_switch(m, 1);
	s = render(m, FADE + 500);
	for (size_t i = 0; i < FADE; i++) {
		double w = (double)(FADE - i) / FADE;
		double want =
			w * (double)a[2 * (3000 + i)] + (1 - w) * 0.5 * (double)b[2 * (3000 + i)];

		assert_near((double)s.at[2 * i], want, 1e-6);
	}
	for (size_t i = FADE; i < FADE + 500; i++) /* a half is exact */
		assert_true(s.at[2 * i] == 0.5f * b[2 * (3000 + i)]);
	assert_int_equal(view_of(m).slot, 1);
	free(s.at);
	mixer_switch(m, 3); /* empty */
	s = render(m, 100);
	assert_int_equal(view_of(m).slot, 1);
	assert_true(s.at[0] == 0.5f * b[2 * (3000 + FADE + 500)]);
	free(s.at);
	mixer_gain(m, 1, 1);
	mixer_switch(m, 0);
	mixer_switch(m, 1);
	s = render(m, FADE + 10);
	assert_true(largest_step(s) < 0.001f);
	assert_frames(s, FADE, b, 3000 + 2 * FADE + 600, 10);
	free(s.at);
	free(a);
	free(b);
	mixer_close(m, release);
}

/* Two clips that hold the same: the weights add up to exactly one. */
static void a_fade_between_equals_is_not_heard(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, sine), *b = make(LONG, 2, sine);
	struct stereo s;

	start(m, clip_of(a, b, LONG, 2));
	mixer_put(m, 1, clip_of(b, NULL, LONG, 2), 1);
	for (size_t i = 0; i < 50; i++) {
		s = render(m, 173);
		assert_frames(s, 0, a, 173 * i, 173);
		mixer_switch(m, (int)i % 2);
		mixer_set_mode(m, i % 3 ? MIXER_DRY : MIXER_WET);
		free(s.at);
	}
	free(a);
	free(b);
	mixer_close(m, release);
}

static void wet_and_removed(void **state)
{
	struct mixer *m = open_mixer();
	float *dry = make(LONG, 2, sine), *wet = make(LONG, 2, numbers);
	struct stereo s;
	size_t at = 2000;

	start(m, clip_of(dry, wet, LONG, 2));
	free(render(m, at).at);
	mixer_set_mode(m, MIXER_WET);
	s = render(m, FADE + 1000);
	for (size_t i = 0; i < FADE; i++) {
		double w = (double)(FADE - i) / FADE;

		assert_near((double)s.at[2 * i],
			w * (double)dry[2 * (at + i)] + (1 - w) * (double)wet[2 * (at + i)], 1e-6);
	}
	assert_frames(s, FADE, wet, at + FADE, 1000);
	assert_int_equal(view_of(m).mode, MIXER_WET);
	free(s.at);
	at += FADE + 1000;
	mixer_set_mode(m, MIXER_REMOVED);
	s = render(m, FADE + 1000);
	for (size_t i = 2 * FADE; i < 2 * s.n; i++)
		assert_true(s.at[i] == dry[2 * at + i] - wet[2 * at + i]);
	free(s.at);
	at += FADE + 1000;
	mixer_set_mode(m, MIXER_DRY);
	s = render(m, FADE + 1000);
	assert_frames(s, FADE, dry, at + FADE, 1000);
	free(s.at);
	at += FADE + 1000;

	mixer_put(m, 0, clip_of(dry, NULL, LONG, 2), 1); /* without wet samples */
	mixer_set_mode(m, MIXER_WET);
	s = render(m, FADE + 100);
	assert_frames(s, FADE, dry, at + FADE, 100);
	free(s.at);
	mixer_set_mode(m, MIXER_REMOVED);
	s = render(m, FADE + 100);
	assert_silent(s, FADE, 100);
	free(s.at);
	free(dry);
	free(wet);
	mixer_close(m, release);
}

/* A mix between the two; at its ends bit for bit what they are. */
static void wet_in_parts(void **state)
{
	struct mixer *m = open_mixer();
	float *dry = make(LONG, 2, half), *wet = make(LONG, 2, numbers), read[20];
	struct mixer_clip clip = *clip_of(dry, wet, LONG, 2);
	struct stereo s;
	size_t at = FADE;

	start(m, &clip);
	mixer_set_mode(m, MIXER_WET);
	free(render(m, at).at);
	mixer_set_mix(m, 0.25f);
	s = render(m, FADE + 1000);
	for (size_t i = 2 * FADE; i < 2 * s.n; i++)
		assert_true(
			s.at[i] == dry[2 * at + i] + 0.25f * (wet[2 * at + i] - dry[2 * at + i]));
	mixer_clip_read(&clip, MIXER_WET, 0.25f, at + FADE, 10, read);
	assert_memory_equal(read, s.at + 2 * FADE, sizeof(read));
	free(s.at);
	at += FADE + 1000;
	mixer_set_mix(m, 1);
	s = render(m, FADE + 1000);
	assert_frames(s, FADE, wet, at + FADE, 1000);
	free(s.at);
	free(dry);
	free(wet);
	mixer_close(m, release);
}

static void the_end_may_come_within_a_fade(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, half), *b = make(1100, 2, quarter);
	struct stereo s;

	start(m, clip_of(a, NULL, LONG, 2));
	mixer_put(m, 1, clip_of(b, NULL, 1100, 2), 1);
	free(render(m, 1000).at);
	mixer_switch(m, 1); /* is over 100 frames later; a goes on to fade out */
	s = render(m, 1000);
	assert_near((double)s.at[2 * 50], 0.25 + 0.25 * (FADE - 50.0) / FADE, 1e-6);
	assert_near((double)s.at[2 * 200], 0.5 * (FADE - 200.0) / FADE, 1e-6);
	assert_silent(s, FADE, 1000 - FADE);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	free(s.at);

	/* A seek that waits for a fade to end comes before the end. */
	mixer_seek(m, 900);
	mixer_play(m);
	free(render(m, 50).at); /* a ramp, then: */
	mixer_gain(m, 1, 0.5f); /* a fade until 1430 */
	free(render(m, 100).at);
	mixer_seek(m, 10);
	free(render(m, 1000).at);
	assert_int_equal(view_of(m).state, MIXER_PLAYING);
	free(a);
	free(b);
	mixer_close(m, release);
}

static void a_longer_one_goes_on_where_a_shorter_ended(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(1000, 2, numbers), *b = make(LONG, 2, numbers_behind);
	struct stereo s;

	start(m, clip_of(a, NULL, 1000, 2));
	mixer_put(m, 1, clip_of(b, NULL, LONG, 2), 1);
	mixer_put(m, 2, clip_of(a, NULL, 1000, 2), 1);
	free(render(m, 1500).at);
	mixer_switch(m, 2);
	free(render(m, 100).at);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	mixer_switch(m, 1);
	s = render(m, FADE + 500); /* a ramp, which is no longer than a fade, then: */
	assert_frames(s, FADE, b, 1000 + FADE, 500);
	assert_int_equal(view_of(m).state, MIXER_PLAYING);
	free(s.at);
	free(a);
	free(b);
	mixer_close(m, release);
}

static void empty_clips_and_no_clips(void **state)
{
	struct mixer *m = open_mixer();
	struct stereo s;

	mixer_play(m);
	mixer_seek(m, 10);
	mixer_loop(m, 3, 9);
	s = render(m, 10);
	assert_silent(s, 0, 10);
	assert_int_equal(view_of(m).state, MIXER_STOPPED);
	free(s.at);
	start(m, clip_of(NULL, NULL, 0, 2));
	s = render(m, 10);
	assert_silent(s, 0, 10);
	assert_int_equal(view_of(m).state, MIXER_ENDED);
	free(s.at);
	mixer_render(m, NULL, 0, 2);
	mixer_close(m, release);
	mixer_close(NULL, release);
}

static int n_released;

static void count_release(const struct mixer_clip *clip)
{
	n_released++;
}

static void every_clip_comes_back_once(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, sine);
	const struct mixer_clip *one = clip_of(a, NULL, LONG, 2), *two = clip_of(a, NULL, LONG, 2);

	start(m, one);
	free(render(m, 100).at);
	mixer_put(m, 0, two, 1); /* one is still fading out */
	free(render(m, 100).at);
	assert_null(mixer_reap(m));
	free(render(m, FADE).at);
	assert_ptr_equal(mixer_reap(m), one);
	mixer_clear(m); /* two is heard until the level is down */
	free(render(m, 100).at);
	assert_null(mixer_reap(m));
	free(render(m, 200).at);
	assert_ptr_equal(mixer_reap(m), two);
	assert_null(view_of(m).clip);

	for (int i = 0; i < MIXER_NEXT_MAX; i++)
		mixer_next(m, clip_of(a, NULL, LONG, 2), 1);
	mixer_next(m, one, 1); /* no room */
	free(render(m, 10).at);
	assert_ptr_equal(mixer_reap(m), one);
	mixer_put(m, 1, one, 1);
	free(render(m, 10).at);
	mixer_put(m, 1, NULL, 0);
	free(render(m, 10).at);  /* one waits to be reaped, */
	mixer_put(m, 2, two, 1); /* two in a command */
	n_released = 0;
	mixer_close(m, count_release);
	assert_int_equal(n_released, MIXER_NEXT_MAX + 2);
	free(a);
}

/* ---- volume, meters ----------------------------------------------------- */

static void volume_ramps(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, half);
	struct stereo s;

	start(m, clip_of(a, NULL, LONG, 2));
	free(render(m, 100).at);
	mixer_volume(m, 0.5f);
	s = render(m, VOLUME + 100);
	for (size_t i = 1; i < VOLUME + 100; i++)
		assert_true(s.at[2 * i] <= s.at[2 * i - 2]);
	assert_true(s.at[0] == 0.5f);
	assert_true(s.at[2 * VOLUME] == 0.25f);
	assert_true(largest_step(s) <= 0.25f / VOLUME + 1e-6f);
	free(s.at);
	mixer_mute(m, true);
	s = render(m, VOLUME + 100);
	assert_silent(s, VOLUME, 100);
	assert_true(largest_step(s) <= 0.25f / VOLUME + 1e-6f);
	free(s.at);
	mixer_volume(m, 0.25f); /* muted it stays */
	s = render(m, VOLUME + 100);
	assert_silent(s, 0, VOLUME + 100);
	free(s.at);
	mixer_mute(m, false);
	s = render(m, VOLUME / 2); /* turns round half way up */
	for (size_t i = 1; i < s.n; i++)
		assert_true(s.at[2 * i] >= s.at[2 * i - 2]);
	free(s.at);
	mixer_volume(m, 1);
	s = render(m, VOLUME + 100);
	assert_near((double)s.at[0], 0.5 * 0.125, 1e-3);
	for (size_t i = 1; i < s.n; i++)
		assert_true(s.at[2 * i] >= s.at[2 * i - 2]);
	assert_frames(s, VOLUME, a, 0, 100);
	free(s.at);
	free(a);
	mixer_close(m, release);
}

static void meters(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, sine);
	struct mixer_view v;

	for (size_t i = 0; i < LONG; i++)
		a[2 * i + 1] = i < 4800 ? -0.25f : 0.125f;
	start(m, clip_of(a, NULL, LONG, 2));
	for (int i = 0; i < 48; i++) /* several renders, one read */
		mixer_render(m, NULL, 100, 2);
	mixer_read(m, &v);
	assert_true(v.peak[0] == 0.5f);
	assert_true(v.peak[1] == 0.25f);
	assert_near((double)v.rms[0], 0.5 * M_SQRT1_2, 1e-6);
	assert_near((double)v.rms[1], 0.25, 1e-6);
	mixer_read(m, &v); /* nothing since */
	assert_true(v.peak[0] == 0 && v.rms[1] == 0);
	assert_int_equal(v.position, 4800);
	mixer_render(m, NULL, 100, 2);
	mixer_read(m, &v);
	assert_true(v.peak[1] == 0.125f);
	assert_near((double)v.rms[1], 0.125, 1e-6);
	mixer_volume(m, 0);
	mixer_render(m, NULL, VOLUME, 2);
	mixer_render(m, NULL, 100, 2);
	mixer_read(m, &v);
	mixer_render(m, NULL, 100, 2);
	mixer_read(m, &v);
	assert_true(v.peak[0] == 0 && v.rms[0] == 0);
	free(a);
	mixer_close(m, release);
}

static void beats_and_underruns(void **state)
{
	struct mixer *m = open_mixer();

	assert_true(mixer_last_beat(m) == 0);
	mixer_beat(m, 10, 0.1, false);
	mixer_beat(m, 10.05, 0.1, false);
	assert_int_equal(mixer_underruns(m), 0);
	mixer_beat(m, 10.06, 0.1, true);
	assert_int_equal(mixer_underruns(m), 1);
	mixer_beat(m, 10.3, 0.1, true); /* late and flagged: one */
	assert_int_equal(mixer_underruns(m), 2);
	mixer_beat(m, 10.5, 0.1, false); /* late */
	assert_int_equal(mixer_underruns(m), 3);
	mixer_beat(m, 20, 0, false);
	mixer_restart_beat(m, 30);
	mixer_beat(m, 30.05, 0.1, false);
	assert_int_equal(mixer_underruns(m), 3);
	assert_int_equal(mixer_beats(m), 7);
	assert_true(mixer_last_beat(m) == 30.05);
	mixer_close(m, release);
}

/* ---- how it is driven --------------------------------------------------- */

/* What happens, at which frame.  All frames are multiples of the largest buffer
 * tried, because commands are taken at the beginning of one. */
static void act(struct mixer *m, size_t at, const struct mixer_clip *const clips[4])
{
	switch (at) {
	case 0:
		start(m, clips[0]);
		mixer_put(m, 1, clips[1], 0.7f);
		break;
	case 10000:
		mixer_switch(m, 1);
		mixer_volume(m, 0.3f);
		mixer_seek(m, 12345);
		break;
	case 20000:
		mixer_loop(m, 100, 3333);
		mixer_seek(m, 77);
		mixer_set_mode(m, MIXER_REMOVED);
		break;
	case 30000:
		mixer_pause(m);
		break;
	case 40000:
		mixer_play(m);
		mixer_set_mode(m, MIXER_WET);
		mixer_mute(m, true);
		break;
	case 50000:
		mixer_mute(m, false);
		mixer_loop(m, 0, 0);
		mixer_switch(m, 0);
		mixer_seek(m, LONG - 5000);
		mixer_next(m, clips[2], 1);
		break;
	case 60000:
		mixer_volume(m, 1);
		break;
	}
}

static void buffers_do_not_matter(void **state)
{
	static const size_t sizes[] = {10000, 1, 7, 256, 1000, 4096};
	enum { TOTAL = 70000 };
	float *dry = make(LONG, 2, sine), *wet = make(LONG, 2, numbers),
	      *other = make(LONG, 1, numbers);
	float *want = NULL;

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		struct mixer *m = open_mixer();
		const struct mixer_clip *clips[4] = {clip_of(dry, wet, LONG, 2),
			clip_of(wet, dry, LONG, 2), clip_of(other, NULL, 8000, 1)};
		float *out = calloc(2 * TOTAL, sizeof(*out));

		for (size_t at = 0; at < TOTAL;) {
			size_t n = sizes[k], left = 10000 - at % 10000;

			if (at % 10000 == 0)
				act(m, at, clips);
			n = n < left ? n : left;
			mixer_render(m, out + 2 * at, n, 2);
			at += n;
		}
		assert_int_equal(view_of(m).clip == clips[2], 1);
		if (!want) {
			want = out;
		} else {
			assert_memory_equal(out, want, 2 * TOTAL * sizeof(*out));
			free(out);
		}
		mixer_close(m, release);
	}
	free(want);
	free(dry);
	free(wet);
	free(other);
}

/* Every command at random, far more than the ring takes.  The samples stay
 * within what the clips hold, without a step, and every clip comes back. */
static void a_flood_of_commands(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(LONG, 2, half), *b = make(LONG, 1, quarter), out[2 * 512], last = 0;
	unsigned long long seed = 1;
	int n_in = 0, n_out = 0, n_refused = 0;

	for (int round = 0; round < 3000; round++) {
		for (int i = 0; i < (round % 50 ? 3 : 400); i++) {
			unsigned r;
			bool taken = true;

			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			r = (unsigned)(seed >> 40);
			switch (r % 12) {
			case 0:
			case 1:
				taken = mixer_put(m, (int)(r / 16 % 4),
					r & 4096 ? clip_of(a, b, LONG, 2)
						 : clip_of(b, NULL, LONG, 1),
					0.5f);
				n_in += taken;
				break;
			case 2:
				taken = mixer_next(m, clip_of(b, NULL, 300, 1), 1);
				n_in += taken;
				break;
			case 3:
				taken = mixer_seek(m, r % LONG);
				break;
			case 4:
				taken = mixer_loop(m, r % 5000, r / 7 % 5000);
				break;
			case 5:
				taken = mixer_switch(m, (int)(r / 16 % 4));
				break;
			case 6:
				taken = mixer_gain(m, (int)(r / 16 % 4), 0.25f);
				break;
			case 7:
				taken = mixer_pause(m);
				break;
			case 8:
				taken = r % 5 ? mixer_play(m) : mixer_stop(m);
				break;
			case 9:
				taken = mixer_volume(m, (float)(r % 100) / 100);
				break;
			case 10:
				taken = mixer_mute(m, r & 16);
				break;
			case 11:
				taken = r % 64 ? mixer_play(m) : mixer_clear(m);
				break;
			}
			n_refused += !taken;
		}
		mixer_render(m, out, 1 + seed % 512, 2);
		for (size_t i = 0; i < 1 + seed % 512; i++) {
			assert_true(out[2 * i] >= 0 && out[2 * i] <= 0.5f);
			last = out[2 * i];
		}
		while (round % 3 == 0 && mixer_reap(m))
			n_out++;
	}
	assert_true(last == last);
	assert_true(n_refused > 0);
	while (mixer_reap(m))
		n_out++;
	n_released = 0;
	mixer_close(m, count_release);
	assert_int_equal(n_out + n_released, n_in);
	free(a);
	free(b);
}

/* Clips that nobody reaps: commands wait, nothing is lost or written beyond. */
static void clips_that_are_not_reaped(void **state)
{
	struct mixer *m = open_mixer();
	float *a = make(100, 2, half);
	int n_in = 0, n_out = 0;

	for (int i = 0; i < 2000; i++) {
		n_in += mixer_put(m, 0, clip_of(a, NULL, 100, 2), 1);
		mixer_render(m, NULL, 10, 2);
	}
	assert_in_range(n_in, 256, 512);
	for (int i = 0; i < 200; i++) {
		while (mixer_reap(m))
			n_out++;
		mixer_render(m, NULL, 10, 2);
	}
	assert_int_equal(n_out, n_in - 1);
	assert_true(mixer_put(m, 0, NULL, 0));
	free(a);
	mixer_close(m, release);
}

/* ---- two threads -------------------------------------------------------- */

/* A clip of its own memory, which is overwritten before it is freed: a mixer that
 * still reads it is heard, or seen by a sanitizer. */
struct owned {
	struct mixer_clip clip; /* first */
	float at[2 * 900];
};

static const struct mixer_clip *make_owned(void)
{
	struct owned *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	for (size_t i = 0; i < sizeof(o->at) / sizeof(*o->at); i++)
		o->at[i] = 0.25f;
	o->clip = (struct mixer_clip){.dry = o->at, .wet = o->at, .n_frames = 900, .channels = 2};
	return &o->clip;
}

static void free_owned(const struct mixer_clip *clip)
{
	struct owned *o = (struct owned *)clip;

	for (size_t i = 0; i < sizeof(o->at) / sizeof(*o->at); i++)
		o->at[i] = 1e9f;
	free(o);
}

struct driver {
	struct mixer *mixer;
	atomic_bool ends;
	bool is_wrong;
};

static void *drive(void *ud)
{
	struct driver *d = ud;
	float out[2 * 333];

	for (size_t n = 1; !atomic_load(&d->ends); n = n * 7 % 333 + 1) {
		mixer_beat(d->mixer, (double)n, 1, false);
		mixer_render(d->mixer, out, n, 2);
		for (size_t i = 0; i < 2 * n; i++)
			d->is_wrong |= !(out[i] >= 0 && out[i] <= 0.25f);
	}
	return NULL;
}

static void the_driver_is_another_thread(void **state)
{
	struct driver d = {.mixer = open_mixer()};
	struct mixer *m = d.mixer;
	pthread_t thread;
	uint64_t n_in = 0, n_out = 0, n_read = 0, last = 0;
	const struct mixer_clip *clip;

	assert_int_equal(pthread_create(&thread, NULL, drive, &d), 0);
	for (int i = 0; n_in < 3000; i++) {
		struct mixer_view v;

		clip = make_owned();
		if (i % 3 ? mixer_next(m, clip, 1) : mixer_put(m, i % 4, clip, 1))
			n_in++;
		else
			free_owned(clip); /* full */
		mixer_play(m);
		mixer_switch(m, i % 4);
		mixer_set_mode(m, i % 2 ? MIXER_WET : MIXER_DRY);
		mixer_read(m, &v);
		assert_true(v.n_frames >= last); /* never an older view */
		assert_true(v.position <= v.length);
		assert_true(v.peak[0] <= 0.25f && v.rms[0] <= 0.2501f);
		n_read += v.n_frames > last;
		last = v.n_frames;
		for (; (clip = mixer_reap(m)); n_out++)
			free_owned(clip);
		if (i % 16 == 0)
			sched_yield();
	}
	atomic_store(&d.ends, true);
	pthread_join(thread, NULL);
	assert_false(d.is_wrong);
	assert_true(n_out > 100 && n_read > 10);
	mixer_close(m, free_owned);
}

static void silly_rates_are_refused(void **state)
{
	struct err e = {0};
	struct mixer *m;

	assert_int_equal(mixer_open(&(struct mixer_desc){.rate_hz = 0}, &m, &e), ERR_ARG);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(play_gives_the_samples_of_the_clip),
		cmocka_unit_test(channels_are_mapped_as_documented),
		cmocka_unit_test(pause_and_resume_ramp),
		cmocka_unit_test(pause_can_be_taken_back),
		cmocka_unit_test(stop_returns_to_the_beginning),
		cmocka_unit_test(loop_is_exact_over_many_wraps),
		cmocka_unit_test(loop_bounds),
		cmocka_unit_test(seek_cross_fades),
		cmocka_unit_test(scrubbing_is_heard_in_grains),
		cmocka_unit_test(the_next_clip_follows_without_a_gap),
		cmocka_unit_test(switching_keeps_the_position),
		cmocka_unit_test(a_fade_between_equals_is_not_heard),
		cmocka_unit_test(wet_and_removed),
		cmocka_unit_test(wet_in_parts),
		cmocka_unit_test(the_end_may_come_within_a_fade),
		cmocka_unit_test(a_longer_one_goes_on_where_a_shorter_ended),
		cmocka_unit_test(empty_clips_and_no_clips),
		cmocka_unit_test(every_clip_comes_back_once),
		cmocka_unit_test(volume_ramps),
		cmocka_unit_test(meters),
		cmocka_unit_test(beats_and_underruns),
		cmocka_unit_test(buffers_do_not_matter),
		cmocka_unit_test(a_flood_of_commands),
		cmocka_unit_test(clips_that_are_not_reaped),
		cmocka_unit_test(the_driver_is_another_thread),
		cmocka_unit_test(silly_rates_are_refused),
	};
	return RUN_TAP(tests);
}
