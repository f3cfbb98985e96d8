/* Reading a tensor: chunks small enough to be converted and checked while
 * they are in the processor's cache, views gathered box by box. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weight files are little-endian");

enum {
	CHUNK = 256 << 10,  /* bytes a pread straight into the destination */
	SCRATCH = 64 << 10, /* bytes a pread of what must be converted */
	BLOCK = 64,         /* a fixed count lets the compiler vectorise at -O2 */
};

union scratch {
	uint8_t bytes[SCRATCH];
	double align;
};

uint64_t ckpt_dtype_size(enum ckpt_dtype dtype)
{
	static const uint8_t sizes[] = {
		[CKPT_F32] = 4,
		[CKPT_F16] = 2,
		[CKPT_BF16] = 2,
		[CKPT_F64] = 8,
		[CKPT_I64] = 8,
		[CKPT_I32] = 4,
		[CKPT_I16] = 2,
		[CKPT_I8] = 1,
		[CKPT_U8] = 1,
		[CKPT_BOOL] = 1,
		[CKPT_OTHER] = 0,
	};
	return sizes[dtype];
}

/* ---- conversion --------------------------------------------------------- */

static inline float f32_of_bits(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

/* Without branches and without subnormal arithmetic, which is slow. */
static inline float f32_of_f16(uint16_t h)
{
	const uint32_t shifted = (uint32_t)(h & 0x7fff) << 13;
	const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	const uint32_t rebias = 112u << 23;
	/* Infinity and NaN keep the largest exponent. */
	const uint32_t normal = shifted + rebias + (shifted >= 0x0f800000 ? rebias : 0);
	/* Below 2^-14: 2^-14 * (1 + mantissa) - 2^-14 is exact. */
	const float small = f32_of_bits(shifted + (113u << 23)) - 0x1p-14f;
	uint32_t small_bits;

	memcpy(&small_bits, &small, sizeof(small));
	return f32_of_bits(sign | (shifted < 0x00800000 ? small_bits : normal));
}

static inline float f32_of_bf16(uint16_t h)
{
	return f32_of_bits((uint32_t)h << 16);
}

#define CONVERT(name, type, expression)                                                            \
	static void name(const void *src, size_t n, float *restrict dst)                           \
	{                                                                                          \
		const type *restrict s = src;                                                      \
		size_t i = 0;                                                                      \
                                                                                                   \
		for (; i + BLOCK <= n; i += BLOCK)                                                 \
			for (size_t j = i; j < i + BLOCK; j++)                                     \
				dst[j] = expression(s[j]);                                         \
		for (; i < n; i++)                                                                 \
			dst[i] = expression(s[i]);                                                 \
	}

#define TRUTH(x) ((x) ? 1.0f : 0.0f)
CONVERT(convert_f32, float, )
CONVERT(convert_f16, uint16_t, f32_of_f16)
CONVERT(convert_bf16, uint16_t, f32_of_bf16)
CONVERT(convert_f64, double, (float))
CONVERT(convert_i64, int64_t, (float))
CONVERT(convert_i32, int32_t, (float))
CONVERT(convert_i16, int16_t, (float))
CONVERT(convert_i8, int8_t, (float))
CONVERT(convert_u8, uint8_t, (float))
CONVERT(convert_bool, uint8_t, TRUTH)

typedef void convert_fn(const void *src, size_t n, float *restrict dst);

static convert_fn *const converters[] = {
	[CKPT_F32] = convert_f32,
	[CKPT_F16] = convert_f16,
	[CKPT_BF16] = convert_bf16,
	[CKPT_F64] = convert_f64,
	[CKPT_I64] = convert_i64,
	[CKPT_I32] = convert_i32,
	[CKPT_I16] = convert_i16,
	[CKPT_I8] = convert_i8,
	[CKPT_U8] = convert_u8,
	[CKPT_BOOL] = convert_bool,
};

/* True when no exponent is all ones. */
static bool are_finite(const float *x, size_t n)
{
	uint32_t bad = 0, bits;
	size_t i = 0;

	for (; i + BLOCK <= n; i += BLOCK)
		for (size_t j = i; j < i + BLOCK; j++) {
			memcpy(&bits, &x[j], sizeof(bits));
			/* Carries into the sign bit. */
			bad |= (bits & 0x7fffffff) + 0x00800000;
		}
	for (; i < n; i++) {
		memcpy(&bits, &x[i], sizeof(bits));
		bad |= (bits & 0x7fffffff) + 0x00800000;
	}
	return !(bad >> 31);
}

/* The same of f16 and bf16, whose exponents are these bits. */
static bool are_finite_halves(const uint16_t *x, size_t n, uint16_t exponent)
{
	uint16_t bad = 0;
	size_t i = 0;

	for (; i + BLOCK <= n; i += BLOCK)
		for (size_t j = i; j < i + BLOCK; j++)
			bad |= (x[j] & exponent) == exponent;
	for (; i < n; i++)
		bad |= (x[i] & exponent) == exponent;
	return !bad;
}

static int not_finite(const struct ckpt_file *f, const struct ckpt_tensor *t, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"tensor '%s' in '%s' holds a value that is NaN, infinite or too large: the file is "
		"damaged or its training failed; download it again",
		t->name, f->name);
}

