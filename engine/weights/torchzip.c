/* PyTorch files: a zip whose entries are stored, not compressed.
 *
 *	TOP/data.pkl	the pickle: which tensors, as views of which storages
 *	TOP/data/KEY	one storage each: raw elements
 *	TOP/byteorder	"little", or absent
 *
 * Sizes and places come from the central directory (the local headers' fields
 * are 0), with zip64 records from 4 GiB on; only the length of the local
 * header is taken from there, since it holds padding that the directory does
 * not know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/ckpt_private.h"
#include "engine/weights/pickle.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum {
	END_SIZE = 22,
	END_MAX = END_SIZE + 65535, /* with the longest comment */
	LOCATOR_SIZE = 20,
	END64_SIZE = 56,
	CENTRAL_SIZE = 46,
	LOCAL_SIZE = 30,
	MAX_ENTRIES = CKPT_MAX_TENSORS + 64,
	MAX_DIRECTORY = 16 << 20,
	MAX_PICKLE = 16 << 20,
	MAX_NAME = 512,
};

struct entry {
	const char *name; /* in the directory; not terminated */
	size_t name_len;
	uint64_t header; /* offset of the local header */
	uint64_t size;
};

struct zip {
	struct ckpt *ckpt;
	int file;
	const struct ckpt_file *f;
	uint64_t directory; /* payloads end before it */
	uint64_t directory_size;
	uint64_t n_entries;
	char *text; /* the directory; owned */
	struct {
		struct entry *at; /* sorted by name */
		size_t n, cap;
	} entries;
	const struct entry *pickle;
	const char *top; /* folder of all entries, with its slash: start of pickle->name */
	size_t top_len;
};

