/* Bind tables: names become slots, slots become tensors.
 *
 * Every call resolves its names at once and notes what is missing or has
 * another shape; bind_check() reports all of it.  Loading cuts the slots into
 * tasks of about 1 MB of rows, in the order in which they lie in the files,
 * and runs them on all threads; transposed convolutions, whose rows are made
 * of every part of the source, follow one by one.
 *
 * A device that converts rows itself takes plain stacks as they are in the file. */
#include "engine/weights/bind.h"

#include <fnmatch.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/cache.h"
#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"
#include "library/base/pool.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum {
	TASK_FLOATS = (1 << 20) / sizeof(float),
	TASK_RAW = 1 << 20, /* elements that the device converts */
	ALIGN = 64,         /* of tensors, for bind_bytes() */
	SUM_BLOCK = 1024,
};

enum kind {
	KIND_ROWS, /* matrices, too */
	KIND_SUM,
	KIND_CONV,
	KIND_TRANSPOSED,
};

struct slot {
	enum kind kind;
	bool is_matrix;
	bool is_raw; /* the device takes it as it is in the file */
	enum gpu_dtype dtype;
	const char *name; /* as it was given: a literal that outlives us */
	struct gpu_tensor **dst;
	struct gpu_shape shape; /* of the source, all parts stacked */
	const struct ckpt_tensor **parts;
	size_t n_parts;
	const struct ckpt_tensor *gain; /* of a weight-normed convolution, or NULL */
	struct bind_conv conv;
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

struct names {
	const char **at;
	size_t n, cap;
};

struct bind {
	struct ckpt *ckpt;
	struct gpu *gpu;
	struct gpu_arena *arena;
	int n_threads;
	const char *cache; /* path, or NULL */
	struct arena mem;  /* names and parts */
	struct {
		struct slot *at;
		size_t n, cap;
	} slots;
	bool *is_used; /* [ckpt_count()] */
	size_t n_missing;
	struct names problems; /* in words: those about missing tensors, then the others, mixed */
};

struct bind *bind_new(struct ckpt *c, struct gpu *g, struct gpu_arena *a, int n_threads)
{
	struct bind *b = xcalloc(1, sizeof(*b));

	b->ckpt = c;
	b->gpu = g;
	b->arena = a;
	b->n_threads = n_threads;
	b->is_used = xcalloc(ckpt_count(c) + 1, sizeof(*b->is_used));
	return b;
}

void bind_free(struct bind *b)
{
	if (!b)
		return;
	VEC_DONE(&b->slots);
	VEC_DONE(&b->problems);
	arena_done(&b->mem);
	free(b->is_used);
	free(b);
}

/* ---- lists in one line -------------------------------------------------- */

/* "a, b and 37 more": takes what fits, counts the rest. */
struct list {
	char *text;
	size_t size, n;
	size_t n_listed, n_more;
};

static void list_add(struct list *l, const char *item)
{
	enum { RESERVE = sizeof(" and 18446744073709551615 more") };
	size_t n = strlen(item) + 2;

	if (l->n_more || l->n + n + RESERVE > l->size) {
		l->n_more++;
		return;
	}
	l->n += (size_t)snprintf(
		l->text + l->n, l->size - l->n, "%s%s", l->n_listed++ ? ", " : "", item);
}

static void list_end(struct list *l)
{
	if (l->n_more)
		snprintf(l->text + l->n, l->size - l->n, "%s%zu more", l->n_listed ? " and " : "",
			l->n_more);
}

/* ---- names -------------------------------------------------------------- */

/* All names that a pattern with braces stands for. */
static void expand(struct bind *b, struct names *out, const char *pattern)
{
	const char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;
	const int before = (int)(open ? open - pattern : 0);
	int first, last;

	if (!close) {
		*VEC_PUSH(out) = pattern;
		return;
	}
	if (sscanf(open, "{%d..%d}", &first, &last) == 2) {
		for (int i = first; i <= last; i++)
			expand(b, out,
				arena_printf(&b->mem, "%.*s%d%s", before, pattern, i, close + 1));
		return;
	}
	for (const char *item = open + 1;;) {
		const int n = (int)strcspn(item, ",}");
		expand(b, out,
			arena_printf(&b->mem, "%.*s%.*s%s", before, pattern, n, item, close + 1));
		item += n + 1;
		if (item[-1] == '}')
			break;
	}
}

static const struct ckpt_tensor *find(struct bind *b, const char *name)
{
	const struct ckpt_tensor *t = ckpt_find(b->ckpt, name);

	if (t)
		b->is_used[t - ckpt_at(b->ckpt, 0)] = true;
	return t;
}

static void note_missing(struct bind *b, const char *name)
{
	b->n_missing++;
	*VEC_PUSH(&b->problems) = arena_printf(&b->mem, "%s is missing", name);
}

static void add_shape(struct str *out, const int64_t *ne, int n)
{
	str_add_char(out, '[');
	for (int i = 0; i < n; i++)
		str_printf(out, "%s%lld", i ? ", " : "", (long long)ne[i]);
	str_add_char(out, ']');
}

static void check_dtype(struct bind *b, const struct ckpt_tensor *t)
{
	if (t->dtype == CKPT_OTHER)
		*VEC_PUSH(&b->problems) = arena_printf(
			&b->mem, "%s is of a type other than f32, f16 or bf16", t->name);
}

/* The part's shape is that of the stack but for dimension 0, which is `rows`
 * or, where that is 1, may lack. */
static void check_shape(
	struct bind *b, const struct ckpt_tensor *t, struct gpu_shape shape, int64_t rows)
{
	const int skip = rows == 1 && shape.n > 1 && t->n_dims == shape.n - 1;
	struct str text = {0};