static int check_finite(const struct ckpt_file *f, const struct ckpt_tensor *t, const float *x,
	size_t n, struct err *e)
{
	return are_finite(x, n) ? 0 : not_finite(f, t, e);
}

/* ---- contiguous tensors ------------------------------------------------- */

static int read_contiguous(const struct ckpt_file *f, const struct ckpt_tensor *t, uint64_t first,
	uint64_t n, float *dst, struct err *e)
{
	const uint64_t size = ckpt_dtype_size(t->dtype);
	const uint64_t step = (t->dtype == CKPT_F32 ? CHUNK : SCRATCH) / size;
	uint64_t offset = t->offset + first * size;
	union scratch scratch;

	while (n) {
		const size_t k = n < step ? (size_t)n : (size_t)step;
		void *src = t->dtype == CKPT_F32 ? (void *)dst : scratch.bytes;
		int rc = ckpt_pread(f, offset, src, k * size, e);
		if (rc)
			return rc;
		if (src != dst)
			converters[t->dtype](src, k, dst);
		rc = check_finite(f, t, dst, k, e);
		if (rc)
			return rc;
		offset += k * size;
		dst += k;
		n -= k;
	}
	return 0;
}

/* ---- views -------------------------------------------------------------- */

/* A box of elements: extents, and strides in the file and in dst. */
struct box {
	struct axis {
		int64_t n, src, dst;
	} axis[CKPT_MAX_DIMS];
	int n_axes;
	uint64_t offset; /* of the first element */
};

/* Puts the axis with the smallest stride in the file innermost, so that the
 * file is walked forward. */
static void sort_axes(struct box *b)
{
	for (int i = 1; i < b->n_axes; i++)
		for (int j = i; j > 0 && b->axis[j - 1].src < b->axis[j].src; j--) {
			struct axis a = b->axis[j];
			b->axis[j] = b->axis[j - 1];
			b->axis[j - 1] = a;
		}
}

static bool next_element(const struct box *b, int64_t at[CKPT_MAX_DIMS], int64_t *src, int64_t *dst)
{
	for (int i = b->n_axes - 1; i >= 0; i--) {
		*src += b->axis[i].src;
		*dst += b->axis[i].dst;
		if (++at[i] < b->axis[i].n)
			return true;
		at[i] = 0;
		*src -= b->axis[i].src * b->axis[i].n;
		*dst -= b->axis[i].dst * b->axis[i].n;
	}
	return false;
}

static int read_box(const struct ckpt_file *f, const struct ckpt_tensor *t, struct box *b,
	float *dst, struct err *e)
{
	const int64_t size = (int64_t)ckpt_dtype_size(t->dtype), window = SCRATCH / size;
	int64_t at[CKPT_MAX_DIMS] = {0}, src = 0, to = 0, last = 0;
	int64_t begin = 0, end = 0; /* elements that are in the scratch */
	union scratch scratch;

	sort_axes(b);
	for (int i = 0; i < b->n_axes; i++)
		last += (b->axis[i].n - 1) * b->axis[i].src;
	do {
		if (src < begin || src >= end) {
			begin = src;
			end = last + 1 - src < window ? last + 1 : src + window;
			int rc = ckpt_pread(f, b->offset + (uint64_t)(begin * size), scratch.bytes,
				(size_t)((end - begin) * size), e);
			if (rc)
				return rc;
		}
		converters[t->dtype](scratch.bytes + (src - begin) * size, 1, dst + to);
	} while (next_element(b, at, &src, &to));
	return 0;
}

