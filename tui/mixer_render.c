/* What the mixer sounds like, on the driver's thread.
 *
 * What is heard is a head: a clip, a mode, a gain, a position.  Commands change
 * what is wanted (slots, mode, seek_to); refresh() makes that the current head,
 * and the head before it fades out beside it.  Everything that depends on time
 * is counted in frames, never in buffers, so that the stream does not depend on
 * how the device cuts it: render_piece() renders pieces that end where a counter
 * does.
 *
 *	head(s) -> cross-fade -> level (play, pause) -> volume -> meters -> out */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "tui/mixer_private.h"

enum {
	PIECE = 256, /* frames at most: what lies on the stack of a callback */
	/* Places that one command, and all steps to next clips after it, may take. */
	LEAVING_ROOM = 2 * (MIXER_SLOTS + MIXER_NEXT_MAX),
};

/* ---- clips that go ------------------------------------------------------ */

static void leave(struct mixer *m, const struct mixer_clip *clip)
{
	if (clip)
		m->leaving[m->n_leaving++] = clip;
}

/* Hands back what is not heard any more; what the ring cannot take waits. */
static void hand_back(struct mixer *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_leaving; i++) {
		const struct mixer_clip *clip = m->leaving[i];
		bool is_heard = clip == m->head.clip || (m->fade_left && clip == m->old.clip);

		if (is_heard || !ring_push(m->returned, &clip))
			m->leaving[kept++] = clip;
	}
	m->n_leaving = kept;
}

static void empty_slots(struct mixer *m)
{
	for (int i = 0; i < MIXER_SLOTS; i++) {
		leave(m, m->slot[i].clip);
		m->slot[i] = (struct slot){0};
	}
	m->active = 0;
	m->loop_begin = m->loop_end = 0;
}

/* ---- heads -------------------------------------------------------------- */

static size_t clip_frames(const struct mixer_clip *clip)
{
	return clip ? clip->n_frames : 0;
}

/* The frame at which a head wraps: the loop's end, or 0 when none is ahead. */
static size_t wrap_of(const struct mixer *m, const struct head *h)
{
	size_t n = clip_frames(h->clip), end = m->loop_end < n ? m->loop_end : n;

	return m->loop_begin < end && h->pos < end ? end : 0;
}

/* One frame of a channel, in a mode. */
static float sample_at(const struct head *h, size_t i)
{
	const struct mixer_clip *c = h->clip;

	switch (h->mode) {
	case MIXER_WET:
		return !c->wet      ? c->dry[i]
		       : h->mix < 1 ? c->dry[i] + h->mix * (c->wet[i] - c->dry[i])
				    : c->wet[i];
	case MIXER_REMOVED:
		return c->wet ? c->dry[i] - c->wet[i] : 0;
	default:
		return c->dry[i];
	}
}

void mixer_clip_read(const struct mixer_clip *clip, enum mixer_mode mode, float mix, size_t frame,
	size_t n, float *ret)
{
	const struct head h = {.clip = clip, .mode = mode, .mix = mix};
	const size_t channels = (size_t)clip->channels;

	for (size_t i = 0; i < n * channels; i++)
		ret[i] = sample_at(&h, frame * channels + i);
}

/* The weight of channel c of n, n > 2, on the left side or the right; not scaled. */
static float fold_weight(int c, int n, bool is_right)
{
	bool has_centre = n == 3 || n >= 5, has_lfe = n >= 6;
	int first_surround = 2 + has_centre + has_lfe;

	if (c < 2)
		return c == is_right;
	if (has_centre && c == 2)
		return (float)M_SQRT1_2;
	if (c < first_surround)
		return 0;
	return (c - first_surround) % 2 == is_right ? (float)M_SQRT1_2 : 0;
}

static void fold_down(const struct head *h, float *out, size_t n_frames)
{
	int n = h->clip->channels;
	float weight[2][MIXER_CHANNELS_MAX];

	for (int side = 0; side < 2; side++) {
		float sum = 0;

		for (int c = 0; c < n; c++)
			sum += weight[side][c] = fold_weight(c, n, side);
		for (int c = 0; c < n; c++)
			weight[side][c] /= sum;
	}
	for (size_t i = 0; i < n_frames; i++) {
		float left = 0, right = 0;

		for (int c = 0; c < n; c++) {
			float x = sample_at(h, (h->pos + i) * (size_t)n + (size_t)c);

			left += x * weight[0][c];
			right += x * weight[1][c];
		}
		out[2 * i] = left;
		out[2 * i + 1] = right;
	}
}

