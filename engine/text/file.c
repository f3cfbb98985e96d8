#include "engine/text/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"

static int read_all(int fd, const char *path, uint8_t **ret, size_t *ret_n, struct err *e)
{
	struct stat st;
	ssize_t got;
	int rc;

	if (fstat(fd, &st))
		return err_errno(e, errno, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size > TEXT_MAX_FILE)
		return err_set(e, ERR_FORMAT,
			"'%s' is no file or larger than any tokenizer: copy it again", path);
	rc = mem_try_alloc((void **)ret, (size_t)st.st_size + 1, 1, path, e);
	if (rc)
		return rc;
	for (*ret_n = 0; *ret_n < (size_t)st.st_size; *ret_n += (size_t)got) {
		got = read(fd, *ret + *ret_n, (size_t)st.st_size - *ret_n);
		if (got < 0)
			return err_errno(e, errno, "cannot read '%s'", path);
		if (!got) /* somebody cut it meanwhile */
			break;
	}
	return 0;
}

int text_file_read(
	const char *dir, const char *name, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	char path[4096];
	int fd, rc;

	*ret_bytes = NULL;
	*ret_n = 0;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return err_set(
			e, ERR_ARG, "the folder's name is longer than %zu bytes", sizeof path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO does not hang */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return err_errno(e, errno, "cannot open '%s'", path);
	rc = read_all(fd, path, ret_bytes, ret_n, e);
	close(fd);
	if (rc) {
		free(*ret_bytes);
		*ret_bytes = NULL;
	}
	return rc;
}
