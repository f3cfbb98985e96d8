/* Thread pool.
 *
 * A job is opened by storing `door`: the job's number and the free seats in
 * it.  A worker takes a seat by compare-and-swap and only then reads the job,
 * so a worker that comes late finds the door shut instead of a stale job:
 *
 *	caller: write job, door = (number, seats), work, shut the door
 *	        (learns how many came in), wait until as many have left
 *	worker: take a seat, work, leave
 *
 * pool_run shuts the door as soon as no task is left, so it never waits for a
 * worker that is still asleep; pool_team waits for everybody.
 *
 * Waiting spins for a while, then sleeps on a futex.  The sleeper announces
 * itself (sleepers, waiting) before it looks a last time, the other side
 * stores first and looks for sleepers after; both in sequentially consistent
 * order, so one of them sees the other. */
#include "library/base/pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"

enum {
	THREADS_MAX = 1024,
	SEAT_BITS = 16,
	SEAT_MASK = (1 << SEAT_BITS) - 1,
	LINE = 64, /* cache line: what different threads write is kept apart */
};

#define DOOR_QUIT UINT64_MAX
#define SPIN_S    60e-6

struct pool {
	/* The job; written by the caller while the door is shut. */
	void (*run)(void *ud, size_t task);
	void (*team)(void *ud, int thread, int n_threads); /* NULL: a run */
	void *ud;
	size_t n_tasks;

	int n_threads; /* the caller included */
	int n_started;
	bool crowded; /* more threads than processors: spinning harms */
	pthread_t *threads;
	atomic_flag busy;

	_Alignas(LINE) _Atomic uint64_t door; /* number << SEAT_BITS | free seats */
	_Alignas(LINE) _Atomic size_t next;   /* task */
	_Alignas(LINE) _Atomic uint32_t left; /* workers that left the job; futex */
	_Atomic uint32_t waiting;             /* the caller sleeps on left */
	_Alignas(LINE) _Atomic uint32_t wake; /* futex of the workers */
	_Atomic uint32_t sleepers;
	_Alignas(LINE) _Atomic int arrived; /* at the barrier */
	_Atomic unsigned barrier_number;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* One wait: spin_more() pauses and says whether to go on spinning. */
struct spin {
	unsigned n;
	double until;
};

static bool spin_more(const struct pool *p, struct spin *s)
{
	if (p->crowded)
		return false;
	cpu_pause();
	if (++s->n % 32)
		return true;
	if (s->n == 32)
		s->until = clock_now() + SPIN_S;
	return clock_now() < s->until;
}

static bool is_open(uint64_t door, uint64_t seen)
{
	return door == DOOR_QUIT || ((door & SEAT_MASK) && door >> SEAT_BITS != seen);
}

/* Sleeps until a job newer than `seen` is open.  May return early. */
static void worker_sleep(struct pool *p, uint64_t seen)
{
	uint32_t word = atomic_load(&p->wake);

	atomic_fetch_add(&p->sleepers, 1);
	if (!is_open(atomic_load(&p->door), seen))
		futex_wait(&p->wake, word);
	atomic_fetch_sub(&p->sleepers, 1);
}

/* Waits for a job not seen yet and takes a seat in it.  Returns the thread's
 * number in the job, 0 to quit. */
static int worker_enter(struct pool *p, uint64_t *seen)
{
	struct spin spin = {0};

	for (;;) {
		uint64_t door = atomic_load_explicit(&p->door, memory_order_acquire);
		if (door == DOOR_QUIT)
			return 0;
		if (is_open(door, *seen)) {
			if (!atomic_compare_exchange_weak(&p->door, &door, door - 1))
				continue;
			*seen = door >> SEAT_BITS;
			return p->n_threads - (int)(door & SEAT_MASK);
		}
		if (!spin_more(p, &spin)) {
			worker_sleep(p, *seen);
			spin = (struct spin){0};
		}
	}
}

static void take_tasks(struct pool *p)
{
	size_t i;

	while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->n_tasks)
		p->run(p->ud, i);
}

static void *worker_main(void *arg)
{
	struct pool *p = arg;
	uint64_t seen = 0;
	int thread;

	while ((thread = worker_enter(p, &seen))) {
		if (p->team)
			p->team(p->ud, thread, p->n_threads);
		else
			take_tasks(p);
		atomic_fetch_add(&p->left, 1);
		if (atomic_load(&p->waiting))
			futex_wake(&p->left, 1);
	}
	return NULL;
}

/* Opens the door of the next job and wakes who sleeps. */
static void open_door(struct pool *p, uint64_t door, int seats)
{
	atomic_store(&p->door, door);
	if (!atomic_load(&p->sleepers))
		return;
	atomic_fetch_add(&p->wake, 1);
	futex_wake(&p->wake, seats);
}

