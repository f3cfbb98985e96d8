/* What the workstation plays, driven as it drives it: a scenario on the default
 * device.  Started by listen.sh, which records and compares.
 *	listen loop|twin|next|seek|swap|device FILE [OTHER] */
#include "tui/listen.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/base/err.h"

static struct listen *l;

static void must(int rc, const struct err *e)
{
	if (!rc)
		return;
	fprintf(stderr, "listen: %s\n", e->text);
	exit(1);
}

static struct listen_view turn(void)
{
	struct listen_view v;
	struct err e = {0};
	int sound[2];

	listen_fds(l, sound);
	poll((struct pollfd[]){{.fd = sound[0], .events = POLLIN},
		     {.fd = sound[1], .events = POLLIN}},
		2, 5);
	must(listen_work(l, &e), &e);
	listen_read(l, &v);
	return v;
}

static void go_on(double seconds)
{
	for (double end = clock_now() + seconds; clock_now() < end;)
		turn();
}

static void until_it_is(bool is_playing)
{
	for (double end = clock_now() + 20; clock_now() < end;) {
		struct listen_view v = turn();

		if (v.is_playing == is_playing && !v.is_loading && !v.is_settling)
			return;
	}
	fprintf(stderr, "listen: nothing moves\n");
	exit(1);
}

/* Why the device is not the one that is wanted. */
static void until_it_says(const char *why)
{
	for (double end = clock_now() + 20; clock_now() < end;) {
		const struct listen_view v = turn();

		if (*v.device && (why ? v.not_that && !strcmp(v.not_that, why) : !v.not_that))
			return;
	}
	fprintf(stderr, "listen: it does not say: %s\n", why ? why : "nothing");
	exit(1);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *what = argc > 2 ? argv[1] : "", *other = argc > 3 ? argv[3] : NULL;

	must(listen_open(-1, &l, &e), &e);
	if (!strcmp(what, "swap")) {
		const struct listen_source both[] = {
			{.take = 1, .path = argv[2]}, {.take = 2, .path = other}};

		must(listen_together(l, both, 2, &e), &e);
	} else {
		must(listen_play(l, &(struct listen_source){.take = 1, .path = argv[2]}, &e), &e);
	}
	until_it_is(true);
	if (!strcmp(what, "loop")) {
		listen_loop(l, 0.5, 0.75);
		go_on(2);
		listen_loop(l, 0, 0);
	} else if (!strcmp(what, "twin")) {
		must(listen_twin(l, other, MIXER_WET, &e), &e);
		go_on(0.7);
		listen_mode(l, MIXER_DRY);
	} else if (!strcmp(what, "next")) {
		must(listen_next(l, &(struct listen_source){.take = 2, .path = other}, &e), &e);
	} else if (!strcmp(what, "swap")) {
		for (int i = 1; i >= 0; i--) {
			go_on(0.6);
			if (!listen_switch(l, i))
				must(err_set(&e, ERR_BUG, "it is not read"), &e);
		}
	} else if (!strcmp(what, "device")) {
		listen_device(l, "harmonium");
		until_it_says("no audio device is called 'harmonium'");
		listen_device(l, "two");
		until_it_says(NULL);
	} else if (!strcmp(what, "seek")) {
		go_on(0.3);
		listen_seek_to(l, 1.2);
	}
	until_it_is(false);
	go_on(0.3); /* what is in the device's buffer */
	listen_close(l);
	return 0;
}