	check_dtype(b, t);
	shape.ne[0] = rows;
	if (t->n_dims == shape.n - skip &&
		!memcmp(t->ne, shape.ne + skip, (size_t)t->n_dims * sizeof(*t->ne)))
		return;
	str_printf(&text, "%s is ", t->name);
	add_shape(&text, t->ne, t->n_dims);
	str_add(&text, " instead of ");
	add_shape(&text, shape.ne, shape.n);
	*VEC_PUSH(&b->problems) = arena_strdup(&b->mem, str_get(&text));
	str_done(&text);
}

/* Resolves "a|b" to the first alternative whose parts are all there; without
 * one, notes what lacks in the one that has most. */
static void resolve(struct bind *b, struct slot *s, char *pattern)
{
	struct names best = {0};
	size_t most = 0;

	for (char *rest = pattern, *one; (one = strsep(&rest, "|"));) {
		struct names names = {0};
		size_t found = 0;
		expand(b, &names, one);
		for (size_t i = 0; i < names.n; i++)
			found += find(b, names.at[i]) != NULL;
		const bool is_complete = best.n && most == best.n;
		if (!best.n || (!is_complete && (found == names.n || found > most))) {
			struct names old = best;
			best = names;
			names = old;
			most = found;
		}
		VEC_DONE(&names);
	}
	s->n_parts = best.n;
	s->parts = ARENA_ARRAY(&b->mem, const struct ckpt_tensor *, best.n);
	for (size_t i = 0; i < best.n; i++) {
		s->parts[i] = find(b, best.at[i]);
		if (!s->parts[i])
			note_missing(b, best.at[i]);
	}
	if (!best.n)
		note_missing(b, pattern);
	VEC_DONE(&best);
}

static char *format(struct bind *b, const char *name, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), name, ap);
	return arena_strdup(&b->mem, text);
}

/* ---- what a network asks for -------------------------------------------- */

static void add_stack(struct bind *b, struct slot s, char *pattern)
{
	resolve(b, &s, pattern);
	const int64_t n = s.kind == KIND_SUM ? 1 : (int64_t)s.n_parts;
	for (size_t i = 0; i < s.n_parts; i++)
		if (s.parts[i])
			/* -1: no shape can be right */
			check_shape(
				b, s.parts[i], s.shape, s.shape.ne[0] % n ? -1 : s.shape.ne[0] / n);
	*s.dst = NULL;
	*VEC_PUSH(&b->slots) = s;
}

void bind_rows(struct bind *b, struct gpu_tensor **dst, enum gpu_dtype dtype,
	struct gpu_shape shape, const char *name, ...)
{
	va_list ap;

