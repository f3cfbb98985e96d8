/* From the words of a filter to SQL with bound values. */
#include "library/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"

enum compare { LT, LE, EQ, GE, GT, N_COMPARES };

static const char *const compare_sql[N_COMPARES] = {"<", "<=", "=", ">=", ">"};

enum kind { NUMBER, WHOLE, TEXT, DATE };

/* What stands before ':' or a comparison. */
static const struct field {
	const char *name, *column;
	enum kind kind;
	bool may_be_null; /* then neither a condition nor its opposite holds */
} fields[] = {
	{"dur", "t.frames * 1.0 / t.rate", NUMBER, false},
	{"rating", "t.rating", NUMBER, false},
	{"lufs", "t.lufs", NUMBER, true},
	{"peak", "t.peak", NUMBER, true},
	{"score", "t.score", NUMBER, true},
	{"cfg", "t.guidance", NUMBER, true},
	{"seed", "t.seed", WHOLE, false},
	{"id", "t.id", WHOLE, false},
	{"job", "t.job", WHOLE, true},
	{"model", NULL, TEXT, false},
	{"created", "t.created", DATE, false},
};

/* Words that are a condition by themselves. */
static const struct flag {
	const char *name, *sql;
} flags[] = {
	{"fav", "t.favourite"},
	{"missing", "t.missing"},
	{"trash", "t.trashed IS NOT NULL"},
	{"kept", "t.verdict = 'kept'"},
	{"rejected", "t.verdict = 'rejected'"},
	{"rated", "t.rating > 0"},
	{"heard", "t.heard"},
	{"tagged", "t.id IN (SELECT take FROM tags)"},
};

struct parser {
	struct filter *f;
	struct err *e;
	int64_t now_ms;
	int n_terms;
	bool trash;
	struct str condition;    /* the one that is being read: SQL over t */
	int first_value;         /* of it */
	struct str has, without; /* FTS5 expressions of the words to have and those not to */
	bool has_letter;         /* `has` is not of signs alone */
};

/* ---- values ------------------------------------------------------------- */

/* Returns the parameter's number. */
static int add_value(struct filter *f, struct filter_value v)
{
	f->values[f->n_values++] = v;
	return f->n_values;
}

static int add_text(struct filter *f, const char *s)
{
	return add_value(f, (struct filter_value){.text = xstrdup(s)});
}

static struct filter_set *add_set(struct filter *f, bool without)
{
	f->sets[f->n_sets].without = without;
	return &f->sets[f->n_sets++];
}

static int add_whole(struct filter *f, int64_t n)
{
	return add_value(f, (struct filter_value){.whole = n, .is_whole = true});
}

/* ---- dates -------------------------------------------------------------- */

static int64_t local_ms(struct tm tm)
{
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * 1000;
}

/* "2026", "2026-11", "2026-11-26": the first moment of it, and of what follows. */
static bool read_day(const char *s, int64_t *ret_from, int64_t *ret_to)
{
	int year, month = 0, day = 0, n = 0;
	struct tm tm = {0};

	if (sscanf(s, "%4d%n-%2d%n-%2d%n", &year, &n, &month, &n, &day, &n) < 1 || s[n])
		return false;
	if (year < 1970 || year > 9998 || month < 0 || month > 12 || day < 0 || day > 31 ||
		(n > 4 && !month) || (n > 7 && !day))
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month ? month - 1 : 0;
	tm.tm_mday = day ? day : 1;
	*ret_from = local_ms(tm);
	if (day)
		tm.tm_mday++;
	else if (month)
		tm.tm_mon++;
	else
		tm.tm_year++;
	*ret_to = local_ms(tm);
	return true;
}

static bool read_date(const struct parser *p, const char *s, int64_t *ret_from, int64_t *ret_to)
{
	static const struct {
		const char *name;
		int back, days;
	} words[] = {{"today", 0, 1}, {"yesterday", 1, 1}, {"week", 6, 7}, {"month", 29, 30}};
	time_t now = p->now_ms / 1000;
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(s, words[i].name)) {
			tm.tm_mday -= words[i].back;
			*ret_from = local_ms(tm);
			tm.tm_mday += words[i].days;
			*ret_to = local_ms(tm);
			return true;
		}
	return read_day(s, ret_from, ret_to);
}

