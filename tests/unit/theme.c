/* Theme files: what is read, what is refused and in which words, the nine that
 * are shipped and whether they can be read by eyes. */
#include "tui/theme.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/paths.h"
#include "tests/unit/scratch.h"
#include "tui/palette.h"

static const char *const shipped[] = {"dark", "default", "gruvbox", "high-contrast", "light",
	"mono", "nord", "solarized-dark", "solarized-light"};
enum { N_SHIPPED = sizeof shipped / sizeof *shipped };

static struct theme parse(const char *text)
{
	struct err e = {0};
	struct theme t;

	if (theme_parse(text, strlen(text), "t", &t, &e))
		fail_msg("%s: %s", text, e.text);
	return t;
}

/* Compared by what would be written: structs have holes. */
static void assert_same(const struct theme *a, const struct theme *b)
{
	struct str x = {0}, y = {0};

	theme_write(a, &x);
	theme_write(b, &y);
	assert_string_equal(str_get(&x), str_get(&y));
	str_done(&x);
	str_done(&y);
}

static void refuse(const char *text, size_t n, const char *why)
{
	struct err e = {0};
	struct theme t;

	assert_int_equal(theme_parse(text, n, "a.theme", &t, &e), ERR_FORMAT);
	if (!strstr(e.text, why))
		fail_msg("\"%s\" lacks \"%s\"", e.text, why);
	assert_true(has_prefix(e.text, "a.theme"));
	assert_same(&t, theme_default());
}

static struct theme load_shipped(const char *name)
{
	struct theme_dirs d = {.shipped = THEMES};
	struct err e = {0};
	struct theme t;

	if (theme_load(&d, name, &t, &e))
		fail_msg("%s", e.text);
	return t;
}

static void every_kind_of_colour(void **state)
{
	struct theme t = parse("[theme]\n"
			       "text = -1 on #102030\n"
			       "dim = #AbCdEf@7 on bright-white bold dim underline reverse\n"
			       "title=15\n"
			       "tab\t=\t16 on 255\n");
	const struct theme_style *s = t.roles;

	assert_int_equal(s[ROLE_TEXT].fg.kind, THEME_DEFAULT);
	assert_int_equal(s[ROLE_TEXT].bg.kind, THEME_RGB);
	assert_int_equal(s[ROLE_TEXT].bg.rgb, 0x102030);
	assert_false(s[ROLE_TEXT].bg.has_index);
	assert_int_equal(s[ROLE_DIM].fg.rgb, 0xabcdef);
	assert_true(s[ROLE_DIM].fg.has_index);
	assert_int_equal(s[ROLE_DIM].fg.index, 7);
	assert_int_equal(s[ROLE_DIM].bg.kind, THEME_16);
	assert_int_equal(s[ROLE_DIM].bg.index, 15);
	assert_int_equal(
		s[ROLE_DIM].attributes, THEME_BOLD | THEME_DIM | THEME_UNDERLINE | THEME_REVERSE);
	assert_int_equal(s[ROLE_TITLE].fg.kind, THEME_16);
	assert_int_equal(s[ROLE_TITLE].fg.index, 15);
	assert_int_equal(s[ROLE_TITLE].bg.kind, THEME_NONE);
	assert_int_equal(s[ROLE_TAB].fg.kind, THEME_256);
	assert_int_equal(s[ROLE_TAB].bg.index, 255);
}

static void comments_and_ends_of_lines(void **state)
{
	struct theme t = parse("# caf\xc3\xa9 \x1b \xff\r\n\r\n  ; more\n\t[theme]  \r\n"
			       "name = My Theme 2 \r\nvariant = light\r\ntext = red");

	assert_string_equal(t.name, "My Theme 2");
	assert_true(t.is_light);
	assert_int_equal(t.roles[ROLE_TEXT].fg.index, 1);
}

static void what_is_missing_is_as_in_the_default_theme(void **state)
{
	struct theme t = parse("[theme]\nerror = 200\n"), want = *theme_default();

	want.name[0] = '\0';
	want.roles[ROLE_ERROR] = (struct theme_style){.fg = {.kind = THEME_256, .index = 200}};
	assert_same(&t, &want);
	t = parse("[theme]");
	want.roles[ROLE_ERROR] = theme_default()->roles[ROLE_ERROR];
	assert_same(&t, &want);
}

