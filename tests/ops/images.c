/* Convolutions over images, group norm, concatenation and attention in windows
 * against their references. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- convolution -------------------------------------------------------- */

struct image {
	int64_t batch, height, width, n_in, n_out;
	struct gpu_conv2d conv;
	int64_t out_height, out_width;
};

static int64_t out_size(int64_t in, struct gpu_conv2d conv)
{
	return (in + 2 * conv.pad - conv.kernel) / (conv.stride ? conv.stride : 1) + 1;
}

/* Pixel of the image, enlarged if it is; NULL outside. */
static const float *pixel(const struct image *m, const float *x, int64_t b, int64_t i, int64_t j)
{
	const int64_t height = m->conv.up ? m->out_height : m->height,
		      width = m->conv.up ? m->out_width : m->width, by = m->conv.up ? 2 : 1;

	if (i < 0 || j < 0 || i >= height || j >= width)
		return NULL;
	return x + ((b * m->height + i / by) * m->width + j / by) * m->n_in;
}

static struct want naive_conv2d(
	const struct image *m, const float *x, const float *w, const float *bias)
{
	const int64_t n = m->batch * m->out_height * m->out_width * m->n_out, k = m->conv.kernel,
		      stride = m->conv.stride ? m->conv.stride : 1;
	struct want want = want_new(n);

	for (int64_t at = 0; at < n; at++) {
		const int64_t o = at % m->n_out, j = at / m->n_out % m->out_width,
			      i = at / m->n_out / m->out_width % m->out_height,
			      b = at / m->n_out / m->out_width / m->out_height;
		double value = bias ? bias[o] : 0, magnitude = fabs(value);
		for (int64_t r = 0; r < k; r++)
			for (int64_t s = 0; s < k; s++) {
				const float *p = pixel(m, x, b, i * stride + r - m->conv.pad,
					j * stride + s - m->conv.pad);
				const float *taps = w + ((o * k + r) * k + s) * m->n_in;
				for (int64_t c = 0; p && c < m->n_in; c++) {
					value += (double)p[c] * taps[c];
					magnitude += fabs((double)p[c] * taps[c]);
				}
			}
		want.y[at] = value;
		want.tol[at] = MARGIN * (double)(k * k * m->n_in + 2) * U * magnitude;
	}
	return want;
}

static void check_conv2d(struct image m, enum gpu_dtype dtype)
{
	const int64_t columns = m.conv.kernel * m.conv.kernel * m.n_in;
	float *x = random_floats(m.batch * m.height * m.width * m.n_in);
	float *w = random_floats(m.n_out * columns), *bias = random_floats(m.n_out), *alone = NULL;

	if (!m.conv.up) {
		m.out_height = out_size(m.height, m.conv);
		m.out_width = out_size(m.width, m.conv);
	}
	const int64_t plane = m.out_height * m.out_width * m.n_out;
	struct want want = naive_conv2d(&m,
		multiplied(dtype, MANY_ROWS, x, m.batch * m.height * m.width * m.n_in),
		quantised(dtype, m.n_out, columns, w), bias);
	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_tensor *tw = put_matrix(&d, dtype, "w", m.n_out, columns, w);
		struct gpu_tensor *tb = put(&d, "bias", SHAPE(m.n_out), bias);
		struct gpu_tensor *y =
			empty(&d, "y", SHAPE(m.batch, m.out_height, m.out_width, m.n_out));
		gpu_conv2d(d.g, y, put(&d, "x", SHAPE(m.batch, m.height, m.width, m.n_in), x), tw,
			tb, m.conv);
		float *got = get(&d, y);
		assert_close(got, want, m.batch * plane, "isa %d conv2d %dx%d", d.isa,
			(int)m.height, (int)m.width);
		/* The last image of the batch alone. */
		y = empty(&d, "y", SHAPE(1, m.out_height, m.out_width, m.n_out));
		gpu_conv2d(d.g, y,
			put(&d, "x", SHAPE(1, m.height, m.width, m.n_in),
				x + (m.batch - 1) * m.height * m.width * m.n_in),
			tw, tb, m.conv);
		alone = get(&d, y);
		if (!on_cuda()) /* cuBLAS may choose another way for another size */
			assert_same_bits(alone, got + (m.batch - 1) * plane, plane, "alone");
	}
}

