/* safetensors: 8 bytes N, N bytes of JSON, then the tensors without gaps.
 *
 *	{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
 *	 "__metadata__": {"format": "pt"}}
 *
 * The rules are those of huggingface/safetensors (safetensors/src/tensor.rs):
 * offsets count from the end of the header, the tensors sorted by offset
 * cover the rest of the file exactly once, and an element's bits times the
 * product of the shape is the size of the range. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/ckpt_private.h"
#include "engine/weights/jsonread.h"
#include "library/base/err.h"

#define MAX_HEADER 100000000u

static const struct dtype {
	const char *name;
	uint8_t bits;
	enum ckpt_dtype dtype;
} dtypes[] = {
	{"F32", 32, CKPT_F32},
	{"F16", 16, CKPT_F16},
	{"BF16", 16, CKPT_BF16},
	{"F64", 64, CKPT_F64},
	{"I64", 64, CKPT_I64},
	{"I32", 32, CKPT_I32},
	{"I16", 16, CKPT_I16},
	{"I8", 8, CKPT_I8},
	{"U8", 8, CKPT_U8},
	{"BOOL", 8, CKPT_BOOL},
	{"U16", 16, CKPT_OTHER},
	{"U32", 32, CKPT_OTHER},
	{"U64", 64, CKPT_OTHER},
	{"C64", 64, CKPT_OTHER},
	{"F8_E5M2", 8, CKPT_OTHER},
	{"F8_E4M3", 8, CKPT_OTHER},
	{"F8_E5M2FNUZ", 8, CKPT_OTHER},
	{"F8_E4M3FNUZ", 8, CKPT_OTHER},
	{"F8_E8M0", 8, CKPT_OTHER},
	{"F6_E2M3", 6, CKPT_OTHER},
	{"F6_E3M2", 6, CKPT_OTHER},
	{"F4", 4, CKPT_OTHER},
};

/* Bytes begin..end-1 after the header. */
struct range {
	uint64_t begin, end;
	const char *name;
};

static const struct dtype *find_dtype(const char *name)
{
	for (size_t i = 0; name && i < sizeof(dtypes) / sizeof(*dtypes); i++)
		if (!strcmp(dtypes[i].name, name))
			return &dtypes[i];
	return NULL;
}

/* Shape and its row-major strides; the elements fit in CKPT_MAX_ELEMENTS. */
static bool get_shape(const json_t *shape, struct ckpt_tensor *t)
{
	uint64_t n = 1;

	if (!json_is_array(shape) || json_array_size(shape) > CKPT_MAX_DIMS)
		return false;
	t->n_dims = (int)json_array_size(shape);
	for (int i = 0; i < t->n_dims; i++) {
		const json_t *v = json_array_get(shape, (size_t)i);
		t->ne[i] = json_integer_value(v);
		if (!json_is_integer(v) || t->ne[i] < 0 ||
			__builtin_mul_overflow(n, (uint64_t)t->ne[i], &n) ||
			n > (uint64_t)CKPT_MAX_ELEMENTS)
			return false;
	}
	t->n_elements = n;
	int64_t stride = 1;
	for (int i = t->n_dims - 1; i >= 0; i--) {
		t->stride[i] = stride;
		/* Without elements the strides are never used. */
		stride = n ? stride * t->ne[i] : 1;
	}
	return true;
}

static bool get_range(const json_t *offsets, struct range *r)
{
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);

	if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
		json_integer_value(begin) < 0 ||
		json_integer_value(end) < json_integer_value(begin))
		return false;
	r->begin = (uint64_t)json_integer_value(begin);
	r->end = (uint64_t)json_integer_value(end);
	return true;
}

static int add_tensor(struct ckpt *c, int file, uint64_t payload, const char *name,
	const json_t *info, struct range *r, struct err *e)
{
	const struct ckpt_file *f = &c->files.at[file];
	const struct dtype *d = find_dtype(json_string_value(json_object_get(info, "dtype")));
	struct ckpt_tensor t = {.file = file};

	if (!d)
		return ckpt_damaged(f, e, "tensor '%s' has no known type", name);
	if (!get_shape(json_object_get(info, "shape"), &t))
		return ckpt_damaged(f, e, "tensor '%s' has no valid shape", name);
	if (!get_range(json_object_get(info, "data_offsets"), r))
		return ckpt_damaged(f, e, "tensor '%s' has no valid offsets", name);
	if (t.n_elements * d->bits % 8 || t.n_elements * d->bits / 8 != r->end - r->begin)
		return ckpt_damaged(f, e, "tensor '%s' takes %llu bytes, its shape another number",
			name, (unsigned long long)(r->end - r->begin));
	/* Whether it lies in the file is seen when all ranges are known. */
	t.dtype = d->dtype;
	if (__builtin_add_overflow(payload, r->begin, &t.offset))
		return ckpt_damaged(f, e, "tensor '%s' lies outside of the file", name);
	r->name = name;
	return ckpt_add(c, t, name, strlen(name), e);
}