static void maps_and_gradients(void **state)
{
	struct theme t = parse("[theme]\nspectrogram = viridis\nmeter = 1 2 3 4 5 6 7 #000008@8\n");

	assert_int_equal(t.spectrogram, MAP_VIRIDIS);
	assert_int_equal(t.gradients[GRADIENT_METER].n, 8);
	assert_int_equal(t.gradients[GRADIENT_METER].at[7].rgb, 8);
	t = parse("[theme]\nmeter = #00c000\n");
	assert_int_equal(t.gradients[GRADIENT_METER].n, 1);
}

static void errors_name_line_role_and_what_was_expected(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "no theme; expected a section [theme]"},
		{"# only words\n", "expected a section [theme]"},
		{"text = red\n", "line 1: 'text = red' comes before any section; expected [theme]"},
		{"[theme]\n[colours]\n", "line 2: section '[colours]'; expected [theme]"},
		{"[theme\n", "line 1: section '[theme'"},
		{"[theme]\n\nwords\n", "line 3: 'words' has no '='"},
		{"[theme]\n= red\n", "line 2: no role ''; expected name, variant, spectrogram"},
		{"[theme]\ntexts = red\n", "line 2: no role 'texts'; expected "},
		{"[theme]\ntexts = red\n", "row.selected.unfocused"},
		{"[theme]\ntexts = red\n", " or match"},
		{"[theme]\ntext = red\n\ntext = blue\n", "line 4: text: said already in line 2"},
		{"[theme]\nmeter = 1\nmeter = 1\n", "line 3: meter: said already in line 2"},
		{"[theme]\nname = a\nname = a\n", "line 3: name: said already in line 2"},
		{"[theme]\ntext =\n", "line 2: text: a colour is missing; expected #rrggbb"},
		{"[theme]\ntext = red on\n", "line 2: text: a colour is missing"},
		{"[theme]\ntext = bold\n", "line 2: text: 'bold' is no colour; expected #rrggbb"},
		{"[theme]\ntext = Red\n", "'Red' is no colour"},
		{"[theme]\ntext = -2\n", "'-2' is no colour"},
		{"[theme]\ntext = 256\n", "'256' is no colour"},
		{"[theme]\ntext = 0007\n", "'0007' is no colour"},
		{"[theme]\ntext = 1.5\n", "'1.5' is no colour"},
		{"[theme]\ntext = #12345\n", "'#12345' is no colour"},
		{"[theme]\ntext = #1234567\n", "'#1234567' is no colour"},
		{"[theme]\ntext = #12345g\n", "'#12345g' is no colour"},
		{"[theme]\ntext = #123456@\n", "'#123456@' is no colour"},
		{"[theme]\ntext = #123456@256\n", "'#123456@256' is no colour"},
		{"[theme]\ntext = #-12345\n", "'#-12345' is no colour"},
		{"[theme]\ntext = red on blue on red\n",
			"text: 'on' is not understood; expected 'fg"},
		{"[theme]\ntext = red bold italic\n", "text: 'italic' is not understood"},
		{"[theme]\nvariant = grey\n",
			"variant: 'grey' is not known; expected dark or light"},
		{"[theme]\nvariant =\n", "variant: '' is not known"},
		{"[theme]\nspectrogram = jet\n",
			"spectrogram: 'jet' is not known; expected inferno, magma or viridis"},
		{"[theme]\nmeter =\n", "meter: a colour is missing"},
		{"[theme]\nmeter = 1 x\n", "meter: 'x' is no colour"},
		{"[theme]\nmeter = 1 2 3 4 5 6 7 8 9\n",
			"meter: too many colours; expected 1 to 8"},
		{"[theme]\nname =\n", "name: a name of 0 characters; expected 1 to 32"},
		{"[theme]\nname = 123456789012345678901234567890123\n", "a name of 33 characters"},
		{"[theme]\nname = a\tb\n", "a tab in the name"},
		{"[theme]\nname = caf\xc3\xa9\n", "line 2: byte 0xc3; expected printable ASCII"},
		{"[theme]\nname = \x1b[31m\n", "line 2: byte 0x1b"},
		{"[theme]\nname = a\x7f\n", "line 2: byte 0x7f"},
		{"\xef\xbb\xbf[theme]\n", "line 1: byte 0xef"},
		{"[theme]\rtext = red\n", "line 1: byte 0x0d"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refuse(cases[i].text, strlen(cases[i].text), cases[i].why);
	refuse("[theme]\nname = a\0b\n", 19, "line 2: byte 0x00");
}

