/* Blocks of threads as fibres; barriers, shuffles, votes.
 *
 * A fibre runs until it waits or returns, then the next that can run does.  A warp is
 * finished with an op when its last lane comes, a block with a barrier likewise; when
 * nobody can run and somebody waits, some thread did not come, and that is reported.
 * Blocks run in an order drawn anew for each launch, so do the warps and lanes of each. */
#include "tests/emulation/emulator.hpp"
#include "gpu/asan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(WITH_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

struct emulator_run emulator_run;

static struct emulator_fibre fibres[MAX_THREADS];
static char *stacks;
static void *scheduler; /* its stack pointer while fibres run */

static unsigned order[MAX_WARPS]; /* of warps */
static unsigned at_warp;          /* place in order */
static unsigned first_lane;
static bool is_backwards;
static uint64_t random_state;

static unsigned n_done, n_at_barrier;
static struct {
	enum emulation_vote vote;
	int line;
	unsigned n_true;
	int result;
} barrier;

/* ---- reports ------------------------------------------------------------ */

/* The name as LAUNCH has it may stand in parentheses. */
static void name_of(const char *name, char out[EMULATOR_TEXT])
{
	const size_t n = strlen(name);
	const bool is_wrapped = n > 1 && name[0] == '(' && name[n - 1] == ')';

	snprintf(out, EMULATOR_TEXT, "%.*s", (int)(is_wrapped ? n - 2 : n), name + is_wrapped);
}

