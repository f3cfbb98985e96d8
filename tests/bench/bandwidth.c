#include "tests/bench/bandwidth.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "library/base/clock.h"
#include "library/base/pool.h"

enum { BANDWIDTH_TASKS = 256 };

struct stream {
	const char *at;
	size_t task_bytes;
};

typedef uint64_t lanes __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) void read_all(const struct stream *s, size_t task)
{
	const lanes *p = (const lanes *)(const void *)(s->at + task * s->task_bytes);
	const size_t n = s->task_bytes / sizeof(lanes);
	lanes sum[4] = {{0}};

	for (size_t i = 0; i + 4 <= n; i += 4)
		for (size_t j = 0; j < 4; j++) {
			__builtin_prefetch((const char *)(p + i + j) + 4096);
			sum[j] ^= p[i + j];
		}
	volatile uint64_t sink = (sum[0] ^ sum[1] ^ sum[2] ^ sum[3])[0];
	(void)sink;
}

static void read_task(void *ud, size_t task)
{
	read_all(ud, task);
}

#if defined(__x86_64__)
/* Narrow loads do not reach the memory's speed. */
__attribute__((target("avx2"))) static void read_task_avx2(void *ud, size_t task)
{
	read_all(ud, task);
}

__attribute__((target("avx512f"))) static void read_task_avx512(void *ud, size_t task)
{
	read_all(ud, task);
}
#endif

static void (*widest_read(void))(void *ud, size_t task)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		return read_task_avx512;
	if (__builtin_cpu_supports("avx2"))
		return read_task_avx2;
#endif
	return read_task;
}

double measure_bandwidth(int n_threads, size_t bytes)
{
	struct stream s = {.task_bytes = bytes / BANDWIDTH_TASKS / 4096 * 4096};
	struct pool *pool;
	double best = 0;

	bytes = s.task_bytes * BANDWIDTH_TASKS;
	void *buffer =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || pool_open(n_threads, &pool, NULL))
		return 0;
	madvise(buffer, bytes, MADV_HUGEPAGE);
	memset(buffer, 1, bytes);
	s.at = buffer;
	for (int i = 0; i < 12; i++) {
		double start = clock_now();
		pool_run(pool, BANDWIDTH_TASKS, widest_read(), &s);
		double rate = (double)bytes / (clock_now() - start);
		best = rate > best ? rate : best;
	}
	pool_close(pool);
	munmap(buffer, bytes);
	return best;
}
