/* Strings: a growing buffer, and the few checks that every reader needs. */
#ifndef WOODSHED_BASE_STR_H
#define WOODSHED_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	char *s; /* owned; NUL-terminated once anything was added, NULL before */
	size_t n;
	size_t cap;
};

void str_add(struct str *b, const char *s);
void str_add_n(struct str *b, const char *s, size_t n);
void str_add_char(struct str *b, char c);
void str_printf(struct str *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(2)));
const char *str_get(const struct str *b); /* "" when empty */
void str_clear(struct str *b);
void str_done(struct str *b);

bool has_prefix(const char *s, const char *prefix);
bool has_suffix(const char *s, const char *suffix);

/* Decodes one UTF-8 code point of s[0..n), n > 0.  Returns its length in
 * bytes; *ret_cp gets it.  An invalid sequence (overlong, surrogate, above
 * U+10FFFF, cut) returns 1 and U+FFFD: no byte is skipped twice. */
size_t utf8_decode(const char *s, size_t n, uint32_t *ret_cp);
size_t utf8_encode(uint32_t cp, char out[4]); /* bytes written */
bool is_utf8(const char *s, size_t n);

/* Replaces control characters (C0, DEL, C1) and bytes that are no UTF-8 by
 * '?', in place: what a file names must not reach the terminal as it is. */
void str_sanitize(char *s);

/* Whole-string parses: no blanks, no trailing bytes, no overflow. */
bool parse_u64(const char *s, uint64_t *ret);
bool parse_i64(const char *s, int64_t *ret);
bool parse_f64(const char *s, double *ret); /* finite, '.' whatever the locale */

/* "1.5-4": two numbers, 0 <= from < to; neither is touched when it is anything else. */
bool parse_span(const char *s, double *ret_from, double *ret_to);

/* The shortest decimal that reads back as v, which is finite. */
const char *format_f64(double v, char out[32]);

/* "13.7 GB", "512 MB", "3.1 kB": decimal units, three digits. */
const char *format_bytes(uint64_t bytes, char out[16]);

/* "0:07", "12:30", "1:02:03": whole seconds, what is left of one dropped; "0:00" for
 * what is negative or no number, at most 999 hours. */
const char *format_duration(double seconds, char out[16]);

#endif
