/* JSON, written: one flat object into a struct str. */
#include "library/base/jsonw.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/str.h"

void jsonw_begin(struct str *b)
{
	str_add_char(b, '{');
}

void jsonw_end(struct str *b)
{
	str_add_char(b, '}');
}

static void add_key(struct str *b, const char *key)
{
	if (b->n && b->s[b->n - 1] != '{')
		str_add(b, ", ");
	str_printf(b, "\"%s\": ", key);
}

void jsonw_string(struct str *b, const char *s)
{
	size_t n = strlen(s);

	str_add_char(b, '"');
	while (n) {
		char utf8[4];
		uint32_t cp;
		size_t used = utf8_decode(s, n, &cp);

		if (cp == '"' || cp == '\\')
			str_printf(b, "\\%c", (int)cp);
		else if (cp == '\n')
			str_add(b, "\\n");
		else if (cp == '\t')
			str_add(b, "\\t");
		else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			str_printf(b, "\\u%04x", (unsigned)cp);
		else
			str_add_n(b, utf8, utf8_encode(cp, utf8));
		s += used;
		n -= used;
	}
	str_add_char(b, '"');
}

void jsonw_text(struct str *b, const char *key, const char *s)
{
	add_key(b, key);
	if (s)
		jsonw_string(b, s);
	else
		str_add(b, "null");
}

void jsonw_u64(struct str *b, const char *key, uint64_t v)
{
	add_key(b, key);
	str_printf(b, "%" PRIu64, v);
}

void jsonw_num(struct str *b, const char *key, double v)
{
	char text[32];

	add_key(b, key);
	str_add(b, isfinite(v) ? format_f64(v, text) : "null");
}

void jsonw_bool(struct str *b, const char *key, bool v)
{
	add_key(b, key);
	str_add(b, v ? "true" : "false");
}
