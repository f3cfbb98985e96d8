/* keys.h: keys and chords of them: what a terminal sends, and how users write it.
 *
 *	j  G  $  ?          characters, one after the other for a chord: gg zs
 *	^D  ^X  ^_          with Ctrl
 *	<Space> <Enter> <Esc> <Tab> <S-Tab> <Del> <Up> <PgDn> <Home> <F5> ...
 *	<A-Enter> <A-x>     with Alt
 *	<lt>                the character <;  ^^ the character ^
 */
#ifndef WOODSHED_TUI_KEYS_H
#define WOODSHED_TUI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;

enum { CHORD_MAX = 3 };

/* Code points as they are (Ctrl and a letter: 1 to 26), named keys above. */
enum {
	KEY_NAMED = 0x200000,
	KEYS_UP = KEY_NAMED,
	KEYS_DOWN,
	KEYS_LEFT,
	KEYS_RIGHT,
	KEYS_S_UP,
	KEYS_S_DOWN,
	KEYS_C_LEFT,
	KEYS_C_RIGHT,
	KEYS_HOME,
	KEYS_END,
	KEYS_PGUP,
	KEYS_PGDN,
	KEYS_INSERT,
	KEYS_DELETE,
	KEYS_S_TAB,
	KEYS_F1, /* to F12 */
	KEYS_F12 = KEYS_F1 + 11,
	KEYS_BACKSPACE, /* 8 and 127 as well */
	KEYS_LAST = KEYS_BACKSPACE,
	KEYS_ALT = 0x1000000, /* added to any */
};

struct chord {
	uint32_t keys[CHORD_MAX];
	int n;
};

/* The key that a text begins with; how many bytes it takes, 0 and ERR_ARG when that is
 * none.   */
size_t key_parse(const char *text, uint32_t *ret, struct err *e);
/* ERR_ARG, naming the part that is no key. */
int chord_parse(const char *text, struct chord *ret, struct err *e);
/* As chord_parse() reads it. */
void chord_format(const struct chord *c, struct str *out);
bool chord_equal(const struct chord *a, const struct chord *b);
/* Whether `a`, shorter than `b`, is how `b` begins. */
bool chord_begins(const struct chord *a, const struct chord *b);

#endif
