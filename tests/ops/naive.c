/* References in double precision; see naive.h for the error model. */
#include "tests/ops/naive.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A sum of products with its magnitude. */
struct sum {
	double value, magnitude;
	int64_t n;
};

static void sum_add(struct sum *s, double a, double b)
{
	s->value += a * b;
	s->magnitude += fabs(a * b);
	s->n++;
}

static double sum_error(const struct sum *s)
{
	return MARGIN * (double)(s->n + 1) * U * s->magnitude;
}

/* What rounding the activations to 16 bits adds: half a step (and the rounding of
 * the step) for each weight, and three more roundings of the result. */
static double i8_error(double top, double weights, double value)
{
	return MARGIN * (top / 32767 * (0.5 + 32767 * 3 * U) * weights + 3 * U * fabs(value));
}

struct want naive_linear(const float *x, const float *w, const float *bias, const float *y0,
	int64_t n_rows, int64_t n_out, int64_t n_in, enum gpu_dtype dtype)
{
	const bool is_two_bf16 = on_cuda() && rounds_tiles() && n_rows < MANY_ROWS &&
				 (dtype == GPU_BF16 || dtype == GPU_I8);
	struct want want = want_new(n_rows * n_out);

	for (int64_t r = 0; r < n_rows; r++)
		for (int64_t o = 0; o < n_out; o++) {
			struct sum s = {0};
			double top = 0, weights = 0, error;
			for (int64_t i = 0; i < n_in; i++) {
				sum_add(&s, x[r * n_in + i], w[o * n_in + i]);
				top = fmax(top, fabs(x[r * n_in + i]));
				weights += fabs(w[o * n_in + i]);
			}
			error = dtype == GPU_I8 ? i8_error(top, weights, s.value) : 0;
			error += is_two_bf16 ? MARGIN * 0x1p-17 * s.magnitude : 0;
			if (bias)
				sum_add(&s, bias[o], 1);
			if (y0)
				sum_add(&s, y0[r * n_out + o], 1);
			want.y[r * n_out + o] = s.value;
			want.tol[r * n_out + o] = error + sum_error(&s);
		}
	return want;
}

struct want naive_conv1d(const float *x, const float *w, const float *bias, int64_t n_batch,
	int64_t n_time, int64_t n_in, int64_t n_out, struct gpu_conv conv, bool i8)
{
	const int64_t stride = conv.stride ? conv.stride : 1,
		      dilation = conv.dilation ? conv.dilation : 1,
		      n_frames = (n_time - (conv.kernel - 1) * dilation - 1) / stride + 1;
	struct want want = want_new(n_batch * n_frames * n_out);

	for (int64_t at = 0; at < n_batch * n_frames * n_out; at++) {
		const int64_t b = at / n_out / n_frames, t = at / n_out % n_frames, o = at % n_out;
		struct sum s = {0};
		double top = 0, weights = 0, error;
		for (int64_t k = 0; k < conv.kernel; k++)
			for (int64_t c = 0; c < n_in; c++) {
				double a = x[(b * n_time + t * stride + k * dilation) * n_in + c];
				double e = w[(o * conv.kernel + k) * n_in + c];
				sum_add(&s, a, e);
				top = fmax(top, fabs(a));
				weights += fabs(e);
			}
		error = i8 ? i8_error(top, weights, s.value) : 0;
		if (bias)
			sum_add(&s, bias[o], 1);
		want.y[at] = s.value;
		want.tol[at] = error + sum_error(&s);
	}
	return want;
}

/* By scattering, as PyTorch defines it: x[t] goes to outputs t*stride + k; of the full
 * output, those before (m-1)*stride and after T*stride lack inputs and are dropped. */
