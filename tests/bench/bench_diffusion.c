/* One diffusion model: seconds a step, decoding, load, memory; one JSON object.
 *
 *	bench_diffusion DIR f32|bf16|int8 [--threads N] [--steps N] [--seconds N]
 *		[--ops [--clock cpu]] [--device D] [--module woodshed-cuda.so] [--cold] [--eager]
 *
 * Wall time, and the processor's divided by the threads: on a machine that others use
 * the latter is what an idle one would take.  --ops: as in bench_audioldm2, by either.
 *
 * --device: another than the processor.  It renders twice and the second counts (the
 * first, first_s, sets libraries up), and it is waited for after the second step and the
 * last, not at each: a step is what lies between, divided. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/engine.h"
#include "gpu/gpu.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/bench/device.h"
#include "tests/bench/op_times.h"

enum { MAX_STEPS = 256, FIRST = 2 };

struct moment {
	double wall, cpu;
};

struct bench {
	int n_threads;
	struct moment start, text, step[MAX_STEPS + 1], decode_start, decode_end;
	int n_steps;
	double decoded; /* seconds */
	double loaded;  /* when the weights were on the device */
	bool ops, by_cpu;
	struct gpu *g;
	struct bench_device device;
	struct gpu *ahead; /* to wait for, or NULL */
};

static struct moment now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (struct moment){clock_now(), (double)t.tv_sec + (double)t.tv_nsec * 1e-9};
}

static double wall_now(void)
{
	return now().wall;
}

static double cpu_now(void)
{
	return now().cpu;
}

/* The quickest step, as the roof is the quickest pass: what disturbs others only makes them
 * longer. */
static double quickest_step(const struct bench *b, bool by_cpu)
{
	double best = INFINITY;

	for (int i = 1; i <= b->n_steps; i++)
		best = fmin(best, by_cpu ? b->step[i].cpu - b->step[i - 1].cpu
					 : b->step[i].wall - b->step[i - 1].wall);
	return best;
}

static void print_ops(const struct bench *b, const char *stage)
{
	if (!b->ops)
		return;
	fprintf(stderr, "%s\n", stage);
	op_times_print(stderr);
	if (!strcmp(stage, "steps"))
		fprintf(stderr, "share of the roof, quickest step: %.0f %%\n",
			100 * op_times_flops() / b->n_steps / quickest_step(b, b->by_cpu) /
				op_times_roof(b->g));
	else
		fprintf(stderr, "share of the roof: %.0f %%\n", 100 * op_times_share_of_roof(b->g));
	op_times_clear();
}

static int on_progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct bench *b = ud;

	if (b->ahead && (stage != ENGINE_STAGE_RENDER || done == FIRST || done == total))
		gpu_sync(b->ahead, NULL);
	if (stage == ENGINE_STAGE_LOAD && total > 1)
		b->loaded = clock_now();
	if (stage == ENGINE_STAGE_RENDER && done <= MAX_STEPS) {
		if (b->ops && !done)
			op_times_clear();
		b->step[done] = now();
		b->n_steps = (int)done;
	} else if (stage == ENGINE_STAGE_DECODE && !done) {
		print_ops(b, "steps");
		b->decode_start = now();
	} else if (stage == ENGINE_STAGE_DECODE) {
		b->decode_end = now();
	}
	return 0;
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	((struct bench *)ud)->decoded += (double)chunk->frames / chunk->rate;
	return 0;
}

static void print_span(
	const struct bench *b, const char *name, struct moment from, struct moment to, double by)
{
	printf(",\"%s\":%.3f,\"%s_cpu\":%.3f", name, (to.wall - from.wall) / by, name,
		(to.cpu - from.cpu) / by / b->n_threads);
}

static void print_steps(const struct bench *b)
{
	if (b->ahead && b->n_steps > FIRST) {
		printf(",\"step_s\":%.6f",
			(b->step[b->n_steps].wall - b->step[FIRST].wall) / (b->n_steps - FIRST));
		return;
	}
	printf(",\"step_s\":%.3f,\"step_s_cpu\":%.3f", quickest_step(b, false),
		quickest_step(b, true) / b->n_threads);
}

