/* DeepFilterNet 3 (Schröter et al. 2023, "DeepFilterNet: Perceptually Motivated
 * Real-Time Speech Enhancement"): github.com/Rikorose/DeepFilterNet, weights
 * under MIT or Apache-2.0, as the user likes.  docs/models/deepfilternet3.md.
 *
 * Per frame of 10 ms, [frequencies, channels]; all convolutions are over
 * frequency, with a zero on both sides:
 *
 *	encoder
 *	  feat_erb, 3 frames		[32, 3]
 *	  erb_conv0	3 -> 64		[32, 64]  e0
 *	  erb_conv1	stride 2	[16, 64]  e1
 *	  erb_conv2	stride 2	[8, 64]   e2
 *	  erb_conv3			[8, 64]   e3
 *	  feat_spec, 3 frames, re, im	[96, 6]
 *	  df_conv0	6 -> 64		[96, 64]  c0
 *	  df_conv1	stride 2	[48, 64]
 *	  df_fc_emb	3072 -> 512, plus e3
 *	  linear_in	512 -> 256, GRU, linear_out 256 -> 512	emb
 *	  lsnr		512 -> 1, sigmoid
 *	gains
 *	  linear_in, two GRUs, linear_out	512	seen as [8, 64]
 *	  convt3(e3' + that)		[8, 64]
 *	  convt2(e2' + that)		[16, 64]	transposed, stride 2
 *	  convt1(e1' + that)		[32, 64]	transposed, stride 2
 *	  conv0_out(e0' + that)		[32, 1]	sigmoid
 *	filters
 *	  linear_in, two GRUs, plus skip(emb)	256
 *	  out		256 -> 960	tanh	seen as [96, 10]
 *	  plus convp(c0), over 5 frames, not over frequency	[96, 10]
 *
 * A ReLU follows every layer but lsnr, conv0_out, skip, out and the GRUs;
 * e' is e times a weight plus a bias per channel, through a ReLU.
 *
 * Traps.  The linear layers are grouped.  They see a frame with frequencies
 * outermost, which is how it lies here.  The filters apply to the noisy
 * spectrum and replace the gains below their 96 bins; the gains there mean
 * nothing, nothing trained them.  The weights file has what convert.py makes of
 * the original: depthwise and pointwise convolutions multiplied, groups of 32. */
#include "engine/denoise/df_net.h"

#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "library/base/arena.h"

enum {
	CHANNELS = 64,
	BINS_PADDED = DF_BINS + 2,
	EMB = 512,
	HIDDEN = 256,
	COEFS = 2 * DF_TAPS,
	ERB_IN = DF_CONTEXT + 1, /* frames that the first convolutions see */
	SPEC_IN = 2 * ERB_IN,
	C0_FRAMES = DF_C0_CONTEXT + 1,
};

/* ---- weights ------------------------------------------------------------ */

static void bind_gru(struct bind *b, struct df_gru *u, const char *at)
{
	bind_matrix(b, &u->w_ih, GPU_F32, 3 * HIDDEN, HIDDEN, "%s.w_ih", at);
	bind_matrix(b, &u->w_hh, GPU_F32, 3 * HIDDEN, HIDDEN, "%s.w_hh", at);
	bind_rows(b, &u->b_ih, GPU_F32, SHAPE(3 * HIDDEN), "%s.b_ih", at);
	bind_rows(b, &u->b_hh, GPU_F32, SHAPE(3 * HIDDEN), "%s.b_hh", at);
}

static void bind_encoder(struct df_net *n, struct bind *b)
{
	for (int i = 0; i < 4; i++) {
		struct bind_conv conv = {CHANNELS, i ? CHANNELS : ERB_IN, 3, 1, false, false};
		struct df_layer *l = &n->enc.erb_conv[i];
		bind_conv(b, &l->w, &l->bias, GPU_F32, conv, "enc.erb_conv%d", i);
	}
	for (int i = 0; i < 2; i++) {
		struct bind_conv conv = {CHANNELS, i ? CHANNELS : SPEC_IN, 3, 1, false, false};
		struct df_layer *l = &n->enc.df_conv[i];
		bind_conv(b, &l->w, &l->bias, GPU_F32, conv, "enc.df_conv%d", i);
	}
	bind_matrix(b, &n->enc.df_fc_emb, GPU_F32, EMB, 192, "enc.df_fc_emb.weight");
	bind_matrix(b, &n->enc.linear_in, GPU_F32, HIDDEN, 64, "enc.linear_in.weight");
	bind_gru(b, &n->enc.gru, "enc.gru");
	bind_matrix(b, &n->enc.linear_out, GPU_F32, EMB, 16, "enc.linear_out.weight");
	bind_matrix(b, &n->enc.lsnr.w, GPU_F32, 1, EMB, "enc.lsnr.weight");
	bind_rows(b, &n->enc.lsnr.bias, GPU_F32, SHAPE(1), "enc.lsnr.bias");
}

