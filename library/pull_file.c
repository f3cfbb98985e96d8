/* One file of a pull, over as many requests as that takes.
 *
 *	open	what an earlier pull left is hashed, whole files, too
 *	step	asks for what is missing; each piece is hashed and written where it
 *		belongs, so a cut costs nothing that had arrived
 *	settle	the hash decides: the file gets its name, or starts anew
 *
 * Starting anew happens once: a server that contradicts itself twice will not stop
 * doing so. */
#include "library/pull_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha1.h"
#include "library/base/sha256.h"

enum { CHECK_BYTES = 1 << 20 };

/* The hash that the server's list gives: SHA-256, or git's of a blob, which is the
 * SHA-1 of a short header and the bytes. */
struct digest {
	bool is_lfs;
	struct sha256 sha256;
	struct sha1 sha1;
};

struct part {
	struct pull *pull;
	const struct repo_file *file;
	const char *path;
	int fd;
	uint64_t n;    /* bytes that are there and in the digest */
	uint64_t best; /* the most there ever were */
	struct digest digest;
	struct pull_tries tries;
	unsigned restarts;
	bool lies; /* the answer contradicts the list */
	bool is_done;
};

static void digest_init(struct digest *d, const struct repo_file *f)
{
	char header[32];
	int n = snprintf(header, sizeof(header), "blob %" PRIu64, f->bytes);

	d->is_lfs = f->is_lfs;
	sha256_init(&d->sha256);
	sha1_init(&d->sha1);
	if (!f->is_lfs)
		sha1_add(&d->sha1, header, (size_t)n + 1); /* with its NUL */
}

static void digest_add(struct digest *d, const void *data, size_t n)
{
	if (d->is_lfs)
		sha256_add(&d->sha256, data, n);
	else
		sha1_add(&d->sha1, data, n);
}

static bool digest_is(const struct digest *d, const char *hash)
{
	struct digest end = *d; /* ending one ends it for good */
	char hex[65];

	if (end.is_lfs)
		sha256_hex(&end.sha256, hex);
	else
		sha1_hex(&end.sha1, hex);
	return !strcmp(hex, hash);
}

const char *pull_path(const struct pull *p, const struct repo_file *f)
{
	return arena_printf(p->a, "%s/%s", p->staging, f->path);
}

/* With the hash in it, what is left of another version is not taken for this one. */
const char *pull_part_path(const struct pull *p, const struct repo_file *f)
{
	return arena_printf(p->a, "%s/%s.%.16s.part", p->staging, f->path, f->hash);
}

/* ---- what an earlier pull left ------------------------------------------ */

static int forget(struct part *t, struct err *e)
{
	t->pull->have -= t->n;
	t->n = 0;
	digest_init(&t->digest, t->file);
	if (ftruncate(t->fd, 0))
		return err_errno(e, errno, "cannot write '%s'", t->path);
	return 0;
}

/* *e holds why. */
static int start_anew(struct part *t, struct err *e)
{
	if (t->restarts++)
		return e->code;
	pull_note(t->pull, "%s; it is fetched anew", e->text);
	err_clear(e);
	t->lies = false;
	return forget(t, e);
}

