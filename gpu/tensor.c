/* Devices, arenas and tensors: everything of gpu.h that is not an op.
 *
 * An arena is two lists of chunks, one of device memory for the data, one of
 * host memory for the structs.  Allocation moves a pointer; release moves it
 * back and keeps the chunks, so that a step that allocates the same again
 * gets the same addresses.
 *
 * Where something checks accesses (AddressSanitizer, the emulated device), memory that
 * no tensor owns is closed, with a gap after each tensor, so that a kernel that reads
 * past the end is found. */
#include "gpu/gpu.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/asan.h"
#include "gpu/ops.h"
#include "library/base/arena.h"
#include "library/base/str.h"

#if defined(WITH_ASAN)
enum { GAP = 64 };
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
enum { GAP = 0 };
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum {
	ALIGN = 64,
	HOST_CHUNK = 16 << 10,
	CHUNK_MIN = 256 << 10, /* the first of an arena; later ones double up to */
	CHUNK_MAX = 16 << 20,  /* this, and are checked against free memory from here on */
};

/* No tensor is larger, so that sums of a few sizes cannot overflow. */
#define BYTES_MAX ((uint64_t)1 << 56)

struct chunk {
	struct chunk *next;
	char *base; /* owned */
	size_t size;
};

struct bump {
	struct chunk *first, *now; /* now NULL: nothing is allocated */
	size_t used;               /* of now */
	uint64_t size;             /* of all chunks */
	uint64_t freed;            /* chunks so far */
	bool on_host;
};

struct gpu_arena {
	struct gpu *g;
	struct gpu_arena *next;
	const char *name;
	struct bump data, host;
	uint64_t live;
};

/* What constructors return after a failure. */
static struct gpu_tensor no_tensor = {.name = "(none)", .n_dims = 1};
static int64_t no_len;
static struct gpu_kv no_kv = {.k = &no_tensor, .v = &no_tensor, .len = &no_len};

/* ---- devices ------------------------------------------------------------ */

static const char *module_path;

void gpu_use_module(const char *path)
{
	module_path = path;
}

static void *load(const char *path, struct err *e)
{
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!module)
		err_set(e, ERR_UNSUPPORTED,
			"no CUDA: its module cannot be loaded (%s); install what it lacks or build "
			"woodshed again, or use --device cpu",
			dlerror());
	return module;
}

/* The module lies beside the program or, installed, in WOODSHED_MODULES, ../lib/woodshed unless
 * meson was told otherwise. */
static void *cuda_module(struct err *e)
{
	static const char *const places[] = {"", WOODSHED_MODULES "/"};
	char exe[3072], path[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash = NULL;

	if (module_path)
		return load(module_path, e);
	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
	}
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++) {
		slash[1] = '\0';
		snprintf(path, sizeof(path), "%s%swoodshed-cuda.so", places[i][0] == '/' ? "" : exe,
			places[i]);
		if (!access(path, F_OK))
			return load(path, e);
	}
	err_set(e, ERR_UNSUPPORTED,
		"no CUDA: this woodshed was built without it (there is no woodshed-cuda.so beside "
		"the program); build it with the CUDA toolkit, or use --device cpu");
	return NULL;
}

/* The module stays until the process ends. */
static int cuda_open(struct gpu *g, bool is_auto, struct err *e)
{
	void *module = cuda_module(e);

	if (!module)
		return ERR_UNSUPPORTED;
	const struct gpu_module *m = dlsym(module, "gpu_cuda_module");
	if (!m || m->version != GPU_MODULE_VERSION || m->ops_size != sizeof(struct gpu_ops)) {
		dlclose(module);
		return err_set(e, ERR_UNSUPPORTED,
			"no CUDA: woodshed-cuda.so is of another version than the program; build "
			"or install both anew, or use --device cpu");
	}
	if (is_auto && m->is_emulated && !module_path)
		return err_set(e, ERR_UNSUPPORTED, "no CUDA: woodshed-cuda.so only emulates it");
	return m->open(g, e);
}

