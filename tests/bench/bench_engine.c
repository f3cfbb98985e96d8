/* One model in one precision: what tests/bench/engine runs in a process of
 * its own, so that peak memory is that of this run.
 *
 *	bench_engine DIR f32|bf16|int8 [--threads N] [--takes N] [--seconds N] [--points]
 *		[--device D] [--module woodshed-cuda.so] [--cold] [--eager]
 *
 * Renders 30 s, or --seconds, with guidance and reads the clock at every step.  --points
 * (for models that take minutes) renders a second at three positions
 * instead, the audio before it given.  Prints one JSON object.
 *
 * --device: another than the processor.  There a step is asked for long before it is
 * done: the device is waited for at the first and the last of some steps only.
 *
 * A step must stream all decoder matrices once and every key and value once:
 *	weights	(14 H^2 L + K V H) x bytes	(docs/models/musicgen.md)
 *	cache	rows x 2 x L x position x H x bytes
 * roof = read bandwidth, measured here with as many threads over as many bytes
 * (a third-level cache of some hundred MB holds a part of them), or what a copy moves on
 * a GPU, / these bytes. */
#include "engine/engine.h"
#include "engine/weights/config.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/bench/bandwidth.h"
#include "tests/bench/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_STEPS = 4096, N_POSITIONS = 3, AROUND = 6 };

struct times {
	double at[MAX_STEPS]; /* when step i was done */
	int64_t n_steps, total;
	double text_start, text_end, decode_start, decode_end;
	struct gpu *ahead; /* a device to wait for, or NULL */
	bool every_step;   /* at each of them */
};

/* Of N steps: the 10th, the middle, and nearly the last. */
static int64_t position(int64_t n, int i)
{
	return i == 0 ? 10 : i == 1 ? n / 2 : n - 12;
}

static void wait_at(const struct times *t, int64_t step, int64_t total)
{
	bool is_edge = t->every_step || step == 0 || step == total;

	for (int i = 0; i < N_POSITIONS; i++)
		is_edge |= llabs(step - position(total, i)) == AROUND;
	if (t->ahead && is_edge)
		gpu_sync(t->ahead, NULL);
}

static int progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct times *t = ud;

	if (stage == ENGINE_STAGE_RENDER)
		wait_at(t, (int64_t)done, (int64_t)total);
	else if (t->ahead)
		gpu_sync(t->ahead, NULL);
	double now = clock_now();
	if (stage == ENGINE_STAGE_TEXT && done == 0)
		t->text_start = now;
	if (stage == ENGINE_STAGE_TEXT)
		t->text_end = now;
	if (stage == ENGINE_STAGE_RENDER && done < MAX_STEPS) {
		t->at[done] = now;
		t->n_steps = (int64_t)done;
		t->total = (int64_t)total;
	}
	if (stage == ENGINE_STAGE_DECODE && done == 0)
		t->decode_start = now;
	if (stage == ENGINE_STAGE_DECODE)
		t->decode_end = now;
	return 0;
}

static int drop_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	*(int64_t *)ud += take == 0 ? chunk->frames : 0;
	return 0;
}

/* In a child, so that its memory does not count as this run's peak. */
static double bandwidth(int n_threads, double bytes)
{
	int fds[2];
	double rate = 0;
	if (pipe(fds))
		return 0;
	pid_t child = fork();
	if (child == 0) {
		rate = measure_bandwidth(n_threads, (size_t)bytes);
		_exit(write(fds[1], &rate, sizeof(rate)) != sizeof(rate));
	}
	close(fds[1]);
	if (child < 0 || read(fds[0], &rate, sizeof(rate)) != sizeof(rate))
		rate = 0;
	close(fds[0]);
	waitpid(child, NULL, 0);
	return rate;
}

/* VmHWM, in bytes. */
static uint64_t peak_rss(void)
{
	char line[256];
	uint64_t kb = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu", (unsigned long long *)&kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

struct shape {
	int64_t hidden, layers, vocab, codebooks;
};

static int read_shape(const char *dir, struct shape *s, struct err *e)
{
	char path[4096];
	struct config *c;
	snprintf(path, sizeof(path), "%s/config.json", dir);
	int rc = config_open(path, &c, e);
	if (rc)
		return rc;
	s->hidden = config_int(c, "decoder.hidden_size", CONFIG_REQUIRED, 1, 1 << 20);
	s->layers = config_int(c, "decoder.num_hidden_layers", CONFIG_REQUIRED, 1, 1 << 20);
	s->vocab = config_int(c, "decoder.vocab_size", CONFIG_REQUIRED, 1, 1 << 20);
	s->codebooks = config_int(c, "decoder.num_codebooks", CONFIG_REQUIRED, 1, 1 << 20);
	rc = config_check(c, e);
	config_close(c);
	return rc;
}

static double step_bytes(const struct shape *s, const char *precision, int rows, double position)
{
	double weights = 14.0 * (double)(s->hidden * s->hidden * s->layers) +
			 (double)(s->codebooks * s->vocab * s->hidden);
	double cache = rows * 2.0 * (double)(s->layers * s->hidden) * position;
	double w = !strcmp(precision, "f32") ? 4 : !strcmp(precision, "bf16") ? 2 : 1;
	return weights * w + cache * (w == 4 ? 4 : 2);
}

/* Median seconds of the steps first..last. */
static int by_value(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) -
	       (*(const double *)a < *(const double *)b);
}

