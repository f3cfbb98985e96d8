/* Arenas: a list of blocks, newest first; an allocation bumps the newest
 * block or opens a larger one.  And the small allocations that abort. */
#include "library/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 16, BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };

struct arena_block {
	struct arena_block *older; /* owned */
	size_t size;
	size_t used;
	_Alignas(ALIGN) unsigned char data[];
};

static void (*abort_hook)(void);

void arena_on_abort(void (*hook)(void))
{
	abort_hook = hook;
}

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "woodshed: out of memory; close other programs and try again\n";

	if (abort_hook)
		abort_hook();
	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		abort();
	abort();
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s);

	if (!p)
		out_of_memory();
	return p;
}

/* Opens a block for `size` bytes; blocks double, so that their number stays
 * small whatever is stored. */
static struct arena_block *block_open(struct arena *a, size_t size)
{
	struct arena_block *b;
	size_t n = a->head ? a->head->size : BLOCK_MIN / 2;

	n = n < BLOCK_MAX ? n * 2 : BLOCK_MAX;
	if (n < size)
		n = size;
	if (n > SIZE_MAX - sizeof *b)
		out_of_memory();
	b = malloc(sizeof *b + n);
	if (!b)
		out_of_memory();
	*b = (struct arena_block){.older = a->head, .size = n};
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->head;
	void *p;

	if (size > SIZE_MAX - ALIGN)
		out_of_memory();
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (!size)
		size = ALIGN;
	if (!b || b->size - b->used < size)
		b = block_open(a, size);
	p = b->data + b->used;
	b->used += size;
	a->live += size;
	if (a->live > a->peak)
		a->peak = a->live;
	return memset(p, 0, size);
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory();
	return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);

	return memcpy(arena_alloc(a, len + 1), s, len);
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(arena_alloc(a, size), s, size);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *s;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0) /* only a result above INT_MAX, or no memory inside libc */
		out_of_memory();
	s = arena_alloc(a, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return s;
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){
		.block = a->head, .used = a->head ? a->head->used : 0, .live = a->live};
}

void arena_release(struct arena *a, struct arena_mark m)
{
	while (a->head != m.block) {
		struct arena_block *older = a->head->older;
		free(a->head);
		a->head = older;
	}
	if (a->head)
		a->head->used = m.used;
	a->live = m.live;
}

void arena_done(struct arena *a)
{
	arena_release(a, (struct arena_mark){0});
	*a = (struct arena){0};
}
