/* File names from a pattern. */
#include "library/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "library/base/err.h"
#include "library/base/str.h"

enum {
	PATTERN_MAX = 1000,
	WIDTH_MAX = 255,
	SUFFIX_MAX = 16,
	NUMBER_ROOM = sizeof " (9999)" - 1,
};

static const char KNOWN[] = "{prompt}, {model}, {seed}, {take}, {date}";

/* ---- the pattern -------------------------------------------------------- */

struct part {
	const char *value; /* of the field; NULL: not told */
	bool is_number;    /* :N is the least width instead of the most */
};

static bool find_part(const struct names_fields *f, const char *name, size_t n, struct part *ret)
{
	const struct {
		const char *name;
		struct part part;
	} parts[] = {
		{"prompt", {f->prompt, false}},
		{"model", {f->model, false}},
		{"seed", {f->seed, true}},
		{"take", {f->take, true}},
		{"date", {f->date, false}},
	};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (strlen(parts[i].name) == n && !memcmp(parts[i].name, name, n)) {
			*ret = parts[i].part;
			return true;
		}
	}
	return false;
}

/* Bytes of the first n characters of s. */
static size_t first_characters(const char *s, uint64_t n)
{
	size_t length = strlen(s), at = 0;
	uint32_t cp;

	while (n-- && at < length)
		at += utf8_decode(s + at, length - at, &cp);
	return at;
}

/* width 0: none was given. */
static void add_part(const struct part *p, uint64_t width, struct str *out)
{
	const char *value = p->value ? p->value : "";

	if (p->is_number && *value)
		for (uint64_t n = strlen(value); n < width; n++)
			str_add_char(out, '0');
	if (p->is_number || !width)
		str_add(out, value);
	else
		str_add_n(out, value, first_characters(value, width));
}

/* The field that `at` points into, behind its '{'.  Returns what follows its
 * '}', or NULL with an error. */
static const char *expand_field(
	const char *at, const struct names_fields *f, struct str *out, struct err *e)
{
	size_t n = strcspn(at, "{}"), n_name = strcspn(at, "{}:");
	uint64_t width = 0;
	char digits[8] = "";
	struct part part;

	if (at[n] != '}') {
		err_set(e, ERR_ARG,
			"the name pattern has a '{' without its '}'; a brace itself is {{");
		return NULL;
	}
	if (!find_part(f, at, n_name, &part)) {
		err_set(e, ERR_ARG, "the name pattern holds {%.*s}, which is none of %s",
			n < 40 ? (int)n : 40, at, KNOWN);
		return NULL;
	}
	if (n_name < n) {
		if (n - n_name - 1 < sizeof digits)
			memcpy(digits, at + n_name + 1, n - n_name - 1);
		if (!parse_u64(digits, &width) || width < 1 || width > WIDTH_MAX) {
			err_set(e, ERR_ARG,
				"the name pattern holds {%.*s}; behind the ':' goes a number from "
				"1 to %d",
				n < 40 ? (int)n : 40, at, WIDTH_MAX);
			return NULL;
		}
	}
	add_part(&part, width, out);
	return at + n + 1;
}

static int expand(const char *pattern, const struct names_fields *f, struct str *out, struct err *e)
{
	const char *at = pattern;

	if (strlen(pattern) > PATTERN_MAX || !is_utf8(pattern, strlen(pattern)))
		return err_set(e, ERR_ARG, "the name pattern is no UTF-8 text of at most %d bytes",
			PATTERN_MAX);
	if (strchr(pattern, '/'))
		return err_set(e, ERR_ARG,
			"the name pattern holds a '/', but names a file, not a folder; give the "
			"folder "
			"as the last word");
	while (at && *at) {
		if ((at[0] == '{' || at[0] == '}') && at[0] == at[1]) {
			str_add_char(out, at[0]);
			at += 2;
		} else if (*at == '{') {
			at = expand_field(at + 1, f, out, e);
		} else if (*at == '}') {
			return err_set(e, ERR_ARG,
				"the name pattern has a '}' without its '{'; a brace itself is }}");
		} else {
			str_add_char(out, *at++);
		}
	}
	return at ? 0 : ERR_ARG;
}

