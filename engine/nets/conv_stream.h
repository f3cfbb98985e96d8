/* conv_stream.h: layers run over a stream, a piece at a time: what EnCodec and Oobleck
 * share.
 *
 * Depth first: what a layer makes of a piece goes to the end before the next piece is
 * cut, so that it is in the processor's cache when the next layer reads it (a GPU's pieces
 * are larger, see gpu_piece()), and the memory taken does not depend on the length.  What a
 * layer sees of what came before is its own affair. */
#ifndef WOODSHED_ENGINE_NETS_CONV_STREAM_H
#define WOODSHED_ENGINE_NETS_CONV_STREAM_H

#include "gpu/gpu.h"

struct conv_stream {
	struct gpu *g;
	struct gpu_arena *step; /* borrowed: what lives within a push */
	int time;               /* the dimension of it */
	int n_layers;
	/* Frames that layer i takes at a time; at least 1. */
	int64_t (*piece)(const void *layers, int i);
	/* What layer i makes of x, or of the end of the stream (NULL), in `step`; NULL: nothing
	 * is ready. */
	struct gpu_tensor *(*run)(void *layers, int i, const struct gpu_tensor *x);
	/* The same of x (or of nothing, NULL) and the end behind it in one go; NULL: an end is
	 * run for itself, and what it makes goes through all layers before the next one ends. */
	struct gpu_tensor *(*run_last)(void *layers, int i, const struct gpu_tensor *x);
	void *layers;
	/* Told what the last layer makes; valid during the call. */
	void (*emit)(void *ud, struct gpu *g, const struct gpu_tensor *y);
	void *ud;
};

/* After a failure of the device nothing is run. */
void conv_stream_push(const struct conv_stream *s, const struct gpu_tensor *x);
/* The end of the stream. */
void conv_stream_flush(const struct conv_stream *s);

#endif
