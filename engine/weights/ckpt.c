/* Opening a checkpoint: which files, and the table of their tensors. */
#include "engine/weights/ckpt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights/ckpt_private.h"
#include "engine/weights/jsonread.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum { MAX_FILES = 512 };

int ckpt_damaged(const struct ckpt_file *f, struct err *e, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, ERR_FORMAT, "'%s' is damaged (%s): download it again", f->name, text);
}

int ckpt_pread(const struct ckpt_file *f, uint64_t offset, void *dst, size_t n, struct err *e)
{
	char *p = dst;

	while (n) {
		ssize_t got = pread(f->fd, p, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(e, errno, "cannot read '%s'", f->name);
		if (!got)
			return err_set(e, ERR_FORMAT,
				"'%s' has become shorter while it was read: download it again",
				f->name);
		p += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int ckpt_pread_new(
	const struct ckpt_file *f, uint64_t offset, uint64_t n, char **ret, struct err *e)
{
	void *p;
	int rc = mem_try_alloc(&p, n, 1, f->name, e);

	*ret = NULL;
	if (!rc)
		rc = ckpt_pread(f, offset, p, n, e);
	if (rc)
		free(p);
	else
		*ret = p;
	return rc;
}

int ckpt_add(struct ckpt *c, struct ckpt_tensor t, const char *name, size_t name_len, struct err *e)
{
	if (c->tensors.n == CKPT_MAX_TENSORS)
		return err_set(e, ERR_FORMAT,
			"'%s' holds more than the %d tensors that any known model has",
			c->files.at[t.file].name, CKPT_MAX_TENSORS);
	t.name = arena_strndup(&c->arena, name, name_len);
	*VEC_PUSH(&c->tensors) = t;
	return 0;
}

/* ---- one file ----------------------------------------------------------- */

/* What people have in place of a weight file, by how it starts. */
static int refuse_strangers(const struct ckpt_file *f, struct err *e)
{
	char head[512] = {0};
	size_t n = f->size < sizeof(head) ? (size_t)f->size : sizeof(head);
	int rc = ckpt_pread(f, 0, head, n, e);

	if (rc)
		return rc;
	if (!strncmp(head, "version https://git-lfs", 23))
		return err_set(e, ERR_FORMAT,
			"'%s' is only a pointer to the weights: run 'git lfs pull' in its folder, "
			"or download the file itself",
			f->name);
	if (!memcmp(head, "\x80\x02\x8a\x0a", 4) || !memcmp(head + 257, "ustar", 5))
		return err_set(e, ERR_UNSUPPORTED,
			"'%s' is in the format that PyTorch wrote before version 1.6: save it "
			"anew with a current PyTorch, as safetensors if possible",
			f->name);
	return 0;
}

/* The whole of a small file, evenly spread blocks of a large one: what was
 * trained further differs nearly everywhere. */
static int hash_samples(struct ckpt *c, const struct ckpt_file *f, struct err *e)
{
	enum { BLOCKS = 256, BYTES = 512 };
	char block[BYTES];

	for (uint64_t i = 0; i < BLOCKS; i++) {
		const uint64_t at = f->size <= BLOCKS * BYTES
					    ? i * BYTES
					    : (f->size - BYTES) / (BLOCKS - 1) * i;
		if (at >= f->size)
			break;
		const size_t n = f->size - at < BYTES ? (size_t)(f->size - at) : BYTES;
		int rc = ckpt_pread(f, at, block, n, e);
		if (rc)
			return rc;
		sha256_add(&c->hash, block, n);
	}
	return 0;
}

/* path, or dir/path. */
static int add_file(struct ckpt *c, const char *dir, const char *path, struct err *e)
{
	const char *full = dir ? arena_printf(&c->arena, "%s/%s", dir, path) : path;
	struct ckpt_file *f = VEC_PUSH(&c->files);
	const int file = (int)c->files.n - 1;
	struct stat st;
	char magic[4];

	f->name = arena_strdup(&c->arena, path);
	f->fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &st))
		return err_errno(
			e, errno, "cannot read '%s' (check the name and permissions)", full);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "'%s' is not a file", full);
	f->size = (uint64_t)st.st_size;
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);

	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	sha256_add(&c->hash, base, strlen(base) + 1);
	sha256_add(&c->hash, &f->size, sizeof(f->size));
	sha256_add(&c->times, &st.st_mtim.tv_sec, sizeof(st.st_mtim.tv_sec));
	sha256_add(&c->times, &st.st_mtim.tv_nsec, sizeof(st.st_mtim.tv_nsec));
	int rc = refuse_strangers(f, e);
	if (!rc)
		rc = hash_samples(c, f, e);
	if (rc)
		return rc;
	if (f->size >= 4) {
		rc = ckpt_pread(f, 0, magic, 4, e);
		if (rc)
			return rc;
		if (!memcmp(magic, "PK\3\4", 4))
			return torchzip_read(c, file, e);
	}
	return safetensors_read(c, file, e);
}