static void bind_erb_decoder(struct df_net *n, struct bind *b)
{
	bind_matrix(b, &n->erb_dec.linear_in, GPU_F32, HIDDEN, 64, "erb_dec.linear_in.weight");
	bind_gru(b, &n->erb_dec.gru[0], "erb_dec.gru0");
	bind_gru(b, &n->erb_dec.gru[1], "erb_dec.gru1");
	bind_matrix(b, &n->erb_dec.linear_out, GPU_F32, EMB, 16, "erb_dec.linear_out.weight");
	for (int i = 0; i < 4; i++) {
		struct df_layer *l = &n->erb_dec.convp[i];
		bind_matrix(
			b, &l->w, GPU_F32, CHANNELS, GPU_ROW_GROUP, "erb_dec.conv%dp.weight", i);
		bind_rows(b, &l->bias, GPU_F32, SHAPE(CHANNELS), "erb_dec.conv%dp.bias", i);
	}
	for (int i = 1; i < 4; i++) {
		struct bind_conv conv = {CHANNELS, CHANNELS, 3, i < 3 ? 2 : 1, i < 3, false};
		struct df_layer *l = &n->erb_dec.convt[i];
		bind_conv(b, &l->w, &l->bias, GPU_F32, conv, "erb_dec.convt%d", i);
	}
	bind_conv(b, &n->erb_dec.conv0_out.w, &n->erb_dec.conv0_out.bias, GPU_F32,
		(struct bind_conv){1, CHANNELS, 3, 1, false, false}, "erb_dec.conv0_out");
}

static void bind_df_decoder(struct df_net *n, struct bind *b)
{
	bind_matrix(b, &n->df_dec.linear_in, GPU_F32, HIDDEN, 64, "df_dec.linear_in.weight");
	bind_gru(b, &n->df_dec.gru[0], "df_dec.gru0");
	bind_gru(b, &n->df_dec.gru[1], "df_dec.gru1");
	bind_matrix(b, &n->df_dec.skip, GPU_F32, HIDDEN, 64, "df_dec.skip.weight");
	bind_matrix(b, &n->df_dec.out, GPU_F32, DF_BINS * COEFS, 128, "df_dec.out.weight");
	bind_conv(b, &n->df_dec.convp.w, &n->df_dec.convp.bias, GPU_F32,
		(struct bind_conv){COEFS, CHANNELS, C0_FRAMES, 1, false, false}, "df_dec.convp");
}

void df_net_bind(struct df_net *n, struct bind *b)
{
	bind_encoder(n, b);
	bind_erb_decoder(n, b);
	bind_df_decoder(n, b);
}

/* ---- state -------------------------------------------------------------- */

void df_state_init(struct df_state *s, struct gpu *g, struct gpu_arena *a)
{
	struct gpu_shape hidden = SHAPE(1, HIDDEN);

	s->c0 = gpu_new(g, a, GPU_F32, "c0 before", SHAPE(DF_C0_CONTEXT, BINS_PADDED, CHANNELS));
	s->h_enc = gpu_new(g, a, GPU_F32, "h enc", hidden);
	for (int i = 0; i < 2; i++) {
		s->h_erb[i] = gpu_new(g, a, GPU_F32, "h erb_dec", hidden);
		s->h_df[i] = gpu_new(g, a, GPU_F32, "h df_dec", hidden);
	}
	df_state_clear(s, g);
}

void df_state_clear(struct df_state *s, struct gpu *g)
{
	memset(s->erb, 0, sizeof(s->erb));
	memset(s->spec, 0, sizeof(s->spec));
	gpu_fill(g, s->c0, 0);
	gpu_fill(g, s->h_enc, 0);
	for (int i = 0; i < 2; i++) {
		gpu_fill(g, s->h_erb[i], 0);
		gpu_fill(g, s->h_df[i], 0);
	}
}

