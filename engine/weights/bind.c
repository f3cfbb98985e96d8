/* Bind tables: names become slots, which bind_load.c fills.
 *
 * Every call resolves its names at once and notes what is missing or has
 * another shape; bind_check() reports all of it. */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind_private.h"
#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum { ALIGN = 64 }; /* of tensors, for bind_bytes() */

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

int64_t bind_n_taps(struct bind_conv conv)
{
	return (conv.kernel + conv.stride - 1) / conv.stride;
}

int64_t slot_rows(const struct slot *s)
{
	return s->kind == KIND_TRANSPOSED ? s->conv.stride * s->conv.n_out : s->shape.ne[0];
}

int64_t slot_columns(const struct slot *s)
{
	int64_t n = 1;

	if (s->kind == KIND_TRANSPOSED)
		return bind_n_taps(s->conv) * s->conv.n_in;
	for (int i = 1; i < s->shape.n; i++)
		n *= s->shape.ne[i];
	return n;
}

static uint64_t slot_bytes(const struct bind *b, const struct slot *s)
{
	const uint64_t size = s->dtype == GPU_BF16 ? 2 : 4;

	if (s->is_matrix)
		return gpu_matrix_bytes(b->gpu, s->dtype, slot_rows(s), slot_columns(s));
	return ((uint64_t)(slot_rows(s) * slot_columns(s)) * size + ALIGN - 1) / ALIGN * ALIGN;
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

size_t bind_scratch_floats(const struct bind *b)
{
	size_t most = 0;

	for (size_t i = 0; i < b->slots.n; i++) {
		const size_t group = (size_t)slot_columns(&b->slots.at[i]) * GPU_ROW_GROUP;
		most = group > most ? group : most;
	}
	return 2 * (most > BIND_TASK_FLOATS ? most : BIND_TASK_FLOATS);
}

int64_t slot_transposed_floats(const struct slot *s)
{
	return s->conv.n_in * s->conv.n_out * s->conv.kernel;
}

static uint64_t scratch_bytes(const struct bind *b)
{
	int64_t most = 0;

	for (size_t i = 0; i < b->slots.n; i++) {
		const struct slot *s = &b->slots.at[i];
		if (s->kind == KIND_TRANSPOSED && slot_transposed_floats(s) > most)
			most = slot_transposed_floats(s);
	}
	return ((uint64_t)most +
		       bind_scratch_floats(b) * (uint64_t)(b->n_threads ? b->n_threads : 1)) *
	       sizeof(float);
}

/* The precision in which most of the weights are. */
static const char *smaller_precision(const struct bind *b)
{
	uint64_t bytes[GPU_WINOGRAD + 1] = {0};

	for (size_t i = 0; i < b->slots.n; i++)
		bytes[b->slots.at[i].dtype] += slot_bytes(b, &b->slots.at[i]);
	bytes[GPU_BF16] += bytes[GPU_TILES];
	bytes[GPU_F32] += bytes[GPU_SPLIT] + bytes[GPU_WINOGRAD];
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
