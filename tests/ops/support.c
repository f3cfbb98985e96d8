/* Devices, random data, tensors and comparisons for the op tests. */
#include "tests/ops/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

const int64_t odd_sizes[] = {1, 2, 3, 7, 31, 32, 33, 63, 65, 100};

static struct arena kept;
static uint64_t state;

/* Opened once: a process keeps it. */
static struct gpu *cuda;

bool on_cuda(void)
{
	return getenv("WOODSHED_TEST_MODULE") != NULL;
}

static struct gpu *the_cuda(void)
{
	struct err e = {0};

	gpu_use_module(getenv("WOODSHED_TEST_MODULE"));
	if (!cuda && gpu_open("cuda", 0, &cuda, &e))
		fail_msg("%s", e.text);
	return cuda;
}

bool rounds_tiles(void)
{
	return !on_cuda() || !strstr(gpu_describe(the_cuda()), "capability 7.");
}

static bool cuda_open(struct dev *d)
{
	struct gpu *g = the_cuda();

	*d = (struct dev){.g = g, .a = gpu_arena_new(g, "test"), .isa = ON_CUDA};
	return true;
}

bool dev_open(struct dev *d, int n_threads, int isa)
{
	struct err e = {0};

	if (on_cuda())
		return cuda_open(d);
	*d = (struct dev){.isa = isa};
	if (gpu_open("cpu", n_threads, &d->g, &e))
		fail_msg("%s", e.text);
	if (isa > cpu_of(d->g)->isa) {
		gpu_close(d->g);
		d->g = NULL;
		return false;
	}
	cpu_limit_isa(d->g, isa);
	d->a = gpu_arena_new(d->g, "test");
	return true;
}

void dev_close(struct dev *d)
{
	if (d->isa == ON_CUDA)
		gpu_arena_free(d->a);
	else
		gpu_close(d->g);
	d->g = NULL;
}

void let_split(const struct dev *d)
{
	if (!on_cuda())
		cpu_of(d->g)->ops.splits = true;
}

bool dev_next(struct dev *d)
{
	const bool is_first = !d->g;
	int isa = is_first ? CPU_GENERIC : d->isa + 1;

	if (!is_first)
		dev_close(d);
	if (on_cuda())
		return is_first && cuda_open(d);
	return isa <= CPU_AMX && dev_open(d, 2, isa);
}

void assert_fine(struct gpu *g)
{
	struct err e = {0};

	if (gpu_sync(g, &e))
		fail_msg("%s", e.text);
}

void assert_gpu_error(struct gpu *g, int code, const char *part)
{
	struct err e = {0};

	/* What kernels find is known when they are done. */
	assert_true(on_cuda() || gpu_failed(g));
	assert_int_equal(gpu_sync(g, &e), code);
	assert_int_equal(e.code, code);
	if (!strstr(e.text, part))
		fail_msg("\"%s\" lacks \"%s\"", e.text, part);
	assert_false(gpu_failed(g));
}

void *keep(size_t n, size_t size)
{
	return arena_calloc(&kept, n, size);
}

int test_done(void **unused)
{
	arena_done(&kept);
	return 0;
}

/* ---- numbers ------------------------------------------------------------ */

void seed(uint64_t s)
{
	state = s * 0x9e3779b97f4a7c15 + 1;
}

/* splitmix64 */
static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

float uniform(void)
{
	return (float)(next() >> 40) * 0x1p-23f - 1;
}

int64_t below(int64_t n)
{
	return (int64_t)(next() % (uint64_t)n);
}

float *random_floats(int64_t n)
{
	float *x = keep((size_t)n, sizeof(*x));

	for (int64_t i = 0; i < n; i++)
		x[i] = uniform();
	return x;
}

static float bf16(float f)
{
	return cpu_f32(cpu_bf16(f));
}

float *quantised(enum gpu_dtype dtype, int64_t n_out, int64_t n_in, float *w)
{
	float *q = keep((size_t)(n_out * n_in), sizeof(*q));

	for (int64_t o = 0; o < n_out; o++) {
		float top = 0;
		for (int64_t i = 0; i < n_in; i++)
			top = fmaxf(top, fabsf(w[o * n_in + i]));
		const float scale = top / 127;
		for (int64_t i = o * n_in; i < (o + 1) * n_in; i++) {
			float steps = scale > 0 ? w[i] / scale : 0;
			if (dtype == GPU_I8 && fabsf(fabsf(steps - rintf(steps)) - 0.5f) < 1e-3f)
				w[i] = rintf(steps) * scale;
			q[i] = dtype == GPU_F32 || dtype == GPU_SPLIT ? w[i]
			       : dtype == GPU_BF16                    ? bf16(w[i])
								      : rintf(steps) * scale;
		}
	}
	return q;
}

