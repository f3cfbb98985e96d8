/* Compiled once per instruction set with -DISA=name; image_kernels.h says what each does. */
#include "gpu/cpu/image_kernels.h"

#include "gpu/cpu/vmath.h"

INLINE vf load(const float *x)
{
	return *(const vf *)x;
}

static void moments(double *sums, double *squares, const float *x, int64_t n_rows, int64_t width)
{
	for (int64_t r = 0; r < n_rows; r++, x += width)
		for (int64_t c = 0; c < width; c++) {
			const double v = x[c];
			sums[c] += v;
			squares[c] += v * v;
		}
}

INLINE vf apply(vf x, vf scale, vf shift, const int silu)
{
	const vf v = x * scale + shift;

	return silu ? vsilu(v) : v;
}

INLINE void affine_rows(float *y, const float *x, const float *scale, const float *shift,
	int64_t n_rows, int64_t width, const int silu)
{
	float pad[4][VW] = {{0}};

	for (int64_t r = 0; r < n_rows; r++, x += width, y += width) {
		int64_t c = 0;
		for (; c + VW <= width; c += VW)
			*(vf *)(y + c) = apply(load(x + c), load(scale + c), load(shift + c), silu);
		if (c == width)
			continue;
		const size_t bytes = (size_t)(width - c) * sizeof(float);
		memcpy(pad[0], x + c, bytes);
		memcpy(pad[1], scale + c, bytes);
		memcpy(pad[2], shift + c, bytes);
		*(vf *)pad[3] = apply(load(pad[0]), load(pad[1]), load(pad[2]), silu);
		memcpy(y + c, pad[3], bytes);
	}
}

static void affine(float *y, const float *x, const float *scale, const float *shift, int64_t n_rows,
	int64_t width, int silu)
{
	if (silu)
		affine_rows(y, x, scale, shift, n_rows, width, 1);
	else
		affine_rows(y, x, scale, shift, n_rows, width, 0);
}

#define NAME_(isa) image_kernels_##isa
#define NAME(isa)  NAME_(isa)

const struct image_kernels NAME(ISA) = {.moments = moments, .affine = affine};
