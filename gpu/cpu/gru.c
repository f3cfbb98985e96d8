/* One GRU layer: the input half of all frames in one product, then frame by
 * frame the recurrent half, on a team of threads that meet twice a frame, as
 * in lstm.c.  The recurrent sums of gate n are scaled by gate r before the
 * input half is added, so the halves stay apart until the cell. */
#include "gpu/cpu/cpu.h"

enum { FRAMES = 64 /* whose input half is computed at a time */ };

struct gru {
	const struct cpu *cpu;
	const struct gpu_tensor *w; /* w_hh */
	int64_t batch, dim, frames;
	const float *in; /* [batch][frames][3 dim]: input half */
	float *hidden;   /* [batch][line]: recurrent half of one frame */
	int64_t line;    /* 3 dim in whole panels */
	const float *bias;
	float *h; /* [batch][dim] */
	float *y; /* of the first of these frames */
	int64_t y_batch;
};

static void recurrent(const struct gru *u, int64_t panel0, int64_t panel1)
{
	const struct cpu_kernels *k = u->cpu->kernels;
	const bool f32 = u->w->dtype == GPU_F32;
	const int step = f32 ? k->max_rows : k->max_rows_bf16;
	const int64_t bytes = u->dim * PANEL * (f32 ? 4 : 2);

	for (int64_t b = 0; b < u->batch; b += step) {
		const int rows = (int)(u->batch - b < step ? u->batch - b : step);
		for (int64_t p = panel0; p < panel1; p++) {
			struct gemm a = {.x = u->h + b * u->dim,
				.ldx = u->dim,
				.w = (const char *)u->w->data + p * bytes,
				.k = u->dim,
				.y = u->hidden + b * u->line + p * PANEL,
				.ldy = u->line};
			(f32 ? k->f32 : k->bf16)[rows](&a);
		}
	}
}

static void gru_team(void *ud, int thread, int n_threads)
{
	const struct gru *u = ud;
	const int64_t panels = u->line / PANEL, d = u->dim;
	const int64_t panel0 = panels * thread / n_threads,
		      panel1 = panels * (thread + 1) / n_threads;
	/* Cells are shared out in groups of 16, the width of a vector. */
	const int64_t groups = (d + 15) / 16, first = groups * thread / n_threads * 16,
		      end = groups * (thread + 1) / n_threads * 16, n = (end < d ? end : d) - first;

	for (int64_t t = 0; t < u->frames; t++) {
		recurrent(u, panel0, panel1);
		if (n_threads > 1)
			pool_barrier(u->cpu->pool);
		for (int64_t b = 0; b < u->batch && n > 0; b++) {
			float *h = u->h + b * d + first;
			u->cpu->kernels->gru_cell(u->in + (b * u->frames + t) * 3 * d + first,
				u->hidden + b * u->line + first, u->bias + first, d, n, h);
			memcpy(u->y + b * u->y_batch + t * d + first, h, (size_t)n * sizeof(*h));
		}
		if (n_threads > 1)
			pool_barrier(u->cpu->pool);
	}
}

void cpu_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru)
{
	struct cpu *cpu = cpu_of(g);
	const int64_t batch = x->ne[0], frames = x->ne[1], dim = y->ne[2];
	const int64_t most = frames < FRAMES ? frames : FRAMES;
	const int64_t line = (3 * dim + PANEL - 1) / PANEL * PANEL;

	if (gru->w_ih->dtype == GPU_I8 || gru->w_hh->dtype == GPU_I8 || dim < 2) {
		gpu_fail(g, ERR_UNSUPPORTED, "gru: '%s' must be f32 or bf16 and wider than one",
			gru->w_hh->name);
		return;
	}
	/* The product below needs no scratch of its own: no int8, no dilation. */
	struct gpu_tensor in = {.name = "gru input",
		.dtype = GPU_F32,
		.n_dims = 3,
		.ne = {batch, most, 3 * dim},
		.nb = {most * 3 * dim, 3 * dim, 1}};
	in.data = cpu_scratch(g, (size_t)(batch * (most * 3 * dim + line)) * sizeof(float));
	if (!in.data)
		return;
	for (int64_t t = 0; t < frames; t += most) {
		const int64_t n = frames - t < most ? frames - t : most;
		struct gpu_tensor part = *x;
		part.ne[1] = n;
		part.data = (float *)x->data + t * x->ne[2];
		in.ne[1] = n;
		in.nb[0] = n * 3 * dim;
		cpu_conv1d(g, &in, &part, gru->w_ih, gru->b_ih, (struct gpu_conv){.kernel = 1});
		struct gru u = {.cpu = cpu,
			.w = gru->w_hh,
			.batch = batch,
			.dim = dim,
			.frames = n,
			.in = in.data,
			.hidden = (float *)in.data + batch * most * 3 * dim,
			.line = line,
			.bias = gru->b_hh->data,
			.h = gru->h->data,
			.y = (float *)y->data + t * dim,
			.y_batch = y->nb[0]};
		if (batch * dim * dim < 8192)
			gru_team(&u, 0, 1);
		else
			pool_team(cpu->pool, gru_team, &u);
	}
}