/* Frames that the clip has, in stereo, at the head's gain. */
static void copy_frames(const struct head *h, float *out, size_t n)
{
	if (h->clip->channels > 2)
		fold_down(h, out, n);
	else if (h->clip->channels == 2)
		for (size_t i = 0; i < 2 * n; i++)
			out[i] = sample_at(h, 2 * h->pos + i);
	else
		for (size_t i = 0; i < n; i++)
			out[2 * i] = out[2 * i + 1] = sample_at(h, h->pos + i);
	if (h->gain != 1)
		for (size_t i = 0; i < 2 * n; i++)
			out[i] *= h->gain;
}

/* Reads and moves the head; the number of frames before the clip was over.  What
 * is missing is silence. */
static size_t read_head(const struct mixer *m, struct head *h, float *out, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t wrap = wrap_of(m, h), end = wrap ? wrap : clip_frames(h->clip), k;

		if (h->pos >= end)
			break;
		k = n - done < end - h->pos ? n - done : end - h->pos;
		copy_frames(h, out + 2 * done, k);
		done += k;
		h->pos += k;
		if (wrap && h->pos == wrap)
			h->pos = m->loop_begin;
	}
	memset(out + 2 * done, 0, (n - done) * 2 * sizeof(*out));
	return done;
}

/* ---- what is wanted, and what is ---------------------------------------- */

static bool is_sounding(const struct mixer *m)
{
	return m->state == MIXER_PLAYING || m->grain_left;
}

static struct head wanted_head(const struct mixer *m)
{
	const struct slot *s = &m->slot[m->active];
	size_t n = clip_frames(s->clip), pos = m->is_seeking ? m->seek_to : m->head.pos;

	return (struct head){.clip = s->clip,
		.mode = m->mode,
		.mix = m->mix,
		.gain = s->gain,
		.pos = pos < n ? pos : n};
}

/* Makes the head what is wanted: at once when nothing is heard, else by a
 * cross-fade once no other is running.  Towards a stop, or the end of a grain, the level
 * fades, no head. */
static void refresh(struct mixer *m)
{
	if (!m->is_changed || m->fade_left)
		return;
	if (m->level) {
		if (!is_sounding(m) && (m->state == MIXER_STOPPED || m->is_scrubbing))
			return;
		m->old = m->head;
		m->fade_left = m->fade_frames;
	}
	m->head = wanted_head(m);
	m->is_changed = m->is_seeking = false;
}

static void want_position(struct mixer *m, size_t frame)
{
	m->is_changed = m->is_seeking = true;
	m->seek_to = frame;
}

/* The next clip becomes the only one, from its first frame. */
static bool step_to_next(struct mixer *m)
{
	if (!m->n_next)
		return false;
	empty_slots(m);
	m->slot[0] = m->next[0];
	m->n_next--;
	memmove(m->next, m->next + 1, m->n_next * sizeof(*m->next));
	m->head = (struct head){m->slot[0].clip, m->mode, m->mix, m->slot[0].gain, 0};
	m->is_changed = m->is_seeking = false;
	return true;
}

static void end_grain(struct mixer *m)
{
	m->is_scrubbing = false;
	m->grain_left = 0;
}

/* Nothing is heard any more. */
static void fall_silent(struct mixer *m)
{
	m->level = m->fade_left = 0;
	if (m->is_scrubbing)
		want_position(m, m->grain_at);
	else if (m->state == MIXER_STOPPED && !m->is_seeking)
		want_position(m, 0);
	end_grain(m);
	refresh(m);
}

static void stop(struct mixer *m)
{
	end_grain(m);
	m->state = MIXER_STOPPED;
	m->is_seeking = false;
	if (!m->level)
		fall_silent(m);
}

static void play(struct mixer *m)
{
	if (!m->slot[m->active].clip && !step_to_next(m))
		return;
	if (m->is_scrubbing)
		want_position(m, m->grain_at);
	else if (m->state == MIXER_ENDED ||
		 (m->state == MIXER_STOPPED && m->level && !m->is_seeking))
		want_position(m, 0);
	end_grain(m);
	m->state = MIXER_PLAYING;
	m->is_starting = !m->level;
}

static void seek(struct mixer *m, size_t frame)
{
	if (!m->slot[m->active].clip)
		return;
	end_grain(m);
	want_position(m, frame);
	if (m->state == MIXER_ENDED)
		m->state = MIXER_PAUSED;
}

/* While nothing is played a grain is: the clip for a moment, and back to where it began. */
static void scrub(struct mixer *m, size_t frame)
{
	const size_t n = clip_frames(m->slot[m->active].clip);

	seek(m, frame);
	if (m->state == MIXER_PLAYING || !m->slot[m->active].clip)
		return;
	m->is_scrubbing = true;
	m->grain_at = frame < n ? frame : n;
	m->grain_left = m->grain_frames;
}

/* ---- commands ----------------------------------------------------------- */

static void put(struct mixer *m, int slot, struct slot s)
{
	leave(m, m->slot[slot].clip);
	m->slot[slot] = s;
	if (slot != m->active)
		return;
	m->is_changed = true;
	if (!s.clip)
		stop(m);
}

