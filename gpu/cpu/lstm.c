/* One LSTM layer: the input half of all frames in one product, then frame by
 * frame the recurrent half, on a team of threads that meet twice a frame.
 *
 * Each thread always takes the same panels of w_hh, so that a share that fits
 * its cache stays there.  All sequences of the batch go through one reading
 * of w_hh.  Formula: PyTorch's nn.LSTM, gates i, f, g, o. */
#include "gpu/cpu/cpu.h"

enum { FRAMES = 64 /* whose input half is computed at a time */ };

struct lstm {
	const struct cpu *cpu;
	const struct gpu_tensor *w; /* w_hh */
	int64_t batch, dim, frames;
	float *gates; /* [batch][frames][4 dim]: input half, then sums */
	float *h, *c; /* [batch][dim] */
	float *y;     /* of the first of these frames */
	int64_t y_batch;
};

static void recurrent(const struct lstm *l, int64_t t, int64_t panel0, int64_t panel1)
{
	const struct cpu_kernels *k = l->cpu->kernels;
	const bool f32 = l->w->dtype == GPU_F32;
	const int step = f32 ? k->max_rows : k->max_rows_bf16;
	const int64_t line = l->frames * 4 * l->dim;
	const size_t bytes = (size_t)(l->dim * PANEL) * (f32 ? 4 : 2);
	for (int64_t b = 0; b < l->batch; b += step) {
		const int rows = (int)(l->batch - b < step ? l->batch - b : step);
		for (int64_t i = panel0; i < panel1; i++) {
			/* There and back, so that what was read last is read first:
			 * it is still in the nearest cache. */
			const int64_t p = t % 2 ? panel0 + panel1 - 1 - i : i;
			const int64_t left = 4 * l->dim - p * PANEL;
			float part[MAX_ROWS * PANEL];
			float *y = l->gates + b * line + t * 4 * l->dim + p * PANEL;
			struct gemm a = {.x = l->h + b * l->dim,
				.ldx = l->dim,
				.w = (const char *)l->w->data + (size_t)p * bytes,
				.k = l->dim,
				.y = left < PANEL ? part : y,
				.ldy = left < PANEL ? PANEL : line,
				.add = left >= PANEL};
			(f32 ? k->f32 : k->bf16)[rows](&a);
			if (left < PANEL)
				for (int r = 0; r < rows; r++)
					for (int64_t o = 0; o < left; o++)
						y[r * line + o] += part[r * PANEL + o];
		}
	}
}

static void lstm_team(void *ud, int thread, int n_threads)
{
	const struct lstm *l = ud;
	const int64_t panels = (4 * l->dim + PANEL - 1) / PANEL, d = l->dim;
	const int64_t panel0 = panels * thread / n_threads,
		      panel1 = panels * (thread + 1) / n_threads;
	/* Cells are shared out in groups of 16, the width of a vector. */
	const int64_t groups = (d + 15) / 16, first = groups * thread / n_threads * 16,
		      end = groups * (thread + 1) / n_threads * 16, n = (end < d ? end : d) - first;
	for (int64_t t = 0; t < l->frames; t++) {
		recurrent(l, t, panel0, panel1);
		if (n_threads > 1)
			pool_barrier(l->cpu->pool);
		for (int64_t b = 0; b < l->batch && n > 0; b++) {
			float *h = l->h + b * d + first;
			l->cpu->kernels->lstm_cell(l->gates + (b * l->frames + t) * 4 * d + first,
				d, n, l->c + b * d + first, h);
			memcpy(l->y + b * l->y_batch + t * d + first, h, (size_t)n * sizeof(*h));
		}
		if (n_threads > 1)
			pool_barrier(l->cpu->pool);
	}
}

void cpu_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm)
{
	struct cpu *cpu = g->device;
	if (lstm->w_ih->dtype == GPU_I8 || lstm->w_hh->dtype == GPU_I8 || lstm->w_hh->ne[0] <= 4) {
		gpu_fail(g, ERR_UNSUPPORTED, "lstm: '%s' must be f32 or bf16 and wider than one",
			lstm->w_hh->name);
		return;
	}
	const int64_t batch = x->ne[0], frames = x->ne[1], dim = y->ne[2];
	const int64_t most = frames < FRAMES ? frames : FRAMES;
	/* The product below needs no scratch of its own: no int8, no dilation. */
	struct gpu_tensor gates = {.name = "lstm gates",
		.dtype = GPU_F32,
		.n_dims = 3,
		.ne = {batch, most, 4 * dim},
		.nb = {most * 4 * dim, 4 * dim, 1}};
	gates.data = cpu_scratch(g, (size_t)(batch * most * 4 * dim) * sizeof(float));
	if (!gates.data)
		return;
	for (int64_t t = 0; t < frames; t += most) {
		const int64_t n = frames - t < most ? frames - t : most;
		struct gpu_tensor part = *x;
		part.ne[1] = n;
		part.data = (float *)x->data + t * x->ne[2];
		gates.ne[1] = n;
		gates.nb[0] = n * 4 * dim;
		cpu_conv1d(
			g, &gates, &part, lstm->w_ih, lstm->bias, (struct gpu_conv){.kernel = 1});
		struct lstm l = {.cpu = cpu,
			.w = lstm->w_hh,
			.batch = batch,
			.dim = dim,
			.frames = n,
			.gates = gates.data,
			.h = lstm->h->data,
			.c = lstm->c->data,
			.y = (float *)y->data + t * dim,
			.y_batch = y->nb[0]};
		if (batch * dim * dim < 8192)
			lstm_team(&l, 0, 1);
		else
			pool_team(cpu->pool, lstm_team, &l);
	}
}