static void job_open(struct pool *p, int seats)
{
	uint64_t number = (atomic_load_explicit(&p->door, memory_order_relaxed) >> SEAT_BITS) + 1;

	atomic_store_explicit(&p->left, 0, memory_order_relaxed);
	atomic_store_explicit(&p->next, 0, memory_order_relaxed);
	open_door(p, number << SEAT_BITS | (uint64_t)seats, seats);
}

static void wait_left(struct pool *p, uint32_t n)
{
	struct spin spin = {0};
	uint32_t left;

	while (atomic_load_explicit(&p->left, memory_order_acquire) != n) {
		if (spin_more(p, &spin))
			continue;
		atomic_store(&p->waiting, 1);
		left = atomic_load(&p->left);
		if (left != n)
			futex_wait(&p->left, left);
		atomic_store(&p->waiting, 0);
	}
}

static void claim(struct pool *p)
{
	bool busy = atomic_flag_test_and_set_explicit(&p->busy, memory_order_acquire);

	assert(!busy && "a pool has one caller at a time and no nested use");
	(void)busy;
}

static void unclaim(struct pool *p)
{
	atomic_flag_clear_explicit(&p->busy, memory_order_release);
}

void pool_run(struct pool *p, size_t n_tasks, void (*fn)(void *ud, size_t task), void *ud)
{
	int seats = n_tasks < (size_t)p->n_threads ? (int)n_tasks - 1 : p->n_threads - 1;

	claim(p);
	if (seats <= 0) {
		for (size_t i = 0; i < n_tasks; i++)
			fn(ud, i);
	} else {
		uint64_t shut;
		p->run = fn;
		p->team = NULL;
		p->ud = ud;
		p->n_tasks = n_tasks;
		job_open(p, seats);
		take_tasks(p);
		shut = atomic_fetch_and(&p->door, ~(uint64_t)SEAT_MASK);
		wait_left(p, (uint32_t)(seats - (int)(shut & SEAT_MASK)));
	}
	unclaim(p);
}

void pool_team(struct pool *p, void (*fn)(void *ud, int thread, int n_threads), void *ud)
{
	claim(p);
	p->team = fn;
	p->ud = ud;
	if (p->n_threads > 1)
		job_open(p, p->n_threads - 1);
	fn(ud, 0, p->n_threads);
	if (p->n_threads > 1)
		wait_left(p, (uint32_t)p->n_threads - 1);
	unclaim(p);
}

void pool_barrier(struct pool *p)
{
	unsigned number = atomic_load_explicit(&p->barrier_number, memory_order_relaxed);
	struct spin spin = {0};

	if (atomic_fetch_add_explicit(&p->arrived, 1, memory_order_acq_rel) == p->n_threads - 1) {
		atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
		atomic_store_explicit(&p->barrier_number, number + 1, memory_order_release);
		return;
	}
	while (atomic_load_explicit(&p->barrier_number, memory_order_acquire) == number) {
		if (!spin_more(p, &spin))
			sched_yield();
	}
}

static int n_processors(void)
{
	cpu_set_t set;
	long n;

	if (!sched_getaffinity(0, sizeof set, &set))
		return CPU_COUNT(&set);
	n = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than cpu_set_t holds */
	return n > 0 && n < THREADS_MAX ? (int)n : 1;
}

/* Workers take no signals: those are the program's, on its own threads. */
static int start_threads(struct pool *p)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!rc && p->n_started < p->n_threads - 1) {
		rc = pthread_create(&p->threads[p->n_started], NULL, worker_main, p);
		p->n_started += !rc;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int pool_open(int n_threads, struct pool **ret, struct err *e)
{
	int n_cpus = n_processors();
	struct pool *p;
	void *mem;
	int rc;

	*ret = NULL;
	if (n_threads < 0 || n_threads > THREADS_MAX)
		return err_set(e, ERR_ARG,
			"%d threads: ask for 1 to %d, or 0 for one per processor", n_threads,
			THREADS_MAX);
	rc = mem_try_alloc(&mem, 1, sizeof *p, "thread pool", e);
	if (rc)
		return rc;
	p = mem;
	p->n_threads = n_threads ? n_threads : n_cpus;
	p->crowded = p->n_threads > n_cpus;
	p->threads = xcalloc((size_t)p->n_threads, sizeof *p->threads);
	rc = start_threads(p);
	if (rc) {
		err_errno(e, rc, "cannot start thread %d of %d (ask for fewer threads)",
			p->n_started + 2, p->n_threads);
		pool_close(p);
		return rc == ENOMEM ? ERR_NOMEM : ERR_IO;
	}
	*ret = p;
	return 0;
}

void pool_close(struct pool *p)
{
	if (!p)
		return;
	open_door(p, DOOR_QUIT, INT_MAX);
	for (int i = 0; i < p->n_started; i++)
		pthread_join(p->threads[i], NULL);
	free(p->threads);
	free(p);
}

int pool_threads(const struct pool *p)
{
	return p->n_threads;
}
