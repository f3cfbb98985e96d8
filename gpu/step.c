/* Steps that repeat: run once eagerly, recorded when they come again, replayed from
 * then on.  What an op leaves on the host, the lengths of caches, is kept beside the
 * device's recording. */
#include "gpu/ops.h"

#include <stdlib.h>

#include "library/base/arena.h"

struct gpu_step *gpu_step_new(void)
{
	return xcalloc(1, sizeof(struct gpu_step));
}

static void forget(struct gpu *g, struct gpu_step *s)
{
	if (s->recording)
		g->ops->forget(g, s->recording);
	s->recording = NULL;
	s->n_grown = 0;
}

void gpu_step_free(struct gpu *g, struct gpu_step *s)
{
	if (!s)
		return;
	forget(g, s);
	free(s->grown);
	free(s);
}

void gpu_set_replay(struct gpu *g, bool on)
{
	g->no_replay = !on;
}

void gpu_kv_grow(struct gpu *g, struct gpu_kv *kv, int64_t n)
{
	struct gpu_step *s = g->step;

	for (int64_t r = 0; r < kv->n_rows; r++)
		kv->len[r] += n;
	if (!s || !s->is_recording)
		return;
	s->grown = xrealloc(s->grown, s->n_grown + 1, sizeof(*s->grown));
	s->grown[s->n_grown++] = (struct gpu_growth){kv, n};
}

/* The caches have room for one more pass. */
static bool has_room(struct gpu *g, const struct gpu_step *s)
{
	for (size_t i = 0; i < s->n_grown; i++) {
		const struct gpu_kv *kv = s->grown[i].kv;
		for (int64_t r = 0; r < kv->n_rows; r++)
			if (s->grown[i].n > kv->max_len - kv->len[r]) {
				gpu_fail(g, ERR_BUG, "a step comes again: a cache is full");
				return false;
			}
	}
	return true;
}

static bool replay(struct gpu *g, struct gpu_step *s)
{
	if (!g->ops->replay(g, s->recording)) {
		forget(g, s);
		return false;
	}
	for (size_t i = 0; i < s->n_grown; i++)
		gpu_kv_grow(g, s->grown[i].kv, s->grown[i].n);
	g->dispatches += s->dispatches;
	return true;
}

/* The ops allocate where they did the last time, and what they had is still there: others
 * who need a large piece of the arena give the small ones back that lie behind the mark. */
static bool is_in_place(struct gpu_step *s, struct gpu_arena *arena)
{
	const struct gpu_mark now = gpu_arena_mark(arena), was = s->at;

	s->at = now;
	return now.chunk == was.chunk && now.used == was.used && now.freed == was.freed;
}

bool gpu_step_begin(struct gpu *g, struct gpu_step *s, struct gpu_arena *arena)
{
	const bool can_record = g->ops->record && !g->no_replay;

	if (g->step)
		gpu_fail(g, ERR_BUG, "a step begins inside another");
	if (gpu_failed(g))
		return false;
	if (g->tap) /* which may read what passes by */
		return true;
	if (!is_in_place(s, arena)) {
		forget(g, s);
		s->was_run = false;
	}
	if (can_record && s->recording && (!has_room(g, s) || replay(g, s) || gpu_failed(g)))
		return false;
	g->step = s;
	if (can_record && s->was_run) {
		s->is_recording = true;
		s->dispatches = g->dispatches;
		g->ops->record(g);
	}
	return true;
}

void gpu_step_end(struct gpu *g, struct gpu_step *s)
{
	g->step = NULL;
	s->was_run = true;
	if (!s->is_recording)
		return;
	s->is_recording = false;
	s->dispatches = g->dispatches - s->dispatches;
	s->recording = g->ops->record_end(g);
	if (!s->recording)
		s->n_grown = 0;
}
