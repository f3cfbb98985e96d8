/* Strings: the growing buffer, UTF-8, strict number parsing, byte sizes. */
#include "library/base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

/* Room for n more bytes and the NUL. */
static void reserve(struct str *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 32;

	if (b->s && b->cap - b->n > n)
		return;
	while (cap - b->n <= n)
		cap = cap <= SIZE_MAX / 2 ? cap * 2 : SIZE_MAX;
	b->s = xrealloc(b->s, cap, 1);
	b->cap = cap;
}

void str_add_n(struct str *b, const char *s, size_t n)
{
	reserve(b, n);
	if (n)
		memcpy(b->s + b->n, s, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void str_add(struct str *b, const char *s)
{
	str_add_n(b, s, strlen(s));
}

void str_add_char(struct str *b, char c)
{
	str_add_n(b, &c, 1);
}

void str_printf(struct str *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0) {
		reserve(b, (size_t)n);
		vsnprintf(b->s + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	va_end(ap);
}

const char *str_get(const struct str *b)
{
	return b->s ? b->s : "";
}

void str_clear(struct str *b)
{
	b->n = 0;
	if (b->s)
		b->s[0] = '\0';
}

void str_done(struct str *b)
{
	free(b->s);
	*b = (struct str){0};
}

bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);

	return n >= k && !memcmp(s + n - k, suffix, k);
}

size_t utf8_decode(const char *s, size_t n, uint32_t *ret_cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length */
	const unsigned char *u = (const unsigned char *)s;
	uint32_t cp = u[0];
	size_t len = cp < 0x80   ? 1
		     : cp < 0xc0 ? 0
		     : cp < 0xe0 ? 2
		     : cp < 0xf0 ? 3
		     : cp < 0xf8 ? 4
				 : 0;

	*ret_cp = cp;
	if (len == 1)
		return 1;
	*ret_cp = 0xfffd;
	if (!len || len > n)
		return 1;
	cp &= 0xffu >> (len + 1);
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 1;
		cp = cp << 6 | (u[i] & 0x3f);
	}
	if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 1;
	*ret_cp = cp;
	return len;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t len;

	if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		cp = 0xfffd;
	len = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (char)(lead[len] | cp);
	return len;
}

bool is_utf8(const char *s, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t cp;
		len = utf8_decode(s + i, n - i, &cp);
		if (len == 1 && cp == 0xfffd)
			return false;
	}
	return true;
}

void str_sanitize(char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0, len; i < n; i += len) {
		uint32_t cp;
		len = utf8_decode(s + i, n - i, &cp);
		/* C0, DEL, C1 (two bytes in UTF-8), and bytes that are no text */
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (len == 1 && cp == 0xfffd))
			memset(s + i, '?', len);
	}
}

bool parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

bool parse_i64(const char *s, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t v;

	if (!parse_u64(s + negative, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static const char *skip_digits(const char *s)
{
	return s + strspn(s, "0123456789");
}

/* [-+] digits [. digits] [e [-+] digits], with a digit in the mantissa. */
static bool is_decimal(const char *s)
{
	const char *start, *end;
	size_t digits;

	s += *s == '-' || *s == '+';
	start = s;
	s = skip_digits(s);
	digits = (size_t)(s - start);
	if (*s == '.') {
		start = ++s;
		s = skip_digits(s);
		digits += (size_t)(s - start);
	}
	if (!digits)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		end = skip_digits(s);
		if (end == s)
			return false;
		s = end;
	}
	return !*s;
}

bool parse_f64(const char *s, double *ret)
{
	locale_t c;
	double v;

	if (!is_decimal(s))
		return false;
	c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c)
		return false;
	v = strtod_l(s, NULL, c);
	freelocale(c);
	if (!isfinite(v))
		return false;
	*ret = v;
	return true;
}

bool parse_span(const char *s, double *ret_from, double *ret_to)
{
	const char *dash = strchr(s, '-');
	const size_t n = dash ? (size_t)(dash - s) : 0;
	char first[64] = "";
	double from, to;

	if (!dash || n >= sizeof(first))
		return false;
	memcpy(first, s, n);
	if (!parse_f64(first, &from) || !parse_f64(dash + 1, &to) || from < 0 || to <= from)
		return false;
	*ret_from = from;
	*ret_to = to;
	return true;
}

const char *format_f64(double v, char out[32])
{
	int digits = 15;
	double back;

	do {
		snprintf(out, 32, "%.*g", digits, v);
	} while (digits++ < 17 && !(parse_f64(out, &back) && back == v));
	return out;
}

const char *format_bytes(uint64_t bytes, char out[16])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t unit = 1000, tenths;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(out, 16, "%u B", (unsigned)bytes);
		return out;
	}
	/* 999.5 kB and more rounds to 1.0 MB */
	while (i + 1 < sizeof units / sizeof *units && bytes >= unit * 1000 - unit / 2) {
		unit *= 1000;
		i++;
	}
	tenths = bytes / (unit / 10) + (bytes % (unit / 10) >= unit / 20);
	if (tenths < 1000)
		snprintf(out, 16, "%u.%u %s", (unsigned)tenths / 10, (unsigned)tenths % 10,
			units[i]);
	else
		snprintf(out, 16, "%u %s", (unsigned)(bytes / unit + (bytes % unit >= unit / 2)),
			units[i]);
	return out;
}

const char *format_duration(double seconds, char out[16])
{
	unsigned s = seconds > 0 ? seconds < 3.6e6 ? (unsigned)seconds : 3599999 : 0;

	if (s >= 3600)
		snprintf(out, 16, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, 16, "%u:%02u", s / 60, s % 60);
	return out;
}
