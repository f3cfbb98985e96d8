/* Each access of a kernel, and whether it may.
 *
 * The compiler calls __tsan_readN() and __tsan_writeN() before each access of the .cu
 * files that it cannot prove to be local.  Shared memory has, for each word, a stamp of
 * who wrote last and of two who read: two stamps of one epoch (between two barriers) by
 * different threads, one of them writing, are a race, unless __syncwarp() orders them.
 * Shuffles and votes order nothing, as in CUDA's memory model.  Where smaller pieces are
 * touched, each byte of the word has its own stamps until the block ends.  Global memory
 * has stamps for whole words. */
#include "tests/emulation/emulator.hpp"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulator_hot emulator_hot;
__thread bool emulator_in_kernel;

/* ---- shared memory ------------------------------------------------------ */

enum {
	SHARED_BYTES = 512 << 10, /* with gaps */
	WORD = EMULATOR_WORD,
	GAP = 128,
	MAX_ARRAYS = 64,
};

static const uint64_t CLOSED = UINT64_MAX, ALWAYS = UINT64_MAX;

alignas(256) static char shared[SHARED_BYTES];
static struct emulator_trace words[SHARED_BYTES / WORD]; /* wrote CLOSED: no array's */
static struct emulator_trace bytes_of[SHARED_BYTES];
/* The block (its first epoch) in which the bytes have their own traces, or ALWAYS. */
static uint64_t split[SHARED_BYTES / WORD];

static struct array {
	const void *key;
	const char *name;
	size_t at, bytes;
} arrays[MAX_ARRAYS];
static int n_arrays;
static size_t shared_used, static_used;

static char *add_array(const void *key, const char *name, size_t bytes, size_t align)
{
	size_t at = shared_used + GAP;

	align = align < 16 ? 16 : align;
	at = (at + align - 1) / align * align;
	if (n_arrays == MAX_ARRAYS || at + bytes + GAP > SHARED_BYTES)
		emulator_report(emulator_run.now, "too many arrays in shared memory");
	arrays[n_arrays++] = {key, name, at, bytes};
	memset(words + at / WORD, 0, bytes / WORD * sizeof(*words));
	if (bytes % WORD) {
		split[(at + bytes) / WORD] = ALWAYS;
		memset(bytes_of + at + bytes / WORD * WORD, 0, bytes % WORD * sizeof(*bytes_of));
	}
	shared_used = at + bytes;
	return shared + at;
}

static void close_to(size_t end)
{
	memset(words, 0xff, end / WORD * sizeof(*words));
	memset(bytes_of, 0xff, end * sizeof(*bytes_of));
	memset(split, 0, end / WORD * sizeof(*split));
}

void emulator_shared_begin(size_t dynamic)
{
	static bool is_begun;

	if (!is_begun)
		close_to(SHARED_BYTES);
	is_begun = true;
	n_arrays = 0;
	shared_used = static_used = 0;
	add_array(NULL, "dynamic shared memory", dynamic, 256);
}

void emulator_shared_end(void)
{
	close_to(shared_used + GAP);
}

bool emulator_is_shared(const void *p)
{
	return (uintptr_t)p - (uintptr_t)shared < SHARED_BYTES;
}

void *emulation_shared(const void *key, const char *name, size_t bytes, size_t align)
{
	for (int i = 1; i < n_arrays; i++)
		if (arrays[i].key == key)
			return shared + arrays[i].at;
	static_used = (static_used + align - 1) / align * align + bytes;
	if (static_used > SHARED_PLAIN)
		emulator_report(emulator_run.now,
			"%zu bytes of shared arrays with %s: a kernel's own may have %zu",
			static_used, name, SHARED_PLAIN);
	const size_t limit = emulator_shared_limit(emulator_run.kernel->function);
	if (static_used + arrays[0].bytes > limit)
		emulator_report(emulator_run.now,
			"%zu bytes of shared arrays and %zu asked for: a block may have %zu%s",
			static_used, arrays[0].bytes, limit,
			limit == SHARED_PLAIN ? " without cudaFuncSetAttribute()" : "");
	return add_array(key, name, bytes, align);
}

void *emulation_dynamic_shared(size_t align)
{
	return shared + arrays[0].at;
}

static void describe_shared(uintptr_t off, char out[EMULATOR_TEXT])
{
	const struct array *a = &arrays[0];

	for (int i = 0; i < n_arrays; i++)
		if (arrays[i].at <= off + GAP / 2 && (arrays[i].bytes || !a->bytes))
			a = &arrays[i];
	snprintf(out, EMULATOR_TEXT, "shared %s (%zu bytes) %c %zu", a->name, a->bytes,
		off < a->at ? '-' : '+', off < a->at ? a->at - off : off - a->at);
}