static int add_date(struct parser *p, const struct field *field, enum compare c, const char *value)
{
	struct filter *f = p->f;
	int64_t from, to;

	if (!read_date(p, value, &from, &to))
		return err_set(p->e, ERR_ARG,
			"created takes today, yesterday, week, month or a date such as 2026-11 or "
			"2026-11-26, not '%.80s'",
			value);
	if (c == EQ) {
		const int a = add_whole(f, from), b = add_whole(f, to);

		str_printf(&p->condition, "(%s >= ?%d AND %s < ?%d)", field->column, a,
			field->column, b);
		return 0;
	}
	/* Before a day is before its start; after it, after its end. */
	str_printf(&p->condition, "%s %s ?%d", field->column,
		c == LT || c == LE ? "<" : ">=", add_whole(f, c == LE || c == GT ? to : from));
	return 0;
}

/* ---- terms -------------------------------------------------------------- */

static int add_number(
	struct parser *p, const struct field *field, enum compare c, const char *value)
{
	double n;

	if (!parse_f64(value, &n))
		return err_set(p->e, ERR_ARG, "%s takes a number, as in %s%s3, not '%.80s'",
			field->name, field->name, compare_sql[c], value);
	str_printf(&p->condition, "%s %s ?%d", field->column, compare_sql[c],
		add_value(p->f, (struct filter_value){.number = n}));
	return 0;
}

static int add_id(struct parser *p, const struct field *field, enum compare c, const char *value)
{
	int64_t whole;
	uint64_t n;

	if (!parse_u64(value, &n) || c != EQ)
		return err_set(p->e, ERR_ARG, "%s takes a whole number, as in %s:7, not '%.80s'",
			field->name, field->name, value);
	memcpy(&whole, &n, sizeof(whole)); /* seeds have 64 bits */
	str_printf(&p->condition, "%s = ?%d", field->column, add_whole(p->f, whole));
	return 0;
}

/* The beginning of a name is enough: it is said while it is typed. */
static int add_name(struct parser *p, const struct field *field, enum compare c, const char *value)
{
	if (c != EQ || !*value)
		return err_set(p->e, ERR_ARG, "%s takes a name, as in %s:starter", field->name,
			field->name);
	str_printf(&p->condition,
		"t.model IN (SELECT id FROM models WHERE substr(lower(name), 1, length(?%d))"
		" = lower(?%d))",
		p->f->n_values + 1, p->f->n_values + 1);
	add_text(p->f, value);
	return 0;
}

static int add_field(struct parser *p, const struct field *field, enum compare c, const char *value)
{
	switch (field->kind) {
	case NUMBER:
		return add_number(p, field, c, value);
	case WHOLE:
		return add_id(p, field, c, value);
	case TEXT:
		return add_name(p, field, c, value);
	default:
		return add_date(p, field, c, value);
	}
}

/* Splits "dur>=30" at the comparison; false when there is none. */
static bool split(char *term, enum compare *ret_c, char **ret_value)
{
	char *at = term + strcspn(term, ":<>=");

	if (!*at || at == term)
		return false;
	*ret_c = *at == '<' ? LT : *at == '>' ? GT : EQ;
	*ret_value = at + 1;
	if (at[1] == '=' && *ret_c != EQ) {
		*ret_c = *ret_c == LT ? LE : GE;
		*ret_value = at + 2;
	}
	*at = 0;
	return true;
}

static int fail_field(const struct parser *p, const char *name)
{
	struct str known = {0};
	int rc;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		str_printf(&known, " %s", fields[i].name);
	/* Short: it is read in one line while one types. */
	rc = err_set(
		p->e, ERR_ARG, "'%.80s' is none of%s; words with ':' want quotes", name, known.s);
	str_done(&known);
	return rc;
}

#define IN_COLUMNS "{prompt negative tags note} : "

