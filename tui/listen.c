/* What the workstation plays.
 *
 *	listen_play()	remembers what is wanted; opens the player if there is none
 *	begin_load()	once the player knows its rate: a thread reads the file
 *	take_loaded()	the clip goes to the mixer, which frees the one before
 *
 * Who asks for another file while one is read gets the last one asked for. */
#include "tui/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tui/player.h"

struct listen {
	int log_fd, ready_fd;
	struct player *player; /* NULL until something is played */
	struct player_status status;
	struct clip_loading *loading; /* that runs, or NULL */
	char *wanted;                 /* path that waits for its turn, or NULL */
	int64_t wanted_take, loading_take;
	int64_t take; /* in the mixer */
	int percent;
};

/* ---- reading ------------------------------------------------------------ */

static int begin_load(struct listen *l, struct err *e)
{
	int rc = clip_loading_begin(l->wanted, l->status.rate_hz, l->ready_fd, &l->loading, e);

	free(l->wanted);
	l->wanted = NULL;
	l->loading_take = l->wanted_take;
	return rc;
}

static int take_loaded(struct listen *l, struct err *e)
{
	struct mixer *m = player_mixer(l->player);
	const struct mixer_clip *clip;
	int rc = clip_loading_end(l->loading, &clip, e);

	l->loading = NULL;
	if (rc)
		return rc;
	if (l->wanted) { /* something else was asked for meanwhile */
		clip_free(clip);
		return 0;
	}
	mixer_clear(m);
	mixer_put(m, 0, clip, 1);
	mixer_switch(m, 0);
	mixer_seek(m, 0);
	mixer_play(m);
	l->take = l->loading_take;
	return 0;
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
	const struct mixer_clip *clip;

	if (!l)
		return;
	if (l->loading && !clip_loading_end(l->loading, &clip, NULL))
		clip_free(clip);
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
	eventfd_t n;
	int rc = 0;

	if (!l->player)
		return 0;
	eventfd_read(l->ready_fd, &n);
	player_status(l->player, &l->status);
	player_reap(l->player);
	if (l->loading && clip_loading_is_done(l->loading))
		rc = take_loaded(l, e);
	if (!rc && l->wanted && !l->loading && l->status.state != PLAYER_OPENING)
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
		.take = l->wanted    ? l->wanted_take
			: l->loading ? l->loading_take
				     : l->take,
		.is_loading = l->wanted || l->loading,
	};
	if (!l->player)
		return;
	mixer_read(player_mixer(l->player), &v);
	ret->is_playing = v.state == MIXER_PLAYING;
	if (l->status.rate_hz > 0) {
		ret->position_s = (double)v.position / l->status.rate_hz;
		ret->length_s = (double)v.length / l->status.rate_hz;
	}
	ret->n_underruns = mixer_underruns(player_mixer(l->player));
	if (l->status.state == PLAYER_NO_DEVICE || l->status.state == PLAYER_LOST)
		ret->no_device = l->status.reason;
}
