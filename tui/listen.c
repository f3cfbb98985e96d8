/* What the workstation plays.
 *
 *	listen_play()	remembers what is wanted; opens the player if there is none
 *	begin_load()	once the player knows its rate: a thread reads the file
 *	take_loaded()	the clip goes to the mixer, which frees the one before
 *	follow()	notices that the mixer has stepped to the next one
 *
 * One file is read at a time: what is to be played first, then the twin of what is
 * played, then what follows, then what can be heard in its place.  Who asks for another
 * file while one is read gets the last one asked for. */
#include "tui/listen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/loudness.h"
#include "tui/player.h"

/* The loudness is of 0.4 s; before that the filters settle. */
static const double LOUDNESS_S = 0.5;

enum what { TO_PLAY, TWIN, TO_FOLLOW, BESIDE, N_WHATS = BESIDE + MIXER_SLOTS - 1 };

struct wish {
	char *path, *wet; /* owned; path NULL: none */
	int64_t take;
	double cut, begin_s, end_s;
};

/* A clip that the mixer has. */
struct heard {
	const struct mixer_clip *clip; /* NULL: none */
	int64_t take;
	char *path; /* owned */
	double cut, begin_s, end_s;
};

struct listen {
	int log_fd, ready_fd;
	struct player *player; /* NULL until something is played */
	struct player_status status;
	char *device; /* wanted; owned; NULL: the default */
	struct wish wishes[N_WHATS];
	struct clip_loading *loading; /* that runs, or NULL */
	enum what loading_what;
	struct heard loaded; /* what it will be, without the clip */
	bool is_unwanted;    /* what is being read */
	struct heard now, next;
	struct heard others[MIXER_SLOTS]; /* by slot; none where `now` is */
	int slot, n_together;             /* of `now`; of all slots */
	unsigned n_plays;
	bool is_twin_stale; /* of `now` */
	enum mixer_mode mode, twin_mode;
	double mix;
	unsigned n_changes;
	int percent;
	bool is_muted;
	struct listen_meters meters; /* the greatest since they were asked for */
	struct listen_meters told; /* that were told last, and the frames that were rendered then */
	uint64_t told_at;
	uint64_t posted; /* frames that had been rendered when the last command was given */
	bool has_posted;
	bool was_playing; /* at the last listen_work() */
	bool waits;       /* what is loaded to be played begins with a pause */
	bool is_seeking;  /* that command goes to: */
	size_t sought;
	float *scratch; /* samples of LOUDNESS_S; owned */
	size_t scratch_room;
};

static struct mixer *mixer_of(struct listen *l)
{
	return player_mixer(l->player);
}

static void forget(struct wish *w)
{
	free(w->path);
	free(w->wet);
	*w = (struct wish){0};
}

static void forget_heard(struct heard *h)
{
	free(h->path);
	*h = (struct heard){0};
}

static void want(struct listen *l, enum what what, const struct listen_source *s)
{
	forget(&l->wishes[what]);
	l->wishes[what] = (struct wish){xstrdup(s->path), s->wet ? xstrdup(s->wet) : NULL, s->take,
		s->cut, s->begin_s, s->end_s};
}

static float gain_of(const struct heard *h)
{
	return (float)(1 - h->cut);
}

static void forget_others(struct listen *l)
{
	for (int i = 0; i < MIXER_SLOTS; i++)
		forget_heard(&l->others[i]);
	l->slot = 0;
}

/* ---- reading ------------------------------------------------------------ */

/* The next wish, if any, has its turn. */
static int begin_load(struct listen *l, struct err *e)
{
	int rc;

	for (enum what i = 0; i < N_WHATS; i++) {
		struct wish *w = &l->wishes[i];

		if (!w->path)
			continue;
		rc = clip_loading_begin(
			w->path, w->wet, l->status.rate_hz, l->ready_fd, &l->loading, e);
		if (!rc) {
			l->loading_what = i;
			l->is_unwanted = false;
			forget_heard(&l->loaded);
			l->loaded = (struct heard){.take = w->take,
				.path = xstrdup(w->path),
				.cut = w->cut,
				.begin_s = w->begin_s,
				.end_s = w->end_s};
		}
		forget(w);
		return rc;
	}
	return 0;
}