static unsigned thread_of(uint64_t stamp)
{
	return stamp & (STAMP_ATOMIC - 1);
}

/* Of one epoch and two threads: whether __syncwarp() came between. */
static bool is_ordered_by_warp(uint64_t stamp, uint64_t me)
{
	const unsigned a = thread_of(stamp), b = thread_of(me);

	if (a / LANES != b / LANES)
		return false;
	const struct emulator_warp *w = &emulator_run.warps[a / LANES];
	const unsigned clock =
		(unsigned)(stamp >> STAMP_CLOCK) & ((1u << (STAMP_EPOCH - STAMP_CLOCK)) - 1);
	return clock < w->full || (w->is_partial && clock < w->seen[b % LANES][a % LANES]);
}

/* What `stamp` stands for comes before what `me` does. */
static inline bool is_before(uint64_t stamp, uint64_t me)
{
	return stamp >> STAMP_EPOCH != me >> STAMP_EPOCH || thread_of(stamp) == thread_of(me) ||
	       is_ordered_by_warp(stamp, me);
}

static const char *place(const void *pc, char out[EMULATOR_TEXT])
{
	Dl_info where;

	out[0] = '\0';
	if (pc && dladdr(pc, &where) && where.dli_fname) {
		const char *slash = strrchr(where.dli_fname, '/');
		snprintf(out, EMULATOR_TEXT, " [%s+0x%zx]", slash ? slash + 1 : where.dli_fname,
			(size_t)((const char *)pc - (const char *)where.dli_fbase));
	}
	return out;
}

[[noreturn]] static void race(
	const void *p, uint64_t other, const char *mine, const char *its, const void *pc)
{
	char text[EMULATOR_TEXT], at[EMULATOR_TEXT];
	const unsigned t = thread_of(other);
	const dim3 n = emulator_run.kernel->block;

	if (emulator_is_device(p))
		emulator_describe_device(p, text);
	else
		describe_shared((uintptr_t)p - (uintptr_t)shared, text);
	emulator_report(emulator_run.now,
		"race: %s what thread (%u,%u,%u)%s %s, no barrier between, at %s%s", mine, t % n.x,
		t / n.x % n.y, t / n.x / n.y,
		other >> STAMP_EPOCH < emulator_run.first_epoch ? " of another block" : "", its,
		text, place(pc, at));
}

enum how { READ, WRITE, ATOMIC };
static const char *const does[] = {"reads", "writes", "changes atomically"};

[[noreturn]] static void report_shared(
	const char *what, size_t off, size_t n, enum how how, const char *which, const void *pc)
{
	char text[EMULATOR_TEXT], at[EMULATOR_TEXT];

	describe_shared(off, text);
	emulator_report(emulator_run.now, "%s: %s %zu bytes%s at %s%s", what, does[how], n, which,
		text, place(pc, at));
}

static inline void check_trace(
	struct emulator_trace *t, uint64_t me, size_t off, size_t n, enum how how, const void *pc)
{
	const uint64_t first = emulator_run.first_epoch << STAMP_EPOCH, wrote = t->wrote;

	if (wrote == CLOSED)
		report_shared("out of bounds", off, n, how, "", pc);
	if (wrote < first && how != WRITE)
		report_shared("uninitialised", off, n, how, " that nobody wrote", pc);
	if (wrote != me && !is_before(wrote, me) && !(how == ATOMIC && wrote & STAMP_ATOMIC))
		race(shared + off, wrote, does[how], "wrote", pc);
	if (how == READ) {
		if (t->read == me)
			return;
		/* Of another warp rather than of this one, which __syncwarp() may order. */
		if (thread_of(t->read) != thread_of(me) &&
			(thread_of(t->read) / LANES != thread_of(me) / LANES ||
				t->read_before < first))
			t->read_before = t->read;
		t->read = me;
		return;
	}
	if (!is_before(t->read, me))
		race(shared + off, t->read, does[how], "read", pc);
	if (!is_before(t->read_before, me))
		race(shared + off, t->read_before, does[how], "read", pc);
	t->wrote = me;
}