/* ---- the table ---------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct ckpt_tensor *)a)->name, ((const struct ckpt_tensor *)b)->name);
}

static void sort_names(struct ckpt *c, size_t first)
{
	if (c->tensors.n > first)
		qsort(c->tensors.at + first, c->tensors.n - first, sizeof(*c->tensors.at),
			compare_names);
}

/* Ends the opening: sorts, refuses names that occur twice. */
static int finish(struct ckpt *c, struct err *e)
{
	const struct ckpt_tensor *t = c->tensors.at;

	sort_names(c, 0);
	for (size_t i = 1; i < c->tensors.n; i++)
		if (!strcmp(t[i].name, t[i - 1].name))
			return ckpt_damaged(&c->files.at[t[i].file], e,
				"tensor '%s' is there twice", t[i].name);
	sha256_hex(&c->hash, c->identity);
	sha256_add(&c->times, c->identity, sizeof(c->identity));
	sha256_hex(&c->times, c->stamp);
	return 0;
}

static struct ckpt *ckpt_new(void)
{
	struct ckpt *c = xcalloc(1, sizeof(*c));

	sha256_init(&c->hash);
	sha256_init(&c->times);
	return c;
}

/* The tensors from `first` on are sorted. */
static const struct ckpt_tensor *find(const struct ckpt *c, size_t first, const char *name)
{
	const struct ckpt_tensor key = {.name = name};

	if (c->tensors.n <= first)
		return NULL;
	return bsearch(
		&key, c->tensors.at + first, c->tensors.n - first, sizeof(key), compare_names);
}

/* ---- shards ------------------------------------------------------------- */

static int check_shard_name(const char *index, const char *name, struct err *e)
{
	if (name && *name && !strchr(name, '/') && !strstr(name, "..") && strcmp(name, "."))
		return 0;
	return err_set(e, ERR_FORMAT,
		"'%s' names '%s' as a weight file, which is no plain name: "
		"download the model again",
		index, name ? name : "?");
}

static int find_file(const struct ckpt *c, const char *name)
{
	for (size_t i = 0; i < c->files.n; i++)
		if (!strcmp(c->files.at[i].name, name))
			return (int)i;
	return -1;
}

static int add_shard(
	struct ckpt *c, const char *dir, const char *index, const char *name, struct err *e)
{
	const char *path = arena_printf(&c->arena, "%s/%s", dir, name);

	if (c->files.n == MAX_FILES)
		return err_set(
			e, ERR_FORMAT, "'%s' names more than %d weight files", index, MAX_FILES);
	if (access(path, F_OK) && errno == ENOENT)
		return err_set(e, ERR_IO, "'%s' is missing, though '%s' names it: download it",
			name, index);
	return add_file(c, dir, name, e);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Keeps of the tensors from `first` on those that the index puts where they are. */
static void drop_unlisted(struct ckpt *c, size_t first, const json_t *map)
{
	size_t n = first;

	for (size_t i = first; i < c->tensors.n; i++) {
		const struct ckpt_tensor *t = &c->tensors.at[i];
		const char *file = json_string_value(json_object_get(map, t->name));
		if (file && !strcmp(file, base_name(c->files.at[t->file].name)))
			c->tensors.at[n++] = *t;
	}
	c->tensors.n = n;
}

/* The tensors from `from` on, which are sorted, are all that the index lists. */
static int check_listed(
	const struct ckpt *c, size_t from, const char *index, json_t *map, struct err *e)
{
	const char *name, *first = NULL;
	size_t n = 0;
	json_t *file;

	json_object_foreach(map, name, file)
	{
		if (find(c, from, name))
			continue;
		if (!n++)
			first = name;
	}
	if (!n)
		return 0;
	return err_set(e, ERR_FORMAT,
		"'%s' lists %zu tensors that its weight files lack, first "
		"'%s' in '%s': download the model again",
		index, n, first, json_string_value(json_object_get(map, first)));
}

/* index: of the part's shards, from dir on. */
static int open_shards(
	struct ckpt *c, const char *dir, const char *part, const char *index, struct err *e)
{
	const size_t first = c->tensors.n;
	const char *name;
	json_t *root, *file;
	int rc;

