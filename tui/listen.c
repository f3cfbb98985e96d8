/* What the workstation plays.
 *
 *	listen_play()	remembers what is wanted; opens the player if there is none
 *	begin_load()	once the player knows its rate: a thread reads the file
 *	take_loaded()	the clip goes to the mixer, which frees the one before
 *
 * Who asks for another file while one is read gets the last one asked for. */
#include "tui/listen.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tui/player.h"

struct load {
	pthread_t thread;
	char *path;
	int64_t take;
	int rate_hz, ready_fd;
	const struct mixer_clip *clip;
	int rc;
	struct err e;
	atomic_bool is_done;
};

struct listen {
	int log_fd, ready_fd;
	struct player *player; /* NULL until something is played */
	struct player_status status;
	struct load *load; /* that runs, or NULL */
	char *wanted;      /* path that waits for its turn, or NULL */
	int64_t wanted_take;
	int64_t take; /* in the mixer */
	int percent;
};

/* ---- reading ------------------------------------------------------------ */

static void *run_load(void *ud)
{
	struct load *l = ud;
	const uint64_t one = 1;

	l->rc = clip_load(l->path, NULL, l->rate_hz, &l->clip, &l->e);
	atomic_store(&l->is_done, true);
	if (write(l->ready_fd, &one, sizeof(one)) < 0)
		l->rc = l->rc ? l->rc : ERR_IO; /* cannot be: the counter never fills */
	return NULL;
}

static int begin_load(struct listen *l, struct err *e)
{
	struct load *load = xcalloc(1, sizeof(*load));
	sigset_t all, old;
	int why;

	load->path = l->wanted;
	load->take = l->wanted_take;
	load->rate_hz = l->status.rate_hz;
	load->ready_fd = l->ready_fd;
	l->wanted = NULL;
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	why = pthread_create(&load->thread, NULL, run_load, load);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!why) {
		l->load = load;
		return 0;
	}
	free(load->path);
	free(load);
	return err_errno(e, why, "cannot start a thread");
}

static void free_load(struct load *load)
{
	free(load->path);
	free(load);
}

static int take_loaded(struct listen *l, struct err *e)
{
	struct load *load = l->load;
	struct mixer *m = player_mixer(l->player);
	int rc = load->rc;

	pthread_join(load->thread, NULL);
	l->load = NULL;
	if (rc) {
		err_set(e, rc, "%s", load->e.text);
	} else if (l->wanted) { /* something else was asked for meanwhile */
		clip_free(load->clip);
	} else {
		mixer_clear(m);
		mixer_put(m, 0, load->clip, 1);
		mixer_switch(m, 0);
		mixer_seek(m, 0);
		mixer_play(m);
		l->take = load->take;
	}
	free_load(load);
	return rc;
}

/* ---- opening and closing ------------------------------------------------ */

int listen_open(int log_fd, struct listen **ret, struct err *e)
{
	struct listen *l = xcalloc(1, sizeof(*l));

	l->log_fd = log_fd;
	l->percent = 100;
	l->ready_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->ready_fd < 0) {
		int why = errno;

		free(l);
		return err_errno(e, why, "cannot make an event counter");
	}
	*ret = l;
	return 0;
}

void listen_close(struct listen *l)
{
	if (!l)
		return;
	if (l->load) {
		pthread_join(l->load->thread, NULL);
		clip_free(l->load->clip);
		free_load(l->load);
	}
	player_close(l->player);
	close(l->ready_fd);
	free(l->wanted);
	free(l);
}

static int open_player(struct listen *l, struct err *e)
{
	const struct player_desc d = {.log_fd = l->log_fd > 0 ? l->log_fd : 0};
	int rc;

	if (l->player)
		return 0;
	rc = player_open(&d, &l->player, e);
	if (!rc)
		listen_volume(l, l->percent);
	return rc;
}

/* ---- going on ----------------------------------------------------------- */

void listen_fds(const struct listen *l, int fds[2])
{
	fds[0] = l->ready_fd;
	fds[1] = l->player ? player_event_fd(l->player) : -1;
}

int listen_work(struct listen *l, struct err *e)
{
	uint64_t n;
	int rc = 0;

	if (!l->player)
		return 0;
	if (read(l->ready_fd, &n, sizeof(n)) < 0)
		n = 0;
	player_status(l->player, &l->status);
	player_reap(l->player);
	if (l->load && atomic_load(&l->load->is_done))
		rc = take_loaded(l, e);
	if (!rc && l->wanted && !l->load && l->status.state != PLAYER_OPENING)
		rc = begin_load(l, e);
	return rc;
}

int listen_play(struct listen *l, const char *path, int64_t take, struct err *e)
{
	int rc = open_player(l, e);

	if (rc)
		return rc;
	free(l->wanted);
	l->wanted = xstrdup(path);
	l->wanted_take = take;
	return listen_work(l, e);
}

/* ---- commands ----------------------------------------------------------- */

void listen_pause(struct listen *l)
{
	struct mixer_view v;

	if (!l->player)
		return;
	mixer_read(player_mixer(l->player), &v);
	if (v.state == MIXER_PLAYING)
		mixer_pause(player_mixer(l->player));
	else
		mixer_play(player_mixer(l->player));
}

void listen_stop(struct listen *l)
{
	if (l->player)
		mixer_stop(player_mixer(l->player));
}

void listen_seek(struct listen *l, double by_s)
{
	struct mixer_view v;
	double to;

	if (!l->player || !l->status.rate_hz)
		return;
	mixer_read(player_mixer(l->player), &v);
	to = (double)v.position + by_s * l->status.rate_hz;
	mixer_seek(player_mixer(l->player), to <= 0                  ? 0
					    : to >= (double)v.length ? v.length
								     : (size_t)to);
}

void listen_volume(struct listen *l, int percent)
{
	l->percent = percent;
	if (l->player)
		mixer_volume(player_mixer(l->player), (float)percent / 100);
}

void listen_read(struct listen *l, struct listen_view *ret)
{
	struct mixer_view v = {0};

	*ret = (struct listen_view){
		.take = l->wanted ? l->wanted_take
			: l->load ? l->load->take
				  : l->take,
		.is_loading = l->wanted || l->load,
	};
	if (!l->player)
		return;
	mixer_read(player_mixer(l->player), &v);
	ret->is_playing = v.state == MIXER_PLAYING;
	ret->is_over = v.state == MIXER_ENDED;
	if (l->status.rate_hz > 0) {
		ret->position_s = (double)v.position / l->status.rate_hz;
		ret->length_s = (double)v.length / l->status.rate_hz;
	}
	ret->peak = fmaxf(v.peak[0], v.peak[1]);
	ret->n_underruns = mixer_underruns(player_mixer(l->player));
	if (l->status.state == PLAYER_NO_DEVICE || l->status.state == PLAYER_LOST)
		ret->no_device = l->status.reason;
}