static int hash_what_is_there(struct part *t, uint64_t bytes, struct err *e)
{
	char *block = xcalloc(1, CHECK_BYTES);
	int rc = 0;

	t->pull->is_checking = true;
	while (t->n < bytes && !rc) {
		uint64_t left = bytes - t->n;
		size_t want = left < CHECK_BYTES ? (size_t)left : CHECK_BYTES;
		ssize_t got = pread(t->fd, block, want, (off_t)t->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = err_errno(e, errno, "cannot read '%s'", t->path);
		if (got <= 0)
			break;
		digest_add(&t->digest, block, (size_t)got);
		t->n += (uint64_t)got;
		t->pull->have += (uint64_t)got;
		pull_report(t->pull);
		if (pull_is_stopped(t->pull))
			rc = err_set(e, ERR_CANCELLED, "cancelled");
	}
	t->pull->is_checking = false;
	free(block);
	return rc;
}

/* A file that was complete is checked like any other, under the name of one that
 * is not: then there is one way in. */
static int open_part(struct part *t, struct err *e)
{
	const char *complete = pull_path(t->pull, t->file);
	struct stat st;

	if (rename(complete, t->path) && errno != ENOENT)
		return err_errno(e, errno, "cannot use '%s'", complete);
	t->fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (t->fd < 0 || fstat(t->fd, &st))
		return err_errno(e, errno, "cannot write '%s' (check its permissions)", t->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "'%s' is no file: remove it", t->path);
	digest_init(&t->digest, t->file);
	if ((uint64_t)st.st_size > t->file->bytes)
		return forget(t, e);
	return hash_what_is_there(t, (uint64_t)st.st_size, e);
}

/* ---- over the line ------------------------------------------------------ */

static int contradict(struct part *t, struct err *e, const char *how)
{
	t->lies = true;
	return err_set(e, ERR_FORMAT,
		"the server's '%s' is not what its list promises (%s): pull again later, or check "
		"HF_ENDPOINT",
		t->file->path, how);
}

static int on_answer(void *ud, const struct http_reply *r, struct err *e)
{
	struct part *t = ud;
	const struct repo_file *f = t->file;
	int rc = 0;

	t->pull->metered = 0;
	if (strlen(r->hash) == strlen(f->hash) && strcmp(r->hash, f->hash)) {
		t->pull->is_stale = true;
		return err_set(e, ERR_FORMAT,
			"'%s' has changed on the server while it was being pulled: pull again",
			f->path);
	}
	if (r->status == 206 &&
		(r->first != t->n || (r->whole >= 0 && (uint64_t)r->whole != f->bytes)))
		return contradict(t, e, "another range or size");
	if (r->status == 200 && t->n) {
		pull_note(t->pull, "the server cannot go on within a file: '%s' starts anew",
			f->path);
		rc = forget(t, e);
	}
	if (!rc && r->length >= 0 && (uint64_t)r->length != f->bytes - t->n)
		rc = contradict(t, e, "another size");
	return rc;
}

static int on_data(void *ud, const void *data, size_t n, struct err *e)
{
	struct part *t = ud;
	const char *p = data;

	if (n > t->file->bytes - t->n)
		return contradict(t, e, "too many bytes");
	while (n) {
		ssize_t some = pwrite(t->fd, p, n, (off_t)t->n);

		if (some < 0 && errno == EINTR)
			continue;
		if (some <= 0)
			return err_errno(e, some ? errno : EIO,
				"cannot write '%s' (what is there is kept: pull again to go on)",
				t->path);
		digest_add(&t->digest, p, (size_t)some);
		p += some;
		n -= (size_t)some;
		t->n += (uint64_t)some;
		t->pull->have += (uint64_t)some;
		t->pull->fetched += (uint64_t)some;
		pull_meter(t->pull, (size_t)some);
	}
	pull_report(t->pull);
	return 0;
}

static bool is_stopped(void *ud)
{
	return pull_is_stopped(((struct part *)ud)->pull);
}

static int ask(struct part *t, struct http_reply *r, struct err *e)
{
	const struct pull *p = t->pull;

	return http_get(p->http,
		&(struct http_request){
			.url = arena_printf(p->a, "%s/%s/resolve/main/%s", p->q->endpoint,
				p->q->repo, t->file->path),
			.token = p->q->token,
			.from = t->n,
			.begin = on_answer,
			.sink = on_data,
			.stop = is_stopped,
			.ud = t,
		},
		r, e);
}

/* ---- the whole file ----------------------------------------------------- */

static int settle(struct part *t, struct err *e)
{
	const char *path = pull_path(t->pull, t->file);

	if (!digest_is(&t->digest, t->file->hash)) {
		contradict(t, e, "other bytes: their hash is wrong");
		return start_anew(t, e);
	}
	if (fsync(t->fd) || rename(t->path, path))
		return err_errno(e, errno, "cannot write '%s'", path);
	t->is_done = true;
	return 0;
}

static int step(struct part *t, struct err *e)
{
	struct http_reply r;
	int rc;

	if (t->n == t->file->bytes)
		return settle(t, e);
	rc = ask(t, &r, e);
	if (!rc && r.status == 416)
		rc = contradict(t, e, "fewer bytes");
	if (t->lies)
		return start_anew(t, e);
	if (!rc && (r.status == 200 || r.status == 206)) {
		if (t->n == t->file->bytes)
			return 0;
		rc = err_set(e, ERR_IO, "the server ended '%s' early", t->file->path);
		r.is_cut = true;
	}
	if (rc && !r.is_cut)
		return rc;
	if (t->n > t->best) {
		t->best = t->n;
		t->tries.n = 0;
	}
	if (rc || pull_may_pass(&r))
		return pull_again(t->pull, &t->tries, &r, e);
	return pull_refuse(t->pull, &r, t->file->path, e);
}

int pull_file(struct pull *p, const struct repo_file *f, struct err *e)
{
	struct part t = {.pull = p, .file = f, .path = pull_part_path(p, f), .fd = -1};
	int rc;

	p->file = f->path;
	rc = open_part(&t, e);
	t.best = t.n;
	while (!rc && !t.is_done)
		rc = step(&t, e);
	if (t.fd >= 0 && close(t.fd) && !rc)
		rc = err_errno(e, errno, "cannot write '%s'", t.path);
	return rc;
}