int gpu_open(const char *device, int n_threads, struct gpu **ret, struct err *e)
{
	const bool is_auto = !device || !strcmp(device, "auto");
	const bool is_cpu = device && !strcmp(device, "cpu");
	struct err why = {0};
	struct gpu *g;
	int rc;

	*ret = NULL;
	if (!is_auto && !is_cpu && strcmp(device, "cuda"))
		return err_set(e, ERR_ARG, "device '%s' is unknown; use auto, cpu or cuda", device);
	g = xcalloc(1, sizeof(*g));
	pthread_mutex_init(&g->fail_lock, NULL);
	rc = is_cpu ? ERR_UNSUPPORTED : cuda_open(g, is_auto, &why);
	/* Not where there is a GPU that is only busy or full. */
	if (is_cpu || (is_auto && rc == ERR_UNSUPPORTED))
		rc = gpu_cpu_open(g, n_threads, e);
	else if (rc)
		err_set(e, rc, "%s", why.text);
	if (rc) {
		pthread_mutex_destroy(&g->fail_lock);
		free(g);
		return rc;
	}
	*ret = g;
	return 0;
}

void gpu_close(struct gpu *g)
{
	if (!g)
		return;
	while (g->arenas)
		gpu_arena_free(g->arenas);
	g->ops->close(g);
	pthread_mutex_destroy(&g->fail_lock);
	free(g);
}

const char *gpu_describe(const struct gpu *g)
{
	return g->description;
}

const char *gpu_name(const struct gpu *g)
{
	return *g->name ? g->name : NULL;
}

const char *gpu_device(const struct gpu *g)
{
	return g->ops->device;
}

int gpu_sync(struct gpu *g, struct err *e)
{
	struct err late = {0};
	int code = g->ops->sync(g, &late);

	if (code)
		gpu_fail(g, code, "%s", late.text);
	code = g->error.code;
	if (!code)
		return 0;
	err_set(e, code, "%s", g->error.text);
	if (code != ERR_GPU_LOST)
		err_clear(&g->error);
	return code;
}

uint64_t gpu_bytes_live(const struct gpu *g)
{
	return g->bytes_live;
}

uint64_t gpu_bytes_peak(const struct gpu *g)
{
	return g->bytes_peak;
}

uint64_t gpu_bytes_free(struct gpu *g)
{
	return g->ops->bytes_free(g);
}

int64_t gpu_piece(struct gpu *g, int64_t in_cache)
{
	return g->ops->piece ? g->ops->piece(g) : in_cache;
}

uint64_t gpu_dispatches(const struct gpu *g)
{
	return g->dispatches;
}

/* ---- arenas ------------------------------------------------------------- */

/* Opens or closes memory to whoever checks accesses. */
static void guard(struct gpu_arena *a, const struct bump *b, void *p, size_t bytes, bool open)
{
	if (!b->on_host && a->g->ops->guard)
		a->g->ops->guard(a->g, p, bytes, open);
	else if (b->on_host && open)
		UNPOISON(p, bytes);
	else if (b->on_host)
		POISON(p, bytes);
}

static void chunk_free(struct gpu_arena *a, struct bump *b, struct chunk *c)
{
	guard(a, b, c->base, c->size, true);
	if (b->on_host)
		free(c->base);
	else
		a->g->ops->release(a->g, c->base, c->size);
	b->size -= c->size;
	b->freed++;
	free(c);
}

/* Fails with needed and free before asking for more than there is. */
static struct chunk *chunk_new(struct gpu_arena *a, struct bump *b, size_t bytes, const char *what)
{
	const struct gpu_ops *ops = a->g->ops;
	uint64_t room = b->size < CHUNK_MIN ? CHUNK_MIN : b->size > CHUNK_MAX ? CHUNK_MAX : b->size;
	size_t least = b->on_host ? HOST_CHUNK : (size_t)room;
	size_t size = bytes > least ? bytes : least;
	uint64_t available = size >= CHUNK_MAX ? ops->bytes_free(a->g) : 0;
	char *base = NULL, needed[16], left[16];