/* ---- the network -------------------------------------------------------- */

/* One call of df_net_forward(). */
struct pass {
	const struct df_net *net;
	struct gpu *g;
	struct gpu_arena *a;
	struct df_state *state;
	int64_t n; /* frames */
};

struct encoded {
	struct gpu_tensor *e[4]; /* [n, F, 64]; with a zero on both sides but for e[3] */
	struct gpu_tensor *c0;   /* [4 + n, 98, 64]: the frames before, too */
	struct gpu_tensor *emb;  /* [n, 512] */
	struct gpu_tensor *snr;  /* [n, 1] */
};

static struct encoded encode(const struct pass *p, const struct df_frames *f);
static struct gpu_tensor *gains(const struct pass *p, const struct encoded *e);
static struct gpu_tensor *filters(const struct pass *p, const struct encoded *e);

void df_net_forward(const struct df_net *n, struct gpu *g, struct gpu_arena *step,
	struct df_state *s, const struct df_frames *f, int64_t n_frames)
{
	const struct pass p = {n, g, step, s, n_frames};
	const size_t line = (size_t)n_frames * sizeof(float);
	struct gpu_mark mark = gpu_arena_mark(step);

	struct encoded e = encode(&p, f);
	struct gpu_tensor *m = gains(&p, &e);
	struct gpu_tensor *coefs = filters(&p, &e);
	gpu_read(g, m, f->gains, line * DF_BANDS);
	gpu_read(g, coefs, f->coefs, line * DF_BINS * COEFS);
	gpu_read(g, e.snr, f->snr, line);
	for (int64_t t = 0; t < n_frames; t++)
		f->snr[t] = f->snr[t] * 50 - 15;
	gpu_arena_release(step, mark);
}

/* ---- blocks ------------------------------------------------------------- */

static struct gpu_tensor *make(
	const struct pass *p, const char *name, int64_t n_freq, int64_t n_channels)
{
	return gpu_new(p->g, p->a, GPU_F32, name, SHAPE(p->n, n_freq, n_channels));
}

/* x [n, F, C] without the first and the last frequency */
static struct gpu_tensor *inside(const struct pass *p, const struct gpu_tensor *x)
{
	return gpu_view(p->g, p->a, x, 1, 1, x->ne[1] - 2);
}

static void clear_sides(const struct pass *p, const struct gpu_tensor *x)
{
	gpu_fill(p->g, gpu_view(p->g, p->a, x, 1, 0, 1), 0);
	gpu_fill(p->g, gpu_view(p->g, p->a, x, 1, x->ne[1] - 1, 1), 0);
}

/* [n, n_freq + 2, 64], zeros on both sides, the rest undefined */
static struct gpu_tensor *make_padded(const struct pass *p, const char *name, int64_t n_freq)
{
	struct gpu_tensor *x = make(p, name, n_freq + 2, CHANNELS);

	clear_sides(p, x);
	return x;
}

/* y = ReLU(conv(x)) over three frequencies */
static void conv_relu(const struct pass *p, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct df_layer *l, int64_t stride)
{
	gpu_conv1d(p->g, y, x, l->w, l->bias, (struct gpu_conv){.kernel = 3, .stride = stride});
	gpu_relu(p->g, y, y);
}

/* [n, inputs] -> [n, outputs] */
static struct gpu_tensor *grouped(
	const struct pass *p, const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	struct gpu_tensor *y = gpu_new(p->g, p->a, GPU_F32, w->name, SHAPE(p->n, w->ne[0]));

	gpu_linear_grouped(p->g, y, x, w, NULL);
	return y;
}

static struct gpu_tensor *grouped_relu(
	const struct pass *p, const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	struct gpu_tensor *y = grouped(p, x, w);

	gpu_relu(p->g, y, y);
	return y;
}

/* [n, 256] -> [n, 256] */
static struct gpu_tensor *gru(const struct pass *p, const struct gpu_tensor *x,
	const struct df_gru *u, struct gpu_tensor *h)
{
	struct gpu_tensor *y = gpu_new(p->g, p->a, GPU_F32, "gru", SHAPE(1, p->n, HIDDEN));

	gpu_gru(p->g, y, gpu_reshape(p->g, p->a, x, SHAPE(1, p->n, HIDDEN)),
		&(struct gpu_gru){u->w_ih, u->w_hh, u->b_ih, u->b_hh, h});
	return gpu_reshape(p->g, p->a, y, SHAPE(p->n, HIDDEN));
}

