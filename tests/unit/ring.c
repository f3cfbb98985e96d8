/* The ring: order, bounds, and two threads that pass a long sequence through it.
 * Built with -fsanitize=thread it is the proof that items need no lock: they
 * are plain memory. */
#include "library/base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

static struct ring *open_ring(size_t n, size_t size)
{
	struct err e = {0};
	struct ring *r;

	assert_int_equal(ring_open(n, size, &r, &e), 0);
	return r;
}

static void items_come_out_in_order(void **state)
{
	struct ring *r = open_ring(4, sizeof(int));
	int out = -1, in = 0, expected = 0;

	/* Uneven steps, so that the ends meet at every slot. */
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 1 + round % 4; i++, in++)
			assert_true(ring_push(r, &in));
		while (ring_pop(r, &out))
			assert_int_equal(out, expected++);
		assert_int_equal(expected, in);
	}
	ring_close(r);
}

static void a_full_ring_refuses(void **state)
{
	struct ring *r = open_ring(5, sizeof(int)); /* rounded up to 8 */
	int out;

	assert_int_equal(ring_capacity(r), 8);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ring_count(r), i);
		assert_true(ring_push(r, &i));
	}
	assert_false(ring_push(r, &(int){99}));
	assert_int_equal(ring_count(r), 8);
	assert_true(ring_pop(r, &out));
	assert_int_equal(out, 0);
	assert_true(ring_push(r, &(int){8}));
	for (int i = 1; i <= 8; i++) {
		assert_true(ring_pop(r, &out));
		assert_int_equal(out, i);
	}
	out = 7;
	assert_false(ring_pop(r, &out));
	assert_int_equal(out, 7);
	assert_int_equal(ring_count(r), 0);
	ring_close(r);
}

static void a_ring_of_one(void **state)
{
	struct ring *r = open_ring(1, sizeof(int));
	int out;

	for (int i = 0; i < 10; i++) {
		assert_true(ring_push(r, &i));
		assert_false(ring_push(r, &i));
		assert_true(ring_pop(r, &out));
		assert_int_equal(out, i);
		assert_false(ring_pop(r, &out));
	}
	ring_close(r);
}

static void silly_sizes_are_refused(void **state)
{
	struct err e = {0};
	struct ring *r;

	assert_int_equal(ring_open(0, 4, &r, &e), ERR_ARG);
	assert_null(r);
	assert_int_equal(ring_open(4, 0, &r, NULL), ERR_ARG);
	assert_int_equal(ring_open(SIZE_MAX, 4, &r, NULL), ERR_ARG);
	assert_int_equal(ring_open(4, SIZE_MAX, &r, NULL), ERR_ARG);
	ring_close(NULL);
}

/* ---- two threads -------------------------------------------------------- */

enum { ITEMS = 200000 };

/* Larger than a word, so that a torn copy shows. */
struct item {
	uint64_t n, twice, thrice;
	int *box; /* written by the producer before the push */
};

struct traffic {
	struct ring *ring;
	int boxes[1024];
};

static void *produce(void *ud)
{
	struct traffic *t = ud;

	for (uint64_t i = 0; i < ITEMS; i++) {
		int *box = &t->boxes[i % 1024];
		struct item item = {i, 2 * i, 3 * i, NULL};

		if (i < 1024) { /* each box is written once, and only then read */
			*box = (int)i;
			item.box = box;
		}
		while (!ring_push(t->ring, &item))
			sched_yield();
	}
	return NULL;
}

static void two_threads_pass_everything(void **state)
{
	static const size_t sizes[] = {1, 2, 64};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct traffic t = {.ring = open_ring(sizes[s], sizeof(struct item))};
		pthread_t thread;
		uint64_t wrong = 0;

		assert_int_equal(pthread_create(&thread, NULL, produce, &t), 0);
		for (uint64_t i = 0; i < ITEMS; i++) {
			struct item item;

			while (!ring_pop(t.ring, &item))
				sched_yield();
			wrong += item.n != i || item.twice != 2 * i || item.thrice != 3 * i ||
				 (item.box && *item.box != (int)i);
		}
		pthread_join(thread, NULL);
		assert_int_equal(wrong, 0);
		assert_int_equal(ring_count(t.ring), 0);
		ring_close(t.ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_out_in_order),
		cmocka_unit_test(a_full_ring_refuses),
		cmocka_unit_test(a_ring_of_one),
		cmocka_unit_test(silly_sizes_are_refused),
		cmocka_unit_test(two_threads_pass_everything),
	};
	return RUN_TAP(tests);
}
