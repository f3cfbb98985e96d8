/* Loading a bind table: slots are cut into tasks of about 1 MB of rows, in the order in
 * which they lie in the files, and run on all threads; transposed convolutions, whose rows
 * are made of every part of the source, follow one by one.
 *
 * A device that converts rows itself takes plain stacks as they are in the file. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/weights/bind_private.h"
#include "engine/weights/cache.h"
#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"
#include "library/base/pool.h"
#include "library/base/vec.h"

enum {
	TASK_RAW = 1 << 20, /* elements that the device converts */
	SUM_BLOCK = 1024,
};

/* The rows first..first+n-1 of the tensor on the device. */
struct task {
	const struct slot *slot;
	int64_t first, n;
	int file; /* where the source begins */
	uint64_t offset;
};

struct tasks {
	struct task *at;
	size_t n, cap;
};

/* ---- a run of tasks ----------------------------------------------------- */

struct load {
	struct bind *b;
	struct pool *pool;
	float *scratch; /* [threads, n_scratch]; owned */
	size_t n_scratch;
	int (*progress)(void *ud, uint64_t done, uint64_t total);
	void *ud;
	_Atomic uint64_t done;
	uint64_t total; /* bytes of the source */

	/* The tasks in progress. */
	int (*run)(struct load *l, const struct task *t, float *scratch, struct err *e);
	const struct task *tasks;
	size_t n_tasks;
	float *whole; /* source of a transposed convolution */
	_Atomic size_t next;
	_Atomic size_t failed; /* the first that failed; SIZE_MAX: none */
	_Atomic bool is_cancelled;
	pthread_mutex_t lock;
	struct err error; /* of `failed` */
};

static uint64_t source_bytes(const struct slot *s, int64_t elements)
{
	return (uint64_t)elements * ckpt_dtype_size(s->parts[0]->dtype);
}

/* Of several errors the first in order counts, whichever thread is quicker. */
static void note_failure(struct load *l, size_t task, const struct err *e)
{
	pthread_mutex_lock(&l->lock);
	if (task < l->failed) {
		l->failed = task;
		l->error = *e;
	}
	pthread_mutex_unlock(&l->lock);
}

static void report(struct load *l)
{
	if (l->progress && !l->is_cancelled && l->progress(l->ud, l->done, l->total))
		l->is_cancelled = true;
}

static int check_cancelled(const struct load *l, struct err *e)
{
	return l->is_cancelled ? err_set(e, ERR_CANCELLED, "loading was stopped") : 0;
}

static void run_thread(void *ud, int thread, int n_threads)
{
	struct load *l = ud;
	float *scratch = l->scratch + (size_t)thread * l->n_scratch;
	size_t i;

	while ((i = atomic_fetch_add(&l->next, 1)) < l->n_tasks) {
		struct err e = {0};
		if (i > l->failed || l->is_cancelled || gpu_failed(l->b->gpu))
			break;
		if (l->run(l, &l->tasks[i], scratch, &e))
			note_failure(l, i, &e);
		/* Thread 0 is the caller's. */
		if (!thread)
			report(l);
	}
}

static int run_tasks(struct load *l,
	int (*run)(struct load *l, const struct task *t, float *scratch, struct err *e),
	const struct tasks *tasks, struct err *e)
{
	l->run = run;
	l->tasks = tasks->at;
	l->n_tasks = tasks->n;
	l->next = 0;
	l->failed = SIZE_MAX;
	pool_team(l->pool, run_thread, l);
	if (check_cancelled(l, e))
		return ERR_CANCELLED;
	if (l->failed != SIZE_MAX)
		return err_set(e, l->error.code, "%s", l->error.text);
	return gpu_sync(l->b->gpu, e);
}

/* Rows cut into tasks: multiples of GPU_ROW_GROUP of about BIND_TASK_FLOATS or TASK_RAW. */
static void cut(struct tasks *tasks, const struct slot *s, int64_t rows, int64_t columns)
{
	const int64_t size = s->is_raw ? TASK_RAW : BIND_TASK_FLOATS;
	int64_t step = size / (columns ? columns : 1) / GPU_ROW_GROUP * GPU_ROW_GROUP;

	if (step < GPU_ROW_GROUP)
		step = GPU_ROW_GROUP;
	for (int64_t i = 0; i < rows; i += step) {
		const int64_t part_rows = rows / (s->kind == KIND_ROWS ? (int64_t)s->n_parts : 1);
		const struct ckpt_tensor *part = s->parts[s->kind == KIND_ROWS ? i / part_rows : 0];
		const uint64_t skip = (uint64_t)(i % part_rows * columns);
		*VEC_PUSH(tasks) = (struct task){
			.slot = s,
			.first = i,
			.n = rows - i < step ? rows - i : step,
			.file = part->file,
			.offset = part->offset + skip * ckpt_dtype_size(part->dtype),
		};
	}
}