struct want naive_conv_transpose1d(const float *x, const float *w, const float *bias,
	int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out, struct gpu_conv conv)
{
	const int64_t m = (conv.kernel + conv.stride - 1) / conv.stride,
		      n_frames = (n_time - m + 1) * conv.stride, drop = (m - 1) * conv.stride;
	struct sum *sums = keep((size_t)(n_batch * n_frames * n_out), sizeof(*sums));
	struct want want = want_new(n_batch * n_frames * n_out);

	for (int64_t b = 0; b < n_batch; b++)
		for (int64_t t = 0; t < n_time; t++)
			for (int64_t k = 0; k < conv.kernel; k++) {
				int64_t at = t * conv.stride + k - drop;
				if (at < 0 || at >= n_frames)
					continue;
				for (int64_t o = 0; o < n_out; o++)
					for (int64_t c = 0; c < n_in; c++)
						sum_add(&sums[(b * n_frames + at) * n_out + o],
							x[(b * n_time + t) * n_in + c],
							w[(c * n_out + o) * conv.kernel + k]);
			}
	for (int64_t i = 0; i < n_batch * n_frames * n_out; i++) {
		if (bias)
			sum_add(&sums[i], bias[i % n_out], 1);
		want.y[i] = sums[i].value;
		want.tol[i] = sum_error(&sums[i]);
	}
	return want;
}

/* ---- LSTM --------------------------------------------------------------- */

/* A value and a bound of its error. */
struct num {
	double v, e;
};

/* exp is good to 2 ulp (4 U); the quotient and the sum add one rounding each. */
static struct num sigmoid(struct num x)
{
	double v = 1 / (1 + exp(-x.v));

	return (struct num){v, x.e / 4 + 8 * U * v};
}

static struct num hyperbolic(struct num x)
{
	double v = tanh(x.v);

	return (struct num){v, x.e + 8 * U * fabs(v)};
}

static struct num times(struct num a, struct num b)
{
	double v = a.v * b.v;

	return (struct num){v, fabs(a.v) * b.e + fabs(b.v) * a.e + a.e * b.e + U * fabs(v)};
}

static struct num plus(struct num a, struct num b)
{
	double v = a.v + b.v;

	return (struct num){v, a.e + b.e + U * fabs(v)};
}

/* Gate row `o` before its nonlinearity; h carries errors of the frame before. */
static struct num gate(const float *x, const double *h, const double *h_error, const float *w_ih,
	const float *w_hh, double bias, int64_t o, int64_t n_in, int64_t n_out)
{
	struct sum s = {0};
	double carried = 0;

	for (int64_t i = 0; i < n_in; i++)
		sum_add(&s, x[i], w_ih[o * n_in + i]);
	for (int64_t i = 0; i < n_out; i++) {
		sum_add(&s, h[i], w_hh[o * n_out + i]);
		carried += fabs(w_hh[o * n_out + i]) * h_error[i];
	}
	sum_add(&s, bias, 1);
	return (struct num){s.value, carried + sum_error(&s)};
}

struct want naive_lstm(const float *x, const float *w_ih, const float *w_hh, const float *bias,
	struct want h, struct want c, int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out)
{
	struct want want = want_new(n_batch * n_time * n_out);

	for (int64_t bt = 0; bt < n_batch * n_time; bt++) {
		const int64_t b = bt / n_time;
		double *hb = h.y + b * n_out, *he = h.tol + b * n_out;
		for (int64_t d = 0; d < n_out; d++) {
			struct num q[4], cell = {c.y[b * n_out + d], c.tol[b * n_out + d]};
			for (int i = 0; i < 4; i++)
				q[i] = gate(x + bt * n_in, hb, he, w_ih, w_hh, bias[i * n_out + d],
					i * n_out + d, n_in, n_out);
			cell = plus(
				times(sigmoid(q[1]), cell), times(sigmoid(q[0]), hyperbolic(q[2])));
			struct num out = times(sigmoid(q[3]), hyperbolic(cell));
			c.y[b * n_out + d] = cell.v;
			c.tol[b * n_out + d] = MARGIN * cell.e;
			want.y[bt * n_out + d] = out.v;
			want.tol[bt * n_out + d] = MARGIN * out.e;
		}
		memcpy(hb, want.y + bt * n_out, (size_t)n_out * sizeof(*hb));
		memcpy(he, want.tol + bt * n_out, (size_t)n_out * sizeof(*he));
	}
	return want;
}

