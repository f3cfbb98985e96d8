/* Thread pool: a team of threads that run the same function together.
 *
 * Made for ops that take 20 microseconds: workers spin for a short while
 * before they sleep, and the calling thread is one of the team.  One caller
 * at a time; a pool of one thread runs everything in the caller.
 *
 * Results must not depend on the number of threads: cut work into tasks
 * whose bounds do not depend on it, and never reduce across tasks. */
#ifndef WOODSHED_BASE_POOL_H
#define WOODSHED_BASE_POOL_H

#include <stddef.h>

struct pool;
struct err;

/* n_threads 0: one per processor this process may run on. */
int pool_open(int n_threads, struct pool **ret, struct err *e);
void pool_close(struct pool *p); /* NULL-safe */
int pool_threads(const struct pool *p);

/* Calls fn(ud, i) for each i in 0..n_tasks-1, in any order, on any thread;
 * returns when all are done.  Tasks are handed out one at a time, in order. */
void pool_run(struct pool *p, size_t n_tasks, void (*fn)(void *ud, size_t task), void *ud);

/* Calls fn(ud, thread, n_threads) once on every thread of the team; inside,
 * pool_barrier() waits for all of them. */
void pool_team(struct pool *p, void (*fn)(void *ud, int thread, int n_threads), void *ud);
void pool_barrier(struct pool *p);

#endif