/* ---- rows --------------------------------------------------------------- */

struct raw {
	const struct bind *bind;
	const struct task *task;
};

/* Rows of a stack: each part has as many. */
static int read_stack(const struct bind *b, const struct slot *s, int64_t first, int64_t n,
	float *dst, struct err *e)
{
	const int64_t columns = slot_columns(s), part_rows = slot_rows(s) / (int64_t)s->n_parts;

	while (n) {
		const int64_t row = first % part_rows;
		const int64_t k = n < part_rows - row ? n : part_rows - row;
		int rc = ckpt_read_f32(b->ckpt, s->parts[first / part_rows],
			(uint64_t)(row * columns), (uint64_t)(k * columns), dst, e);
		if (rc)
			return rc;
		first += k;
		n -= k;
		dst += k * columns;
	}
	return 0;
}

/* Elements of a task, for the device that converts them. */
static int read_raw(void *ud, int64_t first, int64_t n, void *dst, struct err *e)
{
	const struct raw *raw = ud;
	const struct slot *s = raw->task->slot;
	const int64_t columns = slot_columns(s),
		      part = slot_rows(s) / (int64_t)s->n_parts * columns;
	const uint64_t size = ckpt_dtype_size(s->parts[0]->dtype);

	first += raw->task->first * columns;
	while (n) {
		const int64_t at = first % part, k = n < part - at ? n : part - at;
		int rc = ckpt_read_raw(
			raw->bind->ckpt, s->parts[first / part], (uint64_t)at, (uint64_t)k, dst, e);
		if (rc)
			return rc;
		dst = (char *)dst + (uint64_t)k * size;
		first += k;
		n -= k;
	}
	return 0;
}

static int load_raw(struct load *l, const struct task *t, struct err *e)
{
	static const enum gpu_source_dtype dtypes[] = {
		[CKPT_F32] = GPU_FROM_F32,
		[CKPT_F16] = GPU_FROM_F16,
		[CKPT_BF16] = GPU_FROM_BF16,
	};
	const struct slot *s = t->slot;
	struct raw raw = {l->b, t};
	const struct gpu_source source = {dtypes[s->parts[0]->dtype], read_raw, &raw};

	return gpu_put_rows_from(l->b->gpu, *s->dst, t->first, t->n, &source, e);
}

static int read_sum(const struct bind *b, const struct slot *s, int64_t first, int64_t n,
	float *dst, struct err *e)
{
	const uint64_t at = (uint64_t)(first * slot_columns(s)),
		       end = at + (uint64_t)(n * slot_columns(s));
	float more[SUM_BLOCK];
	int rc = ckpt_read_f32(b->ckpt, s->parts[0], at, end - at, dst, e);

	for (size_t p = 1; p < s->n_parts; p++)
		for (uint64_t i = at; i < end && !rc; i += SUM_BLOCK) {
			const uint64_t k = end - i < SUM_BLOCK ? end - i : SUM_BLOCK;
			rc = ckpt_read_f32(b->ckpt, s->parts[p], i, k, more, e);
			for (uint64_t j = 0; j < k && !rc; j++)
				dst[i - at + j] += more[j];
		}
	return rc;
}

/* Weight norm: each of n slices of v becomes v * gain / ||v||. */
static int fold(
	float *v, const float *gain, int64_t n, int64_t size, const struct slot *s, struct err *e)
{
	for (int64_t i = 0; i < n; i++, v += size) {
		double sum = 0;
		for (int64_t j = 0; j < size; j++)
			sum += (double)v[j] * v[j];
		const float norm = (float)sqrt(sum), scale = gain[i] / norm;
		if (!isfinite(norm) || !isfinite(scale))
			return err_set(e, ERR_FORMAT,
				"tensor '%s' has a slice of zeros or of huge values, which weight "
				"norm cannot scale: download the model again",
				s->parts[0]->name);
		for (int64_t j = 0; j < size; j++)
			v[j] *= scale;
	}
	return 0;
}

