/* JSON, written: one flat object into a struct str.
 *
 *	jsonw_begin(&b);
 *	jsonw_text(&b, "prompt", prompt);
 *	jsonw_u64(&b, "seed", seed);
 *	jsonw_end(&b);
 *
 * Unsigned 64-bit numbers stay exact (jansson's integers are signed), text
 * that is not UTF-8 becomes U+FFFD byte by byte, and every control code is
 * escaped, so a line is also safe to look at in a terminal. */
#ifndef WOODSHED_BASE_JSONW_H
#define WOODSHED_BASE_JSONW_H

#include <stdbool.h>
#include <stdint.h>

struct str;

void jsonw_begin(struct str *b);
void jsonw_end(struct str *b);
/* key: ASCII without quotes; s NULL: null */
void jsonw_text(struct str *b, const char *key, const char *s);
void jsonw_u64(struct str *b, const char *key, uint64_t v);
/* The shortest digits that read back as v; null when it is not finite. */
void jsonw_num(struct str *b, const char *key, double v);
void jsonw_bool(struct str *b, const char *key, bool v);
void jsonw_string(struct str *b, const char *s); /* a value alone, with its quotes */

#endif