/* As an FTS5 string that begins with these words. */
static void add_phrase(struct str *out, const char *word)
{
	str_add_char(out, '"');
	for (const char *c = word; *c; c++) {
		if (*c == '"')
			str_add_char(out, '"');
		str_add_char(out, *c);
	}
	str_add(out, "\"*");
}

/* Signs are nothing to FTS5.  Which characters beyond ASCII are signs it knows itself: in a row
 * of phrases (but not between ANDs) it leaves out those of signs alone. */
static void add_words(struct parser *p, const char *word, bool without)
{
	bool has_letter = false, is_ascii = true;

	for (const char *c = word; *c; c++) {
		is_ascii &= !(*c & 0x80);
		has_letter |= (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z');
	}
	if (is_ascii && !has_letter)
		return;
	if (without) {
		str_add(&p->without, p->without.n ? " OR " : "");
		add_phrase(&p->without, word);
	} else {
		str_printf(&p->has, "%s" IN_COLUMNS, p->has.n ? " " : "");
		add_phrase(&p->has, word);
		p->has_letter |= has_letter;
	}
}

static void add_words_set(struct filter *f, const char *words, bool without)
{
	struct filter_set *set = add_set(f, without);

	str_add(&set->key, words);
	str_printf(&set->sql, "SELECT rowid FROM words WHERE words MATCH ?%d",
		add_text(f, set->key.s));
}

#define EVERY "every : x"

/* FTS5 says "this but not that" itself; where there is no this, or perhaps signs alone, it is
 * what every take has. */
static void end_words(struct parser *p)
{
	struct filter *f = p->f;
	struct str without = {0};

	if (p->has.n) {
		str_printf(&f->match, "%s%s", p->has_letter ? "" : EVERY " ", p->has.s);
		add_words_set(f, f->match.s, false);
	}
	if (p->without.n) {
		str_printf(&without, IN_COLUMNS "(%s)", p->without.s);
		str_printf(&f->match, "%s NOT (%s)", f->match.n ? "" : EVERY, without.s);
		add_words_set(f, without.s, true);
	}
	str_done(&without);
	if (f->match.n)
		f->values[0].text = xstrdup(f->match.s);
}

/* What is not in a set is quicker found by the set, which may have an index.  Its key is
 * the term, with the days that it stands for today. */
static void end_condition(struct parser *p, const char *term, bool without, bool may_be_null)
{
	const bool negated = without && may_be_null;
	struct filter_set *set = add_set(p->f, without && !negated);
	const char *sql = p->condition.s;

	str_printf(&p->f->where, " AND %s(%s)", without ? "NOT " : "", sql);
	str_printf(&set->sql, "SELECT t.id FROM takes t WHERE %s(%s)", negated ? "NOT " : "", sql);
	str_printf(&set->key, "%s%s", negated ? "-" : "", term);
	for (int i = p->first_value; i < p->f->n_values; i++)
		if (p->f->values[i].is_whole)
			str_printf(&set->key, " %lld", (long long)p->f->values[i].whole);
	str_clear(&p->condition);
}

/* Takes the term apart. */
static int read_condition(struct parser *p, char *term, bool *ret_may_be_null)
{
	enum compare c;
	char *value;
	int rc = -1;

	*ret_may_be_null = false;
	if (*term == '#') {
		if (!term[1])
			return err_set(p->e, ERR_ARG, "name a tag after '#', as in #keep");
		str_printf(&p->condition, "t.id IN (SELECT take FROM tags WHERE tag = ?%d)",
			add_text(p->f, term + 1));
		rc = 0;
	}
	for (size_t i = 0; rc < 0 && i < sizeof(flags) / sizeof(*flags); i++)
		if (!strcmp(term, flags[i].name)) {
			str_add(&p->condition, flags[i].sql);
			p->trash |= !strcmp(term, "trash");
			rc = 0;
		}
	if (rc < 0 && split(term, &c, &value)) {
		for (size_t i = 0; rc < 0 && i < sizeof(fields) / sizeof(*fields); i++)
			if (!strcmp(term, fields[i].name)) {
				rc = add_field(p, &fields[i], c, value);
				if (rc)
					return rc;
				*ret_may_be_null = fields[i].may_be_null;
			}
		if (rc < 0)
			return fail_field(p, term);
	}
	return 0;
}

static int add_condition(struct parser *p, char *term, bool without)
{
	char *whole = xstrdup(term);
	bool may_be_null;
	int rc;

	p->f->needs_takes = true;
	p->first_value = p->f->n_values;
	rc = read_condition(p, term, &may_be_null);
	if (!rc)
		end_condition(p, whole, without, may_be_null);
	free(whole);
	return rc;
}

static bool is_condition(const char *term)
{
	if (*term == '#' || term[strcspn(term, ":<>=")] != 0)
		return *term == '#' || !strchr(":<>=", *term);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (!strcmp(term, flags[i].name))
			return true;
	return false;
}

static int add_term(struct parser *p, char *term, bool quoted, bool without)
{
	if (++p->n_terms > FILTER_TERMS_MAX / 2)
		return err_set(p->e, ERR_ARG, "a filter has at most %d terms; shorten it",
			FILTER_TERMS_MAX / 2);
	if (!quoted && is_condition(term))
		return add_condition(p, term, without);
	add_words(p, term, without);
	return 0;
}

/* ---- the whole ---------------------------------------------------------- */

/* Cuts the next term off *rest.  A quote that is not closed yet ends with the
 * text: it is being typed. */
static char *next_term(char **rest, bool *ret_quoted, bool *ret_without)
{
	char *s = *rest, *end;

	s += strspn(s, " \t\n");
	if (!*s)
		return NULL;
	*ret_without = *s == '-' && s[1];
	s += *ret_without;
	*ret_quoted = *s == '"';
	s += *ret_quoted;
	end = s + strcspn(s, *ret_quoted ? "\"" : " \t\n");
	*rest = end + (*end != 0);
	*end = 0;
	return s;
}

#define TRASH "SELECT id FROM takes WHERE trashed IS NOT NULL"

static void end_trash(struct filter *f)
{
	struct filter_set *set;

	str_printf(&f->where, " AND %s NOT IN (" TRASH ")", f->match.n ? "words.rowid" : "t.id");
	set = add_set(f, true);
	str_add(&set->sql, TRASH);
	str_add(&set->key, TRASH);
}

int filter_parse(const char *text, int64_t now_ms, struct filter *ret, struct err *e)
{
	struct parser p = {.f = ret, .e = e, .now_ms = now_ms};
	char *copy, *rest, *term;
	bool quoted, without;
	int rc = 0;

	*ret = (struct filter){0};
	if (strlen(text) > FILTER_BYTES_MAX)
		return err_set(e, ERR_ARG, "a filter is at most %d bytes long; shorten it",
			FILTER_BYTES_MAX);
	if (!is_utf8(text, strlen(text)))
		return err_set(
			e, ERR_ARG, "the filter is not valid UTF-8; retype it in a UTF-8 terminal");
	add_value(ret, (struct filter_value){0}); /* ?1: the match */
	copy = rest = xstrdup(text);
	while (!rc && (term = next_term(&rest, &quoted, &without)))
		rc = add_term(&p, term, quoted, without);
	free(copy);
	if (rc)
		filter_done(ret);
	else
		end_words(&p);
	if (!rc && !p.trash) /* few are in it: an index of them is quicker than every row */
		end_trash(ret);
	str_done(&p.condition);
	str_done(&p.has);
	str_done(&p.without);
	return rc;
}

void filter_bind(const struct filter *f, struct query *q)
{
	const int n = query_values(q);

	for (int i = 0; i < f->n_values && i < n; i++) {
		const struct filter_value *v = &f->values[i];

		if (v->text)
			query_bind_text(q, i + 1, v->text);
		else if (v->is_whole)
			query_bind_int(q, i + 1, v->whole);
		else
			query_bind_num(q, i + 1, v->number);
	}
}

void filter_done(struct filter *f)
{
	str_done(&f->where);
	str_done(&f->match);
	for (int i = 0; i < f->n_sets; i++) {
		str_done(&f->sets[i].sql);
		str_done(&f->sets[i].key);
	}
	for (int i = 0; i < f->n_values; i++)
		free(f->values[i].text);
	*f = (struct filter){0};
}