static void limits(void **state)
{
	static char text[THEME_FILE_MAX + 1] = "[theme]\n";
	char line[THEME_LINE_MAX + 20];
	struct theme t;

	memset(text + 8, '\n', sizeof text - 8);
	assert_int_equal(theme_parse(text, THEME_FILE_MAX, "a", &t, NULL), 0);
	refuse(text, THEME_FILE_MAX + 1, "more than 65536 bytes");
	/* with its blanks, but not with its end */
	snprintf(line, sizeof line, "[theme]\ntext = red%*s\r\n", THEME_LINE_MAX - 10, "");
	assert_int_equal(theme_parse(line, strlen(line), "a", &t, NULL), 0);
	snprintf(line, sizeof line, "[theme]\n#%*s\n", THEME_LINE_MAX, "");
	refuse(line, strlen(line), "line 2: a line of 257 bytes; expected at most 256");
	t = parse("[theme]\nname = 12345678901234567890123456789012\n");
	assert_int_equal(strlen(t.name), THEME_NAME_MAX);
}

static void the_nine_that_are_shipped(void **state)
{
	struct theme_dirs d = {.shipped = THEMES};
	const struct theme_entry *list;
	struct arena a = {0};
	size_t n;

	assert_int_equal(theme_list(&d, &a, &list, &n, NULL), 0);
	assert_int_equal(n, N_SHIPPED);
	for (size_t i = 0; i < n; i++) {
		struct theme t = load_shipped(shipped[i]);
		assert_string_equal(list[i].name, shipped[i]);
		assert_string_equal(list[i].title, shipped[i]);
		assert_null(list[i].broken);
		assert_false(list[i].is_own);
		assert_string_equal(t.name, shipped[i]);
		assert_int_equal(t.is_light, list[i].is_light);
		assert_int_equal(t.is_light, strstr(shipped[i], "light") != NULL);
	}
	arena_done(&a);
}

static void two_are_compiled_in(void **state)
{
	struct theme_dirs none = {0};
	struct theme file = load_shipped("default"), t;

	assert_same(&file, theme_default());
	file = load_shipped("mono");
	assert_same(&file, theme_mono());
	assert_int_equal(theme_load(&none, "mono", &t, NULL), 0);
	assert_same(&t, theme_mono());
	assert_int_equal(theme_load(&none, "default", &t, NULL), 0);
	assert_same(&t, theme_default());
}

/* Every role that stands for something can be told from plain text. */
static void mono_has_attributes_only(void **state)
{
	static const enum theme_role marked[] = {ROLE_DIM, ROLE_TITLE, ROLE_TAB_ACTIVE,
		ROLE_ROW_SELECTED, ROLE_ROW_SELECTED_UNFOCUSED, ROLE_ROW_PLAYING, ROLE_ROW_MARKED,
		ROLE_ROW_FAILED, ROLE_BORDER_FOCUSED, ROLE_HINT_KEY, ROLE_PROGRESS, ROLE_LOOP,
		ROLE_PLAYHEAD, ROLE_ERROR, ROLE_PROMPT, ROLE_MATCH};
	const struct theme_style *s = theme_mono()->roles;

	for (size_t i = 0; i < THEME_N_ROLES; i++) {
		assert_int_equal(s[i].fg.kind, THEME_DEFAULT);
		assert_int_equal(s[i].bg.kind, THEME_DEFAULT);
	}
	for (size_t i = 0; i < sizeof marked / sizeof *marked; i++)
		assert_int_not_equal(s[marked[i]].attributes, 0);
	/* rows may be several of these, next to each other */
	for (size_t i = ROLE_ROW_SELECTED; i <= ROLE_ROW_FAILED; i++)
		for (size_t k = i + 1; k <= ROLE_ROW_FAILED; k++)
			assert_int_not_equal(s[i].attributes, s[k].attributes);
}

