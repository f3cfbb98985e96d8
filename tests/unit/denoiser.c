/* Twins made by a child: a script in the engine's place says what it was asked for,
 * takes its time, or fails. */
#include "tui/denoiser.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

static struct err e;
static int fd;

static void write_script(void **state, const char *body)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"#!/bin/sh\n"
		"for out; do in=$last; last=$out; done\n"
		"echo \"$*\" >%s\n%s\n",
		scratch_path(state, "asked"), body);
	scratch_write(scratch_path(state, "engine"), text, strlen(text));
	chmod(scratch_path(state, "engine"), 0700);
}

static struct denoiser *open_denoiser(void **state)
{
	const float samples[100] = {0};
	const struct audio_writer_desc take = {.path = scratch_path(state, "take.wav"),
		.channels = 1,
		.rate_hz = 32000,
		.format = AUDIO_FLOAT};
	const struct denoiser_desc d = {scratch_path(state, "engine"), *state, fd};
	struct audio_writer *w;
	struct denoiser *ret;

	assert_int_equal(audio_writer_open(&take, &w, &e), 0);
	assert_int_equal(audio_writer_add(w, samples, 100, &e), 0);
	assert_int_equal(audio_writer_commit(w, &e), 0);
	audio_writer_close(w);
	assert_int_equal(denoiser_open(&d, &ret, &e), 0);
	return ret;
}

static struct denoiser_view wait_for(struct denoiser *d)
{
	double began = clock_now();
	struct denoiser_view v;
	eventfd_t n;

	for (denoiser_read(d, &v); v.state == DENOISER_WORKING; denoiser_read(d, &v)) {
		assert_true(clock_now() - began < 30);
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
		eventfd_read(fd, &n);
	}
	return v;
}

static void a_twin_is_made_once(void **state)
{
	struct arena a = {0};
	struct denoiser *d;
	struct denoiser_view v;
	const char *take = arena_strdup(&a, scratch_path(state, "take.wav")), *twin;
	char want[1024], *asked;
	size_t n;

	write_script(state, "cp \"$in\" \"$out\"");
	d = open_denoiser(state);
	assert_null(denoiser_find(d, take, "wiener", &a));
	denoiser_begin(d, take, "wiener", 7);
	v = wait_for(d);
	assert_int_equal(v.state, DENOISER_MADE);
	assert_int_equal(v.take, 7);
	denoiser_seen(d);
	denoiser_read(d, &v);
	assert_int_equal(v.state, DENOISER_IDLE);
	twin = denoiser_find(d, take, "wiener", &a);
	assert_non_null(twin);
	assert_null(denoiser_find(d, take, "ss", &a));
	asked = (char *)scratch_read(scratch_path(state, "asked"), &n);
	snprintf(want, sizeof(want), "--quiet denoise --method wiener -- %s %s\n", take, twin);
	assert_string_equal(asked, want);
	free(asked);
	denoiser_close(d);
	arena_done(&a);
}

static void failures_are_a_sentence(void **state)
{
	static const struct {
		const char *script, *why;
	} cases[] = {
		{"echo noise; echo 'woodshed: out of luck; try again' >&2; exit 1",
			"out of luck; try again"},
		{"exit 3", "the denoiser failed and did not say why"},
		{"kill -SEGV $$", "the denoiser was ended by signal 11; try again"},
		{"head -c 100000 /dev/zero | tr '\\0' x; echo; echo end; exit 1", "end"},
	};
	struct denoiser *d;
	struct denoiser_view v;

	write_script(state, "");
	d = open_denoiser(state);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_script(state, cases[i].script);
		denoiser_begin(d, scratch_path(state, "take.wav"), "ss", 1);
		v = wait_for(d);
		assert_int_equal(v.state, DENOISER_FAILED);
		assert_string_equal(v.why, cases[i].why);
	}
	denoiser_begin(d, scratch_path(state, "none.wav"), "ss", 1);
	v = wait_for(d);
	assert_int_equal(v.state, DENOISER_FAILED);
	unlink(scratch_path(state, "engine"));
	denoiser_begin(d, scratch_path(state, "take.wav"), "ss", 1);
	v = wait_for(d);
	assert_non_null(strstr(v.why, "which belongs beside woodshed"));
	denoiser_close(d);
}

/* The child of before is told to end, by force if it does not, and the next begins. */
static void who_cancels_does_not_wait(void **state)
{
	struct arena a = {0};
	struct denoiser *d;
	struct denoiser_view v;
	const char *take = arena_strdup(&a, scratch_path(state, "take.wav"));
	double began;

	write_script(state, "case $* in *wiener*) trap '' TERM; sleep 60 >/dev/null 2>&1;; esac\n"
			    "cp \"$in\" \"$out\"");
	d = open_denoiser(state);
	began = clock_now();
	denoiser_begin(d, take, "wiener", 1);
	while (access(scratch_path(state, "asked"), F_OK))
		usleep(1000);
	denoiser_cancel(d);
	denoiser_read(d, &v);
	assert_int_equal(v.state, DENOISER_IDLE);
	denoiser_begin(d, take, "ss", 2);
	v = wait_for(d);
	assert_int_equal(v.state, DENOISER_MADE);
	assert_int_equal(v.take, 2);
	assert_true(clock_now() - began < 30); /* and not 60 */
	assert_null(denoiser_find(d, take, "wiener", &a));
	assert_non_null(denoiser_find(d, take, "ss", &a));
	denoiser_close(d);
	arena_done(&a);
}

static int open_scratch(void **state)
{
	fd = eventfd(0, EFD_NONBLOCK);
	return scratch_open(state);
}

static int close_scratch(void **state)
{
	close(fd);
	return scratch_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_scratch, close_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_twin_is_made_once),
		TEST(failures_are_a_sentence),
		TEST(who_cancels_does_not_wait),
	};
	return RUN_TAP(tests);
}
