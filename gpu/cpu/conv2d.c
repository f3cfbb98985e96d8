/* Convolution over an image: the product of linear.c on rows that are gathered,
 * ROW_BLOCK places at a time, with zeros where a tap lies outside.  With the
 * channels innermost a tap is one copy, and a row of them, unless the image is
 * enlarged or its border is near, is a single one.  Most of those in tiles gather nothing
 * (tiles.c). */
#include "gpu/cpu/cpu.h"

enum {
	GATHER_FLOATS = 1 << 20, /* of rows gathered at a time, about: what caches hold */
	ROW_GROUP = 192          /* rows are gathered in multiples of this (linear.c's chunks) */
};

struct gather {
	const float *x;
	float *dst;
	int64_t height, width, channels; /* of x */
	int64_t out_height, out_width;
	struct gpu_conv2d conv;
	int64_t first; /* place, over all images */
};

/* Row iy of the image (enlarged if it is), columns ix .. ix + kernel - 1. */
static void gather_line(
	const struct gather *o, const float *image, int64_t iy, int64_t ix, float *dst)
{
	const int64_t c = o->channels, k = o->conv.kernel;
	const int64_t height = o->conv.up ? o->out_height : o->height,
		      width = o->conv.up ? o->out_width : o->width;
	const size_t bytes = (size_t)c * sizeof(float);

	if (iy < 0 || iy >= height) {
		memset(dst, 0, (size_t)k * bytes);
		return;
	}
	image += (o->conv.up ? iy / 2 : iy) * o->width * c;
	if (!o->conv.up && ix >= 0 && ix + k <= width) {
		memcpy(dst, image + ix * c, (size_t)k * bytes);
		return;
	}
	for (int64_t x = ix; x < ix + k; x++, dst += c) {
		if (x < 0 || x >= width)
			memset(dst, 0, bytes);
		else
			memcpy(dst, image + (o->conv.up ? x / 2 : x) * c, bytes);
	}
}

static void gather_task(void *ud, const struct cpu_tile *t)
{
	const struct gather *o = ud;
	const int64_t k = o->conv.kernel, line = k * o->channels;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		const int64_t at = o->first + r, plane = o->out_height * o->out_width;
		const int64_t oy = at % plane / o->out_width, ox = at % o->out_width;
		const float *image = o->x + at / plane * o->height * o->width * o->channels;
		for (int64_t i = 0; i < k; i++)
			gather_line(o, image, oy * o->conv.stride + i - o->conv.pad,
				ox * o->conv.stride - o->conv.pad, o->dst + (r * k + i) * line);
	}
}

/* A view of n rows as the product wants them. */
static struct gpu_tensor rows_of(const char *name, float *data, int64_t n, int64_t width)
{
	return (struct gpu_tensor){.name = name,
		.dtype = GPU_F32,
		.n_dims = 2,
		.ne = {n, width},
		.nb = {width, 1},
		.data = data};
}

void cpu_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	if (w->dtype == GPU_WINOGRAD) {
		cpu_winograd(g, y, x, NULL, w, bias, conv.up);
		return;
	}
	if (cpu_can_tile_conv2d(x, w, conv)) {
		cpu_tile_conv2d(g, y, x, w, bias, conv);
		return;
	}
	const int64_t n = y->ne[0] * y->ne[1] * y->ne[2], columns = w->ne[1];
	const int64_t step = (GATHER_FLOATS / columns + ROW_GROUP - 1) / ROW_GROUP * ROW_GROUP;
	struct gather o = {
		.x = x->data,
		.height = x->ne[1],
		.width = x->ne[2],
		.channels = x->ne[3],
		.out_height = y->ne[1],
		.out_width = y->ne[2],
		.conv = conv,
	};

	o.dst = cpu_outer_scratch(g, (size_t)((n < step ? n : step) * columns) * sizeof(*o.dst));
	if (!o.dst)
		return;
	for (; o.first < n; o.first += step) {
		const int64_t rows = n - o.first < step ? n - o.first : step;
		struct gpu_tensor in = rows_of("gathered", o.dst, rows, columns);
		struct gpu_tensor out =
			rows_of(y->name, (float *)y->data + o.first * w->ne[0], rows, w->ne[0]);
		cpu_rows(g, rows, columns, gather_task, &o);
		cpu_linear(g, &out, &in, w, bias, 0);
	}
}

/* ---- concat ------------------------------------------------------------- */

struct concat {
	float *y;
	const float *a, *b;
	int64_t n_a, n_b;
};

static void concat_task(void *ud, const struct cpu_tile *t)
{
	const struct concat *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		float *y = o->y + r * (o->n_a + o->n_b);
		memcpy(y, o->a + r * o->n_a, (size_t)o->n_a * sizeof(*y));
		memcpy(y + o->n_a, o->b + r * o->n_b, (size_t)o->n_b * sizeof(*y));
	}
}

void cpu_concat(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	const int last = y->n_dims - 1;
	struct concat o = {y->data, a->data, b->data, a->ne[last], b->ne[last]};

	cpu_rows(g, gpu_count(y) / y->ne[last], y->ne[last], concat_task, &o);
}
