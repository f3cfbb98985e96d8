/* A file gets its name. */
#include "library/base/rename.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Not every file system knows the flag, and FAT has no hard links, which replace nothing
 * either. */
int rename_new(int dir_fd, const char *from, const char *to)
{
	if (!renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE))
		return 0;
	if ((errno != EINVAL && errno != ENOSYS) || linkat(dir_fd, from, dir_fd, to, 0))
		return -1;
	return unlinkat(dir_fd, from, 0);
}