int names_check(const char *pattern, struct err *e)
{
	struct str text = {0};
	int rc = expand(pattern, &(struct names_fields){0}, &text, e);

	str_done(&text);
	return rc;
}

/* ---- safety ------------------------------------------------------------- */

static bool is_blank(uint32_t cp)
{
	return cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0x85 || cp == 0xa0 ||
	       cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
	       cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

/* Refused by FAT and NTFS, or made to mislead: controls, and those that turn
 * the direction of writing around. */
static bool is_refused(uint32_t cp)
{
	if (cp < 0x80)
		return cp < 0x20 || cp == 0x7f || strchr("<>:\"/\\|?*", (int)cp);
	return cp < 0xa0 || cp == 0x200e || cp == 0x200f || (cp >= 0x202a && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff || cp == 0xfffd;
}

static void replace_characters(const char *s, struct str *out)
{
	size_t n = strlen(s);

	while (n) {
		uint32_t cp;
		size_t used = utf8_decode(s, n, &cp);

		if (is_blank(cp)) {
			if (out->n && out->s[out->n - 1] != ' ')
				str_add_char(out, ' ');
		} else if (is_refused(cp)) {
			str_add_char(out, '_');
		} else {
			str_add_n(out, s, used);
		}
		s += used;
		n -= used;
	}
}

/* What of s[0..n) fits into max bytes as whole characters, without blanks and
 * dots at its end. */
static size_t fit(const char *s, size_t n, size_t max)
{
	if (n > max) {
		n = max;
		while (n && ((unsigned char)s[n] & 0xc0) == 0x80)
			n--;
	}
	while (n && (s[n - 1] == ' ' || s[n - 1] == '.'))
		n--;
	return n;
}

/* Windows takes these for devices, whatever follows the first dot. */
static bool is_device(const char *s)
{
	static const char *const words[] = {
		"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"};
	/* the digits 0 to 9, and superscript 1, 2 and 3 */
	static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
		"\xc2\xb9", "\xc2\xb2", "\xc2\xb3"};
	size_t n = strcspn(s, ".");

	while (n && s[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == n && !strncasecmp(s, words[i], n))
			return true;
	if (n < 4 || (strncasecmp(s, "COM", 3) && strncasecmp(s, "LPT", 3)))
		return false;
	for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
		if (strlen(digits[i]) == n - 3 && !memcmp(s + 3, digits[i], n - 3))
			return true;
	return false;
}

int names_make(const char *pattern, const struct names_fields *f, const char *suffix,
	char out[NAMES_SIZE], struct err *e)
{
	struct str raw = {0}, safe = {0};
	const char *s;
	size_t n, room;
	int rc = strlen(suffix) <= SUFFIX_MAX ? expand(pattern, f, &raw, e)
					      : err_set(e, ERR_BUG, "a long suffix");

	if (rc)
		goto out;
	replace_characters(str_get(&raw), &safe);
	s = str_get(&safe);
	s += strspn(s, " .");
	room = NAMES_SIZE - 1 - strlen(suffix) - NUMBER_ROOM - 1;
	n = fit(s, strlen(s), room);
	snprintf(out, NAMES_SIZE, "%s%.*s%s", is_device(s) ? "_" : "", n ? (int)n : 8,
		n ? s : "untitled", suffix);
out:
	str_done(&raw);
	str_done(&safe);
	return rc;
}

void names_numbered(const char *name, unsigned k, char out[NAMES_SIZE])
{
	const char *dot = strrchr(name, '.');
	size_t n = dot && dot != name && strlen(dot) <= SUFFIX_MAX ? (size_t)(dot - name)
								   : strlen(name);
	const char *suffix = name + n;
	char number[16] = "";
	size_t room;

	if (k > 1)
		snprintf(number, sizeof number, " (%u)", k);
	room = NAMES_SIZE - 1 - strlen(number) - strlen(suffix);
	if (n > room)
		n = fit(name, n, room);
	snprintf(out, NAMES_SIZE, "%.*s%s%s", (int)n, name, number, suffix);
}
