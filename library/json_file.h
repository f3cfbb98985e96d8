/* json_file.h: small JSON files. */
#ifndef WOODSHED_LIBRARY_JSON_FILE_H
#define WOODSHED_LIBRARY_JSON_FILE_H

#include <stddef.h>

#include <jansson.h>

/* What an open file holds, to be json_decref()ed.  NULL: it is no regular file, has
 * more than `max` bytes, or is no JSON, or names a key twice.  json_loadfd() asks the
 * kernel for every byte. */
json_t *json_file_read(int fd, size_t max);

#endif
