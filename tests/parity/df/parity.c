/* DeepFilterNet 3 against what ONNX Runtime computes from the original files.
 *
 *	parity WEIGHTS EXPECTED.safetensors */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/df.h"
#include "engine/denoise/df_net.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"

/* Both sides are float32, with sums in other orders.  Against float64, 16 frames
 * of ONNX Runtime are off by 1e-6 at most; of the SNR, which is 50 times as
 * large, by 2e-5. */
static const double net_tolerance = 1e-5, snr_tolerance = 5e-4;
/* The expected signals are float64 around a network in float32.  What differs is
 * the network's and the features' rounding: 100 dB and more below the signal.
 * A frame, a tap or a band in the wrong place costs all but 20 dB of that. */
static const double least_sdr = 90;

static struct ckpt *expected;

static void fail(const char *what, const struct err *e)
{
	tap_remark("%s: %s", what, e->text);
	exit(1);
}

/* The whole tensor; its extents, outermost first, in ne[3]. */
static float *expect(const char *name, int64_t ne[3])
{
	const struct ckpt_tensor *t = ckpt_find(expected, name);
	struct err e = {0};

	if (!t) {
		tap_remark("no tensor %s", name);
		exit(1);
	}
	float *x = xcalloc(t->n_elements, sizeof(*x));
	if (ckpt_read_f32(expected, t, 0, t->n_elements, x, &e))
		fail(name, &e);
	memcpy(ne, t->ne, 3 * sizeof(*ne));
	return x;
}

/* ---- the network -------------------------------------------------------- */

static double largest_difference(const float *a, const float *b, int64_t n)
{
	double most = 0;

	for (int64_t i = 0; i < n; i++) {
		const double d = fabs((double)a[i] - b[i]);
		most = d > most || isnan(d) ? d : most;
	}
	return most;
}

struct network {
	struct gpu *g;
	struct gpu_arena *weights, *step;
	struct df_net net;
	struct df_state state;
};

static void open_network(struct network *w, const char *dir)
{
	struct err e = {0};
	struct ckpt *ckpt = NULL;

	if (gpu_open(tap_device(), 1, &w->g, &e) || ckpt_open(dir, &ckpt, &e))
		fail(dir, &e);
	w->weights = gpu_arena_new(w->g, "weights");
	w->step = gpu_arena_new(w->g, "step");
	struct bind *b = bind_new(ckpt, w->g, w->weights, 1);
	df_net_bind(&w->net, b);
	char unused[256];
	if (bind_check(b, unused, sizeof(unused), &e) || bind_load(b, NULL, NULL, &e))
		fail(dir, &e);
	tap_ok(!*unused, "every tensor of the file has its place: %s", unused);
	bind_free(b);
	ckpt_close(ckpt);
	df_state_init(&w->state, w->g, w->weights);
}

static void network(const char *dir)
{
	int64_t ne[3];
	struct network w;
	struct err e = {0};
	float *spec = expect("net.spec", ne), *erb = expect("net.erb", ne);
	float *gains = expect("net.gains", ne), *snr = expect("net.snr", ne);
	float *coefs = expect("net.coefs", ne);
	const int64_t n = ne[0], n_coefs = (int64_t)DF_BINS * DF_TAPS * 2;
	float *got = xcalloc((size_t)(n * (DF_BANDS + n_coefs + 1)), sizeof(*got));
	float *got_coefs = got + n * DF_BANDS, *got_snr = got_coefs + n * n_coefs;

	open_network(&w, dir);
	for (int64_t step = n; step; step = step == n ? 3 : step == 3 ? 1 : 0) {
		df_state_clear(&w.state, w.g);
		for (int64_t t = 0; t < n; t += step) {
			struct df_frames f = {erb + t * DF_BANDS, spec + t * 2 * DF_BINS,
				got + t * DF_BANDS, got_coefs + t * n_coefs, got_snr + t};
			df_net_forward(
				&w.net, w.g, w.step, &w.state, &f, n - t < step ? n - t : step);
		}
		if (gpu_sync(w.g, &e))
			fail("network", &e);
		const double dg = largest_difference(got, gains, n * DF_BANDS),
			     dc = largest_difference(got_coefs, coefs, n * n_coefs),
			     ds = largest_difference(got_snr, snr, n);
		tap_ok(dg < net_tolerance && dc < net_tolerance && ds < snr_tolerance,
			"network, %d frames a call: gains off by %.1e, coefficients %.1e, SNR "
			"%.1e dB",
			(int)step, dg, dc, ds);
	}
	gpu_close(w.g);
	free(spec);
	free(erb);
	free(gains);
	free(snr);
	free(coefs);
	free(got);
}

/* ---- signals ------------------------------------------------------------ */

/* 10 log10 |part of got along want|^2 / |the rest|^2 */
static double si_sdr(const float *got, const float *want, int64_t n)
{
	double gw = 0, ww = 0, part = 0, rest = 0;

	for (int64_t i = 0; i < n; i++) {
		gw += (double)got[i] * want[i];
		ww += (double)want[i] * want[i];
	}
	for (int64_t i = 0; i < n; i++) {
		const double p = gw / ww * want[i];
		part += p * p;
		rest += (got[i] - p) * (got[i] - p);
	}
	return 10 * log10(part / rest);
}

static void signal_case(const char *dir, const char *in, const char *out, float limit)
{
	int64_t ne[3];
	float *pcm = expect(in, ne);
	const int64_t n = ne[0], n_channels = ckpt_find(expected, in)->n_dims > 1 ? ne[1] : 1;
	const int64_t n_hops = (n + DF_LATENCY + DF_HOP - 1) / DF_HOP;
	float *x = xcalloc((size_t)(n_hops * DF_HOP * n_channels), sizeof(*x));
	float *want = expect(out, ne);
	struct err e = {0};
	struct df *d;

	for (int64_t i = 0; i < n * n_channels; i++)
		x[i] = pcm[i] / 32768;
	if (df_open(dir, (int)n_channels, 1, &d, &e))
		fail(dir, &e);
	df_set_limit(d, limit);
	df_end(d, n);
	if (df_process(d, x, x, n_hops, &e))
		fail(in, &e);
	const double sdr = si_sdr(x + DF_LATENCY * n_channels, want, n * n_channels);
	tap_ok(sdr > least_sdr, "%s: %.1f dB SI-SDR", out, sdr);
	df_close(d);
	free(pcm);
	free(x);
	free(want);
}

int main(int argc, char **argv)
{
	struct err e = {0};

	if (argc != 3)
		return 2;
	if (ckpt_open_file(argv[2], &expected, &e))
		fail(argv[2], &e);
	network(argv[1]);
	signal_case(argv[1], "voice.in", "voice.out", 100);
	signal_case(argv[1], "voice.in", "limited.out", 12);
	signal_case(argv[1], "music.in", "music.out", 100);
	signal_case(argv[1], "stereo.in", "stereo.out", 100);
	ckpt_close(expected);
	return tap_done();
}
