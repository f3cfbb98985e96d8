/* Ring: a queue of fixed size between two threads, without a lock.
 *
 * One thread pushes, one thread pops; each call returns at once, allocates
 * nothing and makes no system call, so either side may be an audio callback.
 * What was written before a push is seen by whoever pops that item. */
#ifndef WOODSHED_BASE_RING_H
#define WOODSHED_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct ring;

/* A ring of n_items (rounded up to a power of two, at most 2^20) of `size`
 * bytes each.  ERR_ARG for sizes out of bounds, ERR_NOMEM. */
int ring_open(size_t n_items, size_t size, struct ring **ret, struct err *e);
/* NULL-safe; nobody may use the ring any more.  Items left in it are dropped. */
void ring_close(struct ring *r);

/* Copies *item in; false when the ring is full, and then nothing happened.
 * The pushing thread only. */
bool ring_push(struct ring *r, const void *item);
/* Copies the oldest item out; false when the ring is empty.  The popping
 * thread only. */
bool ring_pop(struct ring *r, void *ret_item);

/* How many items it holds; exact for the pushing and the popping thread as far
 * as their own calls go.  Any thread. */
size_t ring_count(const struct ring *r);
size_t ring_capacity(const struct ring *r);

#endif