/* In tiles: what the product of the gathered rows gives, in the order that gpu.h states, bit
 * for bit (tests/ops/tiles.c holds that to its order).  CUDA has an order of its own: there both
 * are close to the exact sum. */
static void check_conv2d_tiles(struct image m)
{
	const int64_t k = m.conv.kernel, columns = k * k * m.n_in, stride = m.conv.stride;
	float *x = random_floats(m.batch * m.height * m.width * m.n_in);
	float *w = random_floats(m.n_out * columns);

	if (!m.conv.up) {
		m.out_height = out_size(m.height, m.conv);
		m.out_width = out_size(m.width, m.conv);
	}
	const int64_t n = m.batch * m.out_height * m.out_width;
	float *rows = keep((size_t)(n * columns), sizeof(*rows));
	for (int64_t i = 0; i < n * k * k; i++) {
		const int64_t at = i / k / k, s = i % k, r = i / k % k;
		const float *p = pixel(&m, x, at / m.out_width / m.out_height,
			at / m.out_width % m.out_height * (stride ? stride : 1) + r - m.conv.pad,
			at % m.out_width * (stride ? stride : 1) + s - m.conv.pad);
		if (p)
			memcpy(rows + i * m.n_in, p, (size_t)m.n_in * sizeof(*p));
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tw = put_matrix(&d, GPU_TILES, "w", m.n_out, columns, w);
		struct gpu_tensor *y =
			empty(&d, "y", SHAPE(m.batch, m.out_height, m.out_width, m.n_out));
		struct gpu_tensor *z = empty(&d, "z", SHAPE(n, m.n_out));
		gpu_conv2d(d.g, y, put(&d, "x", SHAPE(m.batch, m.height, m.width, m.n_in), x), tw,
			NULL, m.conv);
		gpu_linear(d.g, z,
			put(&d, "rows", SHAPE(n, columns),
				stride > 1 ? rows : by_blocks(rows, n, k * k, m.n_in)),
			stride > 1 ? tw
				   : put_matrix(&d, GPU_TILES, "w", m.n_out, columns,
					     by_blocks(w, m.n_out, k * k, m.n_in)),
			NULL);
		if (!on_cuda())
			assert_same_bits(
				get(&d, y), get(&d, z), n * m.n_out, "isa %d tiles", d.isa);
		else
			assert_close(get(&d, y),
				naive_conv2d(&m,
					multiplied(GPU_TILES, MANY_ROWS, x,
						m.batch * m.height * m.width * m.n_in),
					quantised(GPU_BF16, m.n_out, columns, w), NULL),
				n * m.n_out, "tiles");
	}
}

/* ---- Winograd ----------------------------------------------------------- */

/* |B^T| d |B| of a patch of 4 x 4 absolute values: what its 16 values are at most. */
static void patch_bounds(double v[16], const double d[16])
{
	static const int of[4][2] = {{0, 2}, {1, 2}, {2, 1}, {1, 3}};

	for (int i = 0; i < 16; i++) {
		const int *r = of[i / 4], *c = of[i % 4];
		v[i] = d[r[0] * 4 + c[0]] + d[r[0] * 4 + c[1]] + d[r[1] * 4 + c[0]] +
		       d[r[1] * 4 + c[1]];
	}
}

/* |G| g |G^T| of 3 x 3 absolute values. */
static void tap_bounds(double u[16], const double g[9])
{
	static const double of[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, .5, .5}, {0, 0, 1}};

	for (int i = 0; i < 16; i++) {
		u[i] = 0;
		for (int r = 0; r < 3; r++)
			for (int c = 0; c < 3; c++)
				u[i] += of[i / 4][r] * g[r * 3 + c] * of[i % 4][c];
	}
}

