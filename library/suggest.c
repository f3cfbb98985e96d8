/* What a prompt may go on with: a sorted table, searched by prefix. */
#include "library/suggest.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/db.h"

static const char separators[] = ",;.:\n{|}()\"";

enum { LETTERS_MIN = 2, TEXT_MAX = 80 };

struct entry {
	const char *text;
	int64_t count;
};

struct suggest {
	struct arena arena;
	struct {
		struct entry *at;
		size_t n, cap;
	} all; /* by text, each once */
};

/* ---- making ------------------------------------------------------------- */

static void add(struct suggest *s, const char *text, size_t n, int64_t count)
{
	while (n && text[n - 1] == ' ')
		n--;
	while (n && *text == ' ') {
		text++;
		n--;
	}
	if (n > LETTERS_MIN && n <= TEXT_MAX)
		*VEC_PUSH(&s->all) = (struct entry){arena_strndup(&s->arena, text, n), count};
}

static void add_prompt(struct suggest *s, const char *text)
{
	while (*text) {
		const size_t n = strcspn(text, separators);
		size_t words = 0, k;

		for (size_t at = 0; at < n; at += k + 1) {
			k = strcspn(text + at, " ");
			if (at + k > n)
				k = n - at;
			add(s, text + at, k, 1);
			words += k > 0;
		}
		if (words > 1)
			add(s, text, n, 1);
		text += n + (text[n] != 0);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcasecmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

/* Of several spellings the one in small letters comes first, and stays. */
static int by_spelling(const void *a, const void *b)
{
	int order = by_text(a, b);

	return order ? order
		     : strcmp(((const struct entry *)b)->text, ((const struct entry *)a)->text);
}

static void merge(struct suggest *s)
{
	size_t n = 0;

	if (s->all.n)
		qsort(s->all.at, s->all.n, sizeof(*s->all.at), by_spelling);
	for (size_t i = 0; i < s->all.n; i++)
		if (n && !by_text(&s->all.at[n - 1], &s->all.at[i]))
			s->all.at[n - 1].count += s->all.at[i].count;
		else
			s->all.at[n++] = s->all.at[i];
	s->all.n = n;
}

int suggest_open(struct db *db, struct suggest **ret, struct err *e)
{
	struct suggest *s = xcalloc(1, sizeof(*s));
	struct query q = db_query(db, "SELECT text FROM prompts ORDER BY id DESC LIMIT ?1", "i",
		(int64_t)SUGGEST_PROMPTS);
	int rc;

	*ret = NULL;
	while (query_next(&q))
		add_prompt(s, query_text(&q, 0));
	rc = query_done(&q, e);
	if (!rc) {
		q = db_query(db,
			"SELECT tag, count(*) FROM tags GROUP BY tag ORDER BY 2 DESC LIMIT ?1", "i",
			(int64_t)SUGGEST_PROMPTS);
		while (query_next(&q)) {
			const char *tag = query_text(&q, 0);

			add(s, tag, strlen(tag), query_int(&q, 1));
		}
		rc = query_done(&q, e);
	}
	if (rc) {
		suggest_close(s);
		return rc;
	}
	merge(s);
	*ret = s;
	return 0;
}

void suggest_close(struct suggest *s)
{
	if (!s)
		return;
	VEC_DONE(&s->all);
	arena_done(&s->arena);
	free(s);
}

int suggest_version(struct db *db, int64_t *ret, struct err *e)
{
	return query_number(db_query(db, "SELECT coalesce(max(id), 0) FROM prompts", ""), ret, e);
}

/* ---- finding ------------------------------------------------------------ */

static size_t first_at_least(const struct suggest *s, const char *prefix, size_t n)
{
	size_t low = 0, high = s->all.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strncasecmp(s->all.at[mid].text, prefix, n) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_there(const struct suggestion *list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (!strcasecmp(list[i].text, text))
			return true;
	return false;
}

/* The most frequent that go on from prompt[from..at), behind those that are there. */
static size_t find(const struct suggest *s, const char *prompt, size_t from, size_t at,
	struct suggestion ret[SUGGEST_MAX], size_t n)
{
	const size_t bytes = at - from;
	const size_t first = n;
	int64_t counts[SUGGEST_MAX];

	if (bytes < LETTERS_MIN)
		return n;
	for (size_t i = first_at_least(s, prompt + from, bytes);
		i < s->all.n && !strncasecmp(s->all.at[i].text, prompt + from, bytes); i++) {
		const struct entry *entry = &s->all.at[i];
		size_t to = n;

		if (!entry->text[bytes] || is_there(ret, n, entry->text))
			continue;
		while (to > first && counts[to - 1] < entry->count)
			to--;
		if (to == SUGGEST_MAX)
			continue;
		n -= n == SUGGEST_MAX;
		memmove(ret + to + 1, ret + to, (n - to) * sizeof(*ret));
		memmove(counts + to + 1, counts + to, (n - to) * sizeof(*counts));
		ret[to] = (struct suggestion){from, entry->text};
		counts[to] = entry->count;
		n++;
	}
	return n;
}

size_t suggest_find(
	const struct suggest *s, const char *prompt, size_t at, struct suggestion ret[SUGGEST_MAX])
{
	size_t phrase = at, word = at, n;

	while (phrase && !strchr(separators, prompt[phrase - 1]))
		phrase--;
	phrase += strspn(prompt + phrase, " ");
	while (word > phrase && prompt[word - 1] != ' ')
		word--;
	if (phrase >= at)
		return 0;
	n = find(s, prompt, phrase, at, ret, 0);
	return word == phrase ? n : find(s, prompt, word, at, ret, n);
}
