/* Wildcards and ranges.
 *
 *	text         = { character | "\" character | group }
 *	group        = "{" alternatives "}"
 *	alternatives = text { "|" text }
 *
 * A text's n-th expansion is found by dividing n by the number of expansions of
 * its groups, from the last to the first: nothing is kept but the answer. */
#include "library/expand.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/splitmix.h"
#include "library/base/str.h"

enum { DEPTH_MAX = 16, TEXT_MAX = 1 << 16 };

/* Counts saturate here: far beyond what anybody can use. */
static const uint64_t MANY = 1000000000;

static uint64_t times(uint64_t a, uint64_t b)
{
	return a && b > MANY / a ? MANY : a * b;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a + b > MANY ? MANY : a + b;
}

/* ---- structure ---------------------------------------------------------- */

/* Past one character, escaped or not. */
static const char *next(const char *s)
{
	return *s == '\\' && s[1] ? s + 2 : s + 1;
}

/* The '|' or '}' that ends the alternative beginning at s. */
static const char *end_of_alternative(const char *s)
{
	int depth = 0;

	for (; *s; s = next(s)) {
		if (!depth && (*s == '|' || *s == '}'))
			return s;
		depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
	}
	return s;
}

static const char *end_of_group(const char *s) /* s: behind its '{' */
{
	const char *end = end_of_alternative(s);

	while (*end == '|')
		end = end_of_alternative(end + 1);
	return end;
}

static int check(const char *text, struct err *e)
{
	int depth = 0;

	if (strlen(text) > TEXT_MAX)
		return err_set(e, ERR_ARG,
			"a prompt with wildcards is at most %d bytes; shorten it", TEXT_MAX);
	for (const char *s = text; *s; s = next(s)) {
		depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
		if (depth < 0)
			return err_set(e, ERR_ARG,
				"a '}' without its '{' in \"%.60s\"; write \\} for the character",
				text);
		if (depth > DEPTH_MAX)
			return err_set(e, ERR_ARG, "braces may be nested %d deep", DEPTH_MAX);
	}
	if (depth)
		return err_set(e, ERR_ARG,
			"a '{' without its '}' in \"%.60s\"; write \\{ for the character", text);
	return 0;
}

/* ---- counting ----------------------------------------------------------- */

static uint64_t count_text(const char *s, const char *end);

static uint64_t count_group(const char *s)
{
	uint64_t n = 0;

	for (;;) {
		const char *end = end_of_alternative(s);

		n = plus(n, count_text(s, end));
		if (*end != '|')
			return n;
		s = end + 1;
	}
}

static uint64_t count_text(const char *s, const char *end)
{
	uint64_t n = 1;

	while (s < end) {
		if (*s == '{') {
			n = times(n, count_group(s + 1));
			s = end_of_group(s + 1);
		}
		s = next(s);
	}
	return n;
}

int expand_count(const char *text, uint64_t *ret, struct err *e)
{
	int rc = check(text, e);

	*ret = rc ? 0 : count_text(text, text + strlen(text));
	return rc;
}

/* ---- writing ------------------------------------------------------------ */

static void write_text(const char *s, const char *end, uint64_t n, struct str *out);

static void write_group(const char *s, uint64_t n, struct str *out)
{
	for (;;) {
		const char *end = end_of_alternative(s);
		const uint64_t here = count_text(s, end);

		if (n < here || *end != '|') {
			write_text(s, end, n, out);
			return;
		}
		n -= here;
		s = end + 1;
	}
}

static void write_text(const char *s, const char *end, uint64_t n, struct str *out)
{
	uint64_t after = count_text(s, end); /* expansions of what is left, this group included */

	while (s < end) {
		if (*s == '{') {
			const uint64_t here = count_group(s + 1);

			after /= here ? here : 1;
			write_group(s + 1, after ? n / after % here : 0, out);
			s = end_of_group(s + 1) + 1;
		} else {
			s += *s == '\\' && s[1];
			str_add_char(out, *s++);
		}
	}
}