	rc = jsonread_file(arena_printf(&c->arena, "%s/%s", dir, index), index, &root, e);
	if (rc)
		return rc;
	json_t *map = json_object_get(root, "weight_map");
	if (!json_object_size(map)) {
		rc = err_set(e, ERR_FORMAT, "'%s' has no weight_map: download it again", index);
		goto out;
	}
	json_object_foreach(map, name, file)
	{
		const char *shard = json_string_value(file);
		rc = check_shard_name(index, shard, e);
		if (rc)
			goto out;
		shard = arena_printf(&c->arena, "%s%s", part, shard);
		if (find_file(c, shard) < 0)
			rc = add_shard(c, dir, index, shard, e);
		if (rc)
			goto out;
	}
	drop_unlisted(c, first, map);
	sort_names(c, first);
	rc = check_listed(c, first, index, map, e);
out:
	json_decref(root);
	return rc;
}

/* ---- public ------------------------------------------------------------- */

static bool exists(const char *dir, const char *name)
{
	struct str path = {0};

	str_printf(&path, "%s/%s", dir, name);
	bool there = !access(str_get(&path), F_OK);
	str_done(&path);
	return there;
}

/* part: "", or the folder in dir with a slash behind it. */
static int open_part(struct ckpt *c, const char *dir, const char *part, struct err *e)
{
	/* The order of transformers, then that of diffusers. */
	static const char *const files[] = {"model.safetensors", "pytorch_model.bin",
		"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"};
	const size_t n = sizeof(files) / sizeof(*files);

	for (size_t i = 0; i < n; i++) {
		const char *file = arena_printf(&c->arena, "%s%s", part, files[i]);
		const char *index = arena_printf(&c->arena, "%s.index.json", file);
		if (exists(dir, file))
			return add_file(c, dir, file, e);
		if (exists(dir, index))
			return open_shards(c, dir, part, index, e);
	}
	return err_set(e, ERR_IO,
		"'%s%s%.*s' holds no weights: expected %smodel.safetensors or "
		"pytorch_model.bin, or the index of their parts",
		dir, *part ? "/" : "", (int)strcspn(part, "/"), part,
		*part ? "diffusion_pytorch_model.safetensors, " : "");
}

/* The tensors of a part carry its name. */
static int open_parts(struct ckpt *c, const char *dir, const char *const *parts, struct err *e)
{
	int rc = 0;

	for (; *parts && !rc; parts++) {
		const size_t first = c->tensors.n;
		const char *part = **parts ? arena_printf(&c->arena, "%s/", *parts) : *parts;
		rc = open_part(c, dir, part, e);
		for (size_t i = first; i < c->tensors.n && *part; i++)
			c->tensors.at[i].name =
				arena_printf(&c->arena, "%s%s", part, c->tensors.at[i].name);
	}
	return rc ? rc : finish(c, e);
}

int ckpt_open_parts(const char *dir, const char *const *parts, struct ckpt **ret, struct err *e)
{
	struct ckpt *c = ckpt_new();
	int rc = open_parts(c, dir, parts, e);

	*ret = NULL;
	if (rc)
		ckpt_close(c);
	else
		*ret = c;
	return rc;
}

int ckpt_open(const char *dir, struct ckpt **ret, struct err *e)
{
	static const char *const whole[] = {"", NULL};

	return ckpt_open_parts(dir, whole, ret, e);
}

int ckpt_open_file(const char *path, struct ckpt **ret, struct err *e)
{
	struct ckpt *c = ckpt_new();
	int rc = add_file(c, NULL, path, e);

	*ret = NULL;
	if (!rc)
		rc = finish(c, e);
	if (rc)
		ckpt_close(c);
	else
		*ret = c;
	return rc;
}

void ckpt_close(struct ckpt *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->files.n; i++)
		if (c->files.at[i].fd >= 0)
			close(c->files.at[i].fd);
	VEC_DONE(&c->files);
	VEC_DONE(&c->tensors);
	arena_done(&c->arena);
	free(c);
}

size_t ckpt_count(const struct ckpt *c)
{
	return c->tensors.n;
}

const struct ckpt_tensor *ckpt_at(const struct ckpt *c, size_t i)
{
	return &c->tensors.at[i];
}

const struct ckpt_tensor *ckpt_find(const struct ckpt *c, const char *name)
{
	return find(c, 0, name);
}

uint64_t ckpt_bytes(const struct ckpt *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->files.n; i++)
		n += c->files.at[i].size;
	return n;
}

const char *ckpt_identity(const struct ckpt *c)
{
	return c->identity;
}

const char *ckpt_stamp(const struct ckpt *c)
{
	return c->stamp;
}