static double median_step(const struct times *t, int64_t first, int64_t last)
{
	double d[MAX_STEPS];
	size_t n = 0;
	for (int64_t i = first < 1 ? 1 : first; i <= last && i <= t->n_steps; i++)
		if (t->at[i] > 0 && t->at[i - 1] > 0)
			d[n++] = t->at[i] - t->at[i - 1];
	qsort(d, n, sizeof(*d), by_value);
	return n ? d[n / 2] : NAN;
}

/* Seconds of a step near position i. */
static double step_near(const struct times *t, int i)
{
	const int64_t p = position(t->n_steps, i);

	if (t->ahead && p > AROUND && p + AROUND <= t->n_steps)
		return (t->at[p + AROUND] - t->at[p - AROUND]) / (2 * AROUND);
	return median_step(t, p - 8, p + 8);
}

struct run {
	struct engine *en;
	struct bench_device device;
	int takes;
	double seconds;
	const char *precision;
	bool sparse; /* --points */
	struct shape shape;
	double bandwidth;
};

static int render(struct run *r, double given_s, double seconds, struct times *t, struct err *e)
{
	const struct engine_info *info = engine_info(r->en);
	int64_t n_given = (int64_t)(given_s * info->rate), heard = 0;
	float *silence = xcalloc((size_t)(n_given * info->channels + 1), sizeof(float));
	for (int64_t i = 0; i < n_given * info->channels; i++)
		silence[i] = 0.1f * sinf((float)i * 0.05f);
	struct engine_watch watch = {.progress = progress, .ud = t};
	struct engine_sink sink = {.audio = drop_audio, .ud = &heard};
	struct engine_request request = {.prompt = "slow lofi hip hop with a warm electric piano, "
						   "a round bass, vinyl crackle and "
						   "brushed drums, late at night",
		.n_frames = (int64_t)(seconds * info->rate / (double)info->frame_samples),
		.n_takes = r->takes,
		.seed = 1,
		.guidance = 3,
		.top_k = -1};
	if (n_given > 0)
		request.continued = (struct engine_audio){.samples = silence,
			.frames = n_given,
			.channels = info->channels,
			.rate = info->rate};
	*t = (struct times){.ahead = bench_device_is_ahead(&r->device) ? engine_gpu(r->en) : NULL,
		.every_step = given_s > 0 || r->sparse};
	int rc = engine_render(r->en, &request, &watch, &sink, e);
	free(silence);
	return rc;
}

/* ,"at_10":{"steps_per_s":..,"bytes":..,"share":..} */
static void print_point(const struct run *r, const char *name, double at, double step_s)
{
	double bytes = step_bytes(&r->shape, r->precision, 2 * r->takes, at);
	printf(",\"%s\":{\"steps_per_s\":%.2f,\"bytes\":%.0f,\"share\":%.3f}", name, 1 / step_s,
		bytes, bytes / step_s / r->bandwidth);
}

static void print_position(const struct run *r, double at, double step_s)
{
	char name[32];

	snprintf(name, sizeof(name), "at_%d", (int)at);
	print_point(r, name, at, step_s);
}

static int whole(struct run *r, struct times *t, struct err *e)
{
	int rc = render(r, 0, r->seconds, t, e);
	if (rc)
		return rc;
	for (int i = 0; i < N_POSITIONS; i++)
		print_position(r, (double)position(t->n_steps, i), step_near(t, i));
	/* From where the device was waited for: the first steps are not replayed yet. */
	const int64_t first = t->ahead ? position(t->n_steps, 0) - AROUND : 1;
	print_point(r, "mean", (double)t->n_steps / 2,
		(t->at[t->n_steps] - t->at[first]) / (double)(t->n_steps - first));
	return 0;
}

