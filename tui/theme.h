/* theme.h: themes, and the files they come in.
 *
 *	# a comment
 *	[theme]
 *	name = nord
 *	variant = dark
 *	text = #d8dee9@253 on #2e3440@236
 *	row.playing = #a3be8c@144 bold
 *	spectrogram = inferno
 *	meter = #a3be8c #ebcb8b #bf616a
 *
 * A role is `fg [on bg] [bold] [dim] [underline] [reverse]`; a colour is
 * #rrggbb, #rrggbb@N (with its place N in the palette of 256), N, a name
 * (black, red, green, yellow, blue, magenta, cyan, white, bright-black ...), or
 * -1, what the terminal has by default.  What a file leaves out is as in the
 * default theme; a role without a background stands on that of `text`.
 *
 * This is data only: colors.h puts it on a terminal. */
#ifndef WOODSHED_TUI_THEME_H
#define WOODSHED_TUI_THEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

/* Every role: its constant and its name in files. */
#define THEME_ROLES(X)                                                                             \
	X(TEXT, "text")                                                                            \
	X(DIM, "dim")                                                                              \
	X(TITLE, "title")                                                                          \
	X(TAB, "tab")                                                                              \
	X(TAB_ACTIVE, "tab.active")                                                                \
	X(ROW_SELECTED, "row.selected")                                                            \
	X(ROW_SELECTED_UNFOCUSED, "row.selected.unfocused")                                        \
	X(ROW_PLAYING, "row.playing")                                                              \
	X(ROW_MARKED, "row.marked")                                                                \
	X(ROW_FAILED, "row.failed")                                                                \
	X(BORDER, "border")                                                                        \
	X(BORDER_FOCUSED, "border.focused")                                                        \
	X(HINT_KEY, "hint.key")                                                                    \
	X(HINT_TEXT, "hint.text")                                                                  \
	X(PROGRESS, "progress")                                                                    \
	X(PROGRESS_REST, "progress.rest")                                                          \
	X(LOOP, "loop")                                                                            \
	X(PLAYHEAD, "playhead")                                                                    \
	X(MESSAGE, "message")                                                                      \
	X(ERROR, "error")                                                                          \
	X(PROMPT, "prompt")                                                                        \
	X(MATCH, "match")

#define THEME_ROLE_CONSTANT(constant, name) ROLE_##constant,
enum theme_role { THEME_ROLES(THEME_ROLE_CONSTANT) THEME_N_ROLES };
#undef THEME_ROLE_CONSTANT

/* Colour maps of the spectrogram, and gradients, in the same way. */
#define THEME_MAPS(X)                                                                              \
	X(INFERNO, "inferno")                                                                      \
	X(MAGMA, "magma")                                                                          \
	X(VIRIDIS, "viridis")

#define THEME_MAP_CONSTANT(constant, name) MAP_##constant,
enum theme_map { THEME_MAPS(THEME_MAP_CONSTANT) THEME_N_MAPS };
#undef THEME_MAP_CONSTANT

enum theme_gradient_id { GRADIENT_METER, THEME_N_GRADIENTS };

enum {
	THEME_FILE_MAX = 64 << 10, /* bytes of a file */
	THEME_LINE_MAX = 256,      /* bytes of a line, without its end */
	THEME_NAME_MAX = 32,       /* characters of a name */
	THEME_STOPS_MAX = 8,       /* colours of a gradient */
};

enum theme_color_kind {
	THEME_NONE,    /* not said: a background as that of `text` */
	THEME_DEFAULT, /* what the terminal has */
	THEME_16,      /* index 0..15: the user's own palette */
	THEME_256,     /* index 16..255 */
	THEME_RGB,     /* rgb, and with has_index the index 0..255 to use among 256 */
};

struct theme_color {
	uint8_t kind; /* enum theme_color_kind */
	uint8_t index;
	bool has_index;
	uint32_t rgb; /* 0xrrggbb */
};

enum theme_attribute {
	THEME_BOLD = 1,
	THEME_DIM = 2,
	THEME_UNDERLINE = 4,
	THEME_REVERSE = 8,
};

struct theme_style {
	struct theme_color fg, bg; /* fg is never THEME_NONE */
	unsigned attributes;       /* of enum theme_attribute */
};

struct theme_gradient {
	size_t n; /* 1..THEME_STOPS_MAX */
	struct theme_color at[THEME_STOPS_MAX];
};

struct theme {
	char name[THEME_NAME_MAX + 1]; /* printable ASCII; "" when the file has none */
	bool is_light;
	struct theme_style roles[THEME_N_ROLES];
	enum theme_map spectrogram;
	struct theme_gradient gradients[THEME_N_GRADIENTS];
};

/* Compiled in: 16 colours on the terminal's background, and attributes only
 * (for terminals without colours and for NO_COLOR).  Never NULL. */
const struct theme *theme_default(void);
const struct theme *theme_mono(void);

const char *theme_role_name(enum theme_role r);
const char *theme_map_name(enum theme_map m);

/* The text of a theme, n bytes, which need not end in NUL; `file` is its name in
 * errors.  ERR_FORMAT names file, line, role and what was expected.  *ret is
 * whole in any case: the default theme after an error. */
int theme_parse(const char *text, size_t n, const char *file, struct theme *ret, struct err *e);

/* theme_parse() of a file; ERR_IO when it cannot be read. */
int theme_read(const char *path, struct theme *ret, struct err *e);

/* The text of a file that reads back as *t. */
void theme_write(const struct theme *t, struct str *out);

/* Where themes are looked for, the user's own first; either may be NULL. */
struct theme_dirs {
	const char *own;     /* theme_own_dir() */
	const char *shipped; /* paths_shared(program, "themes", arena) */
};

/* $XDG_CONFIG_HOME/woodshed/themes, else $HOME/.config/woodshed/themes, in the
 * arena; NULL when both are unset or relative.  Nothing is made. */
const char *theme_own_dir(const char *xdg_config_home, const char *home, struct arena *a);

/* The theme NAME.theme of the first folder that has it; "default" and "mono"
 * are there without any.  ERR_ARG: no such name (nothing that looks like a path
 * is one); else as theme_read().  *ret as in theme_parse(). */
int theme_load(const struct theme_dirs *d, const char *name, struct theme *ret, struct err *e);

struct theme_entry {
	const char *name;   /* for theme_load(): the file's, without .theme */
	const char *title;  /* what the file calls itself, or `name` */
	const char *broken; /* why it cannot be used, or NULL */
	bool is_light, is_own;
};

/* The themes that theme_load() finds, by name, all in the arena.  A broken file
 * is listed with its error.  0, or ERR_IO when a folder cannot be read. */
int theme_list(const struct theme_dirs *d, struct arena *a, const struct theme_entry **ret,
	size_t *ret_n, struct err *e);

#endif
