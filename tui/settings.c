/* What users set. */
#include "tui/settings.h"

#include <stdio.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"

#define FIELD(f) offsetof(struct settings, f)

static const struct setting table[] = {
	{"theme", SETTING_TEXT, "default", "colours; ^T shows the next", FIELD(theme)},
	{"columns", SETTING_BOOL, "on", "two columns where there is room", FIELD(columns)},
	{"mouse", SETTING_BOOL, "on", "clicks and the wheel", FIELD(mouse)},
	{"volume", SETTING_NUMBER, "100", "when woodshed begins", FIELD(volume), 0, 100},
	{"chord-menu", SETTING_NUMBER, "400", "ms before the menu of a chord; 0: never",
		FIELD(chord_menu_ms), 0, 10000},
	{"notice", SETTING_NUMBER, "5", "seconds a notice stays; 0: until a key", FIELD(notice_s),
		0, 600},
	{"confirm-quit", SETTING_BOOL, "on", "q asks while jobs are left", FIELD(confirm_quit)},
};

enum { N_SETTINGS = sizeof(table) / sizeof(*table) };

const struct setting *settings_at(size_t i)
{
	return i < N_SETTINGS ? &table[i] : NULL;
}

const struct setting *settings_find(const char *name)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

void settings_reset(struct settings *s)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		settings_set(s, &table[i], table[i].initial, NULL);
}

static bool has_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *at = choices; *at; at += strcspn(at, "|"), at += *at == '|')
		if (strcspn(at, "|") == n && !memcmp(at, value, n))
			return true;
	return false;
}

static bool is_word(const char *value)
{
	return *value && strlen(value) < SETTING_TEXT_MAX && !strpbrk(value, " \t#");
}

static bool take_value(void *field, const struct setting *which, const char *value)
{
	int64_t number;

	switch (which->kind) {
	case SETTING_BOOL:
		if (strcmp(value, "on") && strcmp(value, "off"))
			return false;
		*(bool *)field = !strcmp(value, "on");
		return true;
	case SETTING_NUMBER:
		if (!parse_i64(value, &number) || number < which->low || number > which->high)
			return false;
		*(int64_t *)field = number;
		return true;
	case SETTING_CHOICE:
	case SETTING_TEXT:
		if (!is_word(value) ||
			(which->kind == SETTING_CHOICE && !has_choice(which->choices, value)))
			return false;
		snprintf(field, SETTING_TEXT_MAX, "%s", value);
		return true;
	}
	return false;
}

int settings_set(struct settings *s, const struct setting *which, const char *value, struct err *e)
{
	struct str bounds = {0};
	int rc;

	if (take_value((char *)s + which->offset, which, value))
		return 0;
	settings_bounds(which, &bounds);
	rc = err_set(e, ERR_ARG, "%s is %s, not '%.40s'", which->name, str_get(&bounds), value);
	str_done(&bounds);
	return rc;
}

void settings_get(const struct settings *s, const struct setting *which, struct str *out)
{
	const void *field = (const char *)s + which->offset;

	if (which->kind == SETTING_BOOL)
		str_add(out, *(const bool *)field ? "on" : "off");
	else if (which->kind == SETTING_NUMBER)
		str_printf(out, "%lld", (long long)*(const int64_t *)field);
	else
		str_add(out, field);
}

void settings_bounds(const struct setting *which, struct str *out)
{
	if (which->kind == SETTING_BOOL)
		str_add(out, "on or off");
	else if (which->kind == SETTING_NUMBER)
		str_printf(out, "%lld to %lld", (long long)which->low, (long long)which->high);
	else if (which->kind == SETTING_TEXT)
		str_add(out, "one word");
	for (const char *at = which->kind == SETTING_CHOICE ? which->choices : ""; *at;) {
		size_t n = strcspn(at, "|");
		bool is_last = !at[n];

		str_printf(out, "%s%.*s",
			at == which->choices ? ""
			: is_last            ? " or "
					     : ", ",
			(int)n, at);
		at += n + !is_last;
	}
}