const float *multiplied(enum gpu_dtype dtype, int64_t n_rows, const float *x, int64_t n)
{
	float *rounded;

	if (!on_cuda() || !rounds_tiles() || dtype == GPU_F32 || dtype == GPU_SPLIT ||
		n_rows < MANY_ROWS)
		return x;
	rounded = keep((size_t)n + 1, sizeof(*rounded));
	for (int64_t i = 0; i < n; i++)
		rounded[i] = bf16(x[i]);
	return rounded;
}

float *by_blocks(const float *x, int64_t n, int64_t taps, int64_t channels)
{
	const int64_t each = channels % 32 ? channels : 32;
	float *y = keep((size_t)(n * taps * channels), sizeof(*y)), *to = y;

	for (int64_t r = 0; r < n; r++)
		for (int64_t c = 0; c < channels; c += each)
			for (int64_t t = 0; t < taps; t++, to += each)
				memcpy(to, x + (r * taps + t) * channels + c,
					(size_t)each * sizeof(*x));
	return y;
}

/* ---- tensors ------------------------------------------------------------ */

static size_t elements(struct gpu_shape s)
{
	size_t n = 1;

	for (int i = 0; i < s.n; i++)
		n *= (size_t)s.ne[i];
	return n;
}

struct gpu_tensor *empty(const struct dev *d, const char *name, struct gpu_shape shape)
{
	struct gpu_tensor *t = gpu_new(d->g, d->a, GPU_F32, name, shape);

	gpu_fill(d->g, t, NAN); /* what an op forgets to write is found */
	return t;
}

struct gpu_tensor *put(
	const struct dev *d, const char *name, struct gpu_shape shape, const float *data)
{
	struct gpu_tensor *t = gpu_new(d->g, d->a, GPU_F32, name, shape);

	gpu_write(d->g, t, data, elements(shape) * sizeof(*data));
	return t;
}

struct gpu_tensor *put_ids(
	const struct dev *d, const char *name, struct gpu_shape shape, const int32_t *ids)
{
	struct gpu_tensor *t = gpu_new(d->g, d->a, GPU_I32, name, shape);

	gpu_write(d->g, t, ids, elements(shape) * sizeof(*ids));
	return t;
}

struct gpu_tensor *put_matrix(const struct dev *d, enum gpu_dtype dtype, const char *name,
	int64_t n_out, int64_t n_in, const float *w)
{
	struct gpu_tensor *t = gpu_new_matrix(d->g, d->a, dtype, name, n_out, n_in);

	gpu_put_rows(d->g, t, 0, n_out, w);
	return t;
}

float *get(const struct dev *d, const struct gpu_tensor *t)
{
	struct gpu_shape shape = {.n = t->n_dims};
	float *x;

	memcpy(shape.ne, t->ne, sizeof(shape.ne));
	x = keep(elements(shape) + 1, sizeof(*x));
	if (!gpu_is_contiguous(t)) {
		struct gpu_tensor *flat = gpu_new(d->g, d->a, t->dtype, t->name, shape);
		gpu_copy(d->g, flat, t);
		t = flat;
	}
	gpu_read(d->g, t, x, elements(shape) * sizeof(*x));
	assert_fine(d->g);
	return x;
}

int32_t *get_ids(const struct dev *d, const struct gpu_tensor *t)
{
	int32_t *ids = keep((size_t)gpu_count(t) + 1, sizeof(*ids));

	gpu_read(d->g, t, ids, (size_t)gpu_count(t) * sizeof(*ids));
	assert_fine(d->g);
	return ids;
}

/* ---- comparisons -------------------------------------------------------- */

struct want want_new(int64_t n)
{
	return (struct want){.y = keep((size_t)n + 1, sizeof(double)),
		.tol = keep((size_t)n + 1, sizeof(double))};
}

void assert_close(const float *got, struct want want, int64_t n, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (int64_t i = 0; i < n; i++)
		/* NaN differs from all, infinity is itself. */
		if (got[i] != want.y[i] && !(fabs(got[i] - want.y[i]) <= want.tol[i]))
			fail_msg("%s: [%lld] is %.9g, wanted %.9g, off by %.3g, allowed %.3g", what,
				(long long)i, (double)got[i], want.y[i], got[i] - want.y[i],
				want.tol[i]);
}

void assert_same_bits(const float *a, const float *b, int64_t n, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (int64_t i = 0; i < n; i++)
		if (memcmp(&a[i], &b[i], sizeof(*a)))
			fail_msg("%s: [%lld] is %.9g (%a), not %.9g (%a)", what, (long long)i,
				(double)a[i], (double)a[i], (double)b[i], (double)b[i]);
}