/* Adds to m, the 16 products' bounds, those of one channel of the tile that begins at (i, j). */
static void add_products(double m[16], const struct image *p, const float *x, const float *taps,
	int64_t b, int64_t i, int64_t j, int64_t c)
{
	double d[16], v[16], g[9], u[16];

	for (int k = 0; k < 16; k++) {
		const float *at = pixel(p, x, b, i - 1 + k / 4, j - 1 + k % 4);
		d[k] = at ? fabs((double)at[c]) : 0;
	}
	for (int k = 0; k < 9; k++)
		g[k] = fabs((double)taps[k * p->n_in + c]);
	patch_bounds(v, d);
	tap_bounds(u, g);
	for (int k = 0; k < 16; k++)
		m[k] += u[k] * v[k];
}

/* The exact sums; and what Winograd's form may be off by, first order: values of patches and of
 * taps are rounded twice and once, a product's sum as that of n_in terms is, and nine of them and
 * the bias are added. */
static struct want naive_winograd(
	const struct image *p, const float *x, const float *w, const float *bias)
{
	static const int has[2][4] = {{1, 1, 1, 0}, {0, 1, 1, 1}};
	struct want want = naive_conv2d(p, x, w, bias);

	for (int64_t at = 0; at < p->batch * p->out_height * p->out_width * p->n_out; at++) {
		const int64_t o = at % p->n_out, j = at / p->n_out % p->out_width,
			      i = at / p->n_out / p->out_width % p->out_height,
			      b = at / p->n_out / p->out_width / p->out_height;
		double m[16] = {0}, magnitude = bias ? fabs(bias[o]) : 0;
		for (int64_t c = 0; c < p->n_in; c++)
			add_products(m, p, x, w + o * 9 * p->n_in, b, i / 2 * 2, j / 2 * 2, c);
		for (int k = 0; k < 16; k++)
			magnitude += has[i % 2][k / 4] * has[j % 2][k % 4] * m[k];
		want.tol[at] = MARGIN * (double)(p->n_in + 3 + 9) * U * magnitude;
	}
	return want;
}

static void check_winograd(struct image m)
{
	const int64_t columns = 9 * m.n_in;
	float *x = random_floats(m.batch * m.height * m.width * m.n_in), *first = NULL;
	float *w = random_floats(m.n_out * columns), *bias = random_floats(m.n_out);

	if (!m.conv.up) {
		m.out_height = m.height;
		m.out_width = m.width;
	}
	const int64_t n = m.batch * m.out_height * m.out_width * m.n_out;
	const struct want want = naive_winograd(&m, x, w, bias);
	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_tensor *tw = put_matrix(&d, GPU_WINOGRAD, "w", m.n_out, columns, w);
		assert_int_equal(tw->dtype == GPU_WINOGRAD,
			!on_cuda() && m.n_in % 32 == 0 && m.n_out % 32 == 0);
		struct gpu_tensor *y =
			empty(&d, "y", SHAPE(m.batch, m.out_height, m.out_width, m.n_out));
		gpu_conv2d(d.g, y, put(&d, "x", SHAPE(m.batch, m.height, m.width, m.n_in), x), tw,
			put(&d, "bias", SHAPE(m.n_out), bias), m.conv);
		float *got = get(&d, y);
		assert_close(
			got, want, n, "isa %d winograd %dx%d", d.isa, (int)m.height, (int)m.width);
		if (tw->dtype != GPU_WINOGRAD)
			continue; /* CUDA, and channels that no tile takes */
		first = first ? first : got;
		assert_same_bits(got, first, n, "isa %d winograd", d.isa);
	}
}

/* Odd sizes, one place, enlarged, tiles of several images in a step, few tiles, which threads
 * share, and several chunks; channels that no tile takes. */
static void winograd(void **state)
{
	static const struct image images[] = {
		{2, 5, 7, 32, 32, {3, 1, 1, false}, 0, 0},
		{1, 1, 1, 64, 32, {3, 1, 1, false}, 0, 0},
		{3, 4, 3, 32, 64, {3, 1, 1, true}, 8, 6},
		{2, 9, 5, 32, 32, {3, 1, 1, true}, 17, 9},
		{2, 2, 66, 32, 32, {3, 1, 1, false}, 0, 0},
		{2, 64, 4, 96, 32, {3, 1, 1, false}, 0, 0},
		{1, 48, 50, 160, 32, {3, 1, 1, false}, 0, 0},
		{1, 5, 4, 32, 33, {3, 1, 1, false}, 0, 0},
		{1, 5, 4, 31, 32, {3, 1, 1, false}, 0, 0},
	};

	for (size_t i = 0; i < N_OF(images); i++) {
		seed(i);
		check_winograd(images[i]);
		test_done(NULL);
	}
}