static void check_shared(uintptr_t off, size_t n, enum how how, const void *pc)
{
	const uint64_t me = emulator_hot.stamp | (how == ATOMIC ? STAMP_ATOMIC : 0);
	const uint64_t block = emulator_run.first_epoch;
	const size_t end = off + n;

	for (size_t i = off, to; i < end; i = to) {
		const size_t word = i / WORD;
		const bool is_split = split[word] == block || split[word] == ALWAYS;
		to = (word + 1) * WORD < end ? (word + 1) * WORD : end;
		if (to - i == WORD && !is_split) {
			check_trace(&words[word], me, i, n, how, pc);
			continue;
		}
		for (size_t j = word * WORD; !is_split && j < (word + 1) * WORD; j++)
			bytes_of[j] = words[word];
		if (!is_split)
			split[word] = block;
		for (size_t j = i; j < to; j++)
			check_trace(&bytes_of[j], me, j, n, how, pc);
	}
}

/* ---- races through global memory ---------------------------------------- */

/* Launches come one after another, so do the parts of a block between barriers.  Blocks of
 * a launch do not, unless this one changed something atomically: then it may know. */
static inline bool is_over(uint64_t stamp, uint64_t me)
{
	const uint64_t epoch = stamp >> STAMP_EPOCH;

	if (epoch < emulator_run.launch_epoch)
		return true;
	return epoch < emulator_run.first_epoch ? emulator_run.has_atomic : is_before(stamp, me);
}

/* An early kernel before after_previous(). */
static void check_ahead(uintptr_t off, size_t n, enum how how, const void *pc)
{
	char at[EMULATOR_TEXT], text[EMULATOR_TEXT];
	const uint64_t done = emulator_run.done_epoch << STAMP_EPOCH;
	bool is_fine = how == READ;

	for (size_t i = off / WORD; is_fine && i < (off + n) / WORD; i++)
		is_fine = emulator_traces[i].wrote < done;
	if (is_fine)
		return;
	emulator_describe_device((const void *)(emulator_base + off), text);
	emulator_report(emulator_run.now, "ahead: %s %zu bytes at %s before after_previous()%s",
		does[how], n, text, place(pc, at));
}

/* Whole words: what is smaller is not traced. */
static inline void check_global(uintptr_t off, size_t n, enum how how, const void *pc)
{
	const uint64_t me = emulator_hot.stamp | (how == ATOMIC ? STAMP_ATOMIC : 0);

	if (emulator_hot.is_ahead)
		check_ahead(off, n, how, pc);
	emulator_run.has_atomic |= how == ATOMIC;
	for (size_t i = off / WORD; i < (off + n) / WORD; i++) {
		struct emulator_trace *t = &emulator_traces[i];
		const void *p = (const void *)(emulator_base + i * WORD);
		if (t->wrote != me && !is_over(t->wrote, me) &&
			!(how == ATOMIC && t->wrote & STAMP_ATOMIC))
			race(p, t->wrote, does[how], "wrote", pc);
		if (how == READ) {
			if (t->read == me)
				continue;
			if (thread_of(t->read) != thread_of(me) || is_over(t->read_before, me))
				t->read_before = t->read;
			t->read = me;
			continue;
		}
		if (!is_over(t->read, me))
			race(p, t->read, does[how], "read", pc);
		if (!is_over(t->read_before, me))
			race(p, t->read_before, does[how], "read", pc);
		t->wrote = me;
	}
}

/* ---- the rest of memory ------------------------------------------------- */

/* The module's constants, and what else of it a kernel could read. */
static struct image {
	uintptr_t from, to;
} image;

static int find_image(struct dl_phdr_info *info, size_t size, void *ud)
{
	uintptr_t from = UINTPTR_MAX, to = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		const uintptr_t at = info->dlpi_addr + h->p_vaddr;
		if (h->p_type != PT_LOAD)
			continue;
		from = at < from ? at : from;
		to = at + h->p_memsz > to ? at + h->p_memsz : to;
	}
	if ((uintptr_t)&image < from || (uintptr_t)&image >= to)
		return 0;
	image = {from, to};
	return 1;
}

static bool holds(uintptr_t from, size_t bytes, uintptr_t a, size_t n)
{
	return a - from < bytes && n <= bytes - (a - from);
}

/* Not the thread's stack, not open device memory, not shared memory. */
static void check_rest(uintptr_t a, size_t n, enum how how, const void *pc)
{
	const struct emulator_run *run = &emulator_run;
	char text[EMULATOR_TEXT], at[EMULATOR_TEXT];

	if (!image.to)
		dl_iterate_phdr(find_image, NULL);
	if (how == READ && (holds((uintptr_t)run->args, run->kernel->args_bytes, a, n) ||
				   holds(image.from, image.to - image.from, a, n)))
		return;
	if (emulator_is_device((void *)a)) {
		emulator_describe_device(emulator_first_closed((void *)a, n) ?: (void *)a, text);
		emulator_report(run->now, "out of bounds: %s %zu bytes at %s%s", does[how], n, text,
			place(pc, at));
	}
	const char *what = "of the host";
	if (emulator_is_pinned((void *)a))
		what = "of the host (pinned)";
	else if (holds(image.from, image.to - image.from, a, n))
		what = "of the program";
	else if (a < 4096)
		what = "at NULL";
	else if (emulator_is_stack((void *)a))
		what = "local to another thread";
	emulator_report(
		run->now, "%s %zu bytes %s, %p%s", does[how], n, what, (void *)a, place(pc, at));
}

