/* Each access of a kernel, and whether it may.
 *
 * The compiler calls __tsan_readN() and __tsan_writeN() before each access of the .cu
 * files that it cannot prove to be local.  Shared memory has, for each byte, a stamp of
 * who wrote last and of two who read: two stamps of one epoch (between two barriers) by
 * different threads, one of them writing, are a race, unless __syncwarp() orders them.
 * Shuffles and votes order nothing, as in CUDA's memory model. */
#include "emulator.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulator_hot emulator_hot;
__thread bool emulator_in_kernel;

/* ---- shared memory ------------------------------------------------------ */

enum {
	SHARED_BYTES = 1 << 20, /* with gaps */
	GAP = 128,
	STATIC_MAX = 48 << 10, /* of a kernel's own arrays */
	MAX_ARRAYS = 64,
};

static const uint64_t CLOSED = UINT64_MAX;

alignas(256) static char shared[SHARED_BYTES];
static uint64_t wrote[SHARED_BYTES], read_last[SHARED_BYTES], read_other[SHARED_BYTES];

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
	memset(wrote + at, 0, bytes * sizeof(*wrote));
	shared_used = at + bytes;
	return shared + at;
}

void emulator_shared_begin(size_t dynamic)
{
	static bool is_begun;

	if (!is_begun)
		memset(wrote, 0xff, sizeof(wrote));
	is_begun = true;
	n_arrays = 0;
	shared_used = static_used = 0;
	add_array(NULL, "dynamic shared memory", dynamic, 256);
}

void emulator_shared_end(void)
{
	memset(wrote, 0xff, shared_used * sizeof(*wrote));
}

void *emulation_shared(const void *key, const char *name, size_t bytes, size_t align)
{
	for (int i = 1; i < n_arrays; i++)
		if (arrays[i].key == key)
			return shared + arrays[i].at;
	static_used = (static_used + align - 1) / align * align + bytes;
	if (static_used > STATIC_MAX)
		emulator_report(emulator_run.now,
			"%zu bytes of shared arrays with %s: a kernel's own may have %d",
			static_used, name, STATIC_MAX);
	if (static_used + arrays[0].bytes > emulator_device()->max_shared)
		emulator_report(emulator_run.now,
			"%zu bytes of shared arrays and %zu asked for: a block may have %zu",
			static_used, arrays[0].bytes, emulator_device()->max_shared);
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

/* What `stamp` stands for comes before what `me` does. */
static bool is_before(uint64_t stamp, uint64_t me)
{
	if (stamp >> STAMP_EPOCH != me >> STAMP_EPOCH || thread_of(stamp) == thread_of(me))
		return true;
	const unsigned a = thread_of(stamp), b = thread_of(me);
	if (a / LANES != b / LANES)
		return false;
	const struct emulator_warp *w = &emulator_run.warps[a / LANES];
	const unsigned clock =
		(unsigned)(stamp >> STAMP_CLOCK) & ((1u << (STAMP_EPOCH - STAMP_CLOCK)) - 1);
	return clock < w->full || (w->is_partial && clock < w->seen[b % LANES][a % LANES]);
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
	uintptr_t off, uint64_t other, const char *mine, const char *its, const void *pc)
{
	char text[EMULATOR_TEXT], at[EMULATOR_TEXT];
	const unsigned t = thread_of(other);
	const dim3 n = emulator_run.kernel->block;

	describe_shared(off, text);
	emulator_report(emulator_run.now,
		"race: %s what thread (%u,%u,%u) %s, no barrier between, at %s%s", mine, t % n.x,
		t / n.x % n.y, t / n.x / n.y, its, text, place(pc, at));
}

enum how { READ, WRITE, ATOMIC };

static void check_shared(uintptr_t off, size_t n, enum how how, const void *pc)
{
	static const char *const does[] = {"reads", "writes", "changes atomically"};
	const uint64_t me = emulator_hot.stamp | (how == ATOMIC ? STAMP_ATOMIC : 0);
	const uint64_t first = emulator_run.first_epoch << STAMP_EPOCH;
	char text[EMULATOR_TEXT], at[EMULATOR_TEXT];

	for (size_t i = off; i < off + n; i++) {
		const uint64_t w = wrote[i], r = read_last[i];
		if (w == CLOSED) {
			describe_shared(i, text);
			emulator_report(emulator_run.now, "out of bounds: %s %zu bytes at %s%s",
				does[how], n, text, place(pc, at));
		}
		if (w < first && how != WRITE) {
			describe_shared(i, text);
			emulator_report(emulator_run.now,
				"uninitialised: %s %zu bytes that nobody wrote at %s%s", does[how],
				n, text, place(pc, at));
		}
		if (w != me && !is_before(w, me) && !(how == ATOMIC && (w & STAMP_ATOMIC)))
			race(i, w, does[how], "wrote", pc);
		if (how == READ) {
			if (thread_of(r) != thread_of(me) &&
				(thread_of(r) / LANES != thread_of(me) / LANES ||
					read_other[i] < first))
				read_other[i] = r;
			read_last[i] = me;
			continue;
		}
		if (!is_before(r, me))
			race(i, r, does[how], "read", pc);
		if (!is_before(read_other[i], me))
			race(i, read_other[i], does[how], "read", pc);
		wrote[i] = me;
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
	static const char *const does[] = {"reads", "writes", "changes atomically"};
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
		is_open(a - emulator_base, n))
		return;
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

/* ---- what kernel.h calls ------------------------------------------------ */

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
}