/* A run of elements in row-major order is a few boxes: each takes the
 * outermost dimension that the run enters at its start and spans. */
static int read_view(const struct ckpt_file *f, const struct ckpt_tensor *t, uint64_t first,
	uint64_t n, float *dst, struct err *e)
{
	const uint64_t size = ckpt_dtype_size(t->dtype);

	while (n) {
		struct box b = {.offset = t->offset};
		uint64_t inner = t->n_elements, rest = first;
		int dim = 0;

		for (;; dim++) {
			inner /= (uint64_t)t->ne[dim];
			b.offset += rest / inner * (uint64_t)t->stride[dim] * size;
			rest %= inner;
			if (!rest && n >= inner)
				break;
		}
		uint64_t left = (uint64_t)t->ne[dim] - first / inner % (uint64_t)t->ne[dim];
		uint64_t count = n / inner < left ? n / inner : left;
		uint64_t n_box = count * inner;
		for (int i = dim; i < t->n_dims; i++) {
			struct axis *a = &b.axis[b.n_axes++];
			a->n = i == dim ? (int64_t)count : t->ne[i];
			a->src = t->stride[i];
			a->dst = (int64_t)inner;
			if (i + 1 < t->n_dims)
				inner /= (uint64_t)t->ne[i + 1];
		}
		int rc = read_box(f, t, &b, dst, e);
		if (!rc)
			rc = check_finite(f, t, dst, n_box, e);
		if (rc)
			return rc;
		first += n_box;
		dst += n_box;
		n -= n_box;
	}
	return 0;
}

/* ---- public ------------------------------------------------------------- */

static bool is_contiguous(const struct ckpt_tensor *t)
{
	int64_t stride = 1;

	for (int i = t->n_dims - 1; i >= 0; stride *= t->ne[i--])
		if (t->ne[i] != 1 && t->stride[i] != stride)
			return false;
	return true;
}

static int check_range(const struct ckpt_tensor *t, uint64_t first, uint64_t n, struct err *e)
{
	if (first > t->n_elements || n > t->n_elements - first)
		return err_set(e, ERR_BUG, "tensor '%s': read beyond its end", t->name);
	return 0;
}

int ckpt_read_f32(const struct ckpt *c, const struct ckpt_tensor *t, uint64_t first, uint64_t n,
	float *dst, struct err *e)
{
	const struct ckpt_file *f = &c->files.at[t->file];

	if (check_range(t, first, n, e))
		return ERR_BUG;
	if (t->dtype == CKPT_OTHER)
		return err_set(e, ERR_UNSUPPORTED,
			"tensor '%s' in '%s' is of a type that cannot be read: convert it to "
			"float32, float16 or bfloat16",
			t->name, f->name);
	if (!n)
		return 0;
	return is_contiguous(t) ? read_contiguous(f, t, first, n, dst, e)
				: read_view(f, t, first, n, dst, e);
}

bool ckpt_is_raw(const struct ckpt_tensor *t)
{
	return (t->dtype == CKPT_F32 || t->dtype == CKPT_F16 || t->dtype == CKPT_BF16) &&
	       is_contiguous(t);
}

/* In pieces that are checked while they are in the processor's cache. */
int ckpt_read_raw(const struct ckpt *c, const struct ckpt_tensor *t, uint64_t first, uint64_t n,
	void *dst, struct err *e)
{
	const struct ckpt_file *f = &c->files.at[t->file];
	const uint64_t size = ckpt_dtype_size(t->dtype);
	const uint16_t exponent = t->dtype == CKPT_F16 ? 0x7c00 : 0x7f80;
	int rc = check_range(t, first, n, e);

	for (uint64_t i = 0, k; i < n && !rc; i += k) {
		char *to = (char *)dst + i * size;
		k = n - i < CHUNK / size ? n - i : CHUNK / size;
		rc = ckpt_pread(f, t->offset + (first + i) * size, to, (size_t)(k * size), e);
		if (rc)
			break;
		const bool fine = t->dtype == CKPT_F32
					  ? are_finite((float *)to, (size_t)k)
					  : are_finite_halves((uint16_t *)to, (size_t)k, exponent);
		rc = fine ? 0 : not_finite(f, t, e);
	}
	return rc;
}
