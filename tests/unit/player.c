/* The player where there is no sound device: its own clock, and nothing that
 * waits.  With devices: tests/audio. */
#include "tui/player.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tui/listen.h"

enum { RATE = 48000 };

/* Sound libraries read these; none of them leads anywhere. */
static int hide_devices(void **state)
{
	static const char nothing[] = "pcm.nothing { type plug slave.pcm nowhere }\n";
	const char *conf;

	if (scratch_open(state))
		return -1;
	conf = scratch_path(state, "asound.conf");
	scratch_write(conf, nothing, strlen(nothing));
	setenv("ALSA_CONFIG_PATH", conf, 1);
	setenv("JACK_DEFAULT_SERVER", "woodshed-has-none", 1);
	return 0;
}

static void write_tone(const char *path, int rate_hz, int channels, size_t n)
{
	struct err e = {0};
	struct audio_writer *w;
	float *x = calloc(n * (size_t)channels, sizeof(*x));

	for (size_t i = 0; i < n * (size_t)channels; i++)
		x[i] = (float)(0.5 * sin((double)(i / (size_t)channels) * 0.05));
	assert_int_equal(audio_writer_open(
				 &(struct audio_writer_desc){
					 .path = path, .channels = channels, .rate_hz = rate_hz},
				 &w, &e),
		0);
	assert_int_equal(audio_writer_add(w, x, n, &e), 0);
	assert_int_equal(audio_writer_commit(w, &e), 0);
	audio_writer_close(w);
	free(x);
}

static struct player *open_player(void)
{
	struct err e = {0};
	struct player *p;
	double began = clock_now();

	assert_int_equal(player_open(&(struct player_desc){.rate_hz = RATE}, &p, &e), 0);
	assert_true(clock_now() - began < 0.5); /* it does not wait for the device */
	return p;
}

/* Until it is no longer opening, by the event it promises. */
static struct player_status settled(struct player *p)
{
	struct pollfd fd = {.fd = player_event_fd(p), .events = POLLIN};
	struct player_status s;

	for (int i = 0; i < 100; i++) {
		player_status(p, &s);
		if (s.state != PLAYER_OPENING)
			return s;
		poll(&fd, 1, 200);
	}
	fail_msg("still opening");
	return s;
}

static struct mixer_view view_of(struct player *p)
{
	struct mixer_view v;

	mixer_read(player_mixer(p), &v);
	return v;
}

/* Waits until a state shows; seconds it took. */
static double wait_for(struct player *p, enum mixer_state state)
{
	double began = clock_now();

	while (view_of(p).state != state && clock_now() - began < 20)
		usleep(1000);
	assert_int_equal(view_of(p).state, state);
	return clock_now() - began;
}

static void without_a_device_time_goes_on(void **state)
{
	const char *path = scratch_path(state, "tone.wav");
	struct player *p = open_player();
	struct player_status s = settled(p);
	const struct mixer_clip *clip;
	struct err e = {0};
	double began, elapsed, played;
	struct mixer_view v;

	assert_int_equal(s.state, PLAYER_NO_DEVICE);
	assert_non_null(strstr(s.reason, "no audio device"));
	assert_string_equal(s.device, "");
	assert_int_equal(s.rate_hz, RATE);

	write_tone(path, RATE, 2, 60 * RATE);
	assert_int_equal(clip_load(path, NULL, RATE, &clip, &e), 0);
	usleep(300000); /* the keeper sleeps, and must be woken */
	mixer_put(player_mixer(p), 0, clip, 1);
	mixer_play(player_mixer(p));
	assert_true(wait_for(p, MIXER_PLAYING) < 0.5);
	began = clock_now();
	played = (double)view_of(p).position / RATE;
	usleep(700000);
	elapsed = clock_now() - began;
	v = view_of(p);
	played = (double)v.position / RATE - played;
	assert_true(played > 0.3 && played < elapsed + 0.1); /* held up, it loses time */
	assert_true(v.peak[0] > 0.49f);                      /* the meters move */
	mixer_pause(player_mixer(p));
	wait_for(p, MIXER_PAUSED);
	assert_int_equal(mixer_beats(player_mixer(p)), 0);
	player_close(p);
	player_close(NULL);
}

static void wishes_without_a_device(void **state)
{
	struct player *p = open_player();
	struct player_status s = settled(p);
	struct player_device *list;
	struct arena a = {0};
	size_t n = 99;

	player_devices(p, &a, &list, &n);
	for (size_t i = 0; i < n; i++)
		assert_false(list[i].is_default);
	player_choose(p, "a harmonium");
	for (int i = 0; i < 500 && !strstr(s.reason, "harmonium"); i++) {
		usleep(10000);
		player_status(p, &s);
	}
	assert_non_null(strstr(s.reason, "no audio device is called 'a harmonium'"));
	player_choose(p, NULL);
	player_rescan(p);
	for (int i = 0; i < 500 && strstr(s.reason, "harmonium"); i++) {
		usleep(10000);
		player_status(p, &s);
	}
	assert_int_equal(s.state, PLAYER_NO_DEVICE);
	assert_null(strstr(s.reason, "harmonium"));
	arena_done(&a);
	player_close(p);
}

