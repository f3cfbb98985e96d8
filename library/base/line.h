/* line.h: files that hold one line. */
#ifndef WOODSHED_BASE_LINE_H
#define WOODSHED_BASE_LINE_H

#include <stddef.h>

struct arena;
struct err;

/* The first line of a small file: 0, or the errno that says why it cannot be
 * read; *ret, in the arena, is NULL then. */
int line_read(const char *path, struct arena *a, const char **ret);

/* `text` and a newline, under `path` at once or not at all, in place of what was
 * there; 0600, synced. */
int line_write(const char *path, const char *text, struct err *e);

/* All of the bytes, and onto the disk: 0, or an errno. */
int write_synced(int fd, const void *data, size_t n);

/* Makes a file of n bytes, or puts it in place of what is there; 0600, synced, never
 * there in part. */
int file_write(const char *path, const void *data, size_t n, struct err *e);

#endif
