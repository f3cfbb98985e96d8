/* The player: PortAudio's thread, the keeper, and who may render.
 *
 * `driver` says who drives the mixer: NOBODY, the keeper's SILENCE, or the number
 * of a stream.  A stream that was given up may wake at any time and call back;
 * its number is not the driver's then, so it gets silence and touches nothing.
 * `rendering` keeps the one before out of the mixer while the next begins: both
 * sides only ever try it.
 *
 *	            open            callback for 1 s, ended        rescan, choose
 *	OPENING -----------> READY -------------------------> LOST ---------------> ...
 *	    ^  |  no device, or no answer
 *	    |  +-----------------> NO_DEVICE ---------------> ...
 *	    |  a command
 *	 RESTING <------------ READY, and nothing is played for rest_s
 *
 * Only PortAudio's thread calls PortAudio.  What the UI wants is written under
 * the lock and done by that thread outside it, the latest wish last. */
#include "tui/player.h"

#include <errno.h>
#include <math.h>
#include <portaudio.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tui/devices.h"
#include "tui/stderr.h"
#include "tui/thread.h"

enum {
	NOBODY,
	SILENCE,
	FIRST_STREAM,
	REALTIME = 1,
	NICE = -11,
	UNDERRUNS = 3, /* within UNDERRUNS_S: the buffer is too short */
	RATE_HZ = 48000,
};

static const double OPEN_S = 6, STOP_S = 2; /* deadlines of calls */
static const double LATENCY_S = 0.1;
static const double QUIET_S = 1; /* without a callback: lost */
/* The first callbacks may take longer: a sound server that wakes its card. */
static const double START_S = 3;
static const double TICK_S = 0.01, WATCH_S = 0.05;
static const double REST_S = 5;
static const double RETRY_S = 1, RETRY_MAX_S = 60; /* after a device was lost; doubled */
static const double UNDERRUNS_S = 5, LATENCY_MAX_S = 0.8;
static const double CATCH_UP_S = 0.25; /* the keeper was held up longer: time is lost */

struct stream {
	struct player *p;
	PaStream *pa;
	unsigned number;
	int channels;
	double latency_s; /* that was asked for */
	double late_s;
	double began;
	atomic_bool is_over;
};

struct player {
	struct mixer *mixer;
	atomic_uint driver;
	atomic_flag rendering;
	int event_fd, log_fd;
	bool stays;
	double rest_s;
	pthread_t keeper, backend;

	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t changed;
	/* Wishes, until PortAudio's thread takes them. */
	bool wants_open, wants_rescan, wants_stop, wants_end;
	char wanted[DEVICE_NAME_SIZE]; /* "": the default */
	/* PortAudio's thread. */
	double busy_until; /* deadline of the call it is in; 0: in none */
	bool is_stuck;     /* the deadline has passed */
	bool is_done;
	int saved_stderr; /* -1: fd 2 is where it belongs */
	/* The keeper. */
	double busy_at;           /* when something was played last */
	double retry_at, retry_s; /* when a device is looked for, and how long after that */
	double counted_at;        /* when underruns were counted, and how many there were */
	uint64_t n_counted;
	/* What is. */
	bool keeper_ends;
	double latency_s; /* wanted */
	bool is_rate_final;
	struct player_status status;
	struct device_list devices;
	struct stream *stream; /* owned by PortAudio's thread; NULL: none */
	unsigned n_streams;
};

/* ---- before others ------------------------------------------------------ */

/* Sound goes before what computes, where that is allowed (RLIMIT_RTPRIO, or else
 * RLIMIT_NICE); elsewhere nothing changes.  PortAudio's thread hands it on to those that it
 * starts: the callback's, and that of a sound server's client, without which it waits. */
static void hurry(void)
{
	const struct sched_param at = {.sched_priority = REALTIME};

	if (pthread_setschedparam(pthread_self(), SCHED_RR, &at))
		setpriority(PRIO_PROCESS, 0, NICE); /* on Linux, of this thread */
}