/* PortAudio alone would end the program on both; see tui/devices.c. */
static void configurations_without_a_default(void **state)
{
	static const char only[] = "pcm.only { type null }\n";
	const char *conf = scratch_path(state, "only.conf");
	struct player_device *list;
	struct player_status s;
	struct arena a = {0};
	struct player *p;
	size_t n;

	setenv("ALSA_CONFIG_PATH", "/dev/null", 1);
	p = open_player();
	s = settled(p);
	assert_int_equal(s.state, PLAYER_NO_DEVICE);
	assert_non_null(strstr(s.reason, "no audio device is there"));
	player_devices(p, &a, &list, &n);
	assert_int_equal(n, 0);
	player_close(p);

	scratch_write(conf, only, strlen(only));
	setenv("ALSA_CONFIG_PATH", conf, 1);
	p = open_player();
	s = settled(p);
	assert_int_equal(s.state, PLAYER_READY);
	assert_string_equal(s.device, "only");
	player_devices(p, &a, &list, &n);
	assert_int_equal(n, 1);
	player_close(p);
	arena_done(&a);
}

static void closed_at_once_it_frees_its_clips(void **state)
{
	const char *path = scratch_path(state, "short.wav");
	struct err e = {0};

	write_tone(path, 44100, 1, 4410);
	for (int i = 0; i < 5; i++) {
		struct player *p = open_player();
		const struct mixer_clip *clip;

		assert_int_equal(clip_load(path, NULL, RATE, &clip, &e), 0);
		mixer_put(player_mixer(p), 0, clip, 1);
		assert_int_equal(clip_load(path, NULL, RATE, &clip, &e), 0);
		mixer_next(player_mixer(p), clip, 1);
		mixer_play(player_mixer(p));
		if (i > 2) {
			settled(p);
			wait_for(p, MIXER_ENDED);
			player_reap(p);
		}
		player_close(p);
	}
}

static void clips_are_resampled_and_paired(void **state)
{
	const char *dry = scratch_path(state, "dry.wav"), *wet = scratch_path(state, "wet.wav"),
		   *other = scratch_path(state, "other.wav");
	const struct mixer_clip *clip;
	struct err e = {0};

	write_tone(dry, 44100, 2, 44100);
	write_tone(wet, RATE, 2, RATE);
	write_tone(other, RATE, 2, RATE - 7);
	assert_int_equal(clip_load(dry, wet, RATE, &clip, &e), 0);
	assert_int_equal(clip->n_frames, RATE);
	assert_int_equal(clip->channels, 2);
	assert_non_null(clip->wet);
	clip_free(clip);
	assert_int_equal(clip_load(dry, other, RATE, &clip, &e), ERR_FORMAT);
	assert_null(clip);
	assert_error(e, ERR_FORMAT, "is not as long as");
	err_clear(&e);
	assert_int_equal(clip_load(scratch_path(state, "none.wav"), NULL, RATE, &clip, &e), ERR_IO);
	assert_error(e, ERR_IO, "cannot read");
	clip_free(NULL);
}

/* Once it has played for a while, or is stopped. */
static void listen_until(struct listen *l, bool is_playing)
{
	struct listen_view v = {0};
	struct err e = {0};

	for (int i = 0; i < 4000; i++) {
		assert_int_equal(listen_work(l, &e), 0);
		listen_read(l, &v);
		if (is_playing ? v.is_playing && !v.is_loading && v.position_s > 0.6
			       : !v.is_playing && !v.is_settling)
			return;
		usleep(5000);
	}
	fail_msg("it does not begin, or end");
}

/* What was heard last is no level of what is stopped. */
static void levels(void **state)
{
	const char *path = scratch_path(state, "tone.wav");
	struct listen_meters m;
	struct listen *l;
	struct err e = {0};

	write_tone(path, RATE, 2, 60 * RATE);
	assert_int_equal(listen_open(-1, &l, &e), 0);
	for (int i = 0; i < 2; i++) {
		const struct listen_source s = {.take = 1, .path = path};

		assert_int_equal(listen_play(l, &s, &e), 0);
		listen_until(l, true);
		if (i) {
			listen_stop(l);
			listen_until(l, false);
		}
		listen_meters(l, &m);
		assert_true(m.peak[0] > 0.49f); /* since they were asked for last */
		assert_true(i ? m.rms[0] == 0 && m.rms[1] == 0 : m.rms[0] > 0.3f);
		assert_true(i ? m.lufs == (double)-INFINITY : m.lufs > -20);
	}
	listen_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			without_a_device_time_goes_on, hide_devices, scratch_close),
		cmocka_unit_test_setup_teardown(
			wishes_without_a_device, hide_devices, scratch_close),
		cmocka_unit_test_setup_teardown(
			configurations_without_a_default, hide_devices, scratch_close),
		cmocka_unit_test_setup_teardown(
			closed_at_once_it_frees_its_clips, hide_devices, scratch_close),
		cmocka_unit_test_setup_teardown(
			clips_are_resampled_and_paired, hide_devices, scratch_close),
		cmocka_unit_test_setup_teardown(levels, hide_devices, scratch_close),
	};
	return RUN_TAP(tests);
}
