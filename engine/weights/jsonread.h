/* JSON, read from files that nobody vouches for.  Private to engine/weights/.
 *
 * jansson refuses duplicate keys, bad UTF-8 and numbers out of range, but its
 * tree may take a hundred times the text's size; so the values are counted
 * before it starts. */
#ifndef WOODSHED_ENGINE_JSONREAD_H
#define WOODSHED_ENGINE_JSONREAD_H

#include <jansson.h>
#include <stddef.h>

struct err;

/* *ret is an object, released with json_decref().  name: for messages. */
int jsonread_text(const char *text, size_t n, const char *name, json_t **ret, struct err *e);
/* At most 16 MB.  ERR_IO when it cannot be read. */
int jsonread_file(const char *path, const char *name, json_t **ret, struct err *e);

#endif
