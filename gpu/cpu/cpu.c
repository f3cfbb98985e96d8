/* The CPU device: opening, memory, the table of ops, and the tiling of work. */
#include "gpu/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "gpu/asan.h"
#include "gpu/cpu/tile_kernels.h"
#include "gpu/cpu/vec_kernels.h"
#include "library/base/arena.h"

enum {
	ALIGN = 64,
	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	TILE = 16 << 10, /* elements of one task: some microseconds */
};

/* ---- instruction sets --------------------------------------------------- */

static const char *const isa_names[] = {
	[CPU_GENERIC] = "no vector extensions",
	[CPU_AVX2] = "AVX2",
	[CPU_AVX512] = "AVX-512",
	[CPU_AVX512_VNNI] = "AVX-512 VNNI",
	[CPU_AMX] = "AVX-512 VNNI, AMX",
};

#if defined(__x86_64__)
/* A name that clang 14 does not know. */
static bool has_f16c(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

#if defined(__x86_64__)
/* The processor has it and AVX-512 BF16, and the system gives its registers (8 KB a thread) to this
 * process. */
static bool has_amx(void)
{
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
	const unsigned bf16 = 1u << 22, tile = 1u << 24, avx512_bf16 = 1u << 5;
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avx512_bf16) &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bf16) && (d & tile) &&
	       !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA);
}
#endif

static enum cpu_isa detect(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
		return CPU_GENERIC;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
		!__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
		return CPU_AVX2;
	if (!__builtin_cpu_supports("avx512vnni"))
		return CPU_AVX512;
	return has_amx() ? CPU_AMX : CPU_AVX512_VNNI;
#else
	return CPU_GENERIC;
#endif
}

static const struct vec_kernels *vec_kernels_for(enum cpu_isa isa)
{
#if defined(__x86_64__)
	if (isa >= CPU_AVX2)
		return isa == CPU_AMX      ? &vec_kernels_amx
		       : isa >= CPU_AVX512 ? &vec_kernels_avx512
					   : &vec_kernels_avx2;
#endif
	return &vec_kernels_generic;
}

static const struct tile_kernels *tile_kernels_for(enum cpu_isa isa)
{
#if defined(__x86_64__)
	if (isa >= CPU_AVX2)
		return isa == CPU_AMX      ? &tile_kernels_amx
		       : isa >= CPU_AVX512 ? &tile_kernels_avx512
					   : &tile_kernels_avx2;
#endif
	return &tile_kernels_generic;
}

static void use_isa(struct gpu *g, enum cpu_isa isa)
{
	struct cpu *c = cpu_of(g);
	int n = pool_threads(c->pool);

	c->isa = isa;
	c->kernels = cpu_kernels_for(isa);
	c->vec = vec_kernels_for(isa);
	c->tiles = tile_kernels_for(isa);
	snprintf(g->description, sizeof(g->description), "CPU, %d thread%s, %s", n,
		n == 1 ? "" : "s", isa_names[isa]);
}

void cpu_limit_isa(struct gpu *g, enum cpu_isa isa)
{
	if ((int)isa < cpu_of(g)->isa)
		use_isa(g, isa);
}

/* ---- memory ------------------------------------------------------------- */

/* Large memory starts on a huge page and may be made of them: a product reads
 * weights faster than 4 KB pages can be looked up. */
static void *map_huge(size_t bytes)
{
	size_t size = (bytes + PAGE - 1) / PAGE * PAGE;
	char *p = mmap(
		NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE_PAGE - before);
	madvise(p + before, size, MADV_HUGEPAGE);
	return p + before;
}

static void *cpu_alloc(struct gpu *g, size_t bytes)
{
	if (bytes > PTRDIFF_MAX - 2 * HUGE_PAGE)
		return NULL;
	if (bytes >= HUGE_PAGE)
		return map_huge(bytes);
	return aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
}

static void cpu_release(struct gpu *g, void *p, size_t bytes)
{
	if (bytes >= HUGE_PAGE)
		munmap(p, (bytes + PAGE - 1) / PAGE * PAGE);
	else
		free(p);
}

static uint64_t cpu_bytes_free(struct gpu *g)
{
	return mem_available();
}

static void cpu_transfer(struct gpu *g, void *dst, const void *src, size_t bytes)
{
	memcpy(dst, src, bytes);
}

static void cpu_zero(struct gpu *g, void *dst, size_t bytes)
{
	memset(dst, 0, bytes);
}

#if defined(WITH_ASAN)
static void cpu_guard(struct gpu *g, void *p, size_t bytes, bool open)
{
	if (open)
		ASAN_UNPOISON_MEMORY_REGION(p, bytes);
	else
		ASAN_POISON_MEMORY_REGION(p, bytes);
}
#define GUARD cpu_guard
#else
#define GUARD NULL
#endif

/* The whole pages of memory that malloc gave may be huge ones, too. */
static void advise_huge(void *at, size_t bytes)
{
	const uintptr_t first = ((uintptr_t)at + PAGE - 1) / PAGE * PAGE,
			end = ((uintptr_t)at + bytes) / PAGE * PAGE;

	if (bytes >= HUGE_PAGE)
		madvise((void *)first, end - first, MADV_HUGEPAGE);
}

static void *grown(struct gpu *g, struct cpu_scratch *s, size_t bytes)
{
	struct err e = {0};

	if (s->at && bytes <= s->bytes)
		return s->at;
	free(s->at);
	s->bytes = 0;
	if (mem_try_alloc(&s->at, bytes, 1, "scratch of an op", &e)) {
		gpu_fail(g, e.code, "%s", e.text);
		return NULL;
	}
	s->bytes = bytes;
	advise_huge(s->at, bytes);
	return s->at;
}

