/* Arenas, vectors, large allocations and what memory is free. */
#include "library/base/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/vec.h"
#include "tests/unit/scratch.h"

static bool is_zero(const void *p, size_t n)
{
	const unsigned char *u = p;

	for (size_t i = 0; i < n; i++) {
		if (u[i])
			return false;
	}
	return true;
}

static void arena_gives_zeroed_aligned_memory(void **state)
{
	struct arena a = {0};

	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *p = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(is_zero(p, size));
		memset(p, 0xff, size);
	}
	assert_true(a.live >= 3000 / 7 * 1500);
	arena_done(&a);
	assert_int_equal(a.live, 0);
	assert_null(a.head);
}

static void release_frees_what_came_after_the_mark(void **state)
{
	struct arena a = {0};
	struct arena_mark empty = arena_mark(&a), m;
	char *kept = arena_strdup(&a, "kept");
	unsigned char *p;
	size_t live;

	m = arena_mark(&a);
	live = a.live;
	for (int round = 0; round < 3; round++) {
		p = arena_alloc(&a, 100);
		assert_true(is_zero(p, 100)); /* also when the bytes are used again */
		memset(p, 0xff, 100);
		memset(arena_alloc(&a, 3 << 20), 0xff, 3 << 20);
		memset(arena_alloc(&a, 50000), 0xff, 50000);
		assert_true(a.live > 3 << 20);
		arena_release(&a, m);
		assert_int_equal(a.live, live);
		assert_string_equal(kept, "kept");
	}
	assert_true(a.peak > 3 << 20 && a.peak < 4 << 20);
	arena_release(&a, empty);
	assert_int_equal(a.live, 0);
	assert_null(a.head);
}

static void arena_strings(void **state)
{
	struct arena a = {0};
	char *s = arena_printf(&a, "%s-%d-%0*d", "x", 7, 9000, 1);

	assert_int_equal(strlen(s), 4 + 9000);
	assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
	assert_string_equal(arena_strndup(&a, "ab", 30), "ab");
	assert_string_equal(arena_strdup(&a, ""), "");
	assert_int_equal(ARENA_ARRAY(&a, int, 3)[2], 0);
	arena_done(&a);
}

static void hook(void)
{
	if (write(STDOUT_FILENO, "# hook ran\n", 11) == 11)
		_exit(42);
}

/* A size that overflows must end the process through the hook, not wrap. */
static void overflow_ends_the_process_after_the_hook(void **state)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		struct arena a = {0};
		arena_on_abort(hook);
		arena_calloc(&a, SIZE_MAX / 2, 3);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void vectors_grow(void **state)
{
	struct {
		struct pair {
			int a;
			char b[20];
		} * at;
		size_t n, cap;
	} v = {0};

	for (int i = 0; i < 1000; i++) {
		struct pair *p = VEC_PUSH(&v);
		assert_true(is_zero(p, sizeof *p));
		p->a = i;
	}
	assert_int_equal(v.n, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.at[i].a, i);
	v.n = 0;
	v.at[0].a = 7;
	assert_int_equal(VEC_PUSH(&v)->a, 0);
	VEC_DONE(&v);
	assert_null(v.at);
	assert_int_equal(v.n + v.cap, 0);
	VEC_DONE(&v);
}

static void large_memory_is_zeroed_and_aligned(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 4096, (1 << 20) - 1, 1 << 20, (5 << 20) + 77};

	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			struct err e = {0};
			void *p;
			assert_int_equal(mem_try_alloc(&p, sizes[i], 1, "x", &e), 0);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 64, 0);
			assert_true(is_zero(p, sizes[i]));
			memset(p, 0xff, sizes[i]); /* dirty for whoever gets it next */
			free(p);
		}
	}
}

static void too_much_memory_is_refused_in_words(void **state)
{
	struct err e = {0};
	void *p = &e;

	assert_int_equal(mem_try_alloc(&p, SIZE_MAX / 4, 8, "weight 'x'", &e), ERR_NOMEM);
	assert_null(p);
	assert_error(e, ERR_NOMEM, "weight 'x': needs more memory than any machine has");
	err_clear(&e);
	assert_int_equal(mem_try_alloc(&p, (size_t)1 << 46, 1, "weight 'x'", &e), ERR_NOMEM);
	assert_error(e, ERR_NOMEM, "weight 'x': needs 70.4 TB of memory, ");
	assert_error(e, ERR_NOMEM, " is free");
	assert_int_equal(mem_try_alloc(&p, SIZE_MAX, SIZE_MAX, "x", NULL), ERR_NOMEM);
}

static void put(void **state, const char *name, const char *text)
{
	char path[4096];

	snprintf(path, sizeof path, "%s", scratch_path(state, name));
	for (char *p = path + strlen(*state) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	scratch_write(path, text, strlen(text));
}

static void free_memory_is_the_tightest_limit(void **state)
{
	assert_true(mem_available() > 1 << 20);
	assert_int_equal(mem_available_under(*state), 0); /* nothing known */
	put(state, "proc/meminfo",
		"MemTotal:  9000 kB\nMemFree: 1 kB\nMemAvailable:    5000 kB\nx: 1\n");
	assert_int_equal(mem_available_under(*state), 5000 * 1024);

	/* version 2: nested groups, file cache does not count */
	put(state, "proc/self/cgroup", "0::/a/b\n");
	put(state, "sys/fs/cgroup/a/memory.max", "4096000\n");
	put(state, "sys/fs/cgroup/a/memory.current", "2000000\n");
	assert_int_equal(mem_available_under(*state), 2096000);
	put(state, "sys/fs/cgroup/a/memory.stat",
		"anon 5\nactive_file 100000\ninactive_file 200000\n");
	assert_int_equal(mem_available_under(*state), 2396000);
	put(state, "sys/fs/cgroup/a/b/memory.max", "max\n");
	put(state, "sys/fs/cgroup/a/b/memory.current", "1\n");
	assert_int_equal(mem_available_under(*state), 2396000);
	put(state, "sys/fs/cgroup/a/b/memory.max", "1000\n");
	assert_int_equal(mem_available_under(*state), 999);
	put(state, "sys/fs/cgroup/a/b/memory.current", "1001\n");
	assert_int_equal(mem_available_under(*state), 0);

	/* version 1, in a container that sees only its own root */
	put(state, "proc/self/cgroup", "9:cpu:/z\n4:memory:/nowhere/y\nbroken line\n");
	assert_int_equal(mem_available_under(*state), 5000 * 1024);
	put(state, "sys/fs/cgroup/memory/memory.limit_in_bytes", "3000\n");
	put(state, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
	put(state, "sys/fs/cgroup/memory/memory.stat", "total_inactive_file 100\n");
	assert_int_equal(mem_available_under(*state), 2100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_gives_zeroed_aligned_memory),
		cmocka_unit_test(release_frees_what_came_after_the_mark),
		cmocka_unit_test(arena_strings),
		cmocka_unit_test(overflow_ends_the_process_after_the_hook),
		cmocka_unit_test(vectors_grow),
		cmocka_unit_test(large_memory_is_zeroed_and_aligned),
		cmocka_unit_test(too_much_memory_is_refused_in_words),
		cmocka_unit_test_setup_teardown(
			free_memory_is_the_tightest_limit, scratch_open, scratch_close),
	};
	return RUN_TAP(tests);
}
