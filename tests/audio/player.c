/* The player on real devices: two sinks of a sound server, one of which goes away.
 * Started by player.sh, which says in SERVER_PID whom to stop; ALSA knows the
 * sinks as `one` and `two`, and `one` is the default. */
#include "tui/player.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum { RATE = 48000 };

static struct player *player;
static float silence[20 * RATE * 2];
static const struct mixer_clip clip = {.dry = silence, .n_frames = 20 * RATE, .channels = 2};

static struct player_status wait_for_device(
	enum player_state state, const char *device, double limit)
{
	double began = clock_now();
	struct player_status s;

	for (;;) {
		player_status(player, &s);
		if (s.state == state && !strcmp(s.device, device))
			return s;
		if (clock_now() - began > limit)
			fail_msg("state %d, device '%s', '%s' after %.1f s", s.state, s.device,
				s.reason, limit);
		usleep(5000);
	}
}

static size_t position(void)
{
	struct mixer_view v;

	mixer_read(player_mixer(player), &v);
	assert_int_equal(v.state, MIXER_PLAYING);
	return v.position;
}

static void assert_moves(void)
{
	size_t before = position();

	usleep(400000);
	assert_in_range(position() - before, RATE / 10, RATE);
}

static void a_device_plays(void **state)
{
	struct err e = {0};
	struct player_status s;

	const struct player_desc d = {.rate_hz = RATE, .stays = true, .rest_s = 0.5};

	assert_int_equal(player_open(&d, &player, &e), 0);
	s = wait_for_device(PLAYER_READY, "default", 10);
	assert_int_equal(s.rate_hz, RATE);
	assert_true(s.latency_s > 0 && s.latency_s < 1);
	mixer_put(player_mixer(player), 0, &clip, 1);
	mixer_play(player_mixer(player));
	usleep(500000);
	assert_moves();
	assert_true(mixer_beats(player_mixer(player)) > 5);
}

static void devices_are_listed(void **state)
{
	struct player_device *list;
	struct arena a = {0};
	size_t n, found = 0;

	player_devices(player, &a, &list, &n);
	for (size_t i = 0; i < n; i++)
		found += !strcmp(list[i].name, "one") || !strcmp(list[i].name, "two");
	assert_int_equal(found, 2);
	arena_done(&a);
}

static void another_device_goes_on(void **state)
{
	size_t before = position();

	player_choose(player, "TW"); /* a part of its name */
	wait_for_device(PLAYER_READY, "two", 10);
	assert_true(position() >= before);
	assert_moves();
}

static void a_wrong_choice_keeps_the_device(void **state)
{
	struct player_status s;

	player_choose(player, "harmonium");
	for (int i = 0; i < 200; i++) {
		player_status(player, &s);
		if (strstr(s.reason, "harmonium"))
			break;
		usleep(20000);
	}
	assert_non_null(strstr(s.reason, "no audio device is called 'harmonium'"));
	s = wait_for_device(PLAYER_READY, "two", 10);
	assert_moves();
}

static void rescan_reopens(void **state)
{
	player_choose(player, NULL);
	wait_for_device(PLAYER_READY, "default", 10);
	player_rescan(player);
	usleep(300000);
	wait_for_device(PLAYER_READY, "default", 10);
	assert_moves();
}

/* Closed while nothing is played, and nobody wakes up then; what is played next is
 * heard from its first frame on. */
static void a_device_rests(void **state)
{
	struct mixer_view before, after;
	uint64_t beats;

	mixer_pause(player_mixer(player));
	wait_for_device(PLAYER_RESTING, "", 5);
	usleep(200000); /* until the stream has gone */
	beats = mixer_beats(player_mixer(player));
	mixer_read(player_mixer(player), &before);
	usleep(500000);
	assert_int_equal(mixer_beats(player_mixer(player)), beats);
	mixer_play(player_mixer(player));
	wait_for_device(PLAYER_READY, "default", 10);
	mixer_read(player_mixer(player), &after);
	/* It went on from there: no more went by than since the device is open. */
	assert_in_range(after.position - before.position, 0, RATE / 2);
	usleep(300000);
	assert_moves();
}

/* One that was lost and is there again needs nobody to say so, while something plays. */
static void a_lost_device_comes_back(void **state)
{
	pid_t server = (pid_t)atoi(getenv("SERVER_PID"));

	kill(server, SIGSTOP);
	wait_for_device(PLAYER_LOST, "", 8);
	kill(server, SIGCONT);
	wait_for_device(PLAYER_READY, "default", 20);
	assert_moves();
}

/* A server that does not answer: the device is lost, time goes on, no function
 * waits, and when the server is back so is the device. */
static void a_stopped_server(void **state)
{
	pid_t server = (pid_t)atoi(getenv("SERVER_PID"));
	double began;
	struct player_status s;

	kill(server, SIGSTOP);
	s = wait_for_device(PLAYER_LOST, "", 8);
	assert_non_null(strstr(s.reason, "does not answer"));
	assert_moves();
	began = clock_now();
	player_choose(player, "one");
	player_rescan(player);
	mixer_volume(player_mixer(player), 0.5f);
	player_status(player, &s);
	assert_true(clock_now() - began < 0.2);
	assert_moves();
	kill(server, SIGCONT);
	wait_for_device(PLAYER_READY, "one", 20);
	assert_moves();
}

static void a_killed_server(void **state)
{
	pid_t server = (pid_t)atoi(getenv("SERVER_PID"));
	double began;

	kill(server, SIGKILL);
	wait_for_device(PLAYER_LOST, "", 4);
	assert_moves();
	mixer_put(player_mixer(player), 0, NULL, 0); /* static: not for clip_free() */
	for (int i = 0; i < 200 && !mixer_reap(player_mixer(player)); i++)
		usleep(5000);
	began = clock_now();
	player_close(player);
	assert_true(clock_now() - began < 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_plays),
		cmocka_unit_test(devices_are_listed),
		cmocka_unit_test(another_device_goes_on),
		cmocka_unit_test(a_wrong_choice_keeps_the_device),
		cmocka_unit_test(rescan_reopens),
		cmocka_unit_test(a_device_rests),
		cmocka_unit_test(a_lost_device_comes_back),
		cmocka_unit_test(a_stopped_server),
		cmocka_unit_test(a_killed_server),
	};
	return RUN_TAP(tests);
}