	va_start(ap, name);
	add_stack(b,
		(struct slot){.kind = KIND_ROWS,
			.dtype = dtype,
			.name = name,
			.dst = dst,
			.shape = shape},
		format(b, name, ap));
	va_end(ap);
}

void bind_sum(
	struct bind *b, struct gpu_tensor **dst, struct gpu_shape shape, const char *name, ...)
{
	va_list ap;

	va_start(ap, name);
	add_stack(b,
		(struct slot){.kind = KIND_SUM,
			.dtype = GPU_F32,
			.name = name,
			.dst = dst,
			.shape = shape},
		format(b, name, ap));
	va_end(ap);
}

void bind_matrix(struct bind *b, struct gpu_tensor **dst, enum gpu_dtype dtype, int64_t n_out,
	int64_t n_in, const char *name, ...)
{
	va_list ap;

	va_start(ap, name);
	add_stack(b,
		(struct slot){.kind = KIND_ROWS,
			.is_matrix = true,
			.dtype = dtype,
			.name = name,
			.dst = dst,
			.shape = SHAPE(n_out, n_in)},
		format(b, name, ap));
	va_end(ap);
}

/* The direction and, unless the weight is plain, the gain of a convolution. */
static void resolve_conv(struct bind *b, struct slot *s, const char *prefix)
{
	static const char *const names[][2] = {
		{"%s.weight", NULL},
		{"%s.parametrizations.weight.original1", "%s.parametrizations.weight.original0"},
		{"%s.weight_v", "%s.weight_g"},
	};

	s->n_parts = 1;
	s->parts = ARENA_ARRAY(&b->mem, const struct ckpt_tensor *, 1);
	for (size_t i = 0; i < 3; i++) {
		const char *name = arena_printf(&b->mem, names[i][0], prefix);
		s->parts[0] = find(b, name);
		if (!s->parts[0])
			continue;
		check_shape(b, s->parts[0], s->shape, s->shape.ne[0]);
		if (!names[i][1])
			return;
		name = arena_printf(&b->mem, names[i][1], prefix);
		s->gain = find(b, name);
		if (s->gain)
			check_shape(b, s->gain, SHAPE(s->shape.ne[0], 1, 1), s->shape.ne[0]);
		else
			note_missing(b, name);
		return;
	}
	note_missing(b, arena_printf(&b->mem, names[0][0], prefix));
}

static struct gpu_shape conv_shape(struct bind_conv conv)
{
	if (conv.square)
		return SHAPE(conv.n_out, conv.n_in, conv.kernel, conv.kernel);
	return conv.transposed ? SHAPE(conv.n_in, conv.n_out, conv.kernel)
			       : SHAPE(conv.n_out, conv.n_in, conv.kernel);
}

/* A weight and its bias. */
static void add_conv(
	struct bind *b, struct slot s, struct gpu_tensor **dst_bias, const char *prefix)
{
	s.is_matrix = true;
	resolve_conv(b, &s, prefix);
	*s.dst = NULL;
	*VEC_PUSH(&b->slots) = s;
	if (!dst_bias)
		return;
	add_stack(b,
		(struct slot){.kind = KIND_ROWS,
			.dtype = GPU_F32,
			.name = s.name,
			.dst = dst_bias,
			.shape = SHAPE(s.conv.n_out)},
		arena_printf(&b->mem, "%s.bias", prefix));
}

void bind_conv(struct bind *b, struct gpu_tensor **dst, struct gpu_tensor **dst_bias,
	enum gpu_dtype dtype, struct bind_conv conv, const char *prefix, ...)
{
	struct slot s = {
		.kind = conv.transposed ? KIND_TRANSPOSED : KIND_CONV,
		.dtype = dtype,
		.name = prefix,
		.dst = dst,
		.shape = conv_shape(conv),
		.conv = conv,
	};
	va_list ap;

	va_start(ap, prefix);
	const char *text = format(b, prefix, ap);
	va_end(ap);
	if (conv.square)
		s.conv.kernel *= conv.kernel; /* its taps, in the order of the file */
	add_conv(b, s, dst_bias, text);
}