static void set_mode(struct listen *l, enum mixer_mode mode)
{
	l->mode = mode;
	l->n_changes++;
	mixer_set_mode(mixer_of(l), mode);
}

/* What was only to follow, or to be a twin, is of no use any more. */
static void drop_wishes(struct listen *l)
{
	for (enum what i = 0; i < N_WHATS; i++)
		forget(&l->wishes[i]);
	l->is_unwanted = true;
}

/* ---- opening and closing ------------------------------------------------ */

int listen_open(int log_fd, struct listen **ret, struct err *e)
{
	struct listen *l = xcalloc(1, sizeof(*l));

	l->log_fd = log_fd;
	l->percent = 100;
	l->n_together = 1;
	l->mix = 1;
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
	drop_wishes(l);
	forget_heard(&l->loaded);
	forget_heard(&l->now);
	forget_heard(&l->next);
	forget_others(l);
	free(l->device);
	free(l->scratch);
	free(l);
}

int listen_wake(struct listen *l, struct err *e)
{
	const struct player_desc d = {
		.log_fd = l->log_fd > 0 ? l->log_fd : 0, .device = l->device, .stays = true};
	int rc;

	if (l->player)
		return 0;
	rc = player_open(&d, &l->player, e);
	if (rc)
		return rc;
	mixer_volume(mixer_of(l), (float)l->percent / 100);
	mixer_mute(mixer_of(l), l->is_muted);
	mixer_set_mix(mixer_of(l), (float)l->mix);
	return 0;
}

/* ---- going on ----------------------------------------------------------- */

/* The mixer has gone on with the next clip: that is what is played. */
static void follow(struct listen *l, const struct mixer_view *v)
{
	if (!l->next.clip || v->clip != l->next.clip)
		return;
	forget_heard(&l->now);
	forget_others(l);
	l->is_twin_stale = false;
	l->now = l->next;
	l->next = (struct heard){0};
	l->n_plays++;
	l->n_together = 1;
	if (!l->now.clip->wet && l->mode != MIXER_DRY)
		set_mode(l, MIXER_DRY);
}

static struct mixer_view look(struct listen *l)
{
	struct mixer_view v;

	mixer_read(mixer_of(l), &v);
	for (int c = 0; c < 2; c++) {
		l->meters.peak[c] = fmaxf(l->meters.peak[c], v.peak[c]);
		l->meters.rms[c] = fmaxf(l->meters.rms[c], v.rms[c]);
	}
	follow(l, &v);
	if (l->is_seeking && l->has_posted && v.n_frames == l->posted)
		v.position = l->sought;
	return v;
}

/* A command was given: until it is obeyed, listen_read() says so. */
static void note_command(struct listen *l, const struct mixer_view *v)
{
	l->posted = v->n_frames;
	l->has_posted = true;
}

static size_t frame_of(const struct listen *l, double s, size_t length)
{
	double frame = round(s * l->status.rate_hz);

	return !(frame > 0) ? 0 : frame >= (double)length ? length : (size_t)frame;
}

static void play_loaded(struct listen *l)
{
	struct mixer *m = mixer_of(l);
	struct mixer_view v = look(l);

	const struct heard *h = &l->loaded;
	const size_t length = h->clip->n_frames, begin = frame_of(l, h->begin_s, length);

	mixer_clear(m);
	mixer_put(m, 0, h->clip, gain_of(h));
	mixer_switch(m, 0);
	mixer_seek(m, begin);
	if (h->end_s > h->begin_s)
		mixer_loop(m, begin, frame_of(l, h->end_s, length));
	set_mode(l, MIXER_DRY);
	mixer_play(m);
	if (l->waits)
		mixer_pause(m);
	note_command(l, &v);
	forget_heard(&l->next);
	forget_heard(&l->now);
	forget_others(l);
	l->is_twin_stale = false;
	l->now = l->loaded;
	l->loaded = (struct heard){0};
}