/* Alternatives that are empty leave two blanks where one is meant. */
static const char *tidy(char *s, struct arena *a)
{
	char *to = s;

	for (const char *from = s; *from; from++)
		if (*from != ' ' || (to != s && to[-1] != ' '))
			*to++ = *from;
	while (to != s && to[-1] == ' ')
		to--;
	*to = 0;
	return arena_strdup(a, s);
}

static const char *nth(const char *text, uint64_t n, bool plain, struct arena *a)
{
	struct str out = {0};
	const char *done;

	write_text(text, text + strlen(text), n, &out);
	if (!out.n)
		str_add(&out, "");
	done = plain ? arena_strdup(a, str_get(&out)) : tidy(out.s, a);
	str_done(&out);
	return done;
}

int expand_all(const char *text, struct arena *a, const char ***ret, size_t *ret_n, struct err *e)
{
	uint64_t n;
	int rc = expand_count(text, &n, e);

	*ret = NULL;
	*ret_n = 0;
	if (rc)
		return rc;
	if (n > EXPAND_MAX)
		return err_set(e, ERR_ARG,
			"\"%.60s\" stands for more than %d prompts; use fewer alternatives, or "
			"draw some "
			"with --pick",
			text, EXPAND_MAX);
	*ret = ARENA_ARRAY(a, const char *, n);
	*ret_n = n;
	for (uint64_t i = 0; i < n; i++)
		(*ret)[i] = nth(text, i, n == 1, a);
	return 0;
}

int expand_pick(const char *text, uint64_t seed, struct arena *a, const char **ret, struct err *e)
{
	uint64_t n;
	int rc = expand_count(text, &n, e);

	*ret = rc ? NULL : nth(text, splitmix64(seed) % (n ? n : 1), n == 1, a);
	return rc;
}

/* ---- numbers ------------------------------------------------------------ */

struct values {
	double *v;
	size_t n;
};

static int add(struct values *all, double v, struct err *e)
{
	if (all->n == EXPAND_MAX)
		return err_set(e, ERR_ARG, "a sweep has at most %d values", EXPAND_MAX);
	all->v[all->n++] = v;
	return 0;
}

static int fail_range(const char *word, struct err *e)
{
	return err_set(e, ERR_ARG,
		"'%.60s' is no number and no range; write 3, or 1..10, or 2..6:0.5", word);
}

static int add_range(struct values *all, char *word, struct err *e)
{
	char *dots = strstr(word, ".."), *colon = strchr(word, ':');
	double from, to, by = 1;
	int rc = 0;

	if (!dots)
		return parse_f64(word, &from) ? add(all, from, e) : fail_range(word, e);
	if (colon)
		*colon = 0;
	*dots = 0;
	if (!parse_f64(word, &from) || !parse_f64(dots + 2, &to) ||
		(colon && !parse_f64(colon + 1, &by)) || !(by > 0) || to < from) {
		*dots = '.';
		if (colon)
			*colon = ':';
		return fail_range(word, e);
	}
	/* By counting, not adding: 0.1 added ten times is not 1. */
	for (double i = 0; !rc && from + i * by <= to + by * 1e-9; i++)
		rc = add(all, from + i * by, e);
	return rc;
}

int expand_numbers(const char *text, struct arena *a, double **ret, size_t *ret_n, struct err *e)
{
	struct values all = {.v = ARENA_ARRAY(a, double, EXPAND_MAX)};
	char *copy = arena_strdup(a, text), *word;
	int rc = 0;

	while (!rc && (word = strsep(&copy, ",")))
		rc = add_range(&all, word, e);
	*ret = rc ? NULL : all.v;
	*ret_n = rc ? 0 : all.n;
	return rc;
}

void expand_escape(const char *text, struct str *out)
{
	for (; *text; text++) {
		if (strchr("{|}\\", *text))
			str_add_char(out, '\\');
		str_add_char(out, *text);
	}
}
