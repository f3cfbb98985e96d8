/* Keys and chords of them. */
#include "tui/keys.h"

#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"

static const struct {
	const char *name;
	uint32_t key;
} names[] = {
	{"Space", ' '},
	{"Enter", '\r'},
	{"Esc", 27},
	{"Tab", '\t'},
	{"S-Tab", KEYS_S_TAB},
	{"lt", '<'},
	{"Up", KEYS_UP},
	{"Down", KEYS_DOWN},
	{"Left", KEYS_LEFT},
	{"Right", KEYS_RIGHT},
	{"S-Up", KEYS_S_UP},
	{"S-Down", KEYS_S_DOWN},
	{"C-Left", KEYS_C_LEFT},
	{"C-Right", KEYS_C_RIGHT},
	{"Home", KEYS_HOME},
	{"End", KEYS_END},
	{"PgUp", KEYS_PGUP},
	{"PgDn", KEYS_PGDN},
	{"Ins", KEYS_INSERT},
	{"Del", KEYS_DELETE},
	{"BS", KEYS_BACKSPACE},
	{"F1", KEYS_F1},
	{"F2", KEYS_F1 + 1},
	{"F3", KEYS_F1 + 2},
	{"F4", KEYS_F1 + 3},
	{"F5", KEYS_F1 + 4},
	{"F6", KEYS_F1 + 5},
	{"F7", KEYS_F1 + 6},
	{"F8", KEYS_F1 + 7},
	{"F9", KEYS_F1 + 8},
	{"F10", KEYS_F1 + 9},
	{"F11", KEYS_F1 + 10},
	{"F12", KEYS_F1 + 11},
};

enum { N_NAMES = sizeof(names) / sizeof(*names) };

/* ---- reading ------------------------------------------------------------ */

static bool named(const char *s, size_t n, uint32_t *ret)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (strlen(names[i].name) == n && !memcmp(names[i].name, s, n)) {
			*ret = names[i].key;
			return true;
		}
	return false;
}

/* What stands between < and >. */
static bool in_brackets(const char *s, size_t n, uint32_t *ret)
{
	uint32_t alt = 0;

	if (n > 2 && !memcmp(s, "A-", 2)) {
		alt = KEYS_ALT;
		s += 2;
		n -= 2;
	}
	if (named(s, n, ret)) {
		*ret += alt;
		return true;
	}
	if (!alt || !n || utf8_decode(s, n, ret) != n || *ret <= ' ')
		return false;
	*ret += alt;
	return true;
}

/* The key at the start of s; its bytes, 0: none. */
static size_t read_key(const char *s, size_t n, uint32_t *ret)
{
	const char *end = memchr(s, '>', n);

	if (s[0] == '<')
		return end && in_brackets(s + 1, (size_t)(end - s - 1), ret) ? (size_t)(end - s + 1)
									     : 0;
	if (s[0] == '^' && n > 1) {
		if (s[1] != '^' && s[1] != '_' && (s[1] < 'A' || s[1] > 'Z'))
			return 0;
		*ret = s[1] == '^' ? '^' : (uint32_t)(s[1] - 'A' + 1);
		return 2;
	}
	size_t used = utf8_decode(s, n, ret);
	return *ret <= ' ' || *ret == 0xfffd || *ret == '^' ? 0 : used;
}

size_t key_parse(const char *text, uint32_t *ret, struct err *e)
{
	size_t used = *text ? read_key(text, strlen(text), ret) : 0;

	if (!used)
		err_set(e, ERR_ARG,
			"'%.40s' is no key; keys are written gg, ^D, <Space>, <F5>, <A-Enter>",
			text);
	return used;
}

int chord_parse(const char *text, struct chord *ret, struct err *e)
{
	*ret = (struct chord){0};
	if (!*text)
		return err_set(e, ERR_ARG, "a key is missing; write one such as gg, ^D or <Space>");
	while (*text) {
		uint32_t key = 0;
		size_t used = key_parse(text, &key, e);

		if (!used)
			return ERR_ARG;
		if (ret->n == CHORD_MAX)
			return err_set(e, ERR_ARG,
				"a chord has at most %d keys; '%.40s' is too many", CHORD_MAX,
				text);
		ret->keys[ret->n++] = key;
		text += used;
	}
	return 0;
}

/* ---- writing ------------------------------------------------------------ */

static const char *name_of(uint32_t key)
{
	for (size_t i = 0; i < N_NAMES; i++)
		if (names[i].key == key)
			return names[i].name;
	return NULL;
}

static void format_key(uint32_t key, struct str *out)
{
	uint32_t plain = key & ~(uint32_t)KEYS_ALT;
	const char *alt = key & KEYS_ALT ? "A-" : "", *name = name_of(plain);
	char bytes[5] = {0};

	if (name) {
		str_printf(out, "<%s%s>", alt, name);
		return;
	}
	if (plain < ' ') {
		str_printf(out, "^%c", (int)(plain + 'A' - 1));
		return;
	}
	utf8_encode(plain, bytes);
	if (*alt)
		str_printf(out, "<%s%s>", alt, bytes);
	else
		str_add(out, plain == '^' ? "^^" : bytes);
}

void chord_format(const struct chord *c, struct str *out)
{
	for (int i = 0; i < c->n; i++)
		format_key(c->keys[i], out);
}

bool chord_equal(const struct chord *a, const struct chord *b)
{
	return a->n == b->n && !memcmp(a->keys, b->keys, (size_t)a->n * sizeof(*a->keys));
}

bool chord_begins(const struct chord *a, const struct chord *b)
{
	return a->n < b->n && !memcmp(a->keys, b->keys, (size_t)a->n * sizeof(*a->keys));
}
