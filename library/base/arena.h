/* Arenas: bump allocation of small host objects with one lifetime.
 *
 * Small allocations abort the process when memory is gone (a message on
 * stderr, after the hook set by arena_on_abort ran, which restores a
 * terminal).  Anything sized by a file or a user goes through
 * mem_try_alloc(), which returns ERR_NOMEM with needed against free. */
#ifndef WOODSHED_BASE_ARENA_H
#define WOODSHED_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct arena {
	struct arena_block *head; /* newest block; owned */
	size_t live;              /* bytes handed out */
	size_t peak;
};

struct arena_mark {
	struct arena_block *block;
	size_t used;
	size_t live;
};

/* Zero-initialised is empty and valid. */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, 16-byte aligned, never NULL */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(2)));
struct arena_mark arena_mark(const struct arena *a);
void arena_release(struct arena *a, struct arena_mark m); /* frees what came after m */
void arena_done(struct arena *a);

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
void *arena_calloc(struct arena *a, size_t n, size_t size); /* aborts on overflow */

/* Small heap objects: abort when memory is gone, like arena_alloc. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
void arena_on_abort(void (*hook)(void));

/* Large or hostile sizes: *ret gets n * size zeroed bytes, 64-byte aligned,
 * freed with free(); ERR_NOMEM with `what`, needed and free otherwise.  Sizes
 * beyond what the machine has (MemAvailable) are refused before they are
 * asked for, so that overcommit does not turn them into a kill. */
int mem_try_alloc(void **ret, size_t n, size_t size, const char *what, struct err *e);

/* Bytes that can be allocated now without swapping (MemAvailable, and the
 * cgroup's limit where one is set); 0 if unknown. */
uint64_t mem_available(void);

/* The same with /proc and /sys looked for under another root: for tests. */
uint64_t mem_available_under(const char *root);

#endif