static void wrong_winograd(void **state)
{
	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_tensor *w =
			put_matrix(&d, GPU_WINOGRAD, "w", 32, 9 * 32, random_floats(32 * 9 * 32));
		struct gpu_tensor *x = empty(&d, "x", SHAPE(1, 4, 4, 32));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(1, 2, 2, 32));
		gpu_conv2d(d.g, y, x, w, NULL, (struct gpu_conv2d){.kernel = 3});
		assert_gpu_error(d.g, ERR_BUG, "stride 1 and padding 1");
		gpu_conv2d(d.g, y, x, w, NULL, (struct gpu_conv2d){3, 2, 1, false});
		assert_gpu_error(d.g, ERR_BUG, "stride 1 and padding 1");
		gpu_linear(
			d.g, empty(&d, "z", SHAPE(1, 32)), empty(&d, "r", SHAPE(1, 288)), w, NULL);
		assert_gpu_error(d.g, ERR_BUG, "w must be a packed matrix");
	}
}

static void convolutions(void **state)
{
	static const struct image images[] = {
		{2, 5, 7, 3, 4, {3, 1, 1, false}, 0, 0},
		{1, 1, 1, 8, 33, {3, 0, 1, false}, 0, 0},
		{2, 9, 4, 5, 32, {3, 2, 1, false}, 0, 0},
		{1, 8, 6, 16, 3, {1, 1, 0, false}, 0, 0},
		{3, 4, 3, 7, 40, {3, 1, 1, true}, 8, 6},
		{2, 4, 3, 7, 5, {3, 1, 1, true}, 7, 5},
		{1, 8, 12, 1, 9, {4, 4, 0, false}, 0, 0},
		{2, 40, 16, 40, 65, {3, 1, 1, false}, 0, 0}, /* several blocks and chunks */
		{2, 33, 3, 64, 40, {3, 1, 1, false}, 0, 0},  /* whole blocks of channels */
		{3, 9, 5, 32, 33, {3, 1, 1, true}, 17, 9},
		{1, 6, 6, 32, 4, {1, 1, 0, false}, 0, 0},
		/* narrow: columns of whole steps and of nearly whole ones */
		{2, 32, 2, 64, 40, {3, 1, 1, false}, 0, 0},
		{3, 62, 3, 32, 33, {3, 1, 1, false}, 0, 0},
		{2, 16, 1, 32, 32, {3, 1, 1, true}, 32, 2},
		{1, 160, 4, 32, 7, {3, 1, 1, false}, 0, 0},
	};

	for (size_t i = 0; i < N_OF(images); i++) {
		seed(i);
		check_conv2d(images[i], GPU_F32);
		check_conv2d(images[i], GPU_BF16);
		check_conv2d(images[i], GPU_SPLIT);
		check_conv2d_tiles(images[i]);
		test_done(NULL);
	}
}

/* ---- group norm --------------------------------------------------------- */

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Statistics are taken in double, so what is left is one rounding each of the scale
 * and of the shift, and two of their use; silu, whose slope is at most 1.1, adds that
 * of its own: vexp is right to 2 ulp. */
static struct want naive_group_norm(const float *x, const float *w, const float *b, int64_t batch,
	int64_t rows, int64_t width, int64_t groups, double eps, bool silu)
{
	struct want want = want_new(batch * rows * width);
	const int64_t n = width / groups;

	for (int64_t at = 0; at < batch * groups; at++) {
		const int64_t first = at / groups * rows * width + at % groups * n;
		double sum = 0, squares = 0;
		for (int64_t i = 0; i < rows * n; i++)
			sum += x[first + i / n * width + i % n];
		const double mean = sum / (double)(rows * n);
		for (int64_t i = 0; i < rows * n; i++)
			squares += pow(x[first + i / n * width + i % n] - mean, 2);
		const double inverse = 1 / sqrt(squares / (double)(rows * n) + eps);
		for (int64_t i = 0; i < rows * n; i++) {
			const int64_t j = first + i / n * width + i % n,
				      c = at % groups * n + i % n;
			const double scale = inverse * w[c], shift = b[c] - mean * scale;
			double y = x[j] * scale + shift;
			/* mean^2 - mean of squares: the doubles' own rounding, magnified */
			double tol =
				MARGIN * U * (3 * fabs(x[j] * scale) + 2 * fabs(shift) + fabs(y));
			if (silu) {
				tol = 1.1 * tol + 8 * U * fabs(y);
				y *= sigmoid(y);
			}
			want.y[j] = y;
			want.tol[j] = tol;
		}
	}
	return want;
}

