/* The compiled character map: reading, checking, matching. */
#include "engine/text/charsmap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"

#define VALUE_BIT   (1u << 31)
#define KEY_END_BIT (1u << 8)

enum { MAX_RULE = 254, MAX_REPLACEMENT = 1024 };

static size_t unit_offset(uint32_t unit)
{
	return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

static bool has_label(uint32_t unit, unsigned char c)
{
	return (unit & (VALUE_BIT | 0xff)) == c;
}

static bool is_replacement(const struct charsmap *m, uint32_t unit)
{
	size_t at = unit & ~VALUE_BIT;

	return at < m->n_replacements &&
	       strnlen(m->replacements + at, MAX_REPLACEMENT + 1) <= MAX_REPLACEMENT;
}

/* Walks everything below `base` (a unit's place ^ its offset) once.  Tails are
 * shared, so heights[base] keeps 1 + the longest path that was found below.
 * A cycle shows as a path that is too long.  Returns that path, -1 if broken. */
static int check_below(const struct charsmap *m, uint8_t *heights, size_t base, int depth)
{
	int height = 0;

	if ((base | 0xff) >= m->n_units || depth > MAX_RULE)
		return -1;
	if (heights[base])
		return heights[base] - 1;
	for (unsigned c = 0; c < 256; c++) {
		uint32_t unit = m->units[base ^ c];
		size_t child = base ^ c ^ unit_offset(unit);
		int below;
		if (!has_label(unit, (unsigned char)c))
			continue;
		below = check_below(m, heights, child, depth + 1);
		if (below < 0 || below + 1 > MAX_RULE)
			return -1;
		if ((unit & KEY_END_BIT) && !is_replacement(m, m->units[child]))
			return -1;
		height = below + 1 > height ? below + 1 : height;
	}
	heights[base] = (uint8_t)(height + 1);
	return height;
}

static int check(const struct charsmap *m, struct err *e)
{
	uint8_t *heights;
	int rc = mem_try_alloc((void **)&heights, m->n_units, 1, "the character map", e);

	if (rc)
		return rc;
	if (check_below(m, heights, unit_offset(m->units[0]), 0) < 0)
		rc = err_set(e, ERR_FORMAT,
			"the character map is damaged: copy the tokenizer's file again");
	free(heights);
	return rc;
}

static uint32_t read_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int charsmap_init(struct charsmap *m, const uint8_t *blob, size_t n, struct err *e)
{
	size_t trie_bytes = n >= 4 ? read_le32(blob) : 0;
	int rc;

	*m = (struct charsmap){0};
	if (!n)
		return 0;
	if (!trie_bytes || trie_bytes % 4 || trie_bytes >= n - 4)
		return err_set(e, ERR_FORMAT,
			"the character map of %zu bytes says that its trie has %zu: copy the "
			"tokenizer's file again",
			n, trie_bytes);
	m->n_units = trie_bytes / 4;
	m->n_replacements = n - 4 - trie_bytes + 1;
	rc = mem_try_alloc((void **)&m->units, m->n_units, 4, "the character map", e);
	if (!rc)
		rc = mem_try_alloc(
			(void **)&m->replacements, m->n_replacements, 1, "the character map", e);
	if (!rc) {
		for (size_t i = 0; i < m->n_units; i++)
			m->units[i] = read_le32(blob + 4 + 4 * i);
		memcpy(m->replacements, blob + 4 + trie_bytes, m->n_replacements - 1);
		rc = check(m, e);
	}
	if (rc)
		charsmap_done(m);
	return rc;
}

void charsmap_done(struct charsmap *m)
{
	free(m->units);
	free(m->replacements);
	*m = (struct charsmap){0};
}

size_t charsmap_match(
	const struct charsmap *m, const char *s, size_t n, const char **ret_replacement)
{
	size_t base, longest = 0;

	if (!m->units)
		return 0;
	base = unit_offset(m->units[0]);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		uint32_t unit = m->units[base ^ c];
		if (!has_label(unit, c))
			break;
		base ^= c ^ unit_offset(unit);
		if (unit & KEY_END_BIT) {
			longest = i + 1;
			*ret_replacement = m->replacements + (m->units[base] & ~VALUE_BIT);
		}
	}
	return longest;
}