static void append(struct mixer *m, struct slot s)
{
	if (m->n_next == MIXER_NEXT_MAX) {
		leave(m, s.clip);
		return;
	}
	m->next[m->n_next++] = s;
	if (m->state == MIXER_ENDED) {
		step_to_next(m);
		m->state = MIXER_PLAYING;
		m->is_starting = !m->level;
	}
}

static void clear(struct mixer *m)
{
	for (size_t i = 0; i < m->n_next; i++)
		leave(m, m->next[i].clip);
	m->n_next = 0;
	empty_slots(m);
	m->is_changed = true;
	stop(m);
}

static void set_volume(struct mixer *m)
{
	float k = (float)m->volume_left / (float)m->volume_frames;

	m->volume_from = m->volume_to + (m->volume_from - m->volume_to) * k;
	m->volume_to = m->is_muted ? 0 : m->volume;
	m->volume_left = m->volume_frames;
}

static void switch_to(struct mixer *m, int slot)
{
	const struct mixer_clip *clip = m->slot[slot].clip;

	if (!clip || slot == m->active)
		return;
	m->active = slot;
	m->is_changed = true;
	if (m->state == MIXER_ENDED && m->head.pos < clip_frames(clip))
		m->state = MIXER_PLAYING;
}

static void obey(struct mixer *m, const struct command *c)
{
	switch (c->verb) {
	case PUT:
		put(m, c->n, (struct slot){c->clip, c->x});
		break;
	case NEXT:
		append(m, (struct slot){c->clip, c->x});
		break;
	case CLEAR:
		clear(m);
		break;
	case PLAY:
		play(m);
		break;
	case PAUSE:
		if (m->state == MIXER_PLAYING)
			m->state = MIXER_PAUSED;
		break;
	case STOP:
		stop(m);
		break;
	case SEEK:
		seek(m, c->a);
		break;
	case SCRUB:
		scrub(m, c->a);
		break;
	case LOOP:
		m->loop_begin = c->a;
		m->loop_end = c->b;
		break;
	case SWITCH:
		switch_to(m, c->n);
		break;
	case GAIN:
		m->slot[c->n].gain = c->x;
		m->is_changed |= c->n == m->active;
		break;
	case MODE:
		m->is_changed |= m->mode != (enum mixer_mode)c->n;
		m->mode = (enum mixer_mode)c->n;
		break;
	case MIX:
		m->is_changed |= m->mix != c->x && m->mode == MIXER_WET;
		m->mix = c->x;
		break;
	case VOLUME:
		m->volume = c->x;
		set_volume(m);
		break;
	case MUTE:
		m->is_muted = c->n;
		set_volume(m);
		break;
	}
}

static void take_commands(struct mixer *m)
{
	struct command c;

	while (m->n_leaving + LEAVING_ROOM <= MIXER_LEAVING_MAX && ring_pop(m->commands, &c))
		obey(m, &c);
	refresh(m);
	if (m->is_starting && m->state == MIXER_PLAYING && !m->head.pos)
		m->level = m->level_frames; /* a beginning is heard as it is */
	m->is_starting = false;
}

/* ---- rendering ---------------------------------------------------------- */

/* How many of n frames go by before a counter ends. */
static size_t piece_frames(const struct mixer *m, size_t n)
{
	size_t ramp = is_sounding(m)            ? m->level_frames - m->level
		      : m->state == MIXER_ENDED ? 0
						: m->level;

	n = n < PIECE ? n : PIECE;
	if (m->fade_left && m->fade_left < n)
		n = m->fade_left;
	if (ramp && ramp < n)
		n = ramp;
	if (m->volume_left && m->volume_left < n)
		n = m->volume_left;
	if (m->grain_left && m->grain_left < n)
		n = m->grain_left;
	return n;
}

static void read_current(struct mixer *m, float *out, size_t n)
{
	size_t done = read_head(m, &m->head, out, n);

	/* A change that waits for a cross-fade to end may have more to play. */
	while (m->head.pos >= clip_frames(m->head.clip) && m->state == MIXER_PLAYING &&
		!m->is_changed) {
		if (step_to_next(m))
			done += read_head(m, &m->head, out + 2 * done, n - done);
		else
			m->state = MIXER_ENDED;
	}
}

static void cross_fade(struct mixer *m, float *out, size_t n)
{
	float old[2 * PIECE], total = (float)m->fade_frames;

	read_head(m, &m->old, old, n);
	for (size_t i = 0; i < n; i++) {
		float w = (float)(m->fade_left - i) / total;

		/* In this form two heads that agree give exactly what they hold. */
		out[2 * i] += (old[2 * i] - out[2 * i]) * w;
		out[2 * i + 1] += (old[2 * i + 1] - out[2 * i + 1]) * w;
	}
	m->fade_left -= n;
}

