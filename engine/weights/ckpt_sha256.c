/* The sha256 of a checkpoint's files. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/weights/ckpt.h"
#include "engine/weights/ckpt_private.h"
#include "library/base/err.h"
#include "library/base/line.h"

enum { PIECE = 4 << 20, HEX = 64 };

static bool is_hex(const char *s)
{
	return strspn(s, "0123456789abcdef") == HEX && !s[HEX];
}

/* One line: the stamp, a space, the hash. */
static bool recall(const struct ckpt *c, const char *memory, char ret[65])
{
	struct arena a = {0};
	const char *line = NULL;
	bool known;

	known = !line_read(memory, &a, &line) && line && !strncmp(line, c->stamp, HEX) &&
		line[HEX] == ' ' && is_hex(line + HEX + 1);
	if (known)
		memcpy(ret, line + HEX + 1, HEX + 1);
	arena_done(&a);
	return known;
}

/* A convenience: where it cannot be written, the next call reads the files again. */
static void remember(const struct ckpt *c, const char *memory, const char *hash)
{
	struct arena a = {0};
	const char *slash = strrchr(memory, '/');

	if (slash)
		mkdir(arena_printf(&a, "%.*s", (int)(slash - memory), memory), 0700);
	line_write(memory, arena_printf(&a, "%s %s", c->stamp, hash), NULL);
	arena_done(&a);
}

static int hash_file(const struct ckpt_file *f, char *piece, int (*stop)(void *ud), void *ud,
	char ret[65], struct err *e)
{
	struct sha256 s;

	sha256_init(&s);
	for (uint64_t at = 0; at < f->size; at += PIECE) {
		const size_t n = f->size - at < PIECE ? (size_t)(f->size - at) : PIECE;
		int rc = ckpt_pread(f, at, piece, n, e);

		if (!rc && stop && stop(ud))
			rc = err_set(e, ERR_CANCELLED, "loading was stopped");
		if (rc)
			return rc;
		sha256_add(&s, piece, n);
	}
	sha256_hex(&s, ret);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ckpt_file *)a)->name, ((const struct ckpt_file *)b)->name);
}

/* files: a copy, to be sorted. */
static int hash_files(struct ckpt_file *files, size_t n, int (*stop)(void *ud), void *ud,
	char ret[65], struct err *e)
{
	char *piece = xcalloc(PIECE, 1), hex[65];
	struct sha256 all;
	int rc = 0;

	sha256_init(&all);
	qsort(files, n, sizeof(*files), by_name);
	for (size_t i = 0; i < n && !rc; i++) {
		rc = hash_file(&files[i], piece, stop, ud, hex, e);
		sha256_add(&all, hex, HEX);
		sha256_add(&all, "  ", 2);
		sha256_add(&all, files[i].name, strlen(files[i].name));
		sha256_add(&all, "\n", 1);
	}
	free(piece);
	if (rc)
		return rc;
	if (n == 1)
		memcpy(ret, hex, sizeof(hex));
	else
		sha256_hex(&all, ret);
	return 0;
}

int ckpt_sha256(const struct ckpt *c, const char *memory, int (*stop)(void *ud), void *ud,
	char ret[65], struct err *e)
{
	struct ckpt_file *files;
	int rc;

	if (memory && recall(c, memory, ret))
		return 0;
	files = xcalloc(c->files.n + 1, sizeof(*files));
	memcpy(files, c->files.at, c->files.n * sizeof(*files));
	rc = hash_files(files, c->files.n, stop, ud, ret, e);
	free(files);
	if (!rc && memory)
		remember(c, memory, ret);
	return rc;
}