static void reads_back_what_it_writes(void **state)
{
	for (size_t i = 0; i < N_SHIPPED; i++) {
		struct theme t = load_shipped(shipped[i]), again;
		struct str text = {0};
		struct err e = {0};

		theme_write(&t, &text);
		if (theme_parse(text.s, text.n, "again", &again, &e))
			fail_msg("%s", e.text);
		assert_same(&t, &again);
		for (size_t k = 0; k < THEME_N_ROLES; k++) {
			assert_int_equal(t.roles[k].bg.kind, again.roles[k].bg.kind);
			assert_int_equal(t.roles[k].fg.rgb, again.roles[k].fg.rgb);
			assert_int_equal(t.roles[k].attributes, again.roles[k].attributes);
		}
		str_done(&text);
	}
}

/* The least contrast of a role: WCAG's 4.5 for text, and 3 for what is drawn and
 * means something; frames and the empty part of bars mean nothing. */
static double least_contrast(enum theme_role r, bool is_high)
{
	switch (r) {
	case ROLE_BORDER:
	case ROLE_PROGRESS_REST:
		return 1;
	case ROLE_BORDER_FOCUSED:
	case ROLE_PROGRESS:
	case ROLE_LOOP:
	case ROLE_PLAYHEAD:
		return 3;
	default:
		return is_high ? 7 : 4.5;
	}
}

static void text_can_be_read(void **state)
{
	unsigned n_checked = 0;

	for (size_t i = 0; i < N_SHIPPED; i++) {
		struct theme t = load_shipped(shipped[i]);
		for (enum theme_role r = 0; r < THEME_N_ROLES; r++) {
			const struct theme_color *fg = &t.roles[r].fg, *bg = &t.roles[r].bg;
			double least = least_contrast(r, strstr(shipped[i], "high")), have;

			if (bg->kind == THEME_NONE)
				bg = &t.roles[ROLE_TEXT].bg;
			if (fg->kind != THEME_RGB || bg->kind != THEME_RGB)
				continue;
			have = palette_contrast(fg->rgb, bg->rgb);
			if (have < least)
				fail_msg("%s: %s: contrast %.2f, not %.1f", shipped[i],
					theme_role_name(r), have, least);
			/* dim text would have less than was counted here */
			assert_false(t.roles[r].attributes & THEME_DIM);
			n_checked++;
		}
	}
	assert_int_equal(n_checked, 7 * THEME_N_ROLES); /* all but default and mono */
}

/* Terminals with 256 colours get something like the true ones, and as readable. */
static void places_among_256_are_near(void **state)
{
	for (size_t i = 0; i < N_SHIPPED; i++) {
		struct theme t = load_shipped(shipped[i]);
		for (enum theme_role r = 0; r < THEME_N_ROLES; r++) {
			const struct theme_color *c = &t.roles[r].fg;
			struct oklab x, y;

			if (c->kind != THEME_RGB || !c->has_index)
				continue;
			x = palette_oklab(c->rgb);
			y = palette_oklab(palette_rgb(c->index));
			if (x.l - y.l > 0.12 || y.l - x.l > 0.12)
				fail_msg("%s: %s: #%06x is not like %u", shipped[i],
					theme_role_name(r), (unsigned)c->rgb, c->index);
		}
	}
}

static void users_themes_come_first(void **state)
{
	struct theme_dirs d = {.own = scratch_path(state, "themes"), .shipped = THEMES};
	static const char nord[] = "[theme]\nname = mine\nvariant = light\ntext = red\n";
	const struct theme_entry *list;
	struct arena a = {0};
	struct err e = {0};
	struct theme t;
	size_t n;

	assert_int_equal(mkdir(d.own, 0700), 0);
	scratch_write(scratch_path(state, "themes/nord.theme"), nord, sizeof nord - 1);
	scratch_write(scratch_path(state, "themes/bad.theme"), "x", 1);
	scratch_write(scratch_path(state, "themes/.hidden.theme"), nord, sizeof nord - 1);
	scratch_write(scratch_path(state, "themes/caf\xc3\xa9.theme"), nord, sizeof nord - 1);
	scratch_write(scratch_path(state, "themes/nord.txt"), nord, sizeof nord - 1);
	assert_int_equal(theme_load(&d, "nord", &t, &e), 0);
	assert_string_equal(t.name, "mine");
	assert_int_equal(theme_list(&d, &a, &list, &n, &e), 0);
	assert_int_equal(n, N_SHIPPED + 1);
	assert_string_equal(list[0].name, "bad");
	assert_non_null(strstr(list[0].broken, "bad.theme, line 1: 'x' comes before"));
	assert_string_equal(list[7].name, "nord");
	assert_string_equal(list[7].title, "mine");
	assert_true(list[7].is_own && list[7].is_light);
	assert_int_equal(theme_load(&d, "bad", &t, &e), ERR_FORMAT);
	assert_same(&t, theme_default());
	arena_done(&a);
}