struct want naive_gru(const float *x, const float *w_ih, const float *w_hh, const float *b_ih,
	const float *b_hh, struct want h, int64_t n_batch, int64_t n_time, int64_t n_in,
	int64_t n_out)
{
	struct want want = want_new(n_batch * n_time * n_out);

	for (int64_t bt = 0; bt < n_batch * n_time; bt++) {
		const int64_t b = bt / n_time;
		double *hb = h.y + b * n_out, *he = h.tol + b * n_out;
		for (int64_t d = 0; d < n_out; d++) {
			struct num in[3], hidden[3], before = {hb[d], he[d]};
			for (int q = 0; q < 3; q++) {
				const int64_t o = q * n_out + d;
				in[q] = gate(
					x + bt * n_in, hb, he, w_ih, w_hh, b_ih[o], o, n_in, 0);
				hidden[q] = gate(x, hb, he, w_ih, w_hh, b_hh[o], o, 0, n_out);
			}
			struct num r = sigmoid(plus(in[0], hidden[0])),
				   z = sigmoid(plus(in[1], hidden[1])),
				   n = hyperbolic(plus(in[2], times(r, hidden[2])));
			struct num out =
				plus(times(plus((struct num){1, 0}, (struct num){-z.v, z.e}), n),
					times(z, before));
			want.y[bt * n_out + d] = out.v;
			want.tol[bt * n_out + d] = MARGIN * out.e;
		}
		memcpy(hb, want.y + bt * n_out, (size_t)n_out * sizeof(*hb));
		memcpy(he, want.tol + bt * n_out, (size_t)n_out * sizeof(*he));
	}
	return want;
}

/* ---- attention ---------------------------------------------------------- */

/* Scores are off by `ds` at most, hence each weight by a factor of exp(2 ds); exp, the
 * sum of n weights and the quotient add n + 8 roundings to it. */
void naive_attend(struct want y, const float *q, const float *k, const float *v, int64_t stride,
	const float *bias, int64_t n, int64_t d, double scale)
{
	double *p = keep((size_t)n, sizeof(*p)), top = -INFINITY, total = 0, ds = 0;

	for (int64_t j = 0; j < n; j++) {
		struct sum s = {0};
		for (int64_t i = 0; i < d; i++)
			sum_add(&s, q[i], scale * k[j * stride + i]);
		s.n++; /* the scaling */
		if (bias)
			sum_add(&s, bias[j], 1);
		p[j] = s.value;
		ds = fmax(ds, sum_error(&s) + 2 * U * fabs(s.value));
		top = fmax(top, s.value);
	}
	for (int64_t j = 0; j < n; j++)
		total += p[j] = exp(p[j] - top);
	for (int64_t i = 0; i < d; i++) {
		struct sum s = {0};
		for (int64_t j = 0; j < n; j++)
			sum_add(&s, p[j] / total, v[j * stride + i]);
		y.y[i] = s.value;
		/* Weights too small for f32 are dropped: less than e^-87 of the total each. */
		y.tol[i] = sum_error(&s) + MARGIN * s.magnitude * (2 * ds + (double)(n + 8) * U) +
			   1e-37 * (double)n;
	}
}

/* ---- norms, elementwise ------------------------------------------------- */

struct want naive_norm(const float *x, const float *w, const float *b, double eps, bool rms,
	int64_t n_rows, int64_t n)
{
	struct want want = want_new(n_rows * n);

	for (int64_t r = 0; r < n_rows; r++) {
		const float *row = x + r * n;
		double mean = 0, size = 0, variance = 0, spread = 0, error = 0;
		for (int64_t i = 0; i < n && !rms; i++) {
			mean += row[i] / (double)n;
			size += fabs(row[i]) / (double)n;
		}
		for (int64_t i = 0; i < n; i++) {
			variance += (row[i] - mean) * (row[i] - mean) / (double)n;
			spread += fabs(row[i] - mean) / (double)n;
		}
		if (!rms)
			error = (double)(n + 1) * U * size;
		const double scale = 1 / sqrt(variance + eps);
		/* Of the variance, then of its root, with the roundings of sum, division,
		 * root and reciprocal. */
		const double dv = (double)(n + 6) * U * variance +
				  2 * (error + U * spread) * spread + error * error;
		const double relative = dv / (variance + eps) / 2 + 5 * U;
		for (int64_t i = 0; i < n; i++) {
			double v = (row[i] - mean) * scale * w[i], shift = b ? b[i] : 0;
			want.y[r * n + i] = v + shift;
			want.tol[r * n + i] =
				MARGIN * (fabs(v) * (relative + 3 * U) +
						 error * scale * fabs(w[i]) + U * fabs(v + shift));
		}
	}
	return want;
}

