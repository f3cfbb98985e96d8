/* Growing arrays of any type: struct { T *at; size_t n, cap; }.
 *
 *	struct { int *at; size_t n, cap; } v = {0};
 *	*VEC_PUSH(&v) = 3;
 *	VEC_DONE(&v);
 */
#ifndef WOODSHED_BASE_VEC_H
#define WOODSHED_BASE_VEC_H

#include <stddef.h>

/* Makes room for one more element, counts it, and gives its (zeroed) address. */
#define VEC_PUSH(v)                                                                                \
	(vec_grow((void **)&(v)->at, &(v)->n, &(v)->cap, sizeof *(v)->at), &(v)->at[(v)->n - 1])
#define VEC_DONE(v) vec_free((void **)&(v)->at, &(v)->n, &(v)->cap)

void vec_grow(void **at, size_t *n, size_t *cap, size_t size); /* aborts when memory is gone */
void vec_free(void **at, size_t *n, size_t *cap);

#endif