static inline bool is_open(uintptr_t off, size_t n)
{
	uint32_t bits;

	if (n > 16)
		return !emulator_first_closed((void *)(emulator_base + off), n);
	memcpy(&bits, emulator_open + off / 8, sizeof(bits));
	const uint32_t mask = (1u << n) - 1;
	return (bits >> off % 8 & mask) == mask;
}

static inline void check(uintptr_t a, size_t n, enum how how, const void *pc)
{
	if (!emulator_in_kernel) {
		if (emulator_is_device((void *)a))
			emulator_report_launch("the host", "touches device memory");
		return;
	}
	if (a - emulator_hot.stack <= STACK - n)
		return;
	if (a - emulator_base < emulator_bytes && n <= emulator_bytes - (a - emulator_base) &&
		is_open(a - emulator_base, n)) {
		if (n >= WORD && emulator_traces)
			check_global(a - emulator_base, n, how, pc);
		return;
	}
	const uintptr_t off = a - (uintptr_t)shared;
	if (off < SHARED_BYTES && n <= SHARED_BYTES - off)
		check_shared(off, n, how, pc);
	else if (n)
		check_rest(a, n, how, pc);
}

void emulator_check(const void *p, size_t bytes, bool is_write, const void *pc)
{
	check((uintptr_t)p, bytes, is_write ? WRITE : READ, pc);
}

/* ---- what kernel.cuh calls ------------------------------------------------ */

#define PC __builtin_return_address(0)

void emulation_check_atomic(const void *p, size_t bytes)
{
	check((uintptr_t)p, bytes, ATOMIC, PC);
	if ((uintptr_t)p % bytes)
		emulator_report(
			emulator_run.now, "misaligned: an atomic of %zu bytes at %p", bytes, p);
}

uint64_t emulation_load(const void *p, size_t bytes)
{
	uint64_t bits = 0;

	memcpy(&bits, p, bytes);
	return bits;
}

void emulation_store(void *p, uint64_t bits, size_t bytes)
{
	memcpy(p, &bits, bytes);
}

void *emulation_memcpy(void *dst, const void *src, size_t bytes)
{
	check((uintptr_t)src, bytes, READ, PC);
	check((uintptr_t)dst, bytes, WRITE, PC);
	return memcpy(dst, src, bytes);
}

void *emulation_memset(void *dst, int value, size_t bytes)
{
	check((uintptr_t)dst, bytes, WRITE, PC);
	return memset(dst, value, bytes);
}

/* ---- what the compiler calls -------------------------------------------- */

extern "C" {
void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_vptr_update(void **p, void *v);
void __tsan_vptr_read(void **p);
void __tsan_read_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n);

void __tsan_init(void)
{
}
void __tsan_func_entry(void *pc)
{
}
void __tsan_func_exit(void)
{
}
void __tsan_vptr_update(void **p, void *v)
{
}
void __tsan_vptr_read(void **p)
{
}
void __tsan_read_range(void *p, size_t n)
{
	check((uintptr_t)p, n, READ, PC);
}
void __tsan_write_range(void *p, size_t n)
{
	check((uintptr_t)p, n, WRITE, PC);
}