static uint64_t get_uint(const char *p, size_t n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

/* ---- directory ---------------------------------------------------------- */

/* The zip64 end record, by its locator just before the end record. */
static int read_end64(struct zip *z, uint64_t end, struct err *e)
{
	char locator[LOCATOR_SIZE], record[END64_SIZE];
	int rc;

	if (end < LOCATOR_SIZE + END64_SIZE)
		return ckpt_damaged(z->f, e, "its zip64 record is missing");
	rc = ckpt_pread(z->f, end - LOCATOR_SIZE, locator, LOCATOR_SIZE, e);
	if (rc)
		return rc;
	uint64_t at = get_uint(locator + 8, 8);
	if (memcmp(locator, "PK\6\7", 4) || at > end - LOCATOR_SIZE - END64_SIZE)
		return ckpt_damaged(z->f, e, "its zip64 record is missing");
	rc = ckpt_pread(z->f, at, record, END64_SIZE, e);
	if (rc)
		return rc;
	if (memcmp(record, "PK\6\6", 4))
		return ckpt_damaged(z->f, e, "its zip64 record is missing");
	z->n_entries = get_uint(record + 32, 8);
	z->directory_size = get_uint(record + 40, 8);
	z->directory = get_uint(record + 48, 8);
	return 0;
}

/* Where the directory is.  The end record is the last with a fitting length
 * of comment. */
static int read_end(struct zip *z, struct err *e)
{
	const uint64_t n = z->f->size < END_MAX ? z->f->size : END_MAX;
	char *tail, *r = NULL;
	int rc = ckpt_pread_new(z->f, z->f->size - n, n, &tail, e);

	if (rc)
		return rc;
	for (uint64_t i = END_SIZE; i <= n && !r; i++) {
		char *p = tail + n - i;
		if (!memcmp(p, "PK\5\6", 4) && get_uint(p + 20, 2) == i - END_SIZE)
			r = p;
	}
	if (!r) {
		rc = err_set(e, ERR_FORMAT,
			"'%s' ends before its directory, so it was cut short (it has %llu bytes): "
			"download it again",
			z->f->name, (unsigned long long)z->f->size);
		goto out;
	}
	uint64_t end = z->f->size - n + (uint64_t)(r - tail);
	z->n_entries = get_uint(r + 10, 2);
	z->directory_size = get_uint(r + 12, 4);
	z->directory = get_uint(r + 16, 4);
	if (z->n_entries == UINT16_MAX || z->directory_size == UINT32_MAX ||
		z->directory == UINT32_MAX)
		rc = read_end64(z, end, e);
	if (!rc && (z->directory > end || z->directory_size > end - z->directory ||
			   z->directory_size > MAX_DIRECTORY || z->n_entries > MAX_ENTRIES))
		rc = ckpt_damaged(z->f, e, "its directory lies outside of it");
out:
	free(tail);
	return rc;
}

/* Extra field 1: 64-bit values of those fields that were saturated. */
static bool read_extra64(const char *p, size_t n, uint64_t *const fields[3])
{
	while (n >= 4) {
		size_t id = get_uint(p, 2), size = get_uint(p + 2, 2);
		p += 4;
		n -= 4;
		if (size > n)
			return false;
		if (id == 1) {
			for (int i = 0; i < 3; i++) {
				if (*fields[i] != UINT32_MAX)
					continue;
				if (size < 8)
					return false;
				*fields[i] = get_uint(p, 8);
				p += 8;
				size -= 8;
			}
			return true;
		}
		p += size;
		n -= size;
	}
	return *fields[0] != UINT32_MAX && *fields[1] != UINT32_MAX && *fields[2] != UINT32_MAX;
}

/* One central header of at most n bytes; returns its length, 0 when broken. */
static size_t read_entry(struct zip *z, const char *p, size_t n)
{
	struct entry *entry;
	uint64_t packed;

	if (n < CENTRAL_SIZE || memcmp(p, "PK\1\2", 4))
		return 0;
	const size_t name = get_uint(p + 28, 2), extra = get_uint(p + 30, 2);
	const size_t whole = CENTRAL_SIZE + name + extra + get_uint(p + 32, 2);
	const bool is_encrypted = get_uint(p + 8, 2) & 1;
	const bool is_stored = !get_uint(p + 10, 2);
	if (whole > n || is_encrypted || !is_stored || !name || name > MAX_NAME)
		return 0;
	entry = VEC_PUSH(&z->entries);
	entry->name = p + CENTRAL_SIZE;
	entry->name_len = name;
	packed = get_uint(p + 20, 4);
	entry->size = get_uint(p + 24, 4);
	entry->header = get_uint(p + 42, 4);
	if (!read_extra64(p + CENTRAL_SIZE + name, extra,
		    (uint64_t *const[]){&entry->size, &packed, &entry->header}) ||
		packed != entry->size || entry->header > z->directory ||
		entry->size > z->directory - entry->header)
		return 0;
	return whole;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(x->name, y->name, n);

	return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static int read_directory(struct zip *z, struct err *e)
{
	size_t at = 0;
	int rc = ckpt_pread_new(z->f, z->directory, z->directory_size, &z->text, e);

	if (rc)
		return rc;
	/* It holds checksums of all payloads. */
	sha256_add(&z->ckpt->hash, z->text, z->directory_size);
	for (uint64_t i = 0; i < z->n_entries; i++) {
		size_t n = read_entry(z, z->text + at, z->directory_size - at);
		if (!n)
			return ckpt_damaged(z->f, e, "entry %llu of its directory is broken",
				(unsigned long long)i);
		at += n;
	}
	if (z->entries.n)
		qsort(z->entries.at, z->entries.n, sizeof(*z->entries.at), compare_entries);
	for (size_t i = 1; i < z->entries.n; i++)
		if (!compare_entries(&z->entries.at[i - 1], &z->entries.at[i]))
			return ckpt_damaged(z->f, e, "its directory lists '%.*s' twice",
				(int)z->entries.at[i].name_len, z->entries.at[i].name);
	return 0;
}

/* ---- entries ------------------------------------------------------------ */

static int find_pickle(struct zip *z, struct err *e)
{
	static const char name[] = "/data.pkl";
	const size_t n = sizeof(name) - 1;

	for (size_t i = 0; i < z->entries.n; i++) {
		const struct entry *entry = &z->entries.at[i];
		if (entry->name_len < n || memcmp(entry->name + entry->name_len - n, name, n))
			continue;
		if (z->pickle)
			return ckpt_damaged(z->f, e, "it holds two pickles");
		z->pickle = entry;
		z->top = entry->name;
		z->top_len = entry->name_len - n + 1;
	}
	if (z->pickle)
		return 0;
	return err_set(e, ERR_FORMAT,
		"'%s' is a zip without data.pkl, so not a file of PyTorch weights: download it "
		"again",
		z->f->name);
}

/* TOP/folder/name, or NULL. */
static const struct entry *find_entry(
	const struct zip *z, const char *folder, const char *name, size_t name_len)
{
	char text[MAX_NAME + 1];

	if (name_len > MAX_NAME)
		return NULL;
	int n = snprintf(text, sizeof(text), "%.*s%s%.*s", (int)z->top_len, z->top, folder,
		(int)name_len, name);
	if (n > MAX_NAME)
		return NULL;
	const struct entry key = {.name = text, .name_len = (size_t)n};
	return bsearch(&key, z->entries.at, z->entries.n, sizeof(key), compare_entries);
}

/* Where the entry's bytes begin; they lie before the directory. */
static int find_payload(
	const struct zip *z, const struct entry *entry, uint64_t *ret, struct err *e)
{
	char h[LOCAL_SIZE + MAX_NAME];
	const size_t n = LOCAL_SIZE + entry->name_len;
	int rc;

	if (n > z->directory - entry->header)
		return ckpt_damaged(
			z->f, e, "'%.*s' lies outside of it", (int)entry->name_len, entry->name);
	rc = ckpt_pread(z->f, entry->header, h, n, e);
	if (rc)
		return rc;
	const uint64_t skip = LOCAL_SIZE + get_uint(h + 26, 2) + get_uint(h + 28, 2);
	if (memcmp(h, "PK\3\4", 4) || get_uint(h + 26, 2) != entry->name_len ||
		memcmp(h + LOCAL_SIZE, entry->name, entry->name_len) ||
		skip > z->directory - entry->header ||
		entry->size > z->directory - entry->header - skip)
		return ckpt_damaged(z->f, e, "'%.*s' is not where its directory says",
			(int)entry->name_len, entry->name);
	*ret = entry->header + skip;
	return 0;
}

static int check_byte_order(const struct zip *z, struct err *e)
{
	const struct entry *entry = find_entry(z, "", "byteorder", 9);
	char text[6];
	uint64_t at;
	int rc;

	if (!entry)
		return 0;
	rc = find_payload(z, entry, &at, e);
	if (!rc && entry->size == 6)
		rc = ckpt_pread(z->f, at, text, 6, e);
	if (!rc && (entry->size != 6 || memcmp(text, "little", 6)))
		rc = err_set(e, ERR_UNSUPPORTED,
			"'%s' was written on a big-endian machine: use a safetensors file of this "
			"model",
			z->f->name);
	return rc;
}

/* ---- tensors ------------------------------------------------------------ */

static int add_tensor(void *ud, const struct pickle_tensor *p, struct err *e)
{
	struct zip *z = ud;
	const uint64_t size = ckpt_dtype_size(p->dtype);
	const struct entry *storage = find_entry(z, "data/", p->key, p->key_len);
	const int name_len = p->name_len < 200 ? (int)p->name_len : 200;
	struct ckpt_tensor t = {
		.dtype = p->dtype,
		.n_dims = p->n_dims,
		.file = z->file,
		.n_elements = p->n_elements,
	};
	uint64_t payload;

	if (!storage || (uint64_t)p->storage_n * size > storage->size)
		return ckpt_damaged(z->f, e, "the data of tensor '%.*s' are %s", name_len, p->name,
			storage ? "too short" : "missing");
	int rc = find_payload(z, storage, &payload, e);
	if (rc)
		return rc;
	t.offset = payload + (uint64_t)p->first * size;
	memcpy(t.ne, p->ne, sizeof(t.ne));
	memcpy(t.stride, p->stride, sizeof(t.stride));
	return ckpt_add(z->ckpt, t, p->name, p->name_len, e);
}

static int read_pickle(struct zip *z, struct err *e)
{
	char *text = NULL;
	uint64_t at;
	int rc;

	if (z->pickle->size > MAX_PICKLE)
		return ckpt_damaged(z->f, e, "its pickle is larger than 16 MB");
	rc = find_payload(z, z->pickle, &at, e);
	if (!rc)
		rc = ckpt_pread_new(z->f, at, z->pickle->size, &text, e);
	if (rc)
		return rc;
	sha256_add(&z->ckpt->hash, text, z->pickle->size);
	rc = pickle_read(text, z->pickle->size, z->f->name, add_tensor, z, e);
	free(text);
	return rc;
}

int torchzip_read(struct ckpt *c, int file, struct err *e)
{
	struct zip z = {.ckpt = c, .file = file, .f = &c->files.at[file]};
	int rc = read_end(&z, e);

	if (!rc)
		rc = read_directory(&z, e);
	if (!rc)
		rc = find_pickle(&z, e);
	if (!rc)
		rc = check_byte_order(&z, e);
	if (!rc)
		rc = read_pickle(&z, e);
	free(z.text);
	VEC_DONE(&z.entries);
	return rc;
}
