/* AudioLDM2ProjectionModel of huggingface/diffusers:
 *
 *	[begin_0; W_0 clap + b_0; end_0; begin_1; W_1 t5 + b_1; end_1]
 *
 * Padding of the states is left out here; the end behind it keeps its position. */
#include "engine/nets/aldm2_projection.h"

#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"

enum { BEFORE_STATES = 4 };

void aldm2_projection_configure(struct aldm2_projection *p, struct config *c)
{
	memset(p, 0, sizeof(*p));
	p->widths[0] = config_int(c, "text_encoder_dim", CONFIG_REQUIRED, 1, 65536);
	p->widths[1] = config_int(c, "text_encoder_1_dim", CONFIG_REQUIRED, 1, 65536);
	p->width = config_int(c, "langauge_model_dim", CONFIG_REQUIRED, 1, 65536); /* sic */
	config_require(c, !config_bool(c, "use_learned_position_embedding", false),
		"use_learned_position_embedding is of the speech models, which are not supported");
}

void aldm2_projection_bind(
	struct aldm2_projection *p, struct bind *b, enum gpu_dtype dtype, const char *prefix)
{
	static const char *const suffix[] = {"", "_1"};
	const struct gpu_shape row = SHAPE(p->width);

	for (int i = 0; i < 2; i++) {
		bind_matrix(b, &p->w[i], dtype, p->width, p->widths[i], "%sprojection%s.weight",
			prefix, suffix[i]);
		bind_rows(b, &p->b[i], GPU_F32, row, "%sprojection%s.bias", prefix, suffix[i]);
		bind_rows(b, &p->begin[i], GPU_F32, row, "%ssos_embed%s", prefix, suffix[i]);
		bind_rows(b, &p->end[i], GPU_F32, row, "%seos_embed%s", prefix, suffix[i]);
	}
}

int64_t aldm2_projection_length(int64_t n_states)
{
	return BEFORE_STATES + n_states + 1;
}

void aldm2_projection_positions(int64_t n_states, int64_t n_padded, int32_t *ret)
{
	for (int32_t i = 0; i < BEFORE_STATES + n_states; i++)
		ret[i] = i;
	ret[BEFORE_STATES + n_states] = (int32_t)(BEFORE_STATES + n_padded);
}

struct gpu_tensor *aldm2_projection_forward(const struct aldm2_projection *p, struct gpu *g,
	struct gpu_arena *a, const struct gpu_tensor *clap, const struct gpu_tensor *states)
{
	const struct gpu_tensor *const in[2] = {clap, states};
	struct gpu_tensor *y = gpu_new(g, a, GPU_F32, "projected",
		SHAPE(aldm2_projection_length(states->ne[0]), p->width));
	int64_t at = 0;

	for (int i = 0; i < 2; i++) {
		gpu_copy(g, gpu_view(g, a, y, 0, at++, 1),
			gpu_reshape(g, a, p->begin[i], SHAPE(1, p->width)));
		gpu_linear(g, gpu_view(g, a, y, 0, at, in[i]->ne[0]), in[i], p->w[i], p->b[i]);
		at += in[i]->ne[0];
		gpu_copy(g, gpu_view(g, a, y, 0, at++, 1),
			gpu_reshape(g, a, p->end[i], SHAPE(1, p->width)));
	}
	gpu_tap(g, y, "projected");
	return y;
}