/* ---- rendering ---------------------------------------------------------- */

static bool may_render(struct player *p, unsigned who)
{
	if (atomic_load(&p->driver) != who || atomic_flag_test_and_set(&p->rendering))
		return false;
	if (atomic_load(&p->driver) == who)
		return true;
	atomic_flag_clear(&p->rendering);
	return false;
}

static int on_audio(const void *in, void *out, unsigned long n, const PaStreamCallbackTimeInfo *t,
	PaStreamCallbackFlags flags, void *ud)
{
	struct stream *s = ud;

	if (may_render(s->p, s->number)) {
		mixer_beat(s->p->mixer, clock_now(), s->late_s, (flags & paOutputUnderflow) != 0);
		mixer_render(s->p->mixer, out, n, s->channels);
		atomic_flag_clear(&s->p->rendering);
	} else {
		memset(out, 0, n * (size_t)s->channels * sizeof(float));
	}
	return paContinue;
}

static void on_over(void *ud)
{
	struct stream *s = ud;

	atomic_store(&s->is_over, true);
}

/* Changes the driver, and waits until the one before has left the mixer; that
 * takes no longer than rendering a buffer does. */
static void set_driver(struct player *p, unsigned who)
{
	atomic_store(&p->driver, who);
	while (atomic_flag_test_and_set(&p->rendering))
		sched_yield();
	atomic_flag_clear(&p->rendering);
}

/* ---- what everybody may do, under the lock ------------------------------ */

static void notify(struct player *p)
{
	const uint64_t one = 1;

	pthread_cond_broadcast(&p->changed);
	if (write(p->event_fd, &one, sizeof(one)) < 0) /* full: it is readable, then */
		return;
}

static void set_state(struct player *p, enum player_state state, const char *reason)
{
	p->status.state = state;
	snprintf(p->status.reason, sizeof(p->status.reason), "%s", reason);
	if (state != PLAYER_READY)
		p->status.device[0] = 0;
	notify(p);
}

/* A device that rests is opened; commands wait until it is. */
static void wake(struct player *p)
{
	set_state(p, PLAYER_OPENING, "");
	p->wants_open = true;
}

/* ---- PortAudio's thread ------------------------------------------------- */

