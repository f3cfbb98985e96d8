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

void conv_stream_flush(const struct conv_stream *s)
{
	for (int i = 0; i < s->n_layers; i++) {
		struct gpu_mark mark = gpu_arena_mark(s->step);
		struct gpu_tensor *y = s->run(s->layers, i, NULL);
		if (y)
			push(s, i + 1, y);
		gpu_arena_release(s->step, mark);
	}
}
