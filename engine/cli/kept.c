/* Codes that are kept. */
#include "engine/cli/kept.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/queue.h"

enum { BYTES_MAX = 1 << 30 };

const char *kept_path(const char *library, int64_t job, const char *recipe, struct arena *a)
{
	struct sha256 s;
	char hex[65];

	sha256_init(&s);
	sha256_add(&s, recipe, strlen(recipe));
	sha256_hex(&s, hex);
	return arena_printf(a, "%s/work/%lld-%.16s.codes", library, (long long)job, hex);
}

void kept_write(const char *path, const struct engine_latents *l)
{
	struct str fresh = {0};
	int fd, ok;

	str_printf(&fresh, "%s.tmp", path);
	fd = open(fresh.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, l->data, l->bytes) == (ssize_t)l->bytes;
	if (fd >= 0)
		ok &= !close(fd);
	if (!ok || rename(fresh.s, path))
		unlink(fresh.s);
	str_done(&fresh);
}

bool kept_read(const char *path, struct arena *a, struct engine_latents *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	void *data = NULL;
	bool ok = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 &&
		  st.st_size < BYTES_MAX;

	if (ok) {
		data = arena_alloc(a, (size_t)st.st_size);
		ok = read(fd, data, (size_t)st.st_size) == st.st_size;
		*ret = (struct engine_latents){data, (size_t)st.st_size};
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

/* By a job that waits, is at work, or may be tried again. */
static bool is_wanted(struct db *db, const char *name)
{
	struct arena a = {0};
	struct err e = {0};
	struct job j;
	long long id;
	int n = 0, rc;
	bool is;

	if (sscanf(name, "%lld-%*16[0-9a-f].codes%n", &id, &n) != 1 || !n || name[n])
		return false;
	rc = jobs_get(db, id, &a, &j, &e);
	is = rc ? rc != ERR_ARG : strcmp(j.state, "done") != 0 && strcmp(j.state, "cancelled") != 0;
	arena_done(&a);
	return is;
}

void kept_sweep(struct db *db)
{
	struct str folder = {0};
	const struct dirent *entry;
	DIR *d;

	str_printf(&folder, "%s/work", db_library(db));
	d = opendir(folder.s);
	while (d && (entry = readdir(d)))
		if ((has_suffix(entry->d_name, ".codes") ||
			    has_suffix(entry->d_name, ".codes.tmp")) &&
			!is_wanted(db, entry->d_name))
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	str_done(&folder);
}