static void put_beside(struct listen *l, int slot)
{
	mixer_put(mixer_of(l), slot, l->loaded.clip, gain_of(&l->loaded));
	forget_heard(&l->others[slot]);
	l->others[slot] = l->loaded;
	l->loaded = (struct heard){0};
}

static void take_twin(struct listen *l)
{
	mixer_put(mixer_of(l), l->slot, l->loaded.clip, gain_of(&l->loaded));
	set_mode(l, l->twin_mode);
	forget_heard(&l->now);
	l->is_twin_stale = false;
	l->now = l->loaded;
	l->loaded = (struct heard){0};
}

static void append_loaded(struct listen *l)
{
	mixer_next(mixer_of(l), l->loaded.clip, gain_of(&l->loaded));
	forget_heard(&l->next);
	l->next = l->loaded;
	l->loaded = (struct heard){0};
}

static int take_loaded(struct listen *l, struct err *e)
{
	int rc = clip_loading_end(l->loading, &l->loaded.clip, e);
	bool is_unwanted =
		l->is_unwanted || (l->loading_what == TWIN && l->loaded.take != l->now.take);

	l->loading = NULL;
	l->n_changes++;
	if (rc && l->loading_what == TO_PLAY && !is_unwanted)
		drop_wishes(l); /* nor what would have been beside it */
	if (rc)
		return rc;
	if (is_unwanted)
		clip_free(l->loaded.clip);
	else if (l->loading_what == TO_PLAY)
		play_loaded(l);
	else if (l->loading_what == TWIN)
		take_twin(l);
	else if (l->loading_what == TO_FOLLOW)
		append_loaded(l);
	else
		put_beside(l, l->loading_what - BESIDE + 1);
	return 0;
}

void listen_fds(const struct listen *l, int fds[2])
{
	fds[0] = l->ready_fd;
	fds[1] = l->player ? player_event_fd(l->player) : -1;
}

int listen_work(struct listen *l, struct err *e)
{
	struct mixer_view v;
	eventfd_t n;
	int rc = 0;

	if (!l->player)
		return 0;
	eventfd_read(l->ready_fd, &n);
	player_status(l->player, &l->status);
	v = look(l); /* before clips are freed that it may be about */
	l->has_posted = l->has_posted && v.n_frames == l->posted;
	l->is_seeking = l->is_seeking && l->has_posted;
	l->was_playing = v.state == MIXER_PLAYING;
	player_reap(l->player);
	if (l->loading && clip_loading_is_done(l->loading))
		rc = take_loaded(l, e);
	if (!rc && !l->loading && l->status.state != PLAYER_OPENING)
		rc = begin_load(l, e);
	return rc;
}

int listen_together(struct listen *l, const struct listen_source *s, int n, struct err *e)
{
	int rc = listen_wake(l, e);

	if (rc)
		return rc;
	drop_wishes(l);
	want(l, TO_PLAY, s);
	for (int i = 1; i < n && i < MIXER_SLOTS; i++)
		want(l, (enum what)(BESIDE + i - 1), &s[i]);
	l->n_together = n;
	l->n_plays++;
	l->waits = false;
	return listen_work(l, e);
}

int listen_play(struct listen *l, const struct listen_source *s, struct err *e)
{
	return listen_together(l, s, 1, e);
}

/* What is to be played is not there yet: the mixer still has what was played before. */
static bool is_loading(const struct listen *l)
{
	return l->wishes[TO_PLAY].path ||
	       (l->loading && l->loading_what == TO_PLAY && !l->is_unwanted);
}