/* Slices first..first+n-1 of dimension 0, folded.  gain: room for n floats. */
static int read_conv(const struct bind *b, const struct slot *s, int64_t first, int64_t n,
	float *dst, float *gain, struct err *e)
{
	int64_t size = 1;
	for (int i = 1; i < s->shape.n; i++)
		size *= s->shape.ne[i];
	int rc = ckpt_read_f32(
		b->ckpt, s->parts[0], (uint64_t)(first * size), (uint64_t)(n * size), dst, e);

	if (rc || !s->gain)
		return rc;
	rc = ckpt_read_f32(b->ckpt, s->gain, (uint64_t)first, (uint64_t)n, gain, e);
	return rc ? rc : fold(dst, gain, n, size, s, e);
}

/* [n, in, kernel] to [n, kernel, in] */
static void taps_first(const struct slot *s, int64_t n, const float *src, float *dst)
{
	const int64_t n_in = s->conv.n_in, kernel = s->conv.kernel;

	for (int64_t o = 0; o < n; o++, src += n_in * kernel)
		for (int64_t k = 0; k < kernel; k++)
			for (int64_t c = 0; c < n_in; c++)
				*dst++ = src[c * kernel + k];
}

static int load_rows(struct load *l, const struct task *t, float *scratch, struct err *e)
{
	const struct slot *s = t->slot;
	float *second = scratch + l->n_scratch / 2, *rows = scratch;
	int rc;

	if (s->is_raw) {
		rc = load_raw(l, t, e);
		if (!rc)
			l->done += source_bytes(s, t->n * slot_columns(s));
		return rc;
	}
	switch (s->kind) {
	case KIND_SUM:
		rc = read_sum(l->b, s, t->first, t->n, scratch, e);
		break;
	case KIND_CONV:
		rc = read_conv(l->b, s, t->first, t->n, scratch, second, e);
		rows = second;
		if (!rc)
			taps_first(s, t->n, scratch, second);
		break;
	default:
		rc = read_stack(l->b, s, t->first, t->n, scratch, e);
	}
	if (rc)
		return rc;
	gpu_put_rows(l->b->gpu, *s->dst, t->first, t->n, rows);
	l->done += source_bytes(s, t->n * slot_columns(s));
	return 0;
}

/* ---- transposed convolutions -------------------------------------------- */

/* Input channels t->first.. of the source, folded, into l->whole. */
static int read_transposed(struct load *l, const struct task *t, float *scratch, struct err *e)
{
	const int64_t size = t->slot->conv.n_out * t->slot->conv.kernel;
	int rc = read_conv(l->b, t->slot, t->first, t->n, l->whole + t->first * size, scratch, e);

	l->done += source_bytes(t->slot, t->n * size);
	return rc;
}

/* Row (j, o), column (i, c): tap j + (m-1-i) * stride of [in, out, kernel]. */
static int put_transposed(struct load *l, const struct task *t, float *scratch, struct err *e)
{
	const struct bind_conv conv = t->slot->conv;
	const int64_t m = bind_n_taps(conv);
	float *dst = scratch;

	for (int64_t row = t->first; row < t->first + t->n; row++) {
		const int64_t j = row / conv.n_out, o = row % conv.n_out;
		for (int64_t i = 0; i < m; i++) {
			const int64_t tap = j + (m - 1 - i) * conv.stride;
			const float *src = l->whole + o * conv.kernel + tap;
			for (int64_t c = 0; c < conv.n_in; c++)
				*dst++ = tap < conv.kernel ? src[c * conv.n_out * conv.kernel] : 0;
		}
	}
	gpu_put_rows(l->b->gpu, *t->slot->dst, t->first, t->n, scratch);
	return 0;
}

static int load_transposed(struct load *l, const struct slot *s, struct err *e)
{
	struct tasks read = {0}, put = {0};
	void *whole;
	int rc = mem_try_alloc(
		&whole, (size_t)slot_transposed_floats(s), sizeof(float), s->parts[0]->name, e);

	if (rc)
		return rc;
	l->whole = whole;
	cut(&read, s, s->conv.n_in, s->conv.n_out * s->conv.kernel);
	cut(&put, s, slot_rows(s), slot_columns(s));
	rc = run_tasks(l, read_transposed, &read, e);
	if (!rc)
		rc = run_tasks(l, put_transposed, &put, e);
	VEC_DONE(&read);
	VEC_DONE(&put);
	free(whole);
	return rc;
}

/* ---- loading ------------------------------------------------------------ */

