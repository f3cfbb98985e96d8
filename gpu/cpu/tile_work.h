/* How rows of products of tiles are cut into tasks.  Private to gpu/cpu. */
#ifndef WOODSHED_GPU_CPU_TILE_WORK_H
#define WOODSHED_GPU_CPU_TILE_WORK_H

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_kernels.h"

/* Rows of which fewer make no use of a panel that a task reads. */
enum { TILE_FEW_ROWS = 128 };

/* The first row of a chunk of several, or behind the last the end: chunks are as even as whole
 * steps can be. */
static inline int64_t tile_row_at(int64_t rows, int64_t chunk, int64_t chunks)
{
	return least(ceil_div(rows, TILE_STEP) * chunk / chunks * TILE_STEP, rows);
}

/* Chunks of rows, a task each; or, where those are too few for all threads, times groups of
 * panels. */
struct tile_cut {
	int64_t chunk; /* rows of the longest, whole steps */
	int64_t chunks, groups;
};

/* most: steps of a chunk; tasks: for each thread, where there are groups. */
static inline struct tile_cut tile_cut(
	int64_t threads, int64_t rows, int64_t most, int64_t panels, int64_t tasks)
{
	const int64_t steps = ceil_div(rows, TILE_STEP);
	const int64_t chunks = ceil_div(steps, most), even = ceil_div(chunks, threads) * threads;
	struct tile_cut cut = {.chunks = chunks, .groups = 1};

	if (even * (TILE_FEW_ROWS / TILE_STEP) <= steps || threads == 1)
		cut.chunks = even;
	else
		cut.groups = least(ceil_div(tasks * threads, chunks), panels);
	cut.chunks = least(cut.chunks, steps);
	cut.chunk = ceil_div(steps, cut.chunks) * TILE_STEP;
	return cut;
}

/* Of 32 outputs; zeros where there is none. */
static inline void tile_bias(const struct gpu_tensor *bias, int64_t panel, float line[PANEL])
{
	memset(line, 0, PANEL * sizeof(*line));
	if (bias)
		memcpy(line, (const float *)bias->data + panel * PANEL, PANEL * sizeof(*line));
}

#endif
