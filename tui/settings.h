/* settings.h: what users set, in one table: `set NAME VALUE`, the file woodshedrc,
 * the Setup screen and the manual read it.  A setting more is a field, a row, and
 * whoever looks at the field. */
#ifndef WOODSHED_TUI_SETTINGS_H
#define WOODSHED_TUI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;

enum { SETTING_TEXT_MAX = 64 };

struct settings {
	char theme[SETTING_TEXT_MAX];
	bool columns, mouse, confirm_quit;
	int64_t volume, chord_menu_ms, notice_s;
};

enum setting_kind {
	SETTING_BOOL,   /* bool: on, off */
	SETTING_NUMBER, /* int64_t, low to high */
	SETTING_CHOICE, /* char[SETTING_TEXT_MAX], one of `choices` */
	SETTING_TEXT,   /* char[SETTING_TEXT_MAX]: one word */
};

struct setting {
	const char *name;
	enum setting_kind kind;
	const char *initial; /* as it is typed */
	const char *help;
	size_t offset;
	int64_t low, high;
	const char *choices; /* "a|b|c" */
};

/* The i-th, NULL behind the last; one by its name, or NULL. */
const struct setting *settings_at(size_t i);
const struct setting *settings_find(const char *name);

void settings_reset(struct settings *s); /* all as they are initially */
/* ERR_ARG, saying what it may be. */
int settings_set(struct settings *s, const struct setting *which, const char *value, struct err *e);
/* Adds its value, as settings_set() takes it. */
void settings_get(const struct settings *s, const struct setting *which, struct str *out);
/* "on or off", "0 to 100", "a, b or c". */
void settings_bounds(const struct setting *which, struct str *out);

#endif
