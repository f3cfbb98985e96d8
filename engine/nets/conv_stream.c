/* Streams of layers. */
#include "engine/nets/conv_stream.h"

static void push(const struct conv_stream *s, int i, const struct gpu_tensor *x)
{
	if (gpu_failed(s->g))
		return;
	if (i == s->n_layers) {
		s->emit(s->ud, s->g, x);
		return;
	}
	const int64_t piece = s->piece(s->layers, i), end = x->ne[s->time];
	for (int64_t at = 0; at < end; at += piece) {
		const int64_t n = end - at < piece ? end - at : piece;
		struct gpu_mark mark = gpu_arena_mark(s->step);
		struct gpu_tensor *y =
			s->run(s->layers, i, gpu_view(s->g, s->step, x, s->time, at, n));
		if (y)
			push(s, i + 1, y);
		gpu_arena_release(s->step, mark);
	}
}

void conv_stream_push(const struct conv_stream *s, const struct gpu_tensor *x)
{
	push(s, 0, x);
}

/* x: what is left for layer i and those after it, or NULL. */
static void push_last(const struct conv_stream *s, int i, const struct gpu_tensor *x)
{
	if (gpu_failed(s->g))
		return;
	if (i == s->n_layers) {
		if (x)
			s->emit(s->ud, s->g, x);
		return;
	}
	struct gpu_mark mark = gpu_arena_mark(s->step);
	const int64_t piece = s->piece(s->layers, i), n = x ? x->ne[s->time] : 0;
	const int64_t before = n > piece ? (n - 1) / piece * piece : 0;
	if (before) {
		push(s, i, gpu_view(s->g, s->step, x, s->time, 0, before));
		x = gpu_view(s->g, s->step, x, s->time, before, n - before);
	}
	push_last(s, i + 1, s->run_last(s->layers, i, x));
	gpu_arena_release(s->step, mark);
}

void conv_stream_flush(const struct conv_stream *s)
{
	if (s->run_last) {
		push_last(s, 0, NULL);
		return;
	}
	for (int i = 0; i < s->n_layers; i++) {
		struct gpu_mark mark = gpu_arena_mark(s->step);
		struct gpu_tensor *y = s->run(s->layers, i, NULL);
		if (y)
			push(s, i + 1, y);
		gpu_arena_release(s->step, mark);
	}
}
