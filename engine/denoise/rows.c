/* Rows of cells. */
#include "engine/denoise/rows.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

int rows_open(struct rows *r, size_t width, size_t n, struct err *e)
{
	size_t stride = (width + 2 * ROWS_PAD + 15) / 16 * 16;
	void *mem;
	int rc = mem_try_alloc(&mem, n * stride, sizeof(float), "denoiser", e);

	if (!rc)
		*r = (struct rows){.at = mem, .width = width, .stride = stride, .n = n};
	return rc;
}

void rows_close(struct rows *r)
{
	free(r->at);
	*r = (struct rows){0};
}

void rows_clear(struct rows *r)
{
	memset(r->at, 0, r->n * r->stride * sizeof *r->at);
}

void row_mirror(float *row, size_t width)
{
	float *end = row + width - 1;

	for (size_t k = 1; k <= ROWS_PAD; k++) {
		row[-(ptrdiff_t)k] = row[k];
		end[k] = end[-(ptrdiff_t)k];
	}
}

VECTORS void row_sum3(
	float *restrict out, const float *a, const float *b, const float *c, size_t width)
{
	for (ptrdiff_t k = -ROWS_PAD; k < (ptrdiff_t)width + ROWS_PAD; k++)
		out[k] = a[k] + b[k] + c[k];
}

VECTORS void row_spread(
	float *restrict out, const float *restrict x, size_t width, size_t step, size_t pad)
{
	ptrdiff_t s = (ptrdiff_t)step, end = (ptrdiff_t)(width + pad);

	for (ptrdiff_t k = -(ptrdiff_t)pad; k < end; k++)
		out[k] = x[k - s] + x[k] + x[k + s];
}
