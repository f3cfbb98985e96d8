/* One model in one precision: what tests/bench/engine runs in a process of
 * its own, so that peak memory is that of this run.
 *
 *	bench_engine DIR f32|bf16|int8 [--threads N] [--takes N] [--seconds N] [--points]
 *
 * Renders 30 s, or --seconds, with guidance and reads the clock at every step.  --points
 * (for models that take minutes) renders a second at three positions
 * instead, the audio before it given.  Prints one JSON object.
 *
 * A step must stream all decoder matrices once and every key and value once:
 *	weights	(14 H^2 L + K V H) x bytes	(docs/models/musicgen.md)
 *	cache	rows x 2 x L x position x H x bytes
 * roof = read bandwidth, measured here with as many threads over as many bytes
 * (a third-level cache of some hundred MB holds a part of them), / these bytes. */
#include "engine/engine.h"
#include "engine/weights/config.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/bench/bandwidth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_STEPS = 4096 };

struct times {
	double at[MAX_STEPS]; /* when step i was done */
	int64_t n_steps, total;
	double text_start, text_end, decode_start, decode_end;
};

static int progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct times *t = ud;
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

struct run {
	struct engine *en;
	int takes;
	double seconds;
	const char *precision;
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
	memset(t, 0, sizeof(*t));
	int rc = engine_render(r->en, &request, &watch, &sink, e);
	free(silence);
	return rc;
}

/* ,"at_10":{"steps_per_s":..,"bytes":..,"share":..} */
static void print_point(const struct run *r, double position, double step_s)
{
	double bytes = step_bytes(&r->shape, r->precision, 2 * r->takes, position);
	printf(",\"at_%d\":{\"steps_per_s\":%.2f,\"bytes\":%.0f,\"share\":%.3f}", (int)position,
		1 / step_s, bytes, bytes / step_s / r->bandwidth);
}

static int whole(struct run *r, struct times *t, struct err *e)
{
	int rc = render(r, 0, r->seconds, t, e);
	if (rc)
		return rc;
	const int64_t positions[] = {10, t->n_steps / 2, t->n_steps - 12};
	for (int i = 0; i < 3; i++)
		print_point(r, (double)positions[i],
			median_step(t, positions[i] - 8, positions[i] + 8));
	double mean = (t->at[t->n_steps] - t->at[1]) / (double)(t->n_steps - 1);
	double bytes = step_bytes(&r->shape, r->precision, 2 * r->takes, (double)t->n_steps / 2);
	printf(",\"mean\":{\"steps_per_s\":%.2f,\"bytes\":%.0f,\"share\":%.3f}", 1 / mean, bytes,
		bytes / mean / r->bandwidth);
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
		print_point(r, given[i] * 50 + 15, median_step(t, t->n_steps - 20, t->n_steps));
	}
	return 0;
}

static int bench(struct run *r, const char *dir, int n_threads, bool sparse, struct err *e)
{
	struct engine_options options = {.n_threads = n_threads};
	static struct times t;
	options.precision = !strcmp(r->precision, "f32")    ? ENGINE_F32
			    : !strcmp(r->precision, "bf16") ? ENGINE_BF16
							    : ENGINE_INT8;
	int rc = read_shape(dir, &r->shape, e);
	if (rc)
		return rc;
	/* Half of a window deep. */
	r->bandwidth = bandwidth(n_threads, step_bytes(&r->shape, r->precision, 2 * r->takes, 750));
	double start = clock_now();
	rc = engine_open(dir, &options, NULL, &r->en, e);
	if (rc)
		return rc;
	double load_s = clock_now() - start;
	rc = render(r, 0, 0.1, &t, e); /* caches and clocks warm up */
	if (rc)
		return rc;
	printf("{\"model\":\"%s\",\"precision\":\"%s\",\"takes\":%d,\"device\":\"%s\"", dir,
		r->precision, r->takes, gpu_describe(engine_gpu(r->en)));
	rc = (sparse ? points : whole)(r, &t, e);
	if (rc)
		return rc;
	double decoded = sparse ? 30.0 : (double)(t.n_steps - 3) / 50;
	printf(",\"bandwidth\":%.3g,\"load_s\":%.2f,\"t5_ms\":%.1f,\"decode_x\":%.2f", r->bandwidth,
		load_s, (t.text_end - t.text_start) * 1e3,
		decoded * r->takes / (t.decode_end - t.decode_start));
	printf(",\"device_bytes\":%llu,\"peak_bytes\":%llu}\n",
		(unsigned long long)gpu_bytes_peak(engine_gpu(r->en)),
		(unsigned long long)peak_rss());
	engine_close(r->en);
	return 0;
}

int main(int argc, char **argv)
{
	struct run r = {.takes = 1, .seconds = 30};
	struct err e = {0};
	uint64_t n_threads = 0, takes = 1;
	bool sparse = false, ok = argc >= 3;
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--points"))
			sparse = true;
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
				"[--seconds N] [--points]\n");
		return 2;
	}
	r.precision = argv[2];
	r.takes = (int)takes;
	if (bench(&r, argv[1], (int)n_threads, sparse, &e)) {
		fprintf(stderr, "bench_engine: %s\n", e.text);
		return 1;
	}
	return 0;
}