static void check_group_norm(int64_t batch, int64_t rows, int64_t groups, int64_t per, float offset)
{
	const int64_t width = groups * per, n = batch * rows * width;
	float *x = random_floats(n), *w = random_floats(width), *b = random_floats(width);

	for (int64_t i = 0; i < n; i++)
		x[i] += offset;
	for (int silu = 0; silu < 2; silu++) {
		struct want want =
			naive_group_norm(x, w, b, batch, rows, width, groups, 1e-5, silu);
		float *first = NULL;
		FOR_EACH_ISA(d)
		{
			struct gpu_tensor *tx = put(&d, "x", SHAPE(batch, rows, width), x);
			const struct gpu_group_norm how = {.w = put(&d, "w", SHAPE(width), w),
				.b = put(&d, "b", SHAPE(width), b),
				.n_groups = groups,
				.eps = 1e-5f,
				.silu = silu};
			struct gpu_tensor *y = empty(&d, "y", SHAPE(batch, rows, width));
			gpu_group_norm(d.g, y, tx, &how);
			float *got = get(&d, y);
			assert_close(got, want, n, "isa %d group_norm [%d, %d, %d] silu %d", d.isa,
				(int)batch, (int)rows, (int)width, silu);
			gpu_group_norm(d.g, tx, tx, &how);
			assert_same_bits(get(&d, tx), got, n, "in place");
			if (first)
				assert_same_bits(got, first, n, "every instruction set");
			first = got;
		}
	}
}

static void group_norms(void **state)
{
	static const int64_t rows[] = {1, 2, 35, 255, 256, 257, 700};

	for (size_t i = 0; i < N_OF(rows); i++) {
		seed(i);
		check_group_norm(2, rows[i], 4, 1 + (int64_t)i, 0);
		check_group_norm(1, rows[i], 32, 5, 0.5f);
		test_done(NULL);
	}
	check_group_norm(1, 300, 2, 8, 100);
	/* on CUDA: in pieces of rows, several groups a block, or a group wider than one */
	check_group_norm(2, 3100, 7, 8, 3);
	test_done(NULL);
	check_group_norm(1, 70, 2, 1100, 0);
	check_group_norm(1, 3, 2, 301, 0);
	test_done(NULL);
	check_group_norm(1, 16500, 3, 4, 1);
	test_done(NULL);
}

/* ---- concat ------------------------------------------------------------- */

static void concats(void **state)
{
	enum { N = 37, A = 5, B = 12 };
	float *a = random_floats(N * A), *b = random_floats(N * B);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(1, N, A + B));
		gpu_concat(
			d.g, y, put(&d, "a", SHAPE(1, N, A), a), put(&d, "b", SHAPE(1, N, B), b));
		float *got = get(&d, y);
		for (int64_t i = 0; i < N; i++) {
			assert_memory_equal(got + i * (A + B), a + i * A, A * sizeof(*a));
			assert_memory_equal(got + i * (A + B) + A, b + i * B, B * sizeof(*b));
		}
	}
}

/* ---- windows ------------------------------------------------------------ */