#define TOUCHES(n)                                                                                 \
	TOUCH(__tsan_read##n, n, READ)                                                             \
	TOUCH(__tsan_write##n, n, WRITE)                                                           \
	TOUCH(__tsan_unaligned_read##n, n, READ)                                                   \
	TOUCH(__tsan_unaligned_write##n, n, WRITE)                                                 \
	TOUCH(__tsan_volatile_read##n, n, READ)                                                    \
	TOUCH(__tsan_volatile_write##n, n, WRITE)                                                  \
	TOUCH(__tsan_read_write##n, n, WRITE)                                                      \
	TOUCH(__tsan_unaligned_read_write##n, n, WRITE)
#define TOUCH(name, n, how)                                                                        \
	void name(void *p);                                                                        \
	void name(void *p)                                                                         \
	{                                                                                          \
		check((uintptr_t)p, n, how, PC);                                                   \
	}
TOUCHES(1)
TOUCHES(2)
TOUCHES(4)
TOUCHES(8)
TOUCHES(16)

/* Atomic accesses of std::atomic and of guards; fibres are atomic as they are. */
#define ATOMIC_CHANGE(bits, name, result)                                                          \
	uint##bits##_t __tsan_atomic##bits##_##name(                                               \
		volatile uint##bits##_t *p, uint##bits##_t v, int order);                          \
	uint##bits##_t __tsan_atomic##bits##_##name(                                               \
		volatile uint##bits##_t *p, uint##bits##_t v, int order)                           \
	{                                                                                          \
		check((uintptr_t)p, bits / 8, ATOMIC, PC);                                         \
		return result;                                                                     \
	}
#define ATOMICS(bits)                                                                              \
	ATOMIC_CHANGE(bits, exchange, __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST))                 \
	ATOMIC_CHANGE(bits, fetch_add, __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST))                 \
	ATOMIC_CHANGE(bits, fetch_sub, __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST))                 \
	ATOMIC_CHANGE(bits, fetch_and, __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))                 \
	ATOMIC_CHANGE(bits, fetch_or, __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))                   \
	ATOMIC_CHANGE(bits, fetch_xor, __atomic_fetch_xor(p, v, __ATOMIC_SEQ_CST))                 \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order);    \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order)     \
	{                                                                                          \
		check((uintptr_t)p, bits / 8, READ, PC);                                           \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                       \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order); \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order)  \
	{                                                                                          \
		check((uintptr_t)p, bits / 8, ATOMIC, PC);                                         \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                          \
	}                                                                                          \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *p,              \
		uint##bits##_t *is, uint##bits##_t v, int order, int failed);                      \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *p,              \
		uint##bits##_t *is, uint##bits##_t v, int order, int failed)                       \
	{                                                                                          \
		check((uintptr_t)p, bits / 8, ATOMIC, PC);                                         \
		return __atomic_compare_exchange_n(                                                \
			p, is, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                      \
	}
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

/* -fsanitize=alignment,bounds,signed-integer-overflow,integer-divide-by-zero: on the
 * device the first ends the context, the others give nonsense. */
struct source {
	const char *file;
	uint32_t line, column;
};
struct type_mismatch {
	struct source at;
	const void *type;
	unsigned char log_alignment, kind;
};

void __ubsan_handle_type_mismatch_v1(const struct type_mismatch *m, uintptr_t p);
void __ubsan_handle_out_of_bounds(const struct source *at, uintptr_t index);
void __ubsan_handle_add_overflow(const struct source *at, uintptr_t a, uintptr_t b);
void __ubsan_handle_sub_overflow(const struct source *at, uintptr_t a, uintptr_t b);
void __ubsan_handle_mul_overflow(const struct source *at, uintptr_t a, uintptr_t b);
void __ubsan_handle_negate_overflow(const struct source *at, uintptr_t a);
void __ubsan_handle_divrem_overflow(const struct source *at, uintptr_t a, uintptr_t b);

[[noreturn]] static void undefined(const struct source *at, const char *what, uintptr_t value)
{
	const char *slash = strrchr(at->file, '/');
	const char *file = slash ? slash + 1 : at->file;

	if (emulator_in_kernel)
		emulator_report(emulator_run.now, what, value, file, at->line);
	emulator_report_launch("the host", what, value, file, at->line);
}

void __ubsan_handle_type_mismatch_v1(const struct type_mismatch *m, uintptr_t p)
{
	undefined(&m->at, "misaligned: %#lx (%s:%u)", p);
}
void __ubsan_handle_out_of_bounds(const struct source *at, uintptr_t index)
{
	undefined(at, "out of bounds: index %ld of an array (%s:%u)", index);
}
void __ubsan_handle_add_overflow(const struct source *at, uintptr_t a, uintptr_t b)
{
	undefined(at, "overflow: %ld + ... (%s:%u)", a);
}
void __ubsan_handle_sub_overflow(const struct source *at, uintptr_t a, uintptr_t b)
{
	undefined(at, "overflow: %ld - ... (%s:%u)", a);
}
void __ubsan_handle_mul_overflow(const struct source *at, uintptr_t a, uintptr_t b)
{
	undefined(at, "overflow: %ld * ... (%s:%u)", a);
}
void __ubsan_handle_negate_overflow(const struct source *at, uintptr_t a)
{
	undefined(at, "overflow: -(%ld) (%s:%u)", a);
}
void __ubsan_handle_divrem_overflow(const struct source *at, uintptr_t a, uintptr_t b)
{
	undefined(at, "division by zero: of %ld (%s:%u)", a);
}
}