static bool is_metadata(json_t *v)
{
	const char *key;
	json_t *text;

	if (!json_is_object(v))
		return false;
	json_object_foreach(v, key, text) if (!json_is_string(text)) return false;
	return true;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* No hole, no overlap, nothing behind the last. */
static int check_ranges(
	const struct ckpt_file *f, uint64_t payload, struct range *r, size_t n, struct err *e)
{
	uint64_t end = 0;

	qsort(r, n, sizeof(*r), compare_ranges);
	for (size_t i = 0; i < n; end = r[i++].end)
		if (r[i].begin != end)
			return ckpt_damaged(f, e, "tensor '%s' %s", r[i].name,
				r[i].begin < end ? "overlaps another" : "leaves a gap before it");
	if (end == f->size - payload)
		return 0;
	return err_set(e, ERR_FORMAT,
		"'%s' is %s than its header says (needs %llu bytes, has %llu): download it again",
		f->name, end > f->size - payload ? "shorter" : "longer",
		(unsigned long long)(end + payload), (unsigned long long)f->size);
}

/* Headers of models of one kind are the same whatever they were trained on:
 * some bytes from the middle of each tensor tell them apart. */
static int hash_samples(struct ckpt *c, int file, size_t first, struct err *e)
{
	for (size_t i = first; i < c->tensors.n; i++) {
		const struct ckpt_tensor *t = &c->tensors.at[i];
		uint64_t bytes = t->n_elements * ckpt_dtype_size(t->dtype);
		size_t n = bytes < 64 ? (size_t)bytes : 64;
		char sample[64];
		int rc = ckpt_pread(&c->files.at[file], t->offset + (bytes - n) / 2, sample, n, e);
		if (rc)
			return rc;
		sha256_add(&c->hash, sample, n);
	}
	return 0;
}

static int add_all(struct ckpt *c, int file, uint64_t payload, json_t *root, struct err *e)
{
	const size_t first = c->tensors.n;
	struct range *r = xcalloc(json_object_size(root) + 1, sizeof(*r));
	const char *name;
	size_t n = 0;
	json_t *v;
	int rc = 0;

	json_object_foreach(root, name, v)
	{
		if (!strcmp(name, "__metadata__"))
			rc = is_metadata(v) ? 0
					    : ckpt_damaged(&c->files.at[file], e,
						      "its metadata are not texts");
		else
			rc = add_tensor(c, file, payload, name, v, &r[n++], e);
		if (rc)
			goto out;
	}
	rc = check_ranges(&c->files.at[file], payload, r, n, e);
	if (!rc)
		rc = hash_samples(c, file, first, e);
out:
	free(r);
	return rc;
}

int safetensors_read(struct ckpt *c, int file, struct err *e)
{
	const struct ckpt_file *f = &c->files.at[file];
	char *text = NULL;
	json_t *root = NULL;
	uint64_t n;
	int rc;

	if (f->size < 8)
		return ckpt_damaged(f, e, "it has only %llu bytes", (unsigned long long)f->size);
	rc = ckpt_pread(f, 0, &n, 8, e);
	if (rc)
		return rc;
	if (n > MAX_HEADER)
		return ckpt_damaged(f, e, "this is no safetensors file, or its header is broken");
	if (n > f->size - 8)
		return err_set(e, ERR_FORMAT,
			"'%s' ends inside its header (needs more than %llu bytes, has %llu): "
			"download it again",
			f->name, (unsigned long long)(n + 8), (unsigned long long)f->size);
	rc = ckpt_pread_new(f, 8, n, &text, e);
	if (rc)
		goto out;
	sha256_add(&c->hash, text, n);
	rc = jsonread_text(text, n, f->name, &root, e);
	if (!rc)
		rc = add_all(c, file, 8 + n, root, e);
out:
	json_decref(root);
	free(text);
	return rc;
}
