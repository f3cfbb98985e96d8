/* Growing arrays.  The array's pointer has any type, so it is read and
 * written as bytes: a void ** access would break the aliasing rules. */
#include "library/base/vec.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

void vec_grow(void **at, size_t *n, size_t *cap, size_t size)
{
	void *p;

	memcpy(&p, at, sizeof p);
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		p = xrealloc(p, *cap, size);
		memcpy(at, &p, sizeof p);
	}
	memset((char *)p + *n * size, 0, size);
	(*n)++;
}

void vec_free(void **at, size_t *n, size_t *cap)
{
	void *p;

	memcpy(&p, at, sizeof p);
	free(p);
	p = NULL;
	memcpy(at, &p, sizeof p);
	*n = *cap = 0;
}