static void names_are_no_paths(void **state)
{
	static const char *const names[] = {"", ".", "..", "../dark", "/dark", "dark/", "a.b", "-a",
		"caf\xc3\xa9", "a b", "a\x1b", "123456789012345678901234567890123"};
	struct theme_dirs d = {.shipped = THEMES};
	struct theme t;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct err e = {0};
		assert_int_equal(theme_load(&d, names[i], &t, &e), ERR_ARG);
		assert_error(e, ERR_ARG, "is no name of a theme");
	}
	struct err e = {0};
	assert_int_equal(theme_load(&d, "none", &t, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "no theme 'none'; there are dark, default, ");
}

static void files_that_are_none(void **state)
{
	struct err e = {0};
	struct theme t;

	assert_int_equal(theme_read(scratch_path(state, "none"), &t, &e), ERR_IO);
	assert_error(e, ERR_IO, "cannot read the theme");
	assert_same(&t, theme_default());
	e.code = 0;
	assert_int_equal(theme_read(*state, &t, &e), ERR_IO); /* a folder */
	e.code = 0;
	assert_int_equal(mkfifo(scratch_path(state, "fifo"), 0600), 0);
	assert_int_equal(theme_read(scratch_path(state, "fifo"), &t, &e), ERR_FORMAT);
	e.code = 0;
	assert_int_equal(theme_read("/dev/zero", &t, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "more than 65536 bytes");
}

static void folders(void **state)
{
	struct arena a = {0};

	assert_string_equal(theme_own_dir("/c", "/h", &a), "/c/woodshed/themes");
	assert_string_equal(theme_own_dir("c", "/h", &a), "/h/.config/woodshed/themes");
	assert_string_equal(theme_own_dir(NULL, "/h", &a), "/h/.config/woodshed/themes");
	assert_null(theme_own_dir("", "h", &a));
	assert_null(theme_own_dir(NULL, NULL, &a));
	arena_done(&a);
}

static void found_beside_the_program(void **state)
{
	static const char *const made[] = {
		"bin", "share", "share/woodshed", "share/woodshed/themes", "bin/themes"};
	char *bin = xstrdup(scratch_path(state, "bin")), real[4096];
	struct arena a = {0};

	assert_null(paths_shared(bin, "themes", &a));
	assert_null(paths_shared(NULL, "themes", &a));
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(mkdir(scratch_path(state, made[i]), 0700), 0);
	assert_non_null(realpath(scratch_path(state, "share/woodshed/themes"), real));
	assert_string_equal(paths_shared(bin, "themes", &a), real);
	assert_int_equal(rmdir(real), 0);
	assert_non_null(realpath(scratch_path(state, "bin/themes"), real));
	assert_string_equal(paths_shared(bin, "themes", &a), real);
	free(bin);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_colour),
		cmocka_unit_test(comments_and_ends_of_lines),
		cmocka_unit_test(what_is_missing_is_as_in_the_default_theme),
		cmocka_unit_test(maps_and_gradients),
		cmocka_unit_test(errors_name_line_role_and_what_was_expected),
		cmocka_unit_test(limits),
		cmocka_unit_test(the_nine_that_are_shipped),
		cmocka_unit_test(two_are_compiled_in),
		cmocka_unit_test(mono_has_attributes_only),
		cmocka_unit_test(reads_back_what_it_writes),
		cmocka_unit_test(text_can_be_read),
		cmocka_unit_test(places_among_256_are_near),
		cmocka_unit_test_setup_teardown(
			users_themes_come_first, scratch_open, scratch_close),
		cmocka_unit_test(names_are_no_paths),
		cmocka_unit_test_setup_teardown(files_that_are_none, scratch_open, scratch_close),
		cmocka_unit_test(folders),
		cmocka_unit_test_setup_teardown(
			found_beside_the_program, scratch_open, scratch_close),
	};
	return RUN_TAP(tests);
}