	if (b->on_host)
		base = xcalloc(1, size);
	else if (!available || size <= available)
		base = ops->alloc(a->g, size);
	if (!base) {
		gpu_fail(a->g, ERR_NOMEM,
			"%s in %s: needs %s of memory, %s is free; ask for a shorter take, fewer "
			"at once or a smaller precision",
			what, a->name, format_bytes(size, needed),
			format_bytes(ops->bytes_free(a->g), left));
		return NULL;
	}
	guard(a, b, base, size, false);
	struct chunk *c = xcalloc(1, sizeof(*c));
	c->base = base;
	c->size = size;
	b->size += size;
	return c;
}

/* What comes after `now` is empty: chunks of less than `bytes` make room.  Where the next is,
 * or NULL. */
static struct chunk **give_back(struct gpu_arena *a, struct bump *b, size_t bytes)
{
	struct chunk **link = b->now ? &b->now->next : &b->first;

	while (*link && (*link)->size < bytes) {
		struct chunk *small = *link;
		*link = small->next;
		chunk_free(a, b, small);
	}
	return link;
}

/* bytes: a multiple of ALIGN.  Of them `exact` may be touched. */
static void *bump_alloc(
	struct gpu_arena *a, struct bump *b, size_t bytes, size_t exact, const char *what)
{
	if (!b->now || bytes > b->now->size - b->used) {
		struct chunk **link = give_back(a, b, bytes);
		if (!*link)
			*link = chunk_new(a, b, bytes, what);
		if (!*link)
			return NULL;
		b->now = *link;
		b->used = 0;
	}
	char *p = b->now->base + b->used;
	b->used += bytes;
	guard(a, b, p, exact, true);
	return p;
}

static void bump_release(struct gpu_arena *a, struct bump *b, struct chunk *now, size_t used)
{
	struct chunk *c = now ? now : b->first;
	size_t kept = now ? used : 0;

	for (; c; c = c->next, kept = 0)
		guard(a, b, c->base + kept, c->size - kept, false);
	b->now = now;
	b->used = used;
}

static void bump_done(struct gpu_arena *a, struct bump *b)
{
	while (b->first) {
		struct chunk *c = b->first;
		b->first = c->next;
		chunk_free(a, b, c);
	}
}

struct gpu_arena *gpu_arena_new(struct gpu *g, const char *name)
{
	struct gpu_arena *a = xcalloc(1, sizeof(*a));

	a->g = g;
	a->name = name;
	a->host.on_host = true;
	a->next = g->arenas;
	g->arenas = a;
	return a;
}

void gpu_arena_free(struct gpu_arena *a)
{
	if (!a)
		return;
	struct gpu_arena **link = &a->g->arenas;
	while (*link != a)
		link = &(*link)->next;
	*link = a->next;
	a->g->bytes_live -= a->live;
	bump_done(a, &a->data);
	bump_done(a, &a->host);
	free(a);
}

/* Without room for it allocations go on as ever, and tell what they lack. */
void gpu_arena_reserve(struct gpu_arena *a, uint64_t bytes)
{
	struct bump *b = &a->data;
	char *base;

	if (gpu_failed(a->g) || bytes < CHUNK_MIN || bytes > BYTES_MAX ||
		(b->now && bytes <= b->now->size - b->used))
		return;
	struct chunk **link = give_back(a, b, (size_t)bytes);
	const uint64_t left = a->g->ops->bytes_free(a->g);
	if (*link || (left && bytes > left))
		return;
	base = a->g->ops->alloc(a->g, (size_t)bytes);
	if (!base)
		return;
	guard(a, b, base, (size_t)bytes, false);
	struct chunk *c = xcalloc(1, sizeof(*c));
	*c = (struct chunk){.base = base, .size = (size_t)bytes};
	*link = c;
	b->size += bytes;
}

struct gpu_mark gpu_arena_mark(struct gpu_arena *a)
{
	return (struct gpu_mark){
		.chunk = a->data.now,
		.used = a->data.used,
		.host_chunk = a->host.now,
		.host_used = a->host.used,
		.live = a->live,
		.freed = a->data.freed,
	};
}

void gpu_arena_release(struct gpu_arena *a, struct gpu_mark m)
{
	bump_release(a, &a->data, m.chunk, m.used);
	bump_release(a, &a->host, m.host_chunk, m.host_used);
	a->g->bytes_live -= a->live - m.live;
	a->live = m.live;
}

