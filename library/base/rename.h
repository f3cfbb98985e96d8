/* rename.h: a file gets its name. */
#ifndef WOODSHED_BASE_RENAME_H
#define WOODSHED_BASE_RENAME_H

/* rename() within a folder (AT_FDCWD: by their paths) that replaces nothing; -1 and errno,
 * EEXIST where the name is taken. */
int rename_new(int dir_fd, const char *from, const char *to);

#endif