/* ---- encoder ------------------------------------------------------------ */

/* Frames of `width` floats, `planes` to each, the `past` of them first, as the
 * first convolution takes them: [n, width + 2, planes * 3], channels ordered
 * (plane, frame), zeros on both sides.  The past then ends with the last frame. */
static struct gpu_tensor *put_frames(const struct pass *p, const char *name, const float *x,
	float *past, int64_t planes, int64_t width)
{
	struct gpu_tensor *t = make(p, name, width + 2, planes * ERB_IN);
	const int64_t line = planes * width;
	const size_t count = (size_t)(p->n * (width + 2) * planes * ERB_IN);
	float *host = xcalloc(count, sizeof(*host)), *to = host;

	for (int64_t i = 0; i < p->n; i++)
		for (int64_t k = -1; k <= width; k++)
			for (int64_t c = 0; c < planes * ERB_IN; c++, to++) {
				const int64_t from = i - DF_CONTEXT + c % ERB_IN;
				const float *frame = from < 0 ? past + (from + DF_CONTEXT) * line
							      : x + from * line;
				if (k >= 0 && k < width)
					*to = frame[c / ERB_IN * width + k];
			}
	gpu_write(p->g, t, host, count * sizeof(*host));
	free(host);
	for (int64_t i = 0; i < DF_CONTEXT; i++) {
		const int64_t from = p->n - DF_CONTEXT + i;
		memmove(past + i * line,
			from < 0 ? past + (from + DF_CONTEXT) * line : x + from * line,
			(size_t)line * sizeof(*past));
	}
	return t;
}

/* c0 of the frames before and of these; the state keeps the last four. */
static struct gpu_tensor *make_c0(const struct pass *p, const struct gpu_tensor *feat_spec)
{
	struct gpu *g = p->g;
	struct gpu_tensor *before = p->state->c0;
	struct gpu_tensor *c0 =
		gpu_new(g, p->a, GPU_F32, "c0", SHAPE(DF_C0_CONTEXT + p->n, BINS_PADDED, CHANNELS));
	struct gpu_tensor *now = gpu_view(g, p->a, c0, 0, DF_C0_CONTEXT, p->n);

	gpu_copy(g, gpu_view(g, p->a, c0, 0, 0, DF_C0_CONTEXT), before);
	clear_sides(p, now);
	conv_relu(p, inside(p, now), feat_spec, &p->net->enc.df_conv[0], 1);
	gpu_copy(g, before, gpu_view(g, p->a, c0, 0, p->n, DF_C0_CONTEXT));
	gpu_tap(g, now, "c0");
	return c0;
}

static struct encoded encode(const struct pass *p, const struct df_frames *f)
{
	struct gpu *g = p->g;
	const struct df_net *net = p->net;
	struct encoded e;

	struct gpu_tensor *x = put_frames(p, "feat_erb", f->erb, p->state->erb[0], 1, DF_BANDS);
	for (int i = 0; i < 3; i++) {
		e.e[i] = make_padded(p, "e", DF_BANDS >> i);
		conv_relu(p, inside(p, e.e[i]), x, &net->enc.erb_conv[i], i ? 2 : 1);
		x = e.e[i];
	}
	e.e[3] = make(p, "e3", 8, CHANNELS);
	conv_relu(p, e.e[3], x, &net->enc.erb_conv[3], 1);

	x = put_frames(p, "feat_spec", f->spec, p->state->spec[0], 2, DF_BINS);
	e.c0 = make_c0(p, x);
	struct gpu_tensor *c1 = make(p, "c1", DF_BINS / 2, CHANNELS);
	conv_relu(p, c1, gpu_view(g, p->a, e.c0, 0, DF_C0_CONTEXT, p->n), &net->enc.df_conv[1], 2);
	c1 = gpu_reshape(g, p->a, c1, SHAPE(p->n, DF_BINS / 2 * CHANNELS));

	struct gpu_tensor *h = grouped_relu(p, c1, net->enc.df_fc_emb);
	gpu_add(g, h, h, gpu_reshape(g, p->a, e.e[3], SHAPE(p->n, EMB)));
	h = grouped_relu(p, h, net->enc.linear_in);
	h = gru(p, h, &net->enc.gru, p->state->h_enc);
	e.emb = grouped_relu(p, h, net->enc.linear_out);
	e.snr = gpu_new(g, p->a, GPU_F32, "lsnr", SHAPE(p->n, 1));
	gpu_linear(g, e.snr, e.emb, net->enc.lsnr.w, net->enc.lsnr.bias);
	gpu_sigmoid(g, e.snr, e.snr);
	gpu_tap(g, e.emb, "emb");
	return e;
}

