/* The recipe of a WAV file (walks the chunks until `wshd`) or of a FLAC file
 * (walks the metadata until the comment WOODSHED_RECIPE).  The file may be
 * hostile: chunks may lie about their size, nothing is allocated before the
 * size was compared with the limit and with the file. */
#include "library/audio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/audio_flac.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

enum { CHUNKS_MAX = 4096, FLAC_COMMENTS = 4 };

struct walk {
	const char *path;
	int fd;
	uint64_t size; /* of the file */
	uint64_t at;
	uint64_t data_size; /* from ds64; 0 unless the file is RF64 */
};

static uint64_t load_le(const unsigned char *p, int n_bytes)
{
	uint64_t v = 0;

	while (n_bytes--)
		v = v << 8 | p[n_bytes];
	return v;
}

static int damaged(const struct walk *w, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"cannot read the recipe of '%s': the file is damaged; use an undamaged copy",
		w->path);
}

/* Reads n bytes at w->at and steps over them. */
static int take(struct walk *w, void *buf, size_t n, struct err *e)
{
	char *p = buf;

	if (n > w->size - w->at)
		return damaged(w, e);
	while (n) {
		ssize_t k = pread(w->fd, p, n, (off_t)w->at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(e, errno, "cannot read '%s'", w->path);
		if (!k)
			return damaged(w, e);
		p += k;
		n -= (size_t)k;
		w->at += (uint64_t)k;
	}
	return 0;
}

static int take_recipe(struct walk *w, uint64_t size, char **ret, struct err *e)
{
	char *text;
	int rc;

	if (!size || size > AUDIO_RECIPE_MAX)
		return damaged(w, e);
	text = xcalloc((size_t)size + 1, 1);
	rc = take(w, text, (size_t)size, e);
	if (!rc && (strlen(text) != size || !is_utf8(text, (size_t)size)))
		rc = damaged(w, e);
	if (rc) {
		free(text);
		return rc;
	}
	if (text[size - 1] == '\n') /* the writer's padding */
		text[size - 1] = '\0';
	*ret = text;
	return 0;
}

/* Steps over a chunk's content; w->at may end at the file's end, not beyond. */
static int skip(struct walk *w, const unsigned char id[4], uint64_t size, struct err *e)
{
	unsigned char ds64[16];

	if (size > w->size - w->at)
		return damaged(w, e);
	if (!memcmp(id, "ds64", 4)) {
		if (size < sizeof ds64)
			return damaged(w, e);
		if (take(w, ds64, sizeof ds64, e))
			return e ? e->code : ERR_FORMAT;
		w->data_size = load_le(ds64 + 8, 8);
		size -= sizeof ds64;
	}
	w->at += size;
	w->at += size % 2 && w->at < w->size;
	return 0;
}

static int holds_none(const struct walk *w, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"'%s' holds no recipe; give a file that woodshed wrote and no other program "
		"changed",
		w->path);
}

static int walk_riff(struct walk *w, char **ret, struct err *e)
{
	unsigned char head[8];

	for (int i = 0; i < CHUNKS_MAX && w->size - w->at >= 8; i++) {
		uint64_t size;
		int rc = take(w, head, 8, e);
		if (rc)
			return rc;
		size = load_le(head + 4, 4);
		if (!memcmp(head, "wshd", 4))
			return take_recipe(w, size, ret, e);
		if (!memcmp(head, "data", 4) && size == UINT32_MAX && w->data_size)
			size = w->data_size;
		rc = skip(w, head, size, e);
		if (rc)
			return rc;
	}
	return holds_none(w, e);
}

/* Four bytes that lie before `end`, as a length. */
static int take_length(struct walk *w, uint64_t end, uint64_t *ret, struct err *e)
{
	unsigned char le[4];
	int rc = end - w->at < sizeof le ? damaged(w, e) : take(w, le, sizeof le, e);

	if (!rc)
		*ret = load_le(le, sizeof le);
	return rc;
}

/* The block of comments that ends at `end`; *ret stays NULL when it holds no recipe. */
static int walk_comments(struct walk *w, uint64_t end, char **ret, struct err *e)
{
	const size_t n_key = sizeof AUDIO_FLAC_RECIPE - 1;
	uint64_t size, n_comments = 0;
	char key[sizeof AUDIO_FLAC_RECIPE];
	int rc = take_length(w, end, &size, e);

	if (!rc && size > end - w->at)
		rc = damaged(w, e);
	if (rc)
		return rc;
	w->at += size; /* the name of the encoder */
	rc = take_length(w, end, &n_comments, e);
	while (!rc && n_comments--) { /* each has four bytes at least, so this ends with the file */
		rc = take_length(w, end, &size, e);
		if (!rc && size > end - w->at)
			rc = damaged(w, e);
		if (!rc && size >= n_key) {
			rc = take(w, key, n_key, e);
			size -= n_key;
			if (!rc && !strncasecmp(key, AUDIO_FLAC_RECIPE, n_key))
				return take_recipe(w, size, ret, e);
		}
		w->at += rc ? 0 : size;
	}
	return rc;
}

static int walk_flac(struct walk *w, char **ret, struct err *e)
{
	unsigned char head[4] = {0};

	for (int i = 0; i < CHUNKS_MAX && !(head[0] & 0x80); i++) {
		uint64_t size;
		int rc = take(w, head, sizeof head, e);
		if (rc)
			return rc;
		size = (uint64_t)head[1] << 16 | (uint64_t)head[2] << 8 | head[3];
		if (size > w->size - w->at)
			return damaged(w, e);
		if ((head[0] & 0x7f) == FLAC_COMMENTS) {
			rc = walk_comments(w, w->at + size, ret, e);
			return rc || *ret ? rc : holds_none(w, e);
		}
		w->at += size;
	}
	return holds_none(w, e);
}

static int walk(struct walk *w, char **ret, struct err *e)
{
	unsigned char head[12] = {0};
	int rc = w->size < sizeof head ? 0 : take(w, head, sizeof head, e);

	if (rc)
		return rc;
	if ((!memcmp(head, "RIFF", 4) || !memcmp(head, "RF64", 4)) && !memcmp(head + 8, "WAVE", 4))
		return walk_riff(w, ret, e);
	if (!memcmp(head, "fLaC", 4)) {
		w->at = 4;
		return walk_flac(w, ret, e);
	}
	return err_set(e, ERR_FORMAT,
		"cannot read the recipe of '%s': it is no WAV file and no FLAC file; give one that "
		"woodshed wrote",
		w->path);
}

int audio_read_recipe(const char *path, char **ret, struct err *e)
{
	struct walk w = {.path = path};
	struct stat st;
	int rc;

	*ret = NULL;
	w.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w.fd < 0)
		return err_errno(
			e, errno, "cannot read '%s' (check the name and permissions)", path);
	if (fstat(w.fd, &st) || !S_ISREG(st.st_mode)) {
		rc = err_set(e, ERR_IO,
			"cannot read '%s': it is no regular file; give a WAV or FLAC file", path);
	} else {
		w.size = (uint64_t)st.st_size;
		rc = walk(&w, ret, e);
	}
	close(w.fd);
	return rc;
}
