#include "engine/weights/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/pool.h"
#include "library/base/sha256.h"

enum {
	CACHE_HEAD = 128,
	CACHE_CHUNK = 1 << 20,
};
#define MAGIC "woodshed weights 1\n"

/* One table's payload, as a line of bytes. */
struct transfer {
	const struct cache_table *t;
	int fd;
	char head[CACHE_HEAD];
	uint64_t *first; /* [n + 1] where each tensor begins; owned */
	uint64_t total;
	size_t n_chunks;
	uint64_t *sums; /* [n_chunks]; owned */
	char *scratch;  /* [threads, CACHE_CHUNK]; owned */
	int (*chunk)(struct transfer *x, size_t i, char *scratch);
	_Atomic size_t next;
	_Atomic uint64_t done;
	_Atomic int failed; /* an errno, or -1: not what it should be */
	_Atomic bool is_cancelled;
};

static void add_line(struct sha256 *s, const char *text)
{
	sha256_add(s, text, strlen(text) + 1);
}

static void make_head(struct transfer *x)
{
	const struct cache_table *t = x->t;
	struct sha256 s;
	char hex[65];

	sha256_init(&s);
	add_line(&s, t->key);
	add_line(&s, gpu_layout(t->gpu));
	for (size_t i = 0; i < t->n; i++) {
		const struct gpu_tensor *one = t->tensors[i];
		const uint64_t facts[] = {one->dtype, one->layout, (uint64_t)one->n_dims,
			x->first[i + 1] - x->first[i]};
		add_line(&s, one->name);
		sha256_add(&s, facts, sizeof(facts));
		sha256_add(&s, one->ne, (size_t)one->n_dims * sizeof(one->ne[0]));
	}
	sha256_hex(&s, hex);
	snprintf(x->head, sizeof(x->head), MAGIC "%s\n", hex);
}

static int transfer_init(struct transfer *x, const struct cache_table *t, struct err *e)
{
	void *scratch;

	*x = (struct transfer){.t = t, .fd = -1};
	x->first = xcalloc(t->n + 1, sizeof(*x->first));
	for (size_t i = 0; i < t->n; i++)
		x->first[i + 1] = x->first[i] + gpu_raw_bytes(t->gpu, t->tensors[i]);
	x->total = x->first[t->n];
	x->n_chunks = (size_t)((x->total + CACHE_CHUNK - 1) / CACHE_CHUNK);
	x->sums = xcalloc(x->n_chunks + 1, sizeof(*x->sums));
	make_head(x);
	int rc = mem_try_alloc(&scratch, (size_t)pool_threads(t->pool), CACHE_CHUNK, "loading", e);
	x->scratch = rc ? NULL : scratch;
	return rc;
}

static void transfer_done(struct transfer *x)
{
	if (x->fd >= 0)
		close(x->fd);
	free(x->first);
	free(x->sums);
	free(x->scratch);
}

static size_t chunk_bytes(const struct transfer *x, size_t i)
{
	const uint64_t left = x->total - (uint64_t)i * CACHE_CHUNK;

	return left < CACHE_CHUNK ? (size_t)left : CACHE_CHUNK;
}

/* The payload's bytes at..at+n-1, from or to the tensors that they belong to. */
static void copy_bytes(const struct transfer *x, uint64_t at, char *bytes, size_t n, bool to_device)
{
	const struct cache_table *t = x->t;
	size_t low = 0, high = t->n;

	while (high - low > 1) { /* the tensor that holds `at` */
		const size_t mid = low + (high - low) / 2;
		if (x->first[mid] <= at)
			low = mid;
		else
			high = mid;
	}
	for (; n; low++) {
		const uint64_t left = x->first[low + 1] - at;
		const size_t k = n < left ? n : (size_t)left;
		if (to_device)
			gpu_raw_write(t->gpu, t->tensors[low], at - x->first[low], bytes, k);
		else
			gpu_raw_read(t->gpu, t->tensors[low], at - x->first[low], bytes, k);
		at += k;
		bytes += k;
		n -= k;
	}
}

