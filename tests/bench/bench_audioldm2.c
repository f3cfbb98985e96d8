/* One AudioLDM 2 model in one precision: what tests/bench/audioldm2 runs in a
 * process of its own, so that peak memory is that of this run.
 *
 *	bench_audioldm2 DIR f32|bf16 [--threads N] [--seconds S] [--steps N] [--clock cpu]
 *		[--ops 1] [--device D] [--module woodshed-cuda.so] [--cold] [--eager]
 *
 * Renders with guidance and reads the clock at every stage, or the processor time of
 * all threads (for machines that are shared).  Prints one JSON object:
 * seconds of the text encoders, of a step (the median, and the least), of the VAE and of the
 * vocoder.
 * --ops 1 tells on stderr which ops took the time of each stage, and what share of the
 * rate of its largest product, measured alone, the stage reaches.
 *
 * --device: another than the processor; as in bench_diffusion. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "engine/pipeline.h"
#include "gpu/gpu.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tests/bench/device.h"
#include "tests/bench/op_times.h"

enum { MAX_STEPS = 1024, FIRST = 2 };

/* Of all threads: what does not depend on who else uses the machine. */
static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct times {
	double text[2], decode[3], decode_end[3], step[MAX_STEPS + 1];
	double (*now)(void);
	int n_steps;
	double loaded;     /* when the weights were on the device */
	struct gpu *g;     /* whose ops are counted, or NULL */
	struct gpu *ahead; /* to wait for, or NULL */
};

/* What was counted since the last stage. */
static void print_ops(const struct times *t, const char *stage)
{
	if (!t->g)
		return;
	fprintf(stderr, "%s\n", stage);
	op_times_print(stderr);
	fprintf(stderr, "share of the roof: %.0f %%\n", 100 * op_times_share_of_roof(t->g));
	op_times_clear();
}

static int progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct times *t = ud;

	if (t->ahead && (stage != ENGINE_STAGE_RENDER || done == FIRST || done == total))
		gpu_sync(t->ahead, NULL);
	const double now = t->now();
	if (stage == ENGINE_STAGE_LOAD && total > 1)
		t->loaded = clock_now();

	if (stage == ENGINE_STAGE_RENDER && t->g && !done)
		op_times_clear();
	if (stage == ENGINE_STAGE_TEXT)
		t->text[done > 0] = now;
	if (stage == ENGINE_STAGE_RENDER && done <= MAX_STEPS) {
		t->step[done] = now;
		t->n_steps = (int)done;
	}
	for (int i = 0; i < 3 && stage == ENGINE_STAGE_DECODE; i++) {
		static const char *const before[] = {"steps", "VAE", "vocoder"};
		static const uint64_t at[] = {0, AUDIOLDM2_VAE_TICKS, AUDIOLDM2_DECODE_TICKS};
		if (done != at[i])
			continue;
		t->decode_end[i] = now;
		print_ops(t, before[i]);
		t->decode[i] = t->now();
	}
	return 0;
}

static int drop_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	return 0;
}

static int by_size(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) -
	       (*(const double *)a < *(const double *)b);
}

/* The median and the least; on a device that is ahead the mean. */
static void step_times(const struct times *t, double *ret_median, double *ret_least)
{
	double each[MAX_STEPS] = {NAN};

	for (int i = 0; i < t->n_steps; i++)
		each[i] = t->step[i + 1] - t->step[i];
	qsort(each, (size_t)t->n_steps, sizeof(*each), by_size);
	if (t->ahead && t->n_steps > FIRST)
		each[0] = each[t->n_steps / 2] =
			(t->step[t->n_steps] - t->step[FIRST]) / (t->n_steps - FIRST);
	*ret_median = each[t->n_steps / 2];
	*ret_least = each[0];
}