void bind_transposed(struct bind *b, struct gpu_tensor **dst, struct gpu_tensor **dst_bias,
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, const char *prefix, ...)
{
	/* What a transposed convolution of one tap is. */
	const struct slot s = {
		.kind = KIND_TRANSPOSED,
		.dtype = dtype,
		.name = prefix,
		.dst = dst,
		.shape = SHAPE(n_in, n_out),
		.conv = {.n_out = n_out, .n_in = n_in, .kernel = 1, .stride = 1},
	};
	va_list ap;

	va_start(ap, prefix);
	const char *text = format(b, prefix, ap);
	va_end(ap);
	add_conv(b, s, dst_bias, text);
}

void bind_ignore(struct bind *b, const char *pattern)
{
	for (size_t i = 0; i < ckpt_count(b->ckpt); i++)
		if (!fnmatch(pattern, ckpt_at(b->ckpt, i)->name, FNM_NOESCAPE))
			b->is_used[i] = true;
}

void bind_use_cache(struct bind *b, const char *path)
{
	b->cache = path;
}

/* ---- shapes on the device ----------------------------------------------- */

/* Taps of the source that one output of a transposed convolution sees. */
static int64_t n_taps(struct bind_conv conv)
{
	return (conv.kernel + conv.stride - 1) / conv.stride;
}

static int64_t n_rows(const struct slot *s)
{
	return s->kind == KIND_TRANSPOSED ? s->conv.stride * s->conv.n_out : s->shape.ne[0];
}

static int64_t n_columns(const struct slot *s)
{
	int64_t n = 1;

	if (s->kind == KIND_TRANSPOSED)
		return n_taps(s->conv) * s->conv.n_in;
	for (int i = 1; i < s->shape.n; i++)
		n *= s->shape.ne[i];
	return n;
}

static uint64_t slot_bytes(const struct bind *b, const struct slot *s)
{
	const uint64_t size = s->dtype == GPU_BF16 ? 2 : 4;

	if (s->is_matrix)
		return gpu_matrix_bytes(b->gpu, s->dtype, n_rows(s), n_columns(s));
	return ((uint64_t)(n_rows(s) * n_columns(s)) * size + ALIGN - 1) / ALIGN * ALIGN;
}

uint64_t bind_bytes(const struct bind *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->slots.n; i++)
		n += slot_bytes(b, &b->slots.at[i]);
	return n;
}

/* ---- checks ------------------------------------------------------------- */

static int check_problems(const struct bind *b, struct err *e)
{
	char text[6000] = "";
	struct list l = {.text = text, .size = sizeof(text)};

	if (!b->problems.n)
		return 0;
	for (size_t i = 0; i < b->problems.n; i++)
		list_add(&l, b->problems.at[i]);
	list_end(&l);
	return err_set(e, ERR_FORMAT,
		"the weights do not fit config.json, so download the model again (missing tensors: "
		"%zu, of another shape or type: %zu): %s",
		b->n_missing, b->problems.n - b->n_missing, text);
}

/* Floats of one thread's scratch: rows as they are read, and as they are put. */
static size_t scratch_floats(const struct bind *b)
{
	size_t most = 0;

	for (size_t i = 0; i < b->slots.n; i++) {
		const size_t group = (size_t)n_columns(&b->slots.at[i]) * GPU_ROW_GROUP;
		most = group > most ? group : most;
	}
	return 2 * (most > TASK_FLOATS ? most : TASK_FLOATS);
}

static int64_t transposed_floats(const struct slot *s)
{
	return s->conv.n_in * s->conv.n_out * s->conv.kernel;
}

static uint64_t scratch_bytes(const struct bind *b)
{
	int64_t most = 0;

	for (size_t i = 0; i < b->slots.n; i++) {
		const struct slot *s = &b->slots.at[i];
		if (s->kind == KIND_TRANSPOSED && transposed_floats(s) > most)
			most = transposed_floats(s);
	}
	return ((uint64_t)most + scratch_floats(b) * (uint64_t)(b->n_threads ? b->n_threads : 1)) *
	       sizeof(float);
}