bool listen_switch(struct listen *l, int which)
{
	if (!l->player || which < 0 || which >= MIXER_SLOTS || is_loading(l))
		return false;
	if (which == l->slot)
		return l->now.clip != NULL;
	if (!l->others[which].clip)
		return false;
	mixer_switch(mixer_of(l), which);
	l->others[l->slot] = l->now;
	l->now = l->others[which];
	l->others[which] = (struct heard){0};
	l->slot = which;
	l->is_twin_stale = false;
	if (!l->now.clip->wet && l->mode != MIXER_DRY)
		set_mode(l, MIXER_DRY);
	return true;
}

int listen_next(struct listen *l, const struct listen_source *s, struct err *e)
{
	if (!l->player || !l->now.clip)
		return 0;
	want(l, TO_FOLLOW, s);
	return listen_work(l, e);
}

/* ---- commands ----------------------------------------------------------- */

void listen_pause(struct listen *l)
{
	struct mixer_view v;
	bool pauses;

	if (!l->player)
		return;
	v = look(l);
	pauses = v.state == MIXER_PLAYING;
	if (is_loading(l)) /* what is still heard stops at once, what comes waits */
		pauses = l->waits = !l->waits;
	if (pauses)
		mixer_pause(mixer_of(l));
	else
		mixer_play(mixer_of(l));
	note_command(l, &v);
}

void listen_stop(struct listen *l)
{
	struct mixer_view v;

	if (!l->player)
		return;
	drop_wishes(l);
	v = look(l);
	mixer_stop(mixer_of(l));
	note_command(l, &v);
}

void listen_seek(struct listen *l, double by_s)
{
	if (l->player && l->status.rate_hz)
		listen_seek_to(l, (double)look(l).position / l->status.rate_hz + by_s);
}

static void go_to(struct listen *l, double s, bool (*how)(struct mixer *m, size_t frame))
{
	struct mixer_view v;

	if (!l->player || !l->status.rate_hz)
		return;
	v = look(l);
	l->sought = frame_of(l, s, v.length);
	l->is_seeking = true;
	how(mixer_of(l), l->sought);
	note_command(l, &v);
}

void listen_seek_to(struct listen *l, double s)
{
	go_to(l, s, mixer_seek);
}

void listen_scrub(struct listen *l, double s)
{
	go_to(l, s, mixer_scrub);
}

void listen_loop(struct listen *l, double begin_s, double end_s)
{
	size_t length;

	if (!l->player || !l->status.rate_hz)
		return;
	length = look(l).length;
	mixer_loop(mixer_of(l), frame_of(l, begin_s, length), frame_of(l, end_s, length));
}

void listen_volume(struct listen *l, int percent)
{
	l->percent = percent;
	if (l->player)
		mixer_volume(mixer_of(l), (float)percent / 100);
}

void listen_mute(struct listen *l, bool is_muted)
{
	l->is_muted = is_muted;
	if (l->player)
		mixer_mute(mixer_of(l), is_muted);
}

int listen_twin(struct listen *l, const char *wet, enum mixer_mode mode, struct err *e)
{
	const struct listen_source s = {
		.take = l->now.take, .path = l->now.path, .wet = wet, .cut = l->now.cut};

	if (!l->player || !l->now.clip)
		return 0;
	l->twin_mode = mode;
	want(l, TWIN, &s);
	return listen_work(l, e);
}

static bool has_twin(const struct listen *l)
{
	return l->now.clip && l->now.clip->wet && !l->is_twin_stale;
}

void listen_drop_twin(struct listen *l)
{
	l->is_twin_stale = true;
	listen_mode(l, MIXER_DRY);
}

void listen_mode(struct listen *l, enum mixer_mode mode)
{
	if (l->player && l->now.clip && (mode == MIXER_DRY || has_twin(l)))
		set_mode(l, mode);
}

void listen_mix(struct listen *l, double mix)
{
	l->mix = mix;
	if (l->player)
		mixer_set_mix(mixer_of(l), (float)mix);
}

void listen_device(struct listen *l, const char *name)
{
	free(l->device);
	l->device = name ? xstrdup(name) : NULL;
	if (l->player)
		player_choose(l->player, name);
}