/* Up while something sounds, down in pause; at the end there is nothing to ramp. */
static void ramp_level(struct mixer *m, float *out, size_t n)
{
	float total = (float)m->level_frames;
	bool is_up = is_sounding(m);

	if (m->state == MIXER_ENDED || (is_up && m->level == m->level_frames))
		return;
	for (size_t i = 0; i < n; i++) {
		float g = (float)(is_up ? m->level + i : m->level - i) / total;

		out[2 * i] *= g;
		out[2 * i + 1] *= g;
	}
	m->level = is_up ? m->level + n : m->level - n;
}

static void ramp_volume(struct mixer *m, float *out, size_t n)
{
	float total = (float)m->volume_frames, range = m->volume_from - m->volume_to;

	for (size_t i = 0; i < n; i++) {
		float v = m->volume_to;

		if (m->volume_left)
			v += range * ((float)(m->volume_left - i) / total);
		out[2 * i] *= v;
		out[2 * i + 1] *= v;
	}
	m->volume_left -= m->volume_left ? n : 0;
}

static void measure(struct meter *t, const float *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < 2; c++) {
			float x = fabsf(out[2 * i + (size_t)c]);

			t->peak[c] = x > t->peak[c] ? x : t->peak[c];
			t->squares[c] += (double)x * (double)x;
		}
	}
	t->n += n;
}

/* Stereo to what the device has. */
static void deliver(const float *in, float *out, size_t n, int channels)
{
	if (channels == 2) {
		memcpy(out, in, 2 * n * sizeof(*out));
	} else if (channels == 1) {
		for (size_t i = 0; i < n; i++)
			out[i] = 0.5f * (in[2 * i] + in[2 * i + 1]);
	} else {
		memset(out, 0, n * (size_t)channels * sizeof(*out));
		for (size_t i = 0; i < n; i++)
			memcpy(out + i * (size_t)channels, in + 2 * i, 2 * sizeof(*out));
	}
}

static void render_piece(struct mixer *m, float *out, size_t n)
{
	if (m->level || is_sounding(m)) {
		read_current(m, out, n);
		if (m->fade_left)
			cross_fade(m, out, n);
		ramp_level(m, out, n);
		m->grain_left -= m->grain_left ? n : 0;
		if (!m->level && !is_sounding(m))
			fall_silent(m);
	} else {
		memset(out, 0, 2 * n * sizeof(*out));
	}
	ramp_volume(m, out, n);
	measure(&m->meter, out, n);
	if (m->state == MIXER_ENDED && m->level && !m->fade_left)
		fall_silent(m);
}

static void publish(struct mixer *m)
{
	struct snapshot *s = &m->snapshot[m->writing];
	const struct mixer_clip *clip = m->slot[m->active].clip;

	s->view = (struct mixer_view){
		.state = m->state,
		.mode = m->mode,
		.clip = clip,
		.slot = m->active,
		.position = m->is_scrubbing ? m->grain_at
			    : m->is_seeking ? wanted_head(m).pos
					    : m->head.pos,
		.length = clip_frames(clip),
		.n_next = m->n_next,
		.n_frames = m->n_frames,
	};
	s->meter = m->meter;
	m->writing = atomic_exchange(&m->shared, m->writing | MIXER_FRESH) & ~(unsigned)MIXER_FRESH;
	atomic_store(&m->is_idle, !m->level && !is_sounding(m) && !m->volume_left && !m->n_leaving);
}

void mixer_beat(struct mixer *m, double now_s, double late_s, bool is_underflow)
{
	double last = atomic_load_explicit(&m->last_beat, memory_order_relaxed);
	bool is_late = late_s > 0 && last > 0 && now_s - last > late_s;

	if (is_underflow || is_late)
		atomic_fetch_add(&m->n_underruns, 1);
	atomic_store(&m->last_beat, now_s);
	atomic_fetch_add(&m->n_beats, 1);
}

void mixer_restart_beat(struct mixer *m, double now_s)
{
	atomic_store(&m->last_beat, now_s);
}

void mixer_render(struct mixer *m, float *out, size_t n_frames, int channels)
{
	float piece[2 * PIECE];

	if (!(atomic_load(&m->shared) & MIXER_FRESH)) /* the UI has seen what was measured */
		m->meter = (struct meter){0};
	take_commands(m);
	for (size_t done = 0; done < n_frames;) {
		size_t n;

		refresh(m);
		n = piece_frames(m, n_frames - done);
		render_piece(m, piece, n);
		if (out)
			deliver(piece, out + done * (size_t)channels, n, channels);
		done += n;
	}
	m->n_frames += n_frames;
	hand_back(m);
	publish(m);
}