static int points(struct run *r, struct times *t, struct err *e)
{
	static const double given[] = {0, 14.8, 29.4};
	for (int i = 0; i < 3; i++) {
		int rc = render(r, given[i], given[i] + 0.6, t, e);
		if (rc)
			return rc;
		/* The last steps of the take; what was given was fed before. */
		print_position(r, given[i] * 50 + 15, median_step(t, t->n_steps - 20, t->n_steps));
	}
	return 0;
}

/* Weights are on the device when this was told last; their checksum comes after. */
static int on_load(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	if (total > 1)
		*(double *)ud = clock_now();
	return 0;
}

static int open_model(struct run *r, const char *dir, int n_threads, double *ret_load_s,
	double *ret_open_s, struct err *e)
{
	const struct engine_options options = {.n_threads = n_threads,
		.device = r->device.name,
		.precision = !strcmp(r->precision, "f32")    ? ENGINE_F32
			     : !strcmp(r->precision, "bf16") ? ENGINE_BF16
							     : ENGINE_INT8};
	double loaded = clock_now();
	const double start = loaded;
	const struct engine_watch watch = {.progress = on_load, .ud = &loaded};
	const int rc = engine_open(dir, &options, &watch, &r->en, e);

	*ret_load_s = loaded - start;
	*ret_open_s = clock_now() - start;
	return rc;
}

static int bench(struct run *r, const char *dir, int n_threads, struct err *e)
{
	static struct times t;
	double load_s, open_s;
	int rc = read_shape(dir, &r->shape, e);
	if (rc)
		return rc;
	const bool is_cpu = !bench_device_is_ahead(&r->device);
	if (is_cpu) /* half of a window deep */
		r->bandwidth = bandwidth(
			n_threads, step_bytes(&r->shape, r->precision, 2 * r->takes, 750));
	const uint64_t file_bytes = bench_weight_files(dir, r->device.cold);
	rc = open_model(r, dir, n_threads, &load_s, &open_s, e);
	if (rc)
		return rc;
	if (!is_cpu)
		r->bandwidth = bench_device_bandwidth(engine_gpu(r->en));
	gpu_set_replay(engine_gpu(r->en), !r->device.eager);
	rc = render(r, 0, 0.1, &t, e); /* caches and clocks warm up */
	if (rc)
		return rc;
	printf("{\"model\":\"%s\",\"precision\":\"%s\",\"takes\":%d,\"eager\":%s,\"cold\":%s,"
	       "\"device\":\"%s\"",
		dir, r->precision, r->takes, r->device.eager ? "true" : "false",
		r->device.cold ? "true" : "false", gpu_describe(engine_gpu(r->en)));
	rc = (r->sparse ? points : whole)(r, &t, e);
	if (rc)
		return rc;
	double decoded = r->sparse ? 30.0 : (double)(t.n_steps - 3) / 50;
	printf(",\"bandwidth\":%.4g,\"load_s\":%.3f,\"open_s\":%.3f,\"file_bytes\":%llu,"
	       "\"t5_ms\":%.1f,\"decode_x\":%.2f",
		r->bandwidth, load_s, open_s, (unsigned long long)file_bytes,
		(t.text_end - t.text_start) * 1e3,
		decoded * r->takes / (t.decode_end - t.decode_start));
	printf(",\"device_bytes\":%llu,\"peak_bytes\":%llu}\n",
		(unsigned long long)gpu_bytes_peak(engine_gpu(r->en)),
		(unsigned long long)peak_rss());
	engine_close(r->en);
	return 0;
}

int main(int argc, char **argv)
{
	struct run r = {.device = {.name = "cpu"}, .takes = 1, .seconds = 30};
	struct err e = {0};
	uint64_t n_threads = 0, takes = 1;
	bool ok = argc >= 3;
	for (int i = 3; i < argc; i++) {
		if (bench_device_option(&r.device, argc, argv, &i))
			continue;
		if (!strcmp(argv[i], "--points"))
			r.sparse = true;
		else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			ok = ok && parse_u64(argv[++i], &n_threads);
		else if (!strcmp(argv[i], "--takes") && i + 1 < argc)
			ok = ok && parse_u64(argv[++i], &takes);
		else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
			ok = ok && parse_f64(argv[++i], &r.seconds);
		else
			ok = false;
	}
	if (!ok || !(r.seconds >= 1 && r.seconds <= 30) || n_threads > 1024 || takes < 1 ||
		takes > 64) {
		fprintf(stderr, "usage: bench_engine DIR f32|bf16|int8 [--threads N] [--takes N] "
				"[--seconds N] [--points] " BENCH_DEVICE_USAGE "\n");
		return 2;
	}
	r.precision = argv[2];
	r.takes = (int)takes;
	if (bench(&r, argv[1], (int)n_threads, &e)) {
		fprintf(stderr, "bench_engine: %s\n", e.text);
		return 1;
	}
	return 0;
}