int listen_rescan(struct listen *l, struct err *e)
{
	if (!l->player) /* whoever opens one looks */
		return listen_wake(l, e);
	player_rescan(l->player);
	return 0;
}

void listen_devices(struct listen *l, struct arena *a, struct player_device **ret, size_t *ret_n)
{
	*ret = NULL;
	*ret_n = 0;
	if (l->player)
		player_devices(l->player, a, ret, ret_n);
}

/* ---- what became of it -------------------------------------------------- */

void listen_read(struct listen *l, struct listen_view *ret)
{
	struct mixer_view v = {0};
	const bool loads = is_loading(l);

	if (l->player)
		v = look(l);
	*ret = (struct listen_view){
		.take = l->wishes[TO_PLAY].path ? l->wishes[TO_PLAY].take
			: loads                 ? l->loaded.take
						: l->now.take,
		.is_loading = loads,
		.is_muted = l->is_muted,
		.device = "",
		.shortfall = l->now.clip && !loads ? clip_shortfall(l->now.clip) : "",
	};
	if (!l->player)
		return;
	ret->is_playing = v.state == MIXER_PLAYING;
	ret->is_settling = l->has_posted || ret->is_playing != l->was_playing;
	ret->has_next = l->next.clip || l->wishes[TO_FOLLOW].path ||
			(l->loading && l->loading_what == TO_FOLLOW);
	ret->has_twin = has_twin(l);
	ret->reads_twin = l->wishes[TWIN].path || (l->loading && l->loading_what == TWIN);
	ret->mode = l->mode;
	ret->n_changes = l->n_changes;
	ret->n_plays = l->n_plays;
	ret->n_together = l->n_together;
	if (l->status.rate_hz > 0) {
		ret->position_s = (double)v.position / l->status.rate_hz;
		ret->length_s = (double)v.length / l->status.rate_hz;
	}
	ret->latency_s = l->status.latency_s;
	ret->n_underruns = mixer_underruns(mixer_of(l));
	ret->device = l->status.device;
	if (l->status.state == PLAYER_NO_DEVICE || l->status.state == PLAYER_LOST)
		ret->no_device = l->status.reason;
	else if (l->status.state == PLAYER_READY && *l->status.reason)
		ret->not_that = l->status.reason;
}

/* Of what the clip holds up to a frame, as it is heard. */
static double momentary(struct listen *l, size_t end)
{
	const struct mixer_clip *clip = l->now.clip;
	size_t n = (size_t)(LOUDNESS_S * l->status.rate_hz), channels = (size_t)clip->channels;
	double lufs;

	end = end < clip->n_frames ? end : clip->n_frames;
	n = n < end ? n : end;
	if (!n)
		return -INFINITY;
	if (l->scratch_room < n * channels) {
		l->scratch_room = n * channels;
		l->scratch = xrealloc(l->scratch, l->scratch_room, sizeof(*l->scratch));
	}
	mixer_clip_read(clip, l->mode, (float)l->mix, end - n, n, l->scratch);
	return loudness_momentary(l->scratch, n, clip->channels, l->status.rate_hz, &lufs, NULL)
		       ? -INFINITY
		       : lufs;
}

void listen_meters(struct listen *l, struct listen_meters *ret)
{
	struct mixer_view v = {0};

	if (l->player)
		v = look(l);
	if (v.state == MIXER_PLAYING && v.n_frames == l->told_at) {
		*ret = l->told;
		return;
	}
	*ret = l->meters;
	l->meters = (struct listen_meters){0};
	if (v.state != MIXER_PLAYING) /* what was heard last is no level any more */
		ret->rms[0] = ret->rms[1] = 0;
	ret->lufs = v.state == MIXER_PLAYING && v.clip && v.clip == l->now.clip
			    ? momentary(l, v.position)
			    : (double)-INFINITY;
	l->told = *ret;
	l->told_at = v.n_frames;
}