static int run(struct bench *b, const char *dir, const struct engine_options *options, int steps,
	const char *seconds, struct err *e)
{
	const struct engine_watch watch = {.progress = on_progress, .ud = b};
	const struct engine_sink sink = {.audio = on_audio, .ud = b};
	struct engine_request r = {.prompt = "128 BPM tech house drum loop",
		.n_takes = 1,
		.seed = 1,
		.guidance = NAN,
		.steps = steps};
	struct engine *en;
	struct rusage usage;

	const uint64_t file_bytes = bench_weight_files(dir, b->device.cold);
	b->start = now();
	int rc = engine_open(dir, options, &watch, &en, e);
	if (rc)
		return rc;
	const struct moment opened = now();
	gpu_set_replay(engine_gpu(en), !b->device.eager);
	r.n_frames = engine_info(en)->default_frames;
	if (seconds)
		rc = engine_frames(engine_info(en), seconds, &r.n_frames, e);
	if (!rc && b->ops) {
		b->g = engine_gpu(en);
		op_times_start(b->g, b->by_cpu ? cpu_now : wall_now);
	}
	struct moment begin = opened, first = opened;
	if (!rc && bench_device_is_ahead(&b->device)) {
		b->ahead = engine_gpu(en);
		rc = engine_render(en, &r, &watch, &sink, e);
		first = now();
		begin = first;
		b->decoded = 0;
	}
	if (!rc)
		rc = engine_render(en, &r, &watch, &sink, e);
	const struct moment end = now();
	getrusage(RUSAGE_SELF, &usage);
	if (!rc) {
		print_ops(b, "decode");
		printf("{\"model\":\"%s\",\"precision\":\"%s\",\"device\":\"%s\"", dir,
			engine_info(en)->precision, gpu_describe(engine_gpu(en)));
		printf(",\"eager\":%s,\"cold\":%s,\"file_bytes\":%llu,\"load_s\":%.3f",
			b->device.eager ? "true" : "false", b->device.cold ? "true" : "false",
			(unsigned long long)file_bytes, b->loaded - b->start.wall);
		print_span(b, "open_s", b->start, opened, 1);
		print_span(b, "first_s", opened, first, 1);
		print_span(b, "text_s", begin, b->step[0], 1);
		print_steps(b);
		print_span(b, "decode_s", b->decode_start, b->decode_end, b->decoded);
		print_span(b, "whole_s", begin, end, 1);
		printf(",\"steps\":%d,\"seconds\":%.3f,\"device_bytes\":%llu,\"peak_bytes\":%llu}"
		       "\n",
			b->n_steps, b->decoded, (unsigned long long)gpu_bytes_peak(engine_gpu(en)),
			(unsigned long long)usage.ru_maxrss * 1024);
	}
	engine_close(en);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench b = {.device = {.name = "cpu"}};
	struct engine_options options = {0};
	const char *seconds = NULL;
	uint64_t n_threads = 2, steps = 3;
	bool ok = argc >= 3;
	struct err e = {0};

	for (int i = 3; i < argc; i++) {
		if (bench_device_option(&b.device, argc, argv, &i))
			continue;
		if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			ok = ok && parse_u64(argv[++i], &n_threads);
		else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
			ok = ok && parse_u64(argv[++i], &steps);
		else if (!strcmp(argv[i], "--ops"))
			b.ops = true;
		else if (!strcmp(argv[i], "--clock") && i + 1 < argc)
			b.by_cpu = !strcmp(argv[++i], "cpu");
		else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
			seconds = argv[++i];
		else
			ok = false;
	}
	if (!ok || n_threads < 1 || n_threads > 256 || steps < 1 || steps > MAX_STEPS) {
		fprintf(stderr, "usage: bench_diffusion DIR f32|bf16|int8 [--threads N] [--steps "
				"N] [--seconds N] [--ops [--clock cpu]] " BENCH_DEVICE_USAGE "\n");
		return 2;
	}
	b.n_threads = options.n_threads = (int)n_threads;
	options.device = b.device.name;
	options.precision = !strcmp(argv[2], "f32")    ? ENGINE_F32
			    : !strcmp(argv[2], "bf16") ? ENGINE_BF16
						       : ENGINE_INT8;
	if (run(&b, argv[1], &options, (int)steps, seconds, &e)) {
		fprintf(stderr, "bench_diffusion: %s\n", e.text);
		return 1;
	}
	return 0;
}
