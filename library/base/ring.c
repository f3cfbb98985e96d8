/* Ring.
 *
 * head counts pushes, tail counts pops; both run through and wrap with size_t,
 * so head - tail is the number of items whatever their values.  A slot belongs
 * to the popping side from the release of head to the release of tail. */
#include "library/base/ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	ITEMS_MAX = 1 << 20,
	SIZE_MAX_BYTES = 1 << 16,
	LINE = 64, /* cache line: the two counters are written by different threads */
};

struct ring {
	unsigned char *slots; /* owned */
	size_t size, mask;
	_Alignas(LINE) _Atomic size_t head;
	_Alignas(LINE) _Atomic size_t tail;
};

int ring_open(size_t n_items, size_t size, struct ring **ret, struct err *e)
{
	size_t n = 1;
	struct ring *r;
	void *mem;
	int rc;

	*ret = NULL;
	if (!n_items || n_items > ITEMS_MAX || !size || size > SIZE_MAX_BYTES)
		return err_set(e, ERR_ARG, "no ring of %zu items of %zu bytes", n_items, size);
	while (n < n_items)
		n *= 2;
	rc = mem_try_alloc(&mem, 1, sizeof(*r), "ring", e);
	if (rc)
		return rc;
	r = mem;
	rc = mem_try_alloc(&mem, n, size, "ring", e);
	if (rc) {
		free(r);
		return rc;
	}
	r->slots = mem;
	r->size = size;
	r->mask = n - 1;
	*ret = r;
	return 0;
}

void ring_close(struct ring *r)
{
	if (r)
		free(r->slots);
	free(r);
}

bool ring_push(struct ring *r, const void *item)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	/* Acquire: the slot was read before it is written again. */
	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) > r->mask)
		return false;
	memcpy(r->slots + (head & r->mask) * r->size, item, r->size);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

bool ring_pop(struct ring *r, void *ret_item)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (atomic_load_explicit(&r->head, memory_order_acquire) == tail)
		return false;
	memcpy(ret_item, r->slots + (tail & r->mask) * r->size, r->size);
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

size_t ring_count(const struct ring *r)
{
	size_t tail = atomic_load(&r->tail); /* first: never more than there are */
	size_t n = atomic_load(&r->head) - tail;

	return n > r->mask ? r->mask + 1 : n;
}

size_t ring_capacity(const struct ring *r)
{
	return r->mask + 1;
}