/* A stack of rows whose parts are alike. */
static bool is_raw(const struct bind *b, const struct slot *s)
{
	if (s->kind != KIND_ROWS || !gpu_converts_rows(b->gpu))
		return false;
	for (size_t i = 0; i < s->n_parts; i++)
		if (!ckpt_is_raw(s->parts[i]) || s->parts[i]->dtype != s->parts[0]->dtype)
			return false;
	return true;
}

/* The device's tensors, in one piece; nothing has been read yet. */
static int allocate(struct bind *b, struct err *e)
{
	gpu_arena_reserve(b->arena, bind_bytes(b));
	for (size_t i = 0; i < b->slots.n; i++) {
		struct slot *s = &b->slots.at[i];
		s->is_raw = is_raw(b, s);
		*s->dst = s->is_matrix ? gpu_new_matrix(b->gpu, b->arena, s->dtype, s->name,
						 slot_rows(s), slot_columns(s))
				       : gpu_new(b->gpu, b->arena, s->dtype, s->name, s->shape);
	}
	return gpu_sync(b->gpu, e);
}

static int compare_tasks(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static uint64_t all_source_bytes(const struct bind *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->slots.n; i++) {
		const struct slot *s = &b->slots.at[i];
		n += source_bytes(s, s->kind == KIND_TRANSPOSED ? slot_transposed_floats(s)
								: slot_rows(s) * slot_columns(s));
	}
	return n;
}

static int load_slots(struct load *l, struct err *e)
{
	const struct bind *b = l->b;
	struct tasks tasks = {0};
	int rc;

	l->total = all_source_bytes(b);
	for (size_t i = 0; i < b->slots.n; i++) {
		const struct slot *s = &b->slots.at[i];
		if (s->kind != KIND_TRANSPOSED)
			cut(&tasks, s, slot_rows(s), slot_columns(s));
	}
	if (tasks.n)
		qsort(tasks.at, tasks.n, sizeof(*tasks.at), compare_tasks);
	rc = run_tasks(l, load_rows, &tasks, e);
	for (size_t i = 0; i < b->slots.n && !rc; i++)
		if (b->slots.at[i].kind == KIND_TRANSPOSED)
			rc = load_transposed(l, &b->slots.at[i], e);
	VEC_DONE(&tasks);
	if (rc)
		return rc;
	report(l);
	return check_cancelled(l, e);
}

/* The table for the cache: what it would hold.  Owned: the list of tensors. */
static struct cache_table cache_table(const struct load *l)
{
	const struct bind *b = l->b;
	struct gpu_tensor **tensors = xcalloc(b->slots.n + 1, sizeof(*tensors));

	for (size_t i = 0; i < b->slots.n; i++)
		tensors[i] = *b->slots.at[i].dst;
	return (struct cache_table){.path = b->cache,
		.key = ckpt_stamp(b->ckpt),
		.gpu = b->gpu,
		.tensors = tensors,
		.n = b->slots.n,
		.pool = l->pool,
		.progress = l->progress,
		.ud = l->ud};
}

/* Where the device converts, loading is as fast as the disk or the bus: a cache that is
 * read no less of (bf16 of a 16-bit file) would take its bytes on disk for nothing. */
static bool is_cache_worth(const struct bind *b)
{
	return b->cache &&
	       (!gpu_converts_rows(b->gpu) || bind_bytes(b) <= all_source_bytes(b) / 3 * 2);
}

static int load_cached(struct load *l, struct err *e)
{
	struct cache_table t = cache_table(l);
	int rc = cache_read(&t, e);

	if (!rc) {
		rc = load_slots(l, e);
		if (!rc)
			cache_write(&t, NULL); /* without it the next start is slow, no more */
	}
	free((void *)t.tensors);
	return rc < 0 ? rc : 0;
}

int bind_load(struct bind *b, int (*progress)(void *ud, uint64_t done, uint64_t total), void *ud,
	struct err *e)
{
	struct load l = {
		.b = b,
		.progress = progress,
		.ud = ud,
		.n_scratch = bind_scratch_floats(b),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	void *scratch = NULL;
	int rc = bind_check(b, NULL, 0, e);

	if (!rc)
		rc = allocate(b, e);
	if (!rc)
		rc = pool_open(b->n_threads, &l.pool, e);
	if (!rc)
		rc = mem_try_alloc(&scratch, l.n_scratch * (size_t)pool_threads(l.pool),
			sizeof(float), "loading", e);
	l.scratch = scratch;
	if (!rc)
		rc = is_cache_worth(b) ? load_cached(&l, e) : load_slots(&l, e);
	free(scratch);
	pool_close(l.pool);
	return rc;
}
