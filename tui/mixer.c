/* The mixer as those see it who tell it what to play: they post commands and read
 * snapshots; mixer_render.c, on the driver's thread, does the rest. */
#include "tui/mixer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tui/mixer_private.h"

enum { COMMANDS = 256 };

static const double LEVEL_S = 0.005, FADE_S = 0.010, VOLUME_S = 0.020, GRAIN_S = 0.080;

/* ---- life --------------------------------------------------------------- */

static size_t frames_of(double s, int rate_hz)
{
	size_t n = (size_t)lround(s * rate_hz);

	return n ? n : 1;
}

void mixer_set_rate(struct mixer *m, int rate_hz)
{
	m->level_frames = frames_of(LEVEL_S, rate_hz);
	m->fade_frames = frames_of(FADE_S, rate_hz);
	m->volume_frames = frames_of(VOLUME_S, rate_hz);
	m->grain_frames = frames_of(GRAIN_S, rate_hz);
}

int mixer_open(const struct mixer_desc *d, struct mixer **ret, struct err *e)
{
	struct mixer *m;
	void *mem;
	int rc;

	*ret = NULL;
	if (d->rate_hz < 1)
		return err_set(e, ERR_ARG, "no mixer at %d Hz", d->rate_hz);
	rc = mem_try_alloc(&mem, 1, sizeof(*m), "mixer", e);
	if (rc)
		return rc;
	m = mem;
	rc = ring_open(COMMANDS, sizeof(struct command), &m->commands, e);
	if (!rc)
		rc = ring_open(MIXER_LEAVING_MAX, sizeof(struct mixer_clip *), &m->returned, e);
	if (rc) {
		mixer_close(m, NULL);
		return rc;
	}
	m->on_post = d->on_post;
	m->ud = d->ud;
	mixer_set_rate(m, d->rate_hz);
	m->volume = m->volume_to = m->mix = 1;
	m->writing = 0;
	m->reading = 1;
	atomic_store(&m->shared, 2);
	atomic_store(&m->is_idle, true);
	*ret = m;
	return 0;
}

void mixer_close(struct mixer *m, void (*release)(const struct mixer_clip *clip))
{
	const struct mixer_clip *clip;
	struct command c;

	if (!m)
		return;
	for (int i = 0; i < MIXER_SLOTS; i++)
		if (m->slot[i].clip)
			release(m->slot[i].clip);
	for (size_t i = 0; i < m->n_next; i++)
		release(m->next[i].clip);
	for (size_t i = 0; i < m->n_leaving; i++)
		release(m->leaving[i]);
	while (m->returned && ring_pop(m->returned, &clip))
		release(clip);
	while (m->commands && ring_pop(m->commands, &c))
		if (c.clip)
			release(c.clip);
	ring_close(m->commands);
	ring_close(m->returned);
	free(m);
}

/* ---- the UI's side ------------------------------------------------------ */

static bool post(struct mixer *m, struct command c)
{
	if (!ring_push(m->commands, &c))
		return false;
	if (m->on_post)
		m->on_post(m->ud);
	return true;
}

/* For assertions, which -DNDEBUG leaves out. */
__attribute__((unused)) static bool is_slot(int slot)
{
	return slot >= 0 && slot < MIXER_SLOTS;
}

bool mixer_put(struct mixer *m, int slot, const struct mixer_clip *clip, float gain)
{
	assert(is_slot(slot));
	assert(!clip || (clip->channels >= 1 && clip->channels <= MIXER_CHANNELS_MAX));
	return post(m, (struct command){.verb = PUT, .n = slot, .x = gain, .clip = clip});
}

bool mixer_next(struct mixer *m, const struct mixer_clip *clip, float gain)
{
	assert(clip && clip->channels >= 1 && clip->channels <= MIXER_CHANNELS_MAX);
	return post(m, (struct command){.verb = NEXT, .x = gain, .clip = clip});
}

bool mixer_clear(struct mixer *m)
{
	return post(m, (struct command){.verb = CLEAR});
}

bool mixer_play(struct mixer *m)
{
	return post(m, (struct command){.verb = PLAY});
}

bool mixer_pause(struct mixer *m)
{
	return post(m, (struct command){.verb = PAUSE});
}

bool mixer_stop(struct mixer *m)
{
	return post(m, (struct command){.verb = STOP});
}

bool mixer_seek(struct mixer *m, size_t frame)
{
	return post(m, (struct command){.verb = SEEK, .a = frame});
}

bool mixer_scrub(struct mixer *m, size_t frame)
{
	return post(m, (struct command){.verb = SCRUB, .a = frame});
}

bool mixer_loop(struct mixer *m, size_t begin, size_t end)
{
	return post(m, (struct command){.verb = LOOP, .a = begin, .b = end});
}

bool mixer_switch(struct mixer *m, int slot)
{
	assert(is_slot(slot));
	return post(m, (struct command){.verb = SWITCH, .n = slot});
}

bool mixer_gain(struct mixer *m, int slot, float gain)
{
	assert(is_slot(slot));
	return post(m, (struct command){.verb = GAIN, .n = slot, .x = gain});
}

bool mixer_set_mode(struct mixer *m, enum mixer_mode mode)
{
	return post(m, (struct command){.verb = MODE, .n = mode});
}

bool mixer_set_mix(struct mixer *m, float mix)
{
	return post(m, (struct command){.verb = MIX, .x = mix});
}

bool mixer_volume(struct mixer *m, float volume)
{
	return post(m, (struct command){.verb = VOLUME, .x = volume});
}

bool mixer_mute(struct mixer *m, bool is_muted)
{
	return post(m, (struct command){.verb = MUTE, .n = is_muted});
}

void mixer_read(struct mixer *m, struct mixer_view *ret)
{
	struct snapshot *s;

	if (atomic_load(&m->shared) & MIXER_FRESH) {
		m->reading = atomic_exchange(&m->shared, m->reading) & ~(unsigned)MIXER_FRESH;
	} else { /* nothing went out since */
		m->snapshot[m->reading].meter = (struct meter){0};
	}
	s = &m->snapshot[m->reading];
	*ret = s->view;
	for (int c = 0; c < 2; c++) {
		ret->peak[c] = s->meter.peak[c];
		ret->rms[c] =
			s->meter.n ? (float)sqrt(s->meter.squares[c] / (double)s->meter.n) : 0;
	}
}

const struct mixer_clip *mixer_reap(struct mixer *m)
{
	const struct mixer_clip *clip;

	return ring_pop(m->returned, &clip) ? clip : NULL;
}

uint64_t mixer_underruns(const struct mixer *m)
{
	return atomic_load(&m->n_underruns);
}

uint64_t mixer_beats(const struct mixer *m)
{
	return atomic_load(&m->n_beats);
}

double mixer_last_beat(const struct mixer *m)
{
	return atomic_load(&m->last_beat);
}

bool mixer_is_idle(const struct mixer *m)
{
	return atomic_load(&m->is_idle) && !ring_count(m->commands);
}