struct want naive_unary(const float *x, enum gpu_unary op, int64_t n)
{
	struct want want = want_new(n);

	for (int64_t i = 0; i < n; i++) {
		const double v = x[i];
		double y, tol;
		if (op == GPU_UNARY_RELU) {
			y = v < 0 ? 0 : v;
			tol = 0;
		} else if (op == GPU_UNARY_ELU) {
			y = v < 0 ? expm1(v) : v;
			tol = v < 0 ? 4 * U * fabs(y) : 0; /* 2 ulp */
		} else if (op == GPU_UNARY_SILU) {
			/* e^-x to 2 ulp (4 U), three more roundings; where e^-x overflows, at
			 * -88.7, the result is 0 instead of less than 2^-121. */
			y = v / (1 + exp(-v));
			tol = 7 * U * fabs(y) + 0x1p-121;
		} else if (op == GPU_UNARY_SIGMOID || op == GPU_UNARY_TANH) {
			struct num f = op == GPU_UNARY_TANH ? hyperbolic((struct num){v, 0})
							    : sigmoid((struct num){v, 0});
			y = f.v;
			tol = f.e + FLT_MIN; /* vexp gives 0 below the normal range */
		} else {
			/* max(x, 0) - |x| Phi(-|x|): as parts of |x| the fit is good to 0.2 U,
			 * log2 Phi is rounded (U |log Phi| Phi <= 0.4 U) and comes from such sums,
			 * 2^x is good to 1.4 U of Phi <= 1/2: less than 2 U in all; one more
			 * rounding, and below -6 it is the value of -6. */
			y = v / 2 * erfc(-v * M_SQRT1_2);
			tol = 2 * U * fabs(v) + U * fabs(y) + 0x1p-148;
		}
		want.y[i] = y;
		want.tol[i] = tol;
	}
	return want;
}

/* ---- sampling ----------------------------------------------------------- */

struct entry {
	double weight;
	float logit;
	int64_t index;
};

/* Descending; equals in order of index. */
static int by_logit(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

double naive_sample(const float *logits, int64_t n, const struct gpu_sampling *s, double u,
	int32_t id, bool *kept)
{
	struct entry *e = keep((size_t)n, sizeof(*e));
	double *w = keep((size_t)n, sizeof(*w)), total = 0, sum = 0;
	int64_t n_kept = n;

	for (int64_t i = 0; i < n; i++)
		e[i] = (struct entry){.logit = logits[i], .index = i};
	qsort(e, (size_t)n, sizeof(*e), by_logit);
	if (s->top_k > 0 && s->top_k < n)
		for (n_kept = s->top_k; n_kept < n && e[n_kept].logit == e[n_kept - 1].logit;)
			n_kept++;
	for (int64_t i = 0; i < n_kept; i++)
		total += e[i].weight = exp(((double)e[i].logit - e[0].logit) / s->temperature);
	if (s->top_p > 0 && s->top_p < 1) {
		int64_t i = 0;
		for (; i < n_kept && sum < s->top_p * total; i++)
			sum += e[i].weight;
		n_kept = i;
	}
	total = 0;
	for (int64_t i = 0; i < n_kept; i++) {
		w[e[i].index] = e[i].weight;
		total += e[i].weight;
	}
	for (int64_t i = 0; kept && i < n; i++)
		kept[i] = w[i] > 0;
	if (w[id] <= 0)
		return INFINITY;
	sum = 0;
	for (int64_t i = 0; i < id; i++)
		sum += w[i];
	return fmax(0, fmax(sum / total - u, u - (sum + w[id]) / total));
}