/* ---- decoders ----------------------------------------------------------- */

/* Padded: e' + x, e and x [n, F, 64].  A weight per channel is a grouped layer. */
static struct gpu_tensor *join(
	const struct pass *p, int i, const struct gpu_tensor *e, const struct gpu_tensor *x)
{
	const struct df_layer *l = &p->net->erb_dec.convp[i];
	struct gpu_tensor *path = make(p, "path", e->ne[1], CHANNELS);
	struct gpu_tensor *sum = make_padded(p, "sum", x->ne[1]);

	gpu_linear_grouped(p->g, path, e, l->w, l->bias);
	gpu_relu(p->g, path, path);
	gpu_add(p->g, inside(p, sum), e->ne[1] == x->ne[1] ? path : inside(p, path), x);
	return sum;
}

/* x [n, F + 2, 64], padded -> [n, 2F, 64] */
static struct gpu_tensor *up(const struct pass *p, const struct gpu_tensor *x, int i)
{
	const struct df_layer *l = &p->net->erb_dec.convt[i];
	struct gpu_tensor *y = make(p, "up", 2 * (x->ne[1] - 1), CHANNELS);

	gpu_conv_transpose1d(
		p->g, y, x, l->w, l->bias, (struct gpu_conv){.kernel = 3, .stride = 2});
	gpu_relu(p->g, y, y);
	return inside(p, y);
}

static struct gpu_tensor *gains(const struct pass *p, const struct encoded *e)
{
	struct gpu *g = p->g;
	const struct df_net *net = p->net;

	struct gpu_tensor *x = grouped_relu(p, e->emb, net->erb_dec.linear_in);
	for (int i = 0; i < 2; i++)
		x = gru(p, x, &net->erb_dec.gru[i], p->state->h_erb[i]);
	x = grouped_relu(p, x, net->erb_dec.linear_out);
	x = gpu_reshape(g, p->a, x, SHAPE(p->n, 8, CHANNELS));

	struct gpu_tensor *y = make(p, "convt3", 8, CHANNELS);
	conv_relu(p, y, join(p, 3, e->e[3], x), &net->erb_dec.convt[3], 1);
	y = up(p, join(p, 2, e->e[2], y), 2);
	y = up(p, join(p, 1, e->e[1], y), 1);
	struct gpu_tensor *m = make(p, "gains", DF_BANDS, 1);
	gpu_conv1d(g, m, join(p, 0, e->e[0], y), net->erb_dec.conv0_out.w,
		net->erb_dec.conv0_out.bias, (struct gpu_conv){.kernel = 3});
	gpu_sigmoid(g, m, m);
	return m;
}

static struct gpu_tensor *filters(const struct pass *p, const struct encoded *e)
{
	struct gpu *g = p->g;
	const struct df_net *net = p->net;

	struct gpu_tensor *x = grouped_relu(p, e->emb, net->df_dec.linear_in);
	for (int i = 0; i < 2; i++)
		x = gru(p, x, &net->df_dec.gru[i], p->state->h_df[i]);
	gpu_add(g, x, x, grouped(p, e->emb, net->df_dec.skip));
	struct gpu_tensor *y = grouped(p, x, net->df_dec.out);
	gpu_tanh(g, y, y);
	y = gpu_reshape(g, p->a, y, SHAPE(p->n, DF_BINS, COEFS));

	/* Over time: frequencies of one frame are rows, a frame later is 98 rows later. */
	struct gpu_tensor *path = make(p, "convp", BINS_PADDED, COEFS);
	gpu_conv1d(g, gpu_reshape(g, p->a, path, SHAPE(p->n * BINS_PADDED, COEFS)),
		gpu_reshape(g, p->a, e->c0, SHAPE((DF_C0_CONTEXT + p->n) * BINS_PADDED, CHANNELS)),
		net->df_dec.convp.w, net->df_dec.convp.bias,
		(struct gpu_conv){.kernel = C0_FRAMES, .dilation = BINS_PADDED});
	gpu_relu(g, path, path);
	gpu_add(g, y, y, inside(p, path));
	return y;
}