/* The precision in which most of the weights are. */
static const char *smaller_precision(const struct bind *b)
{
	uint64_t bytes[GPU_SPLIT + 1] = {0};

	for (size_t i = 0; i < b->slots.n; i++)
		bytes[b->slots.at[i].dtype] += slot_bytes(b, &b->slots.at[i]);
	bytes[GPU_BF16] += bytes[GPU_TILES];
	bytes[GPU_F32] += bytes[GPU_SPLIT];
	if (bytes[GPU_F32] > bytes[GPU_BF16] && bytes[GPU_F32] > bytes[GPU_I8])
		return "use --precision bf16 or int8";
	if (bytes[GPU_BF16] > bytes[GPU_I8])
		return "use --precision int8";
	return "use a smaller model";
}

/* On a device of its own memory the weights are there, scratch is not. */
static int check_memory(const struct bind *b, struct err *e)
{
	const bool is_cpu = !strcmp(gpu_device(b->gpu), "cpu");
	const uint64_t needed = bind_bytes(b) + (is_cpu ? scratch_bytes(b) : 0);
	const uint64_t left = gpu_bytes_free(b->gpu), host = mem_available();
	char needed_text[16], left_text[16];

	if (left && needed > left)
		return err_set(e, ERR_NOMEM, "the model needs %s of %s, %s is free: %s, or %s",
			format_bytes(needed, needed_text), is_cpu ? "memory" : "the GPU's memory",
			format_bytes(left, left_text), smaller_precision(b),
			is_cpu ? "close other programs" : "use --device cpu");
	if (host && scratch_bytes(b) > host)
		return err_set(e, ERR_NOMEM,
			"loading needs %s of memory, %s is free: close other programs",
			format_bytes(scratch_bytes(b), needed_text), format_bytes(host, left_text));
	return 0;
}

static void list_unused(const struct bind *b, char *out, size_t size)
{
	struct err clean = {0};
	char text[900] = "tensors that are not used: ";
	struct list l = {.text = text, .size = sizeof(text), .n = strlen(text)};

	if (size)
		*out = '\0';
	for (size_t i = 0; i < ckpt_count(b->ckpt); i++)
		if (!b->is_used[i])
			list_add(&l, ckpt_at(b->ckpt, i)->name);
	if (!l.n_listed && !l.n_more)
		return;
	list_end(&l);
	/* Makes names from a file safe for a terminal. */
	err_set(&clean, ERR_FORMAT, "%s", text);
	snprintf(out, size, "%s", clean.text);
}

int bind_check(struct bind *b, char *ret_unused, size_t unused_size, struct err *e)
{
	int rc = check_problems(b, e);

	if (ret_unused)
		list_unused(b, ret_unused, unused_size);
	return rc ? rc : check_memory(b, e);
}

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

/* Rows cut into tasks: multiples of GPU_ROW_GROUP of about TASK_FLOATS or TASK_RAW. */
static void cut(struct tasks *tasks, const struct slot *s, int64_t rows, int64_t columns)
{
	const int64_t size = s->is_raw ? TASK_RAW : TASK_FLOATS;
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
	const int64_t columns = n_columns(s), part_rows = n_rows(s) / (int64_t)s->n_parts;

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
	const int64_t columns = n_columns(s), part = n_rows(s) / (int64_t)s->n_parts * columns;
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
	const uint64_t at = (uint64_t)(first * n_columns(s)),
		       end = at + (uint64_t)(n * n_columns(s));
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
			l->done += source_bytes(s, t->n * n_columns(s));
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
	l->done += source_bytes(s, t->n * n_columns(s));
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
	const int64_t m = n_taps(conv);
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
		&whole, (size_t)transposed_floats(s), sizeof(float), s->parts[0]->name, e);

	if (rc)
		return rc;
	l->whole = whole;
	cut(&read, s, s->conv.n_in, s->conv.n_out * s->conv.kernel);
	cut(&put, s, n_rows(s), n_columns(s));
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
						 n_rows(s), n_columns(s))
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
		n += source_bytes(s, s->kind == KIND_TRANSPOSED ? transposed_floats(s)
								: n_rows(s) * n_columns(s));
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
			cut(&tasks, s, n_rows(s), n_columns(s));
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
		.n_scratch = scratch_floats(b),
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
