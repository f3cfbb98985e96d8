/* Small JSON files. */
#include "library/json_file.h"

#include <sys/stat.h>
#include <unistd.h>

static size_t read_some(void *buffer, size_t n, void *fd)
{
	const ssize_t got = read(*(const int *)fd, buffer, n);

	return got < 0 ? (size_t)-1 : (size_t)got;
}

json_t *json_file_read(int fd, size_t max)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (size_t)st.st_size > max)
		return NULL;
	return json_load_callback(read_some, &fd, JSON_REJECT_DUPLICATES, NULL);
}
