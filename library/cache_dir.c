/* Folders of files that can be made again. */
#include "library/cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/sha256.h"

const char *cache_dir_name(
	const char *folder, const char *path, const char *how, const char *suffix, struct arena *a)
{
	struct sha256 hash;
	struct stat st;
	char hex[65], *real;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || !(real = realpath(path, NULL)))
		return NULL;
	const char *source = arena_printf(a, "%s\n%lld %lld %lld.%09ld %lld\n%s", real,
		(long long)st.st_dev, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, (long long)st.st_ino, how);

	free(real);
	sha256_init(&hash);
	sha256_add(&hash, source, strlen(source));
	sha256_hex(&hash, hex);
	return arena_printf(a, "%s/%.32s.%s", folder, hex, suffix);
}

void cache_dir_touch(const char *name)
{
	utimensat(AT_FDCWD, name, NULL, 0);
}

int cache_dir_make(const char *folder, struct err *e)
{
	char *above = xstrdup(folder), *slash = strrchr(above, '/');
	int why = 0;

	if (slash && slash > above) {
		*slash = 0;
		why = mkdir(above, 0700) && errno != EEXIST ? errno : 0;
	}
	free(above);
	if (!why && mkdir(folder, 0700) && errno != EEXIST)
		why = errno;
	return why ? err_errno(e, why, "cannot make the folder '%s'", folder) : 0;
}

int cache_dir_write(const char *name, const void *data, size_t n, struct err *e)
{
	return file_write(name, data, n, e);
}

/* Not by mmap: another program may cut the file meanwhile. */
int cache_dir_read(const char *name, void *ret, size_t n, struct err *e)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t done = 0;
	ssize_t k = 1;

	if (fd < 0)
		return err_errno(e, errno, "cannot read '%s'", name);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n)
		for (; done < n && k > 0; done += k > 0 ? (size_t)k : 0)
			k = read(fd, (char *)ret + done, n - done);
	close(fd);
	return done == n ? 0 : err_set(e, ERR_IO, "'%s' is not whole; remove it", name);
}

/* ---- trimming ----------------------------------------------------------- */

struct kept {
	char name[256];
	uint64_t bytes;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->used,
			      *y = &((const struct kept *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* The files of a folder, and what they hold together. */
static struct kept *list(DIR *d, size_t *ret_n, uint64_t *ret_bytes)
{
	struct kept *files = NULL;
	size_t n = 0, room = 0;

	for (struct dirent *entry; (entry = readdir(d));) {
		struct stat st;

		if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
			!S_ISREG(st.st_mode))
			continue;
		if (n == room) {
			room = room ? 2 * room : 64;
			files = xrealloc(files, room, sizeof(*files));
		}
		snprintf(files[n].name, sizeof(files[n].name), "%s", entry->d_name);
		files[n].bytes = (uint64_t)st.st_size;
		files[n].used = st.st_mtim;
		*ret_bytes += files[n++].bytes;
	}
	*ret_n = n;
	return files;
}

void cache_dir_trim(const char *folder, uint64_t max_bytes, const char *keep)
{
	DIR *d = opendir(folder);
	const char *slash = keep ? strrchr(keep, '/') : NULL;
	uint64_t bytes = 0;
	struct kept *files;
	size_t n;

	if (!d)
		return;
	files = list(d, &n, &bytes);
	if (bytes > max_bytes)
		qsort(files, n, sizeof(*files), by_use);
	for (size_t i = 0; i < n && bytes > max_bytes; i++) {
		if (slash && !strcmp(files[i].name, slash + 1))
			continue;
		if (!unlinkat(dirfd(d), files[i].name, 0))
			bytes -= files[i].bytes;
	}
	free(files);
	closedir(d);
}
