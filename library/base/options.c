/* Command lines: options from a table. */
#include "library/base/options.h"

#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"

enum { N_GROUPS = 2, WORD_MAX = 63 };

/* Optimal string alignment, three rows of the table. */
size_t edit_distance(const char *a, const char *b)
{
	size_t row[3][WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return n > m ? n : m;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *cur = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			best = up[j] + 1 < best ? up[j] + 1 : best;
			best = cur[j - 1] + 1 < best ? cur[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				upper[j - 2] + 1 < best)
				best = upper[j - 2] + 1;
			cur[j] = best;
		}
	}
	return row[n % 3][m];
}

struct match {
	struct option_group *group;
	const struct option_spec *spec;
};

/* By long name (n bytes) or, when name is NULL, by letter. */
static bool find(struct options *o, const char *name, size_t n, char letter, struct match *ret)
{
	for (int g = 0; g < N_GROUPS; g++) {
		const struct option_spec *s = o->group[g].specs;

		for (; s && s->name; s++) {
			if (name ? strlen(s->name) == n && !memcmp(s->name, name, n)
				 : s->letter && s->letter == letter) {
				*ret = (struct match){&o->group[g], s};
				return true;
			}
		}
	}
	return false;
}

static int fail_unknown(const struct options *o, const char *name, size_t n, struct err *e)
{
	char word[WORD_MAX + 1];
	const char *nearest = NULL;
	size_t best = 3; /* more than two slips apart is another word */

	if (n > WORD_MAX)
		return err_set(e, ERR_ARG, "unknown option --%.*s...; see --help", WORD_MAX, name);
	memcpy(word, name, n);
	word[n] = 0;
	for (int g = 0; g < N_GROUPS; g++) {
		const struct option_spec *s = o->group[g].specs;

		for (; s && s->name; s++) {
			/* The beginning of a name counts as one slip. */
			size_t d = n >= 2 && has_prefix(s->name, word)
					   ? 1
					   : edit_distance(word, s->name);

			if (d < best && d < strlen(s->name)) {
				best = d;
				nearest = s->name;
			}
		}
	}
	if (nearest)
		return err_set(
			e, ERR_ARG, "unknown option --%s; did you mean --%s?", word, nearest);
	return err_set(e, ERR_ARG, "unknown option --%s; see --help", word);
}

static int set_choice(
	const struct option_spec *s, const char *value, const char **field, struct err *e)
{
	size_t n = strlen(value);

	for (const char *p = s->value; *p; p += strcspn(p, "|"), p += *p == '|') {
		if (strcspn(p, "|") == n && !memcmp(p, value, n)) {
			*field = value;
			return 0;
		}
	}
	return err_set(e, ERR_ARG, "--%s takes %s, not '%.80s'", s->name, s->value, value);
}

static int set_whole(const struct option_spec *s, const char *value, uint64_t *field, struct err *e)
{
	uint64_t lo = (uint64_t)s->lo, hi = s->hi > 0 ? (uint64_t)s->hi : UINT64_MAX;

	if (parse_u64(value, field) && *field >= lo && *field <= hi)
		return 0;
	return err_set(e, ERR_ARG, "--%s takes a whole number from %llu to %llu, not '%.80s'",
		s->name, (unsigned long long)lo, (unsigned long long)hi, value);
}

static int set_number(const struct option_spec *s, const char *value, double *field, struct err *e)
{
	if (parse_f64(value, field) && *field >= s->lo && *field <= s->hi)
		return 0;
	return err_set(e, ERR_ARG, "--%s takes a number from %g to %g, not '%.80s'", s->name, s->lo,
		s->hi, value);
}

