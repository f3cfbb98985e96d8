/* Any bytes as a theme file. */
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/fuzz/fuzz.h"
#include "tui/theme.h"

static void check_color(const struct theme_color *c)
{
	FUZZ_REQUIRE(c->kind <= THEME_RGB && c->rgb <= 0xffffff);
	FUZZ_REQUIRE(c->kind != THEME_16 || c->index < 16);
	FUZZ_REQUIRE(c->kind != THEME_256 || c->index >= 16);
}

static void check_theme(const struct theme *t)
{
	size_t n = strnlen(t->name, sizeof(t->name));

	FUZZ_REQUIRE(n <= THEME_NAME_MAX && t->spectrogram < THEME_N_MAPS);
	for (size_t i = 0; i < n; i++)
		FUZZ_REQUIRE(t->name[i] >= ' ' && t->name[i] <= '~');
	for (size_t i = 0; i < THEME_N_ROLES; i++) {
		check_color(&t->roles[i].fg);
		check_color(&t->roles[i].bg);
		FUZZ_REQUIRE(t->roles[i].fg.kind != THEME_NONE && t->roles[i].attributes < 16);
	}
	for (size_t i = 0; i < THEME_N_GRADIENTS; i++) {
		const struct theme_gradient *g = &t->gradients[i];
		FUZZ_REQUIRE(g->n >= 1 && g->n <= THEME_STOPS_MAX);
		for (size_t k = 0; k < g->n; k++)
			check_color(&g->at[k]);
	}
}

/* What was read can be written, and then says the same. */
static void check_round_trip(const struct theme *t)
{
	struct str one = {0}, two = {0};
	struct theme again;

	theme_write(t, &one);
	FUZZ_REQUIRE(!theme_parse(one.s, one.n, "again", &again, NULL));
	theme_write(&again, &two);
	FUZZ_REQUIRE(!strcmp(one.s, two.s));
	str_done(&one);
	str_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {0};
	struct theme t, file;
	int rc = theme_parse((const char *)data, n, "input", &t, &e);

	FUZZ_REQUIRE(rc == e.code && (!rc || rc == ERR_FORMAT));
	FUZZ_REQUIRE(!rc || has_prefix(e.text, "input"));
	FUZZ_REQUIRE(is_utf8(e.text, strlen(e.text)));
	check_theme(&t);
	check_round_trip(&t);
	FUZZ_REQUIRE(theme_read(fuzz_file(data, n), &file, NULL) == rc);
	return 0;
}