static uint64_t peak_rss(void)
{
	unsigned long long kb = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

/* Renders; on a device that is ahead twice, the second counts.  Seconds of both. */
static int render(struct engine *en, const struct engine_request *r, struct times *t, bool is_ahead,
	double seconds[2], struct err *e)
{
	const struct engine_sink sink = {.audio = drop_audio};
	const struct engine_watch watch = {.progress = progress, .ud = t};
	int rc = 0;

	t->ahead = is_ahead ? engine_gpu(en) : NULL;
	for (int i = is_ahead ? 0 : 1; i < 2 && !rc; i++) {
		const double start = t->now();
		rc = engine_render(en, r, &watch, &sink, e);
		seconds[i] = t->now() - start;
	}
	return rc;
}

static int bench(const char *dir, const struct engine_options *options,
	const struct bench_device *device, struct engine_request *r, const char *seconds, bool ops,
	struct times *t, struct err *e)
{
	const struct engine_watch watch = {.progress = progress, .ud = t};
	const uint64_t file_bytes = bench_weight_files(dir, device->cold);
	double whole[2] = {0};
	struct engine *en;

	const double start = clock_now();
	int rc = engine_open(dir, options, &watch, &en, e);
	const double opened = clock_now();
	double median, least;
	if (rc)
		return rc;
	gpu_set_replay(engine_gpu(en), !device->eager);
	r->n_frames = engine_info(en)->default_frames;
	rc = seconds ? engine_frames(engine_info(en), seconds, &r->n_frames, e) : 0;
	if (!rc && ops) {
		t->g = engine_gpu(en);
		op_times_start(t->g, t->now);
	}
	if (!rc)
		rc = render(en, r, t, bench_device_is_ahead(device), whole, e);
	step_times(t, &median, &least);
	if (!rc)
		printf("{\"device\": \"%s\", \"precision\": \"%s\", \"eager\": %s, \"cold\": %s, "
		       "\"file_bytes\": %llu, \"load_s\": %.3f, \"open_s\": %.3f, "
		       "\"first_s\": %.3f, \"text_s\": %.3f, \"step_s\": %.6f, \"least_step_s\": "
		       "%.6f, \"steps\": %d, "
		       "\"vae_s\": %.3f, \"vocoder_s\": %.3f, \"whole_s\": %.3f, "
		       "\"device_bytes\": %llu, \"peak_bytes\": %llu}\n",
			gpu_describe(engine_gpu(en)), engine_info(en)->precision,
			device->eager ? "true" : "false", device->cold ? "true" : "false",
			(unsigned long long)file_bytes, t->loaded - start, opened - start, whole[0],
			t->text[1] - t->text[0], median, least, t->n_steps,
			t->decode_end[1] - t->decode[0], t->decode_end[2] - t->decode[1], whole[1],
			(unsigned long long)gpu_bytes_peak(engine_gpu(en)),
			(unsigned long long)peak_rss());
	engine_close(en);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench_device device = {.name = "cpu"};
	struct engine_options options = {.precision = ENGINE_F32};
	struct engine_request r = {
		.prompt = "80s driving pop song with heavy drums and synth pads in the background",
		.n_takes = 1,
		.guidance = 3.5f,
		.steps = 5};
	const char *seconds = NULL;
	bool ops = false;
	struct times t = {.now = clock_now};
	struct err e = {0};

	if (argc < 3) {
		fprintf(stderr, "usage: bench_audioldm2 DIR f32|bf16 [--threads N] [--seconds S] "
				"[--steps N] [--clock cpu] [--ops 1] " BENCH_DEVICE_USAGE "\n");
		return 2;
	}
	options.precision = strcmp(argv[2], "bf16") ? ENGINE_F32 : ENGINE_BF16;
	for (int i = 3; i < argc; i++) {
		if (bench_device_option(&device, argc, argv, &i))
			continue;
		const char *option = argv[i++], *value = i < argc ? argv[i] : "";
		if (!strcmp(option, "--threads"))
			options.n_threads = atoi(value);
		else if (!strcmp(option, "--steps"))
			r.steps = atoi(value);
		else if (!strcmp(option, "--clock"))
			t.now = strcmp(value, "cpu") ? clock_now : cpu_now;
		else if (!strcmp(option, "--ops"))
			ops = atoi(value);
		else
			seconds = value;
	}
	options.device = device.name;
	if (bench(argv[1], &options, &device, &r, seconds, ops, &t, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return 0;
}
