/* The residual block of diffusers' UNets and VAEs, over images [B, H, W, C]:
 *
 *	h = conv3x3(silu(group_norm(x)))   (+ the time, per channel)
 *	y = conv3x3(silu(group_norm(h))) + x        a 1x1 product of x where widths differ */
#ifndef WOODSHED_ENGINE_NETS_RESNET2D_H
#define WOODSHED_ENGINE_NETS_RESNET2D_H

#include "gpu/gpu.h"

struct bind;

struct resnet2d {
	int64_t n_in, n_out, n_groups;
	float eps;
	struct gpu_tensor *norm1_w, *norm1_b; /* [n_in] */
	struct gpu_tensor *conv1_w, *conv1_b; /* [n_out, 9 n_in], [n_out] */
	struct gpu_tensor *time_w, *time_b;   /* [n_out, time width], [n_out]; or NULL */
	struct gpu_tensor *norm2_w, *norm2_b; /* [n_out] */
	struct gpu_tensor *conv2_w, *conv2_b; /* [n_out, 9 n_out], [n_out] */
	struct gpu_tensor *skip_w, *skip_b;   /* [n_out, n_in], [n_out]; NULL where n_in is n_out */
};

/* What 3x3 convolutions with stride 1 best are beside matrices of `dtype`, where images have a
 * hundred places and more: below that Winograd's form, 16 matrices for 9, costs more time to
 * read than it saves. */
static inline enum gpu_dtype conv3x3_dtype(enum gpu_dtype dtype)
{
	return dtype == GPU_SPLIT ? GPU_WINOGRAD : dtype;
}

/* time_width 0: no time.  dtype: of the matrices, convs: of the 3x3 convolutions. */
void resnet2d_bind(struct resnet2d *r, struct bind *b, enum gpu_dtype dtype, enum gpu_dtype convs,
	int64_t time_width, const char *prefix);
/* time [1, time width]: silu of the time's embedding; NULL where there is none.  The result
 * is in arena a, whose temporaries are released. */
struct gpu_tensor *resnet2d_forward(const struct resnet2d *r, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, const struct gpu_tensor *time);

/* A 3x3 convolution with padding 1, stride 1 or 2. */
struct conv3x3 {
	struct gpu_tensor *w, *b; /* NULL: none */
};
void conv3x3_bind(struct conv3x3 *c, struct bind *b, enum gpu_dtype dtype, int64_t n_out,
	int64_t n_in, const char *prefix);
struct gpu_tensor *conv3x3_forward(const struct conv3x3 *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, int64_t stride);
/* The image enlarged to height x width first. */
struct gpu_tensor *conv3x3_up(const struct conv3x3 *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, int64_t height, int64_t width);

/* An image as rows of channels: [B, H, W, C] -> [B * H * W, C]; no copy. */
struct gpu_tensor *image_rows(struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *x);

#endif
