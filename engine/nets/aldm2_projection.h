/* What AudioLDM 2's language model reads: the vector of CLAP and the states of T5,
 * each projected to its width and set between two learnt vectors. */
#ifndef WOODSHED_ENGINE_NETS_ALDM2_PROJECTION_H
#define WOODSHED_ENGINE_NETS_ALDM2_PROJECTION_H

#include <stdint.h>

#include "gpu/gpu.h"

struct bind;
struct config;

struct aldm2_projection {
	int64_t widths[2], width; /* of CLAP's vector, of T5's states; of the language model */
	struct gpu_tensor *w[2], *b[2];       /* [width, widths[i]], [width] */
	struct gpu_tensor *begin[2], *end[2]; /* [width] */
};

/* Reads a config.json of its own. */
void aldm2_projection_configure(struct aldm2_projection *p, struct config *c);
void aldm2_projection_bind(
	struct aldm2_projection *p, struct bind *b, enum gpu_dtype dtype, const char *prefix);
/* Vectors that n states of T5 give: begin, CLAP, end, begin, the states, end. */
int64_t aldm2_projection_length(int64_t n_states);
/* clap [1, widths[0]], states [n, widths[1]] -> [aldm2_projection_length(n), width] in a. */
struct gpu_tensor *aldm2_projection_forward(const struct aldm2_projection *p, struct gpu *g,
	struct gpu_arena *a, const struct gpu_tensor *clap, const struct gpu_tensor *states);
/* Where these lie when the states are padded to n_padded: ret[aldm2_projection_length(n)]. */
void aldm2_projection_positions(int64_t n_states, int64_t n_padded, int32_t *ret);

#endif
