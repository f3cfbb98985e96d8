#include "tests/unit/weights_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

void add_uint(struct str *b, uint64_t v, size_t n_bytes)
{
	str_add_n(b, (const char *)&v, n_bytes);
}

void safetensors(struct str *out, const char *header, const void *payload, size_t n)
{
	add_uint(out, strlen(header), 8);
	str_add(out, header);
	if (n)
		str_add_n(out, payload, n);
}

/* ---- zip ---------------------------------------------------------------- */

void zip_add(struct zip_writer *z, const char *name, const void *data, size_t n)
{
	const uint64_t header = z->out.n;
	const bool wide = z->is_wide;

	str_add(&z->out, "PK\3\4");
	add_uint(&z->out, 20, 2);
	add_uint(&z->out, 0x0808 | z->flags, 2);
	add_uint(&z->out, z->method, 2);
	for (int i = 0; i < 16; i++)
		add_uint(&z->out, 0, 1); /* time, checksum, sizes */
	add_uint(&z->out, strlen(name), 2);
	add_uint(&z->out, z->padding, 2);
	str_add(&z->out, name);
	for (unsigned i = 0; i < z->padding; i++)
		add_uint(&z->out, 'Z', 1);
	if (n)
		str_add_n(&z->out, data, n);

	str_add(&z->directory, "PK\1\2");
	add_uint(&z->directory, 0x2d0014, 4);
	add_uint(&z->directory, 0x0808 | z->flags, 2);
	add_uint(&z->directory, z->method, 2);
	add_uint(&z->directory, 0, 4); /* time */
	add_uint(&z->directory, 0, 4); /* checksum */
	add_uint(&z->directory, wide ? UINT32_MAX : n, 4);
	add_uint(&z->directory, wide ? UINT32_MAX : n, 4);
	add_uint(&z->directory, strlen(name), 2);
	add_uint(&z->directory, wide ? 28 + 6 : 0, 2);
	add_uint(&z->directory, 0, 2);
	add_uint(&z->directory, 0, 8); /* disk, attributes */
	add_uint(&z->directory, wide ? UINT32_MAX : header, 4);
	str_add(&z->directory, name);
	if (wide) {
		add_uint(&z->directory, 0x4246, 2); /* another field first */
		add_uint(&z->directory, 2, 2);
		add_uint(&z->directory, 0, 2);
		add_uint(&z->directory, 1, 2);
		add_uint(&z->directory, 24, 2);
		add_uint(&z->directory, n, 8);
		add_uint(&z->directory, n, 8);
		add_uint(&z->directory, header, 8);
	}
	z->n_entries++;
}

void zip_end(struct zip_writer *z)
{
	const uint64_t directory = z->out.n;

	str_add_n(&z->out, str_get(&z->directory), z->directory.n);
	if (z->is_wide) {
		const uint64_t record = z->out.n;
		str_add(&z->out, "PK\6\6");
		add_uint(&z->out, 44, 8);
		add_uint(&z->out, 0x2d002d, 4);
		add_uint(&z->out, 0, 8);
		add_uint(&z->out, z->n_entries, 8);
		add_uint(&z->out, z->n_entries, 8);
		add_uint(&z->out, z->directory.n, 8);
		add_uint(&z->out, directory, 8);
		str_add(&z->out, "PK\6\7");
		add_uint(&z->out, 0, 4);
		add_uint(&z->out, record, 8);
		add_uint(&z->out, 1, 4);
	}
	str_add(&z->out, "PK\5\6");
	add_uint(&z->out, 0, 4);
	add_uint(&z->out, z->n_entries, 2);
	add_uint(&z->out, z->n_entries, 2);
	add_uint(&z->out, z->is_wide ? UINT32_MAX : z->directory.n, 4);
	add_uint(&z->out, z->is_wide ? UINT32_MAX : directory, 4);
	add_uint(&z->out, 0, 2);
}

void zip_done(struct zip_writer *z)
{
	str_done(&z->out);
	str_done(&z->directory);
}

/* ---- pickle ------------------------------------------------------------- */

void pickle_begin(struct str *b)
{
	str_add_n(b, "\x80\x02}(", 4);
}

void pickle_text(struct str *b, const char *s)
{
	str_add(b, "X");
	add_uint(b, strlen(s), 4);
	str_add(b, s);
}

void pickle_int(struct str *b, int64_t v)
{
	if (v >= 0 && v < 256) {
		str_add(b, "K");
		add_uint(b, (uint64_t)v, 1);
	} else if (v >= INT32_MIN && v <= INT32_MAX) {
		str_add(b, "J");
		add_uint(b, (uint64_t)v, 4);
	} else {
		str_add(b, "\x8a\x08");
		add_uint(b, (uint64_t)v, 8);
	}
}

void pickle_view(struct str *b, const char *name, struct view v)
{
	pickle_text(b, name);
	str_add(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
	pickle_text(b, "storage");
	str_printf(b, "ctorch\n%s\n", v.type ? v.type : "FloatStorage");
	pickle_text(b, v.key ? v.key : "0");
	pickle_text(b, "cpu");
	pickle_int(b, v.storage_n);
	str_add(b, "tQ");
	pickle_int(b, v.first);
	str_add(b, "(");
	for (int i = 0; i < v.n_dims; i++)
		pickle_int(b, v.ne[i]);
	str_add(b, "t(");
	for (int i = 0; i < v.n_dims; i++)
		pickle_int(b, v.stride[i]);
	str_add(b, "t\x89"
		   "ccollections\nOrderedDict\n)RtR");
}

void pickle_end(struct str *b)
{
	str_add(b, "u.");
}

void torch_file(const char *path, const struct str *pickle, const void *storage, size_t n)
{
	struct zip_writer z = {.padding = 11};

	zip_add(&z, "archive/data.pkl", str_get(pickle), pickle->n);
	zip_add(&z, "archive/byteorder", "little", 6);
	zip_add(&z, "archive/data/0", storage, n);
	zip_end(&z);
	scratch_write(path, z.out.s, z.out.n);
	zip_done(&z);
}

/* ---- checks ------------------------------------------------------------- */

void assert_refused(const char *path, int code, const char *part)
{
	struct ckpt *c = NULL;
	struct err e = {0};

	if (!ckpt_open_file(path, &c, &e))
		fail_msg("opened, expected an error with '%s'", part);
	assert_null(c);
	if (!strstr(e.text, part))
		fail_msg("'%s' lacks '%s'", e.text, part);
	assert_int_equal(e.code, code);
}

float fixture_value(const char *name, const struct ckpt_tensor *t, uint64_t i)
{
	const int k = (int)((i * 37 + strlen(name)) % 101) - 50;

	switch (t->dtype) {
	case CKPT_BOOL:
		return (float)(k % 2 != 0);
	case CKPT_U8:
		return (float)(k + 50);
	case CKPT_I64:
	case CKPT_I32:
	case CKPT_I16:
	case CKPT_I8:
		return (float)k;
	default:
		return (float)k / 16;
	}
}

float *read_all(const struct ckpt *c, const char *name)
{
	const struct ckpt_tensor *t = ckpt_find(c, name);
	struct err e = {0};

	assert_non_null(t);
	float *x = calloc(t->n_elements + 1, sizeof(*x));
	assert_non_null(x);
	if (ckpt_read_f32(c, t, 0, t->n_elements, x, &e))
		fail_msg("%s", e.text);
	return x;
}