static size_t round_up(size_t n)
{
	return n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

/* Device memory, counted. */
static void *data_alloc(struct gpu_arena *a, size_t bytes, const char *what)
{
	struct gpu *g = a->g;
	const size_t gap = g->ops->guard ? ALIGN : 0;
	void *p = bump_alloc(a, &a->data, round_up(bytes) + gap, bytes, what);

	if (!p)
		return NULL;
	a->live += round_up(bytes);
	g->bytes_live += round_up(bytes);
	if (g->bytes_live > g->bytes_peak)
		g->bytes_peak = g->bytes_live;
	return p;
}

/* A small zeroed host object of the arena's lifetime. */
static void *host_alloc(struct gpu_arena *a, size_t bytes)
{
	void *p = bump_alloc(a, &a->host, round_up(bytes) + GAP, bytes, "structs");

	return memset(p, 0, bytes);
}

/* ---- tensors ------------------------------------------------------------ */

/* Rank 1 to 4, no extent negative, bytes within bounds. */
static bool shape_bytes(enum gpu_dtype dtype, struct gpu_shape s, size_t *ret)
{
	uint64_t n = gpu_dtype_size(dtype);

	if (s.n < 1 || s.n > 4)
		return false;
	for (int i = 0; i < s.n; i++)
		if (s.ne[i] < 0 || (uint64_t)s.ne[i] > BYTES_MAX)
			return false;
	for (int i = 0; i < s.n; i++)
		if (__builtin_mul_overflow(n, (uint64_t)s.ne[i], &n) || n > BYTES_MAX)
			return false;
	*ret = (size_t)n;
	return true;
}

/* A row-major tensor over `data`. */
static struct gpu_tensor *tensor_new(struct gpu_arena *a, enum gpu_dtype dtype, const char *name,
	struct gpu_shape shape, void *data)
{
	struct gpu_tensor *t = host_alloc(a, sizeof(*t));
	int64_t stride = 1;

	t->name = name;
	t->dtype = dtype;
	t->n_dims = shape.n;
	t->data = data;
	for (int i = shape.n - 1; i >= 0; i--) {
		t->ne[i] = shape.ne[i];
		t->nb[i] = stride;
		stride *= shape.ne[i];
	}
	return t;
}

struct gpu_tensor *gpu_new(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, struct gpu_shape shape)
{
	char what[GPU_SHAPE_TEXT + 160], text[GPU_SHAPE_TEXT];
	size_t bytes;

	if (gpu_failed(g))
		return &no_tensor;
	if (!shape_bytes(dtype, shape, &bytes)) {
		gpu_fail(g, ERR_BUG, "tensor '%s' in %s: no such shape: rank %d, %s", name, a->name,
			shape.n, gpu_shape_text(shape.ne, shape.n, text));
		return &no_tensor;
	}
	snprintf(what, sizeof(what), "tensor '%.120s' %s", name,
		gpu_shape_text(shape.ne, shape.n, text));
	void *data = data_alloc(a, bytes, what);
	return data ? tensor_new(a, dtype, name, shape, data) : &no_tensor;
}

struct gpu_tensor *gpu_zeros(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, struct gpu_shape shape)
{
	struct gpu_tensor *t = gpu_new(g, a, dtype, name, shape);

	if (t->data)
		g->ops->zero(g, t->data, (size_t)gpu_count(t) * gpu_dtype_size(dtype));
	return t;
}

/* What a matrix of that dtype is on this device. */
static enum gpu_dtype packed_dtype(
	const struct gpu *g, enum gpu_dtype dtype, int64_t n_out, int64_t n_in)
{
	if (dtype == GPU_WINOGRAD && (n_out % GPU_ROW_GROUP || n_in % (9 * GPU_ROW_GROUP)))
		dtype = GPU_SPLIT;
	return (dtype == GPU_SPLIT || dtype == GPU_WINOGRAD) && !g->ops->splits ? GPU_F32 : dtype;
}

/* Data, scale and sums of a packed matrix; false when the size is absurd. */
static bool matrix_bytes(
	const struct gpu *g, enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t ret[3])
{
	size_t flat;

	/* Eleven bytes an element bound every packing from above, padding apart. */
	if (dtype == GPU_I32 || n_out < 1 || n_in < 1 ||
		!shape_bytes(GPU_F32, SHAPE(n_out, n_in), &flat))
		return false;
	ret[0] = g->ops->matrix_bytes(dtype, n_out, n_in, &ret[1], &ret[2]);
	return true;
}

uint64_t gpu_matrix_bytes(const struct gpu *g, enum gpu_dtype dtype, int64_t n_out, int64_t n_in)
{
	size_t bytes[3];
	uint64_t total = 0;

	if (!matrix_bytes(g, packed_dtype(g, dtype, n_out, n_in), n_out, n_in, bytes))
		return UINT64_MAX;
	for (int i = 0; i < 3; i++)
		total += i && !bytes[i] ? 0 : round_up(bytes[i]);
	return total;
}

struct gpu_tensor *gpu_new_matrix(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, int64_t n_out, int64_t n_in)
{
	char what[GPU_SHAPE_TEXT + 160], text[GPU_SHAPE_TEXT];
	size_t bytes[3];
	void *p[3] = {NULL};

	if (gpu_failed(g))
		return &no_tensor;
	dtype = packed_dtype(g, dtype, n_out, n_in);
	gpu_shape_text((int64_t[]){n_out, n_in}, 2, text);
	snprintf(what, sizeof(what), "matrix '%.120s' %s", name, text);
	if (!matrix_bytes(g, dtype, n_out, n_in, bytes)) {
		gpu_fail(g, ERR_BUG, "%s in %s: no such matrix", what, a->name);
		return &no_tensor;
	}
	for (int i = 0; i < 3; i++) {
		if (i && !bytes[i])
			continue;
		p[i] = data_alloc(a, bytes[i], what);
		if (!p[i])
			return &no_tensor;
	}
	struct gpu_tensor *t = tensor_new(a, dtype, name, SHAPE(n_out, n_in), p[0]);
	t->layout = GPU_MATRIX;
	t->scale = p[1];
	t->sums = p[2];
	return t;
}

struct gpu_tensor *gpu_view(struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *t, int dim,
	int64_t first, int64_t n)
{
	char text[GPU_SHAPE_TEXT];

	if (gpu_failed(g))
		return &no_tensor;
	bool can = t->data && t->layout == GPU_ROWS && (dim == 0 || (dim == 1 && t->n_dims == 3));
	if (!can || first < 0 || n < 0 || first > t->ne[dim] || n > t->ne[dim] - first) {
		gpu_fail(g, ERR_BUG, "view of '%s' %s: no rows %lld + %lld in dimension %d",
			t->name, gpu_shape_text(t->ne, t->n_dims, text), (long long)first,
			(long long)n, dim);
		return &no_tensor;
	}
	struct gpu_tensor *v = host_alloc(a, sizeof(*v));
	*v = *t;
	v->ne[dim] = n;
	v->data = (char *)t->data + (size_t)(first * t->nb[dim]) * gpu_dtype_size(t->dtype);
	return v;
}

struct gpu_tensor *gpu_reshape(
	struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *t, struct gpu_shape shape)
{
	char from[GPU_SHAPE_TEXT], to[GPU_SHAPE_TEXT];
	size_t bytes;

	if (gpu_failed(g))
		return &no_tensor;
	if (!t->data || t->layout != GPU_ROWS || !gpu_is_contiguous(t) ||
		!shape_bytes(t->dtype, shape, &bytes) ||
		bytes != (size_t)gpu_count(t) * gpu_dtype_size(t->dtype)) {
		gpu_fail(g, ERR_BUG, "reshape of '%s' %s to %s: not the same elements", t->name,
			gpu_shape_text(t->ne, t->n_dims, from),
			gpu_shape_text(shape.ne, shape.n, to));
		return &no_tensor;
	}
	return tensor_new(a, t->dtype, t->name, shape, t->data);
}

/* Whole contiguous row-major tensors only. */
static bool can_transfer(struct gpu *g, const char *op, const struct gpu_tensor *t, size_t bytes)
{
	char text[GPU_SHAPE_TEXT];

	if (gpu_failed(g))
		return false;
	if (g->step) {
		gpu_fail(g, ERR_BUG, "%s: '%s' may not cross to or from the host in a step", op,
			t->name);
		return false;
	}
	if (t->data && t->layout == GPU_ROWS && gpu_is_contiguous(t) &&
		bytes == (size_t)gpu_count(t) * gpu_dtype_size(t->dtype))
		return true;
	gpu_fail(g, ERR_BUG, "%s: '%s' %s is not %zu contiguous bytes", op, t->name,
		gpu_shape_text(t->ne, t->n_dims, text), bytes);
	return false;
}

void gpu_write(struct gpu *g, struct gpu_tensor *t, const void *src, size_t bytes)
{
	if (can_transfer(g, "write", t, bytes) && bytes)
		g->ops->write(g, t->data, src, bytes);
}

void gpu_read(struct gpu *g, const struct gpu_tensor *t, void *dst, size_t bytes)
{
	if (!can_transfer(g, "read", t, bytes))
		memset(dst, 0, bytes);
	else if (bytes)
		g->ops->read(g, dst, t->data, bytes);
}

struct gpu_reading {
	size_t bytes;
	void *host;   /* owned, or of what the device has */
	void *device; /* NULL: ops are over when they return */
};

bool gpu_runs_ahead(const struct gpu *g)
{
	return g->ops->reading_new;
}

struct gpu_reading *gpu_reading_new(struct gpu *g, size_t bytes)
{
	struct gpu_reading *r = xcalloc(1, sizeof(*r));

	r->bytes = bytes;
	if (!gpu_runs_ahead(g))
		r->host = xcalloc(1, bytes);
	else if (!gpu_failed(g))
		r->device = g->ops->reading_new(g, bytes, &r->host);
	return r;
}

void gpu_reading_free(struct gpu *g, struct gpu_reading *r)
{
	if (!r)
		return;
	if (r->device)
		g->ops->reading_free(g, r->device);
	else
		free(r->host);
	free(r);
}

void gpu_reading_begin(struct gpu *g, struct gpu_reading *r, const struct gpu_tensor *t)
{
	const size_t bytes = (size_t)gpu_count(t) * gpu_dtype_size(t->dtype);

	if (!can_transfer(g, "read", t, bytes))
		return;
	if (bytes > r->bytes)
		gpu_fail(g, ERR_BUG, "read: '%s' has %zu bytes, there is room for %zu", t->name,
			bytes, r->bytes);
	else if (r->device)
		g->ops->reading_begin(g, r->device, t->data, bytes);
	else
		g->ops->read(g, r->host, t->data, bytes);
}

const void *gpu_reading_end(struct gpu *g, struct gpu_reading *r)
{
	if (gpu_failed(g) || (r->device && !g->ops->reading_end(g, r->device)))
		return NULL;
	return r->host;
}

const char *gpu_layout(const struct gpu *g)
{
	return g->ops->layout;
}

/* Data, scale and sums of a tensor, in bytes. */
static void raw_parts(const struct gpu *g, const struct gpu_tensor *t, size_t ret[3])
{
	ret[1] = ret[2] = 0;
	if (!t->data)
		ret[0] = 0;
	else if (t->layout == GPU_MATRIX)
		ret[0] = g->ops->matrix_bytes(t->dtype, t->ne[0], t->ne[1], &ret[1], &ret[2]);
	else
		ret[0] = (size_t)gpu_count(t) * gpu_dtype_size(t->dtype);
}

uint64_t gpu_raw_bytes(const struct gpu *g, const struct gpu_tensor *t)
{
	size_t part[3];

	raw_parts(g, t, part);
	return (uint64_t)part[0] + part[1] + part[2];
}

/* One of src and dst is given. */
static void raw_transfer(struct gpu *g, const struct gpu_tensor *t, uint64_t first, const char *src,
	char *dst, size_t bytes)
{
	char *const at[3] = {t->data, (char *)t->scale, (char *)t->sums};
	size_t part[3], moved = 0;

	if (gpu_failed(g))
		return;
	raw_parts(g, t, part);
	for (int i = 0; i < 3 && moved < bytes; i++) {
		if (first >= part[i]) {
			first -= part[i];
			continue;
		}
		const size_t left = part[i] - (size_t)first;
		const size_t n = bytes - moved < left ? bytes - moved : left;
		if (src)
			g->ops->write(g, at[i] + first, src + moved, n);
		else
			g->ops->read(g, dst + moved, at[i] + first, n);
		moved += n;
		first = 0;
	}
	if (moved < bytes)
		gpu_fail(g, ERR_BUG, "'%s' has no such bytes", t->name);
}

void gpu_raw_read(
	struct gpu *g, const struct gpu_tensor *t, uint64_t first, void *dst, size_t bytes)
{
	raw_transfer(g, t, first, NULL, dst, bytes);
}

void gpu_raw_write(
	struct gpu *g, struct gpu_tensor *t, uint64_t first, const void *src, size_t bytes)
{
	raw_transfer(g, t, first, src, NULL, bytes);
}

void gpu_set_tap(struct gpu *g, gpu_tap_fn *fn, void *ud)
{
	g->tap = fn;
	g->tap_ud = ud;
}

void gpu_tap(struct gpu *g, const struct gpu_tensor *t, const char *fmt, ...)
{
	char name[128];
	va_list ap;

	if (!g->tap || gpu_failed(g))
		return;
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	g->tap(g->tap_ud, g, name, t);
}

/* ---- caches ------------------------------------------------------------- */

enum gpu_dtype gpu_kv_dtype(const struct gpu_tensor *w)
{
	return w->dtype == GPU_TILES || w->dtype == GPU_SPLIT ? w->dtype : GPU_F32;
}

/* What a cache of that dtype is on this device. */
static enum gpu_dtype kv_dtype(const struct gpu *g, enum gpu_dtype dtype, int64_t max_len)
{
	if ((dtype != GPU_TILES && dtype != GPU_SPLIT) || (dtype == GPU_TILES && g->ops->tiles_kv))
		return dtype;
	return g->ops->splits && max_len >= GPU_SPLIT_FROM ? GPU_SPLIT : GPU_F32;
}

struct gpu_kv *gpu_kv_new(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype, int64_t n_rows,
	int64_t n_heads, int64_t head_dim, int64_t max_len)
{
	struct gpu_kv kv = {.dtype = kv_dtype(g, dtype, max_len),
		.n_rows = n_rows,
		.n_heads = n_heads,
		.head_dim = head_dim,
		.max_len = max_len};
	struct gpu_shape shape = SHAPE(n_rows, n_heads, max_len, head_dim);
	char text[GPU_SHAPE_TEXT];
	int64_t n_k, n_v;
	size_t bytes;

	if (gpu_failed(g))
		return &no_kv;
	if ((dtype != GPU_F32 && dtype != GPU_BF16 && dtype != GPU_TILES && dtype != GPU_SPLIT) ||
		n_rows < 1 || n_heads < 1 || head_dim < 1 || max_len < 1 ||
		!shape_bytes(GPU_F32, shape, &bytes) || !g->ops->kv_size) {
		gpu_fail(g, ERR_BUG, "cache %s in %s: no such shape, dtype, or device support",
			gpu_shape_text(shape.ne, 4, text), a->name);
		return &no_kv;
	}
	g->ops->kv_size(&kv, &n_k, &n_v);
	const enum gpu_dtype held = kv.dtype == GPU_F32 ? GPU_F32 : GPU_BF16;
	kv.k = gpu_new(g, a, held, "keys", SHAPE(n_k));
	kv.v = gpu_new(g, a, held, "values", SHAPE(n_v));
	if (g->ops->keeps_lens)
		kv.lens = gpu_zeros(g, a, GPU_I32, "lengths", SHAPE(n_rows));
	if (gpu_failed(g))
		return &no_kv;
	kv.len = host_alloc(a, (size_t)n_rows * sizeof(*kv.len));
	struct gpu_kv *ret = host_alloc(a, sizeof(*ret));
	*ret = kv;
	return ret;
}

void gpu_kv_clear(struct gpu *g, struct gpu_kv *kv)
{
	memset(kv->len, 0, (size_t)kv->n_rows * sizeof(*kv->len));
	if (kv->lens && !gpu_failed(g))
		g->ops->zero(g, kv->lens->data, (size_t)kv->n_rows * sizeof(int32_t));
}