void emulator_report(const struct emulator_fibre *who, const char *fmt, ...)
{
	const struct emulator_run *run = &emulator_run;
	char what[512], name[EMULATOR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	name_of(run->kernel->name, name);
	fprintf(stderr, "emulated CUDA: %s block (%u,%u,%u) thread (%u,%u,%u): %s\n", name,
		run->block.x, run->block.y, run->block.z, who->at.x, who->at.y, who->at.z, what);
	abort();
}

void emulator_report_launch(const char *kernel, const char *fmt, ...)
{
	char what[512], name[EMULATOR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	name_of(kernel, name);
	fprintf(stderr, "emulated CUDA: %s: %s\n", name, what);
	abort();
}

/* ---- fibres ------------------------------------------------------------- */

extern "C" {
/* Keeps the registers and the stack pointer at *from, and goes on where `to` was kept. */
void emulator_switch(void **from, void *to);
void emulator_start(void);
}

#if defined(__x86_64__)
asm(R"(
	.text
	.globl emulator_switch
	.hidden emulator_switch
	.type emulator_switch, @function
emulator_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size emulator_switch, .-emulator_switch
)");

static void *new_stack(char *top)
{
	void **sp = (void **)top - 8;

	memset(sp, 0, 8 * sizeof(*sp));
	sp[6] = (void *)emulator_start;
	return sp;
}
#elif defined(__aarch64__)
asm(R"(
	.text
	.globl emulator_switch
	.hidden emulator_switch
	.type emulator_switch, %function
emulator_switch:
	sub sp, sp, #160
	stp x19, x20, [sp]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	ret
	.size emulator_switch, .-emulator_switch
)");

static void *new_stack(char *top)
{
	void **sp = (void **)top - 20;

	memset(sp, 0, 20 * sizeof(*sp));
	sp[11] = (void *)emulator_start;
	return sp;
}
#else
#include <ucontext.h>

/* *from and `to` are contexts; the scheduler's is made when it is first left. */
void emulator_switch(void **from, void *to)
{
	static ucontext_t main_context;

	if (!*from)
		*from = &main_context;
	swapcontext((ucontext_t *)*from, (ucontext_t *)to);
}

static void *new_stack(char *top)
{
	static ucontext_t contexts[MAX_THREADS];
	ucontext_t *c = &contexts[(top - stacks) / APART];

	getcontext(c);
	c->uc_stack.ss_sp = top - STACK;
	c->uc_stack.ss_size = STACK;
	c->uc_link = NULL;
	makecontext(c, emulator_start, 0);
	return c;
}
#endif

/* Stacks an odd number of cache lines apart do not fight for the same ones. */
enum { APART = STACK + 65 * 64 };
static const size_t STACKS = (size_t)MAX_THREADS * APART;

static void make_fibres(void)
{
	void *p = mmap(NULL, STACKS, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	stacks = (char *)p;
	for (unsigned i = 0; i < MAX_THREADS; i++) {
		fibres[i].stack = stacks + (size_t)i * APART;
		fibres[i].index = i;
		fibres[i].sp = new_stack(fibres[i].stack + STACK);
	}
}

#if defined(WITH_ASAN)
/* The scheduler's stack, and what ASan keeps of it. */
static const void *scheduler_stack;
static size_t scheduler_bytes;
static void *scheduler_frames;
static bool is_from_scheduler;

/* On the stack that was switched to; frames: kept when it was left, or NULL. */
static void arrive(void *frames)
{
	const void *stack;
	size_t bytes;

	__sanitizer_finish_switch_fiber(frames, &stack, &bytes);
	if (is_from_scheduler) {
		scheduler_stack = stack;
		scheduler_bytes = bytes;
	}
}
#endif

/* From one fibre to another; NULL stands for the scheduler. */
static void go(struct emulator_fibre *from, struct emulator_fibre *to)
{
#if defined(WITH_ASAN)
	void **frames = from ? &from->frames : &scheduler_frames;

	is_from_scheduler = !from;
	__sanitizer_start_switch_fiber(
		frames, to ? to->stack : scheduler_stack, to ? (size_t)STACK : scheduler_bytes);
#endif
	emulator_switch(from ? &from->sp : &scheduler, to ? to->sp : scheduler);
#if defined(WITH_ASAN)
	arrive(*frames);
#endif
}

bool emulator_is_stack(const void *p)
{
	return (const char *)p >= stacks && (const char *)p < stacks + STACKS;
}

/* ---- who runs next ------------------------------------------------------ */

static unsigned draw(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33);
}

static struct emulator_warp *warp_of(const struct emulator_fibre *f)
{
	return &emulator_run.warps[f->index / LANES];
}

/* The thread is now who accesses. */
static void set_hot(const struct emulator_fibre *f)
{
	emulator_hot.stack = (uintptr_t)f->stack;
	emulator_hot.stamp = emulator_run.epoch << STAMP_EPOCH |
			     (uint64_t)warp_of(f)->clock << STAMP_CLOCK | f->index;
	emulator_hot.is_ahead = emulator_run.kernel->is_early && !f->has_waited;
}

void emulation_after_previous(void)
{
	emulator_run.now->has_waited = emulator_run.has_waited = true;
	emulator_hot.is_ahead = false;
}

static struct emulator_fibre *pick(void)
{
	struct emulator_run *run = &emulator_run;

	for (unsigned i = 0; i < run->n_warps; i++) {
		struct emulator_warp *w = &run->warps[order[at_warp]];
		if (w->ready) {
			const unsigned n = first_lane;
			const unsigned turned = w->ready >> n | w->ready << (-n & 31);
			const unsigned lane =
				n + (unsigned)(is_backwards ? 31 - __builtin_clz(turned)
							    : __builtin_ctz(turned));
			w->ready &= ~(1u << lane % LANES);
			return &fibres[order[at_warp] * LANES + lane % LANES];
		}
		at_warp = at_warp + 1 == run->n_warps ? 0 : at_warp + 1;
	}
	return NULL;
}

/* The running thread cannot go on. */
static void leave(struct emulator_fibre *me)
{
	struct emulator_fibre *next = pick();

	emulator_run.now = next;
	if (next)
		set_hot(next);
	go(me, next);
}

/* A fibre serves one thread after another. */
void emulator_start(void)
{
#if defined(WITH_ASAN)
	arrive(NULL);
#endif
	for (;;) {
		struct emulator_fibre *me = emulator_run.now;
		emulator_run.kernel->call(emulator_run.args);
		warp_of(me)->done |= 1u << me->index % LANES;
		n_done++;
		leave(me);
	}
}

/* ---- barriers ----------------------------------------------------------- */

static void open_barrier(void)
{
	struct emulator_run *run = &emulator_run;
	const unsigned n = barrier.n_true;

	barrier.result = barrier.vote == EMULATION_AND  ? n == run->n_threads
			 : barrier.vote == EMULATION_OR ? n > 0
							: (int)n;
	barrier.n_true = 0;
	n_at_barrier = 0;
	run->epoch++;
	for (unsigned w = 0; w < run->n_warps; w++) {
		struct emulator_warp *warp = &run->warps[w];
		warp->ready = warp->exist;
		warp->clock = warp->full = 0;
		warp->is_partial = false;
	}
}

int emulation_barrier(enum emulation_vote vote, int predicate, int line)
{
	struct emulator_run *run = &emulator_run;
	struct emulator_fibre *me = run->now;

	if (n_at_barrier++ == 0)
		barrier.vote = vote, barrier.line = line;
	else if (line != barrier.line || vote != barrier.vote)
		emulator_report(me,
			"divergent barrier: __syncthreads() of line %d, but others of the block "
			"wait at that of line %d",
			line, barrier.line);
	barrier.n_true += predicate != 0;
	me->line = line;
	me->is_at_barrier = true;
	if (n_at_barrier < run->n_threads) {
		leave(me);
	} else {
		open_barrier();
		warp_of(me)->ready &= ~(1u << me->index % LANES);
		set_hot(me);
	}
	me->is_at_barrier = false;
	return barrier.result;
}

/* ---- warps -------------------------------------------------------------- */

static const char *op_name(enum emulation_warp_op op)
{
	switch (op) {
	case EMULATION_SYNC:
		return "__syncwarp()";
	case EMULATION_SHUFFLE:
	case EMULATION_SHUFFLE_UP:
	case EMULATION_SHUFFLE_DOWN:
	case EMULATION_SHUFFLE_XOR:
		return "shuffle";
	case EMULATION_BALLOT:
		return "vote";
	case EMULATION_MATCH_ANY:
		return "match";
	case EMULATION_MMA:
		return "matrix product";
	case EMULATION_LDMATRIX:
		return "ldmatrix";
	default:
		return "reduction";
	}
}

/* Lanes of the mask now see what the others did before. */
static void sync_lanes(struct emulator_warp *w, unsigned mask)
{
	const unsigned last = (1u << (STAMP_EPOCH - STAMP_CLOCK)) - 1;
	unsigned joined[LANES] = {0};

	w->clock += w->clock < last;
	if (mask == w->exist) {
		w->full = w->clock;
		return;
	}
	if (!w->is_partial)
		memset(w->seen, 0, sizeof(w->seen));
	w->is_partial = true;
	for (unsigned b = 0; b < LANES; b++)
		for (unsigned a = 0; a < LANES && mask >> b & 1; a++)
			joined[a] = w->seen[b][a] > joined[a] ? w->seen[b][a] : joined[a];
	for (unsigned a = 0; a < LANES; a++)
		joined[a] = mask >> a & 1 ? w->clock : joined[a];
	for (unsigned b = 0; b < LANES; b++)
		if (mask >> b & 1)
			memcpy(w->seen[b], joined, sizeof(joined));
}

static uint64_t shuffled(struct emulator_fibre *warp, unsigned lane)
{
	struct emulator_fibre *f = &warp[lane];
	const unsigned first = lane & ~((unsigned)f->width - 1), end = first + (unsigned)f->width;
	unsigned from = lane;

	if (f->op == EMULATION_SHUFFLE)
		from = first + (f->lane & ((unsigned)f->width - 1));
	else if (f->op == EMULATION_SHUFFLE_UP && lane - first >= f->lane)
		from = lane - f->lane;
	else if (f->op == EMULATION_SHUFFLE_DOWN && f->lane < end - lane)
		from = lane + f->lane;
	else if (f->op == EMULATION_SHUFFLE_XOR && (lane ^ f->lane) < end)
		from = lane ^ f->lane;
	if (!(f->mask >> from & 1))
		emulator_report(f, "shuffle: reads lane %u, which the mask 0x%08x does not name",
			from, f->mask);
	return warp[from].value;
}

static uint64_t reduced(enum emulation_warp_op op, uint64_t a, uint64_t b)
{
	switch (op) {
	case EMULATION_REDUCE_ADD:
		return (uint32_t)(a + b);
	case EMULATION_REDUCE_MIN:
		return (uint32_t)a < (uint32_t)b ? a : b;
	case EMULATION_REDUCE_MAX:
		return (uint32_t)a > (uint32_t)b ? a : b;
	case EMULATION_REDUCE_MIN_SIGNED:
		return (int32_t)a < (int32_t)b ? a : b;
	case EMULATION_REDUCE_MAX_SIGNED:
		return (int32_t)a > (int32_t)b ? a : b;
	case EMULATION_REDUCE_AND:
		return a & b;
	case EMULATION_REDUCE_OR:
		return a | b;
	default:
		return a ^ b;
	}
}

static void finish_op(struct emulator_warp *w, struct emulator_fibre *warp, unsigned mask,
	enum emulation_warp_op op)
{
	uint64_t all = 0;
	bool is_first = true;

	if (op == EMULATION_SYNC)
		sync_lanes(w, mask);
	else if (op == EMULATION_MMA)
		emulator_multiply(warp);
	else if (op == EMULATION_LDMATRIX)
		emulator_load_matrices(warp);
	for (unsigned left = mask; left && op > EMULATION_SHUFFLE_XOR; left &= left - 1) {
		const unsigned l = (unsigned)__builtin_ctz(left);
		if (op == EMULATION_BALLOT)
			all |= warp[l].value << l;
		else
			all = is_first ? warp[l].value : reduced(op, all, warp[l].value);
		is_first = false;
	}
	for (unsigned left = mask; left; left &= left - 1) {
		const unsigned l = (unsigned)__builtin_ctz(left);
		if (op >= EMULATION_SHUFFLE && op <= EMULATION_SHUFFLE_XOR)
			warp[l].result = shuffled(warp, l);
		else
			warp[l].result = all;
		if (op == EMULATION_MATCH_ANY) {
			warp[l].result = 0;
			for (unsigned o = 0; o < LANES; o++)
				if (mask >> o & 1 && warp[o].value == warp[l].value)
					warp[l].result |= 1u << o;
		}
	}
}

/* The lanes of me->mask meet; the last one to come does the work. */
uint64_t emulator_meet(struct emulator_fibre *me)
{
	struct emulator_warp *w = warp_of(me);
	struct emulator_fibre *warp = &fibres[me->index / LANES * LANES];
	const unsigned self = 1u << me->index % LANES, mask = me->mask;
	bool is_complete;

	if (!(mask & self))
		emulator_report(me, "%s: the mask 0x%08x does not name the calling lane",
			op_name(me->op), mask);
	w->waiting |= self;
	is_complete = (w->waiting & mask) == mask;
	for (unsigned left = mask; left && is_complete; left &= left - 1) {
		const struct emulator_fibre *f = &warp[__builtin_ctz(left)];
		is_complete = f->op == me->op && f->mask == mask;
	}
	if (!is_complete) {
		leave(me);
		return me->result;
	}
	finish_op(w, warp, mask, me->op);
	w->waiting &= ~mask;
	w->ready |= mask & ~self;
	if (me->op == EMULATION_SYNC)
		set_hot(me);
	return me->result;
}

uint64_t emulation_warp(
	enum emulation_warp_op op, unsigned mask, uint64_t value, unsigned lane, int width)
{
	struct emulator_fibre *me = emulator_run.now;

	if (width < 1 || width > LANES || width & (width - 1))
		emulator_report(
			me, "%s: the width %d is not a power of two up to 32", op_name(op), width);
	me->op = op;
	me->mask = mask;
	me->value = value;
	me->lane = lane;
	me->width = width;
	return emulator_meet(me);
}

unsigned emulation_active_mask(void)
{
	return 1u << emulator_run.now->index % LANES;
}

/* ---- coordinates -------------------------------------------------------- */

uint3 emulation_thread_index(void)
{
	return emulator_run.now->at;
}

uint3 emulation_block_index(void)
{
	return emulator_run.block;
}

uint3 emulation_block_extent(void)
{
	const dim3 n = emulator_run.kernel->block;
	return uint3{n.x, n.y, n.z};
}

uint3 emulation_grid_extent(void)
{
	const dim3 n = emulator_run.kernel->grid;
	return uint3{n.x, n.y, n.z};
}

/* ---- blocks ------------------------------------------------------------- */

/* "has returned" */
static const char *whereabouts(const struct emulator_run *run, unsigned index)
{
	const struct emulator_warp *w = &run->warps[index / LANES];

	if (index >= run->n_threads)
		return "is not in the block";
	if (w->done >> index % LANES & 1)
		return "has returned";
	return fibres[index].is_at_barrier ? "waits at __syncthreads()"
					   : "waits with another op or mask";
}

/* Some wait, nobody can run. */
[[noreturn]] static void report_stuck(void)
{
	const struct emulator_run *run = &emulator_run;

	for (unsigned i = 0; i < run->n_threads; i++) {
		const struct emulator_fibre *f = &fibres[i];
		const struct emulator_warp *w = &run->warps[i / LANES];
		if (!(w->waiting >> i % LANES & 1))
			continue;
		for (unsigned l = 0; l < LANES; l++) {
			const unsigned other = i / LANES * LANES + l;
			if (f->mask >> l & 1 &&
				(!(w->waiting >> l & 1) || fibres[other].op != f->op ||
					fibres[other].mask != f->mask))
				emulator_report(f,
					"%s with mask 0x%08x: lane %u does not come, it %s",
					op_name(f->op), f->mask, l, whereabouts(run, other));
		}
	}
	for (unsigned i = 0; i < run->n_threads; i++) {
		const struct emulator_fibre *f = &fibres[i];
		for (unsigned o = 0; f->is_at_barrier && o < run->n_threads; o++)
			if (!fibres[o].is_at_barrier)
				emulator_report(f,
					"divergent barrier: waits at __syncthreads() of line %d, "
					"but "
					"thread (%u,%u,%u) %s",
					f->line, fibres[o].at.x, fibres[o].at.y, fibres[o].at.z,
					whereabouts(run, o));
	}
	emulator_report(&fibres[0], "waits for ever");
}

static void begin_block(void)
{
	struct emulator_run *run = &emulator_run;

	run->first_epoch = ++run->epoch;
	run->has_atomic = false;
	for (unsigned i = 0; i < run->n_threads; i++)
		fibres[i].has_waited = false;
	emulator_copies_begin();
	n_done = n_at_barrier = 0;
	barrier.n_true = 0;
	first_lane = draw() % LANES;
	is_backwards = draw() & 1;
	at_warp = draw() % run->n_warps;
	for (unsigned w = 0; w < run->n_warps; w++) {
		struct emulator_warp *warp = &run->warps[w];
		const unsigned n = run->n_threads - w * LANES;
		warp->exist = n >= LANES ? 0xffffffffu : (1u << n) - 1;
		warp->ready = warp->exist;
		warp->waiting = warp->done = 0;
		warp->clock = warp->full = 0;
		warp->is_partial = false;
	}
}

static void run_block(void)
{
	struct emulator_run *run = &emulator_run;

	begin_block();
	run->now = pick();
	set_hot(run->now);
	go(NULL, run->now);
	if (n_done < run->n_threads)
		report_stuck();
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	return b ? common_divisor(b, a % b) : a;
}

void emulator_run_kernel(const struct emulation_kernel *kernel, void *args)
{
	struct emulator_run *run = &emulator_run;
	const uint64_t n = (uint64_t)kernel->grid.x * kernel->grid.y * kernel->grid.z;
	const dim3 b = kernel->block;

	if (!stacks)
		make_fibres();
	run->kernel = kernel;
	run->args = args;
	run->n_threads = b.x * b.y * b.z;
	run->n_warps = (run->n_threads + LANES - 1) / LANES;
	random_state = emulator_device()->counts.launches * 0x9e3779b97f4a7c15u;
	for (unsigned i = 0; i < run->n_threads; i++) {
		fibres[i].at = uint3{i % b.x, i / b.x % b.y, i / b.x / b.y};
		fibres[i].is_at_barrier = false;
	}
	for (unsigned w = 0; w < run->n_warps; w++) {
		const unsigned o = draw() % (w + 1);
		order[w] = order[o];
		order[o] = w;
	}
	/* A permutation of 0..n-1: i * step + first modulo n, step prime to n. */
	uint64_t step = draw() % n + 1, at = draw() % n;
	while (common_divisor(step, n) != 1)
		step++;
	emulator_shared_begin(kernel->shared);
	run->launch_epoch = ++run->epoch;
	run->has_waited = false;
	emulator_in_kernel = true;
	for (uint64_t i = 0; i < n; i++) {
		run->block = uint3{(unsigned)(at % kernel->grid.x),
			(unsigned)(at / kernel->grid.x % kernel->grid.y),
			(unsigned)(at / kernel->grid.x / kernel->grid.y)};
		run_block();
		at = (at + step) % n;
	}
	emulator_in_kernel = false;
	emulator_shared_end();
	if (kernel->is_early && !run->has_waited)
		emulator_report_launch(kernel->name, "ahead: no block calls after_previous()");
	/* The next begins when this one's blocks have ended, unless it called let_next_start(). */
	if (!kernel->is_early)
		run->done_epoch = run->epoch + 1;
	run->kernel = NULL;
}