static void check_windows(
	int64_t n_windows, int64_t len, int64_t n_heads, int64_t dim, int64_t n_masks)
{
	const int64_t width = n_heads * dim;
	float *qkv = random_floats(n_windows * len * 3 * width);
	float *bias = random_floats(n_heads * len * len);
	float *mask = random_floats((n_masks ? n_masks : 1) * len * len);
	float *added = keep((size_t)len, sizeof(*added));
	struct want want = want_new(n_windows * len * width);

	for (int64_t i = 0; i < n_masks * len * len; i++)
		mask[i] = mask[i] < 0 && i % len ? -100 : 0;
	for (int64_t at = 0; at < n_windows * n_heads * len; at++) {
		const int64_t w = at / len / n_heads, h = at / len % n_heads, q = at % len;
		const float *x = qkv + w * len * 3 * width + h * dim;
		const int64_t to = (w * len + q) * width + h * dim;
		for (int64_t k = 0; k < len; k++)
			added[k] = bias[(h * len + q) * len + k] +
				   (n_masks ? mask[(w % n_masks * len + q) * len + k] : 0);
		naive_attend((struct want){want.y + to, want.tol + to}, x + q * 3 * width,
			x + width, x + 2 * width, 3 * width, added, len, dim, 0.25);
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_windows, len, width));
		gpu_attention_windows(d.g, y, put(&d, "qkv", SHAPE(n_windows, len, 3 * width), qkv),
			put(&d, "bias", SHAPE(n_heads, len, len), bias),
			n_masks ? put(&d, "mask", SHAPE(n_masks, len, len), mask) : NULL, 0.25f);
		assert_close(get(&d, y), want, n_windows * len * width,
			"isa %d windows of %d, %d heads of %d, %d masks", d.isa, (int)len,
			(int)n_heads, (int)dim, (int)n_masks);
	}
}

static void windows(void **state)
{
	check_windows(1, 1, 1, 1, 0);
	check_windows(4, 16, 2, 8, 2);
	check_windows(6, 64, 4, 32, 3);
	check_windows(2, 33, 3, 40, 0);
}

/* ---- what is refused ---------------------------------------------------- */

static void shapes_that_do_not_agree(void **state)
{
	struct dev d;

	assert_true(dev_open(&d, 1, CPU_GENERIC));
	float *zeros = keep(4096, sizeof(float));
	struct gpu_tensor *x = put(&d, "x", SHAPE(1, 4, 4, 2), zeros);
	struct gpu_tensor *w = put_matrix(&d, GPU_F32, "w", 3, 18, zeros);
	gpu_conv2d(d.g, put(&d, "y", SHAPE(1, 4, 3, 3), zeros), x, w, NULL,
		(struct gpu_conv2d){.kernel = 3, .pad = 1});
	assert_gpu_error(d.g, ERR_BUG, "y has another size than x gives");
	gpu_conv2d(d.g, put(&d, "y", SHAPE(1, 9, 8, 3), zeros), x, w, NULL,
		(struct gpu_conv2d){.kernel = 3, .pad = 1, .up = true});
	assert_gpu_error(d.g, ERR_BUG, "y has another size than x gives");
	gpu_conv2d(d.g, put(&d, "y", SHAPE(1, 4, 4, 3), zeros), x, w, NULL,
		(struct gpu_conv2d){.kernel = 2, .pad = 1});
	assert_gpu_error(d.g, ERR_BUG, "kernel * kernel * channels");
	const struct gpu_group_norm how = {.w = put(&d, "w", SHAPE(2), zeros),
		.b = put(&d, "b", SHAPE(2), zeros),
		.n_groups = 3};
	gpu_group_norm(d.g, x, x, &how);
	assert_gpu_error(d.g, ERR_BUG, "the groups do not divide");
	gpu_concat(d.g, put(&d, "y", SHAPE(2, 5), zeros), put(&d, "a", SHAPE(2, 2), zeros),
		put(&d, "b", SHAPE(2, 2), zeros));
	assert_gpu_error(d.g, ERR_BUG, "side by side");
	gpu_attention_windows(d.g, put(&d, "y", SHAPE(2, 4, 6), zeros),
		put(&d, "qkv", SHAPE(2, 4, 18), zeros), put(&d, "bias", SHAPE(4, 4, 4), zeros),
		NULL, 1);
	assert_gpu_error(d.g, ERR_BUG, "heads do not divide");
	dev_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wrong_winograd),
		TEST(convolutions),
		TEST(winograd),
		TEST(group_norms),
		TEST(concats),
		TEST(windows),
		TEST(shapes_that_do_not_agree),
	};

	return RUN_TAP_WITH(tests, 1, 0); /* CUDA keeps no matrices in that form */
}