static void begin_call(struct player *p, double seconds)
{
	pthread_mutex_lock(&p->lock);
	stderr_return(&p->saved_stderr);
	p->saved_stderr = stderr_divert(p->log_fd > 0 ? p->log_fd : -1);
	p->busy_until = clock_now() + seconds;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void end_call(struct player *p)
{
	pthread_mutex_lock(&p->lock);
	stderr_return(&p->saved_stderr);
	p->busy_until = 0;
	p->is_stuck = false;
	pthread_mutex_unlock(&p->lock);
}

static void list_devices(struct player *p)
{
	pthread_mutex_lock(&p->lock);
	devices_read(&p->devices);
	notify(p);
	pthread_mutex_unlock(&p->lock);
}

static PaError open_at(struct stream *s, const struct device *d, double rate_hz)
{
	PaStreamParameters out = {
		.device = d->index,
		.channelCount = s->channels,
		.sampleFormat = paFloat32,
		.suggestedLatency = s->latency_s,
	};

	return Pa_OpenStream(
		&s->pa, NULL, &out, rate_hz, paFramesPerBufferUnspecified, paNoFlag, on_audio, s);
}

/* Makes the rate what it is from now on: false when it already was another. */
static bool settle_rate(struct player *p, int rate_hz)
{
	bool is_settled;

	pthread_mutex_lock(&p->lock);
	if (!p->is_rate_final)
		p->status.rate_hz = rate_hz;
	p->is_rate_final = true;
	is_settled = p->status.rate_hz == rate_hz;
	pthread_mutex_unlock(&p->lock);
	return is_settled;
}

/* At the wanted rate, or else at the device's own, unless clips may have been
 * loaded for the other one. */
static PaError open_stream(struct stream *s, const struct device *d, int *rate_hz)
{
	int own_hz = (int)lround(d->rate_hz);
	PaError rc = open_at(s, d, *rate_hz);

	if (!rc) {
		settle_rate(s->p, *rate_hz);
	} else if (own_hz != *rate_hz && settle_rate(s->p, own_hz)) {
		rc = open_at(s, d, own_hz);
		*rate_hz = own_hz;
	}
	return rc;
}

static PaError start_stream(struct player *p, struct stream *s, int rate_hz)
{
	const PaStreamInfo *info = Pa_GetStreamInfo(s->pa);
	double latency = info ? info->outputLatency : s->latency_s;

	/* A device asks again before its buffer is empty; later than that, it is. */
	s->late_s = latency + 0.02;
	Pa_SetStreamFinishedCallback(s->pa, on_over);
	set_driver(p, NOBODY);
	mixer_set_rate(p->mixer, rate_hz);
	mixer_restart_beat(p->mixer, 0);
	s->began = clock_now();
	atomic_store(&p->driver, s->number);
	return Pa_StartStream(s->pa);
}

static void tell_ready(struct player *p, struct stream *s, const struct device *d)
{
	const PaStreamInfo *info = Pa_GetStreamInfo(s->pa);

	pthread_mutex_lock(&p->lock);
	p->stream = s;
	p->status.latency_s = info ? info->outputLatency : s->latency_s;
	p->retry_s = 0;
	p->busy_at = clock_now();
	snprintf(p->status.device, sizeof(p->status.device), "%s", d->name);
	set_state(p, PLAYER_READY, "");
	pthread_mutex_unlock(&p->lock);
}

/* The keeper's clock takes over. */
static void tell_none(struct player *p, const char *reason)
{
	pthread_mutex_lock(&p->lock);
	set_driver(p, SILENCE);
	p->is_rate_final = true;
	set_state(p, p->status.state == PLAYER_LOST ? PLAYER_LOST : PLAYER_NO_DEVICE, reason);
	pthread_mutex_unlock(&p->lock);
}

/* Opens what `name` means: false, and why. */
static bool open_device(struct player *p, const char *name, char why[DEVICE_WHY_SIZE])
{
	const struct device *d = devices_find(&p->devices, name, why);
	int rate_hz = p->status.rate_hz; /* only this thread changes it */
	struct stream *s;
	PaError rc;

	if (!d)
		return false;
	s = xcalloc(1, sizeof(*s));
	s->p = p;
	s->number = FIRST_STREAM + p->n_streams++;
	pthread_mutex_lock(&p->lock);
	s->latency_s = p->latency_s;
	pthread_mutex_unlock(&p->lock);
	s->channels = d->channels < 2 ? 1 : 2;
	rc = open_stream(s, d, &rate_hz);
	if (!rc)
		rc = start_stream(p, s, rate_hz);
	if (rc) {
		snprintf(why, DEVICE_WHY_SIZE,
			"the audio device '%.60s' does not open at %d Hz (%.100s)", d->name,
			rate_hz, devices_failure(rc));
		set_driver(p, SILENCE);
		if (s->pa)
			Pa_CloseStream(s->pa);
		free(s);
		return false;
	}
	tell_ready(p, s, d);
	return true;
}

static void close_stream(struct player *p)
{
	struct stream *s;

	pthread_mutex_lock(&p->lock);
	s = p->stream;
	p->stream = NULL;
	if (atomic_load(&p->driver) >= FIRST_STREAM)
		set_driver(p, SILENCE);
	pthread_mutex_unlock(&p->lock);
	if (!s)
		return;
	begin_call(p, STOP_S);
	Pa_AbortStream(s->pa);
	Pa_CloseStream(s->pa);
	end_call(p);
	free(s);
}

static bool initialise(struct player *p, bool *is_up, bool is_rescan, char why[DEVICE_WHY_SIZE])
{
	if (*is_up && is_rescan) {
		Pa_Terminate();
		*is_up = false;
	}
	if (!*is_up) {
		*is_up = devices_start(why);
		if (*is_up)
			list_devices(p);
	}
	return *is_up;
}

/* Closes what plays, opens what is wanted; if that fails, what there was. */
static void reopen(struct player *p, bool *is_up, bool is_rescan, const char *name)
{
	char before[DEVICE_NAME_SIZE], why[DEVICE_WHY_SIZE], ignored[DEVICE_WHY_SIZE];
	bool is_open;

	pthread_mutex_lock(&p->lock);
	snprintf(before, sizeof(before), "%s", p->status.device);
	pthread_mutex_unlock(&p->lock);
	close_stream(p);
	begin_call(p, OPEN_S);
	is_open = initialise(p, is_up, is_rescan, why) && open_device(p, name, why);
	if (is_open)
		why[0] = 0;
	else if (*is_up)
		is_open = (*before && open_device(p, before, ignored)) ||
			  (p->stays && *name && open_device(p, "", ignored));
	end_call(p);
	if (!is_open) {
		tell_none(p, why);
	} else if (why[0]) {
		pthread_mutex_lock(&p->lock);
		set_state(p, PLAYER_READY, why);
		pthread_mutex_unlock(&p->lock);
	}
}

static void *run_backend(void *ud)
{
	struct player *p = ud;
	bool is_up = false;

	hurry();
	pthread_mutex_lock(&p->lock);
	while (!p->wants_end) {
		bool opens = p->wants_open || p->wants_rescan, rescans = p->wants_rescan,
		     stops = p->wants_stop;
		char name[DEVICE_NAME_SIZE];

		memcpy(name, p->wanted, sizeof(name));
		p->wants_open = p->wants_rescan = p->wants_stop = false;
		if (!opens && !stops) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		if (opens)
			reopen(p, &is_up, rescans, name);
		else
			close_stream(p);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	close_stream(p);
	begin_call(p, STOP_S);
	if (is_up)
		Pa_Terminate();
	end_call(p);
	pthread_mutex_lock(&p->lock);
	p->is_done = true;
	notify(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- the keeper --------------------------------------------------------- */

/* A call that does not return: the UI hears of it, and gets its stderr back. */
static void watch_call(struct player *p, double now)
{
	if (!p->busy_until || p->is_stuck || now < p->busy_until)
		return;
	p->is_stuck = true;
	stderr_return(&p->saved_stderr);
	p->is_rate_final = true;
	set_driver(p, SILENCE);
	if (p->status.state != PLAYER_LOST)
		set_state(p, PLAYER_NO_DEVICE, "the audio system does not answer");
}

static void watch_stream(struct player *p, double now)
{
	struct stream *s = p->stream;
	double last, limit;

	if (!s || p->status.state != PLAYER_READY)
		return;
	last = fmax(mixer_last_beat(p->mixer), s->began);
	limit = now - s->began < START_S ? START_S : QUIET_S;
	if (!atomic_load(&s->is_over) && now - last < limit)
		return;
	set_driver(p, SILENCE);
	set_state(p, PLAYER_LOST,
		atomic_load(&s->is_over) ? "the audio device has gone away"
					 : "the audio device does not answer any more");
	p->wants_stop = true;
	notify(p);
}

/* Closes a device that nothing is played on.  A command that came meanwhile found the
 * stream still there and woke nobody: so the mixer is asked once more. */
static void watch_rest(struct player *p, double now)
{
	if (!mixer_is_idle(p->mixer) || p->status.state != PLAYER_READY)
		p->busy_at = now;
	if (!p->stays || now - p->busy_at < p->rest_s)
		return;
	set_driver(p, NOBODY);
	set_state(p, PLAYER_RESTING, "");
	p->wants_stop = true;
	if (!mixer_is_idle(p->mixer))
		wake(p);
}

/* Looks for a device again, later and later, as long as somebody wants to hear. */
static void watch_loss(struct player *p, double now)
{
	bool is_without = p->status.state == PLAYER_LOST || p->status.state == PLAYER_NO_DEVICE;

	if (!p->stays || !is_without || p->busy_until || mixer_is_idle(p->mixer))
		return;
	if (!(p->retry_s > 0)) {
		p->retry_s = RETRY_S;
		p->retry_at = now + p->retry_s;
	} else if (now >= p->retry_at) {
		p->retry_s = fmin(2 * p->retry_s, RETRY_MAX_S);
		p->retry_at = now + p->retry_s;
		p->wants_rescan = true;
		pthread_cond_broadcast(&p->changed);
	}
}

static void watch_underruns(struct player *p, double now)
{
	uint64_t n = mixer_underruns(p->mixer);

	if (now - p->counted_at > UNDERRUNS_S || !p->stream) {
		p->counted_at = now;
		p->n_counted = n;
	} else if (p->stays && n - p->n_counted >= UNDERRUNS && p->latency_s < LATENCY_MAX_S) {
		p->latency_s = fmin(2 * p->latency_s, LATENCY_MAX_S);
		p->counted_at = now;
		p->n_counted = n;
		p->wants_open = true;
		pthread_cond_broadcast(&p->changed);
	}
}

/* Renders what has gone by since *ret_then, in silence. */
static void tick(struct player *p, double *ret_then, double now)
{
	double rate = p->status.rate_hz;
	size_t n;

	if (now - *ret_then > CATCH_UP_S)
		*ret_then = now - TICK_S;
	n = (size_t)((now - *ret_then) * rate);
	if (!n || !may_render(p, SILENCE))
		return;
	mixer_render(p->mixer, NULL, n, 2);
	atomic_flag_clear(&p->rendering);
	*ret_then += (double)n / rate;
}

static void wait_for(struct player *p, double seconds)
{
	struct timespec t;

	if (isinf(seconds)) {
		pthread_cond_wait(&p->changed, &p->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)(seconds * 1e9) % 1000000000L;
	t.tv_sec += (time_t)seconds + t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&p->changed, &p->lock, &t);
}

/* How long nothing needs the keeper; INFINITY: until it is told. */
static double pause_of(const struct player *p)
{
	if (atomic_load(&p->driver) == SILENCE && !mixer_is_idle(p->mixer))
		return TICK_S;
	return p->stream || p->busy_until ? WATCH_S : (double)INFINITY;
}

static void *run_keeper(void *ud)
{
	struct player *p = ud;
	double then = clock_now();

	pthread_mutex_lock(&p->lock);
	while (!p->keeper_ends) {
		double now = clock_now();

		watch_call(p, now);
		watch_stream(p, now);
		watch_rest(p, now);
		watch_loss(p, now);
		watch_underruns(p, now);
		if (atomic_load(&p->driver) == SILENCE)
			tick(p, &then, now);
		else
			then = now;
		wait_for(p, pause_of(p));
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- life --------------------------------------------------------------- */

/* A command must be heard even when the keeper sleeps. */
static void on_post(void *ud)
{
	struct player *p = ud;

	if (atomic_load(&p->driver) >= FIRST_STREAM)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->status.state == PLAYER_RESTING)
		wake(p);
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void free_player(struct player *p)
{
	mixer_close(p->mixer, clip_free);
	if (p->event_fd >= 0)
		close(p->event_fd);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int init(struct player *p, const struct player_desc *d, struct err *e)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	atomic_flag_clear(&p->rendering);
	p->saved_stderr = -1;
	p->log_fd = d->log_fd;
	p->latency_s = d->latency_s > 0 ? d->latency_s : LATENCY_S;
	p->stays = d->stays;
	p->rest_s = d->rest_s > 0 ? d->rest_s : REST_S;
	p->status.rate_hz = d->rate_hz ? d->rate_hz : RATE_HZ;
	p->wants_open = true;
	snprintf(p->wanted, sizeof(p->wanted), "%s", d->device ? d->device : "");
	p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event_fd < 0)
		return err_errno(e, errno, "cannot prepare for audio");
	return mixer_open(
		&(struct mixer_desc){.rate_hz = p->status.rate_hz, .on_post = on_post, .ud = p},
		&p->mixer, e);
}

static int start_threads(struct player *p, struct err *e)
{
	int rc = thread_start(&p->keeper, run_keeper, p);

	if (!rc) {
		rc = thread_start(&p->backend, run_backend, p);
		if (rc) {
			pthread_mutex_lock(&p->lock);
			p->keeper_ends = true;
			notify(p);
			pthread_mutex_unlock(&p->lock);
			pthread_join(p->keeper, NULL);
		}
	}
	return rc ? err_errno(e, rc, "cannot start a thread for audio") : 0;
}

int player_open(const struct player_desc *d, struct player **ret, struct err *e)
{
	struct player *p = xcalloc(1, sizeof(*p));
	int rc = init(p, d, e);

	*ret = NULL;
	setenv("JACK_NO_START_SERVER", "1", 1);
	if (!rc)
		rc = start_threads(p, e);
	if (rc)
		free_player(p);
	else
		*ret = p;
	return rc;
}

void player_close(struct player *p)
{
	double deadline = clock_now() + STOP_S;
	bool is_done;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	set_driver(p, NOBODY);
	p->wants_end = true;
	pthread_cond_broadcast(&p->changed);
	while (!p->is_done && !p->is_stuck && clock_now() < deadline)
		wait_for(p, deadline - clock_now() > 0 ? deadline - clock_now() : 0);
	is_done = p->is_done;
	p->keeper_ends = true;
	pthread_cond_broadcast(&p->changed);
	stderr_return(&p->saved_stderr);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->keeper, NULL);
	if (is_done) {
		pthread_join(p->backend, NULL);
		free_player(p);
		return;
	}
	/* Its thread may come back at any time and needs what it knows; the clips it
	 * never touches. */
	pthread_detach(p->backend);
	set_driver(p, NOBODY);
	for (const struct mixer_clip *clip; (clip = mixer_reap(p->mixer));)
		clip_free(clip);
}

/* ---- the UI's side ------------------------------------------------------ */

struct mixer *player_mixer(struct player *p)
{
	return p->mixer;
}

void player_reap(struct player *p)
{
	for (const struct mixer_clip *clip; (clip = mixer_reap(p->mixer));)
		clip_free(clip);
}

int player_event_fd(const struct player *p)
{
	return p->event_fd;
}

void player_status(struct player *p, struct player_status *ret)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	if (read(p->event_fd, &n, sizeof(n)) < 0)
		n = 0; /* nothing new */
	*ret = p->status;
	pthread_mutex_unlock(&p->lock);
}

void player_devices(struct player *p, struct arena *a, struct player_device **ret, size_t *ret_n)
{
	struct player_device *list;

	pthread_mutex_lock(&p->lock);
	list = ARENA_ARRAY(a, struct player_device, p->devices.n + 1);
	for (size_t i = 0; i < p->devices.n; i++) {
		const struct device *d = &p->devices.devices[i];

		list[i] = (struct player_device){
			.name = arena_strdup(a, d->name),
			.host = arena_strdup(a, d->host),
			.channels = d->channels,
			.rate_hz = d->rate_hz,
			.is_default = d->is_default,
		};
	}
	*ret = list;
	*ret_n = p->devices.n;
	pthread_mutex_unlock(&p->lock);
}

static void wish(struct player *p, bool *what)
{
	*what = true;
	pthread_cond_broadcast(&p->changed);
}

void player_choose(struct player *p, const char *name)
{
	pthread_mutex_lock(&p->lock);
	snprintf(p->wanted, sizeof(p->wanted), "%s", name ? name : "");
	wish(p, &p->wants_open);
	pthread_mutex_unlock(&p->lock);
}

void player_rescan(struct player *p)
{
	pthread_mutex_lock(&p->lock);
	wish(p, &p->wants_rescan);
	pthread_mutex_unlock(&p->lock);
}