void *cpu_scratch(struct gpu *g, size_t bytes)
{
	return grown(g, &cpu_of(g)->scratch, bytes);
}

void *cpu_outer_scratch(struct gpu *g, size_t bytes)
{
	return grown(g, &cpu_of(g)->outer, bytes);
}

/* ---- tiling ------------------------------------------------------------- */

struct tiling {
	int64_t n_rows, n_cols;
	int64_t task_rows, task_cols;
	int64_t tasks_per_row; /* 1 where a task has whole rows */
	void (*fn)(void *ud, const struct cpu_tile *tile);
	void *ud;
};

static void tile_task(void *ud, size_t task)
{
	const struct tiling *t = ud;
	struct cpu_tile tile = {
		.row = (int64_t)task / t->tasks_per_row * t->task_rows,
		.col = (int64_t)task % t->tasks_per_row * t->task_cols,
	};

	tile.n_rows = least(t->n_rows - tile.row, t->task_rows);
	tile.n_cols = least(t->n_cols - tile.col, t->task_cols);
	t->fn(t->ud, &tile);
}

static void run_tiles(struct gpu *g, struct tiling *t)
{
	int64_t n = (t->n_rows + t->task_rows - 1) / t->task_rows * t->tasks_per_row;

	if (n == 1)
		tile_task(t, 0);
	else
		pool_run(cpu_of(g)->pool, (size_t)n, tile_task, t);
}

void cpu_tiles(struct gpu *g, int64_t n_rows, int64_t n_cols,
	void (*fn)(void *ud, const struct cpu_tile *tile), void *ud)
{
	struct tiling t = {.n_rows = n_rows, .n_cols = n_cols, .fn = fn, .ud = ud};

	if (n_cols > TILE) {
		t.task_rows = 1;
		t.task_cols = TILE;
		t.tasks_per_row = (n_cols + TILE - 1) / TILE;
	} else {
		t.task_rows = n_cols ? TILE / n_cols : n_rows;
		t.task_cols = n_cols;
		t.tasks_per_row = 1;
	}
	run_tiles(g, &t);
}

void cpu_rows(struct gpu *g, int64_t n_rows, int64_t work,
	void (*fn)(void *ud, const struct cpu_tile *tile), void *ud)
{
	struct tiling t = {.n_rows = n_rows, .tasks_per_row = 1, .fn = fn, .ud = ud};

	t.task_rows = work < 1 ? TILE : work < TILE ? TILE / work : 1;
	run_tiles(g, &t);
}

/* ---- the device --------------------------------------------------------- */

static void cpu_close(struct gpu *g)
{
	struct cpu *c = cpu_of(g);

	pool_close(c->pool);
	free(c->scratch.at);
	free(c->outer.at);
	free(c);
}

/* Ops are done when they return. */
static int cpu_sync(struct gpu *g, struct err *e)
{
	return 0;
}

static const struct gpu_ops cpu_ops = {
	.device = "cpu",
	.layout = "cpu 1",
	.close = cpu_close,
	.sync = cpu_sync,
	.alloc = cpu_alloc,
	.release = cpu_release,
	.bytes_free = cpu_bytes_free,
	.write = cpu_transfer,
	.read = cpu_transfer,
	.zero = cpu_zero,
	.guard = GUARD,
	.matrix_bytes = cpu_matrix_bytes,
	.put_rows = cpu_put_rows,
	.linear = cpu_linear,
	.norm_linear = cpu_norm_linear,
	.feed_forward = cpu_feed_forward,
	.linear_grouped = cpu_linear_grouped,
	.conv1d = cpu_conv1d,
	.leaky_conv1d = cpu_leaky_conv1d,
	.conv_transpose1d = cpu_conv_transpose1d,
	.lstm = cpu_lstm,
	.gru = cpu_gru,
	.kv_size = cpu_kv_size,
	.attention_causal = cpu_attention_causal,
	.kv_fill = cpu_kv_fill,
	.attention_cross = cpu_attention_cross,
	.attention_full = cpu_attention_full,
	.attention_tiles = cpu_attention_tiles,
	.attention_windows = cpu_attention_windows,
	.conv2d = cpu_conv2d,
	.norm_conv2d = cpu_norm_conv2d,
	.concat = cpu_concat,
	.group_norm = cpu_group_norm,
	.norm = cpu_norm,
	.unary = cpu_unary,
	.leaky_relu = cpu_leaky_relu,
	.add = cpu_add,
	.copy = cpu_copy,
	.fill = cpu_fill,
	.embed_sum = cpu_embed_sum,
	.rvq_encode = cpu_rvq_encode,
	.rope = cpu_rope,
	.head_norm = cpu_head_norm,
	.snake = cpu_snake,
	.gated = cpu_gated,
	.normal = cpu_normal,
	.combine = cpu_combine,
	.guidance = cpu_guidance,
	.sample = cpu_sample,
	.next_column = cpu_next_column,
};

int gpu_cpu_open(struct gpu *g, int n_threads, struct err *e)
{
	struct cpu *c = xcalloc(1, sizeof(*c));
	int rc = pool_open(n_threads, &c->pool, e);

	if (rc) {
		free(c);
		return rc;
	}
	c->ops = cpu_ops;
	g->ops = &c->ops;
	g->device = c;
	use_isa(g, detect());
	if (c->isa == CPU_AMX) {
		c->ops.splits = true;
		c->ops.layout = "cpu 1 split";
	}
	return 0;
}
