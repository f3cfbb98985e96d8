/* cache_dir.h: folders of files that can be made again.
 *
 * A file in there is complete or absent (it is written under another name, then
 * renamed), is named by what it was made from, and goes when the folder has
 * grown too large, the one that was not used for longest first.  Several processes
 * may do all of this at once. */
#ifndef WOODSHED_LIBRARY_CACHE_DIR_H
#define WOODSHED_LIBRARY_CACHE_DIR_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* FOLDER/HASH.SUFFIX: the name for what is made from a file, as it is now (its
 * path, size, times), by something that `how` describes.  NULL when there is no
 * such file. */
const char *cache_dir_name(
	const char *folder, const char *path, const char *how, const char *suffix, struct arena *a);

/* That file is used now: it stays longer. */
void cache_dir_touch(const char *name);

/* The folder and the one above it are made (0700) where they are missing. */
int cache_dir_make(const char *folder, struct err *e);

/* Writes n bytes to that file in place of what is there. */
int cache_dir_write(const char *name, const void *data, size_t n, struct err *e);

/* Reads a file of exactly n bytes: 0, or ERR_IO when there is none like that. */
int cache_dir_read(const char *name, void *ret, size_t n, struct err *e);

/* Removes files, but never `keep` (NULL: none), until those that remain hold at most
 * max_bytes. */
void cache_dir_trim(const char *folder, uint64_t max_bytes, const char *keep);

#endif