static int set(const struct match *m, const char *value, struct err *e)
{
	const struct option_spec *s = m->spec;
	void *field = (char *)m->group->values + s->offset;

	m->group->given |= UINT64_C(1) << (s - m->group->specs);
	switch (s->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		*(const char **)field = value;
		return 0;
	case OPTION_CHOICE:
		return set_choice(s, value, field, e);
	case OPTION_WHOLE:
		return set_whole(s, value, field, e);
	case OPTION_NUMBER:
		return set_number(s, value, field, e);
	}
	return err_set(e, ERR_BUG, "option --%s has no kind", s->name);
}

static int fail_letter(const struct options *o, const char *arg, struct err *e)
{
	if (o->dashed)
		return err_set(e, ERR_ARG, "unknown option %.80s; %s goes behind --: -- %.80s", arg,
			o->dashed, arg);
	return err_set(e, ERR_ARG, "unknown option %.9s; see --help", arg);
}

/* The option at argv[*i], with its value from there or from the next one. */
static int parse_one(struct options *o, int *i, struct err *e)
{
	const char *arg = o->argv[*i];
	const char *value = NULL;
	struct match m;

	if (arg[1] == '-') {
		size_t n = strcspn(arg + 2, "=");

		if (!find(o, arg + 2, n, 0, &m))
			return fail_unknown(o, arg + 2, n, e);
		if (arg[2 + n])
			value = arg + 2 + n + 1;
	} else {
		if (!find(o, NULL, 0, arg[1], &m) ||
			(o->dashed && arg[2] && m.spec->kind == OPTION_FLAG))
			return fail_letter(o, arg, e);
		if (arg[2])
			value = arg + 2;
	}
	if (m.spec->kind == OPTION_FLAG && value)
		return err_set(
			e, ERR_ARG, "--%s takes no value, but got '%.80s'", m.spec->name, value);
	if (m.spec->kind != OPTION_FLAG && !value) {
		if (*i + 1 >= o->argc)
			return err_set(e, ERR_ARG, "--%s needs a value: --%s %s", m.spec->name,
				m.spec->name, m.spec->value);
		value = o->argv[++*i];
	}
	return set(&m, value, e);
}

int options_parse(struct options *o, struct err *e)
{
	int n_args = 0, i, rc;

	o->group[0].given = o->group[1].given = 0;
	for (i = 0; i < o->argc; i++) {
		char *arg = o->argv[i];

		if (!strcmp(arg, "--")) {
			i++;
			break;
		}
		if (arg[0] == '-' && arg[1]) {
			rc = parse_one(o, &i, e);
			if (rc)
				return rc;
		} else if (o->stop_at_argument) {
			break;
		} else {
			o->argv[n_args++] = arg;
		}
	}
	while (i < o->argc)
		o->argv[n_args++] = o->argv[i++];
	o->argc = n_args;
	return 0;
}

bool options_given(const struct option_group *g, const char *name)
{
	for (size_t i = 0; g->specs && g->specs[i].name; i++)
		if (!strcmp(g->specs[i].name, name))
			return g->given >> i & 1;
	return false;
}

/* Words of text from column `indent` on, wrapped before column 80. */
static void wrap(struct str *out, const char *text, int indent)
{
	int column = indent;

	while (*text) {
		int n = (int)strcspn(text, " ");

		if (column > indent && column + 1 + n > 79) {
			str_printf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			str_add_char(out, ' ');
			column++;
		}
		str_add_n(out, text, (size_t)n);
		column += n;
		text += n;
		text += *text == ' ';
	}
	str_add_char(out, '\n');
}

void options_help(const struct option_spec *specs, struct str *out)
{
	enum { INDENT = 30 };

	for (const struct option_spec *s = specs; s->name; s++) {
		struct str left = {0};

		str_printf(&left, s->letter ? "  -%c, " : "      ", s->letter);
		str_printf(
			&left, "--%s%s%s", s->name, s->value ? " " : "", s->value ? s->value : "");
		str_printf(out, "%-*s", INDENT, str_get(&left));
		if (left.n >= INDENT)
			str_printf(out, "\n%*s", INDENT, "");
		wrap(out, s->help, INDENT);
		str_done(&left);
	}
}