/* 0, an errno, or -1 at the end of the file. */
static int read_all(int fd, uint64_t offset, void *dst, size_t n)
{
	for (char *p = dst; n;) {
		const ssize_t k = pread(fd, p, n, (off_t)offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? errno : -1;
		p += k;
		offset += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static int write_all(int fd, uint64_t offset, const void *src, size_t n)
{
	for (const char *p = src; n;) {
		const ssize_t k = pwrite(fd, p, n, (off_t)offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return errno;
		p += k;
		offset += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static int read_chunk(struct transfer *x, size_t i, char *scratch)
{
	const uint64_t at = (uint64_t)i * CACHE_CHUNK;
	const size_t n = chunk_bytes(x, i);
	const int rc = read_all(x->fd, CACHE_HEAD + at, scratch, n);

	if (rc)
		return rc;
	if (XXH3_64bits(scratch, n) != x->sums[i])
		return -1;
	copy_bytes(x, at, scratch, n, true);
	return 0;
}

static int write_chunk(struct transfer *x, size_t i, char *scratch)
{
	const uint64_t at = (uint64_t)i * CACHE_CHUNK;
	const size_t n = chunk_bytes(x, i);

	copy_bytes(x, at, scratch, n, false);
	x->sums[i] = XXH3_64bits(scratch, n);
	return write_all(x->fd, CACHE_HEAD + at, scratch, n);
}

static void run_thread(void *ud, int thread, int n_threads)
{
	struct transfer *x = ud;
	const struct cache_table *t = x->t;
	char *scratch = x->scratch + (size_t)thread * CACHE_CHUNK;
	size_t i;

	while (!x->failed && !x->is_cancelled &&
		(i = atomic_fetch_add(&x->next, 1)) < x->n_chunks) {
		const int rc = x->chunk(x, i, scratch);
		if (rc)
			x->failed = rc;
		x->done += chunk_bytes(x, i);
		/* Thread 0 is the caller's. */
		if (!thread && t->progress && t->progress(t->ud, x->done, x->total))
			x->is_cancelled = true;
	}
}

static int run(struct transfer *x, int (*chunk)(struct transfer *x, size_t i, char *scratch))
{
	const struct cache_table *t = x->t;

	x->chunk = chunk;
	pool_team(t->pool, run_thread, x);
	if (!x->failed && !x->is_cancelled && t->progress && t->progress(t->ud, x->total, x->total))
		x->is_cancelled = true;
	return x->failed;
}

/* ---- reading ------------------------------------------------------------ */

static bool is_ours(struct transfer *x)
{
	const uint64_t sums_bytes = x->n_chunks * sizeof(*x->sums);
	char head[CACHE_HEAD];
	struct stat st;

	return !fstat(x->fd, &st) && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == CACHE_HEAD + x->total + sums_bytes &&
	       !read_all(x->fd, 0, head, sizeof(head)) && !memcmp(head, x->head, sizeof(head)) &&
	       !read_all(x->fd, CACHE_HEAD + x->total, x->sums, (size_t)sums_bytes);
}

int cache_read(const struct cache_table *t, struct err *e)
{
	struct transfer x;
	int rc = transfer_init(&x, t, e);

	if (rc)
		goto out;
	x.fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (x.fd >= 0 && is_ours(&x) && !run(&x, read_chunk))
		rc = x.is_cancelled ? err_set(e, ERR_CANCELLED, "loading was stopped") : 1;
	if (rc == 1 && gpu_failed(t->gpu))
		rc = gpu_sync(t->gpu, e);
out:
	transfer_done(&x);
	return rc;
}

/* ---- writing ------------------------------------------------------------ */

static int check_room(const char *folder, uint64_t bytes, struct err *e)
{
	struct statvfs fs;

	/* As much again stays free: the user's takes matter more. */
	if (!statvfs(folder, &fs) && (uint64_t)fs.f_bavail * fs.f_frsize < 2 * bytes)
		return err_set(e, ERR_IO,
			"converted weights are not kept in '%s': the disk is almost full", folder);
	return 0;
}

/* A file without a name, so that nothing is left of a write that is cut short,
 * where the file system has such files; else one with a name that goes away. */
static int open_new(const char *folder, const char *temporary, bool *ret_named)
{
	int fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);

	*ret_named = fd < 0;
	return fd < 0 ? open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : fd;
}

/* Gives the file its name in place of an older one. */
static int publish(int fd, bool is_named, const char *temporary, const char *path)
{
	char link[64];

	if (is_named)
		return rename(temporary, path) ? errno : 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (unlink(path) && errno != ENOENT)
		return errno;
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? errno : 0;
}

static int write_file(struct transfer *x, const char *folder, const char *temporary, struct err *e)
{
	bool is_named;
	int why;

	x->fd = open_new(folder, temporary, &is_named);
	if (x->fd < 0)
		return err_errno(e, errno, "cannot write '%s'", temporary);
	why = run(x, write_chunk);
	if (!why)
		why = write_all(
			x->fd, CACHE_HEAD + x->total, x->sums, x->n_chunks * sizeof(*x->sums));
	/* The head last: a file without it is nothing. */
	if (!why)
		why = write_all(x->fd, 0, x->head, sizeof(x->head));
	if (!why)
		why = publish(x->fd, is_named, temporary, x->t->path);
	if (why && is_named)
		unlink(temporary);
	return why ? err_errno(e, why, "cannot write '%s'", x->t->path) : 0;
}

/* The folder of a path, "." when there is none in it. */
static char *folder_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return arena_strdup(a, ".");
	return arena_printf(a, "%.*s", (int)(slash > path ? slash - path : 1), path);
}

int cache_write(const struct cache_table *t, struct err *e)
{
	struct cache_table quiet = *t;
	struct transfer x;
	struct arena a = {0};
	const char *folder = folder_of(&a, t->path);
	/* Of several processes that write at once each has its own. */
	const char *temporary = arena_printf(&a, "%s.%ld.tmp", t->path, (long)getpid());
	int rc;

	quiet.progress = NULL;
	rc = transfer_init(&x, &quiet, e);
	if (!rc && mkdir(folder, 0700) && errno != EEXIST)
		rc = err_errno(e, errno, "cannot make '%s'", folder);
	if (!rc)
		rc = check_room(folder, x.total, e);
	if (!rc)
		rc = write_file(&x, folder, temporary, e);
	transfer_done(&x);
	arena_done(&a);
	return rc;
}
