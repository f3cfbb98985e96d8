/* file.h: the files of a tokenizer, as bytes. */
#ifndef WOODSHED_ENGINE_TEXT_FILE_H
#define WOODSHED_ENGINE_TEXT_FILE_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum { TEXT_MAX_FILE = 32 << 20 }; /* bytes; the largest known is half of it */

/* dir/name.  *ret_bytes is malloc'd; owned by the caller.  A file that is not there is
 * no error: *ret_bytes is NULL. */
int text_file_read(
	const char *dir, const char *name, uint8_t **ret_bytes, size_t *ret_n, struct err *e);

#endif
