/* print-keys: keys, commands and settings of the workstation as mdoc(7), from the
 * tables that it works by; manual.sh compares docs/woodshed.1 with it. */
#include <stdio.h>
#include <string.h>

#include "library/base/str.h"
#include "tui/settings.h"
#include "tui/ws.h"

/* The last of several words ends what another began; mdoc would take that for a sign of
 * the sentence. */
static bool has_lone_bracket(const char *word, size_t n)
{
	const char *last = memrchr(word, ' ', n);

	return last && last[1] != '[' && word[n - 1] == ']';
}

/* One word of mdoc: no macro, no escape. */
static void add_word(struct str *out, const char *word, size_t n)
{
	str_add(out, n <= 3 || strchr(".'", word[0]) ? "\\&" : "");
	for (size_t i = 0; i < n; i++)
		if (word[i] == '\\')
			str_add(out, "\\e");
		else if (word[i] == '-')
			str_add(out, "\\-");
		else if (word[i] == '^')
			str_add(out, "\\(ha");
		else if (word[i] == '"')
			str_add(out, "\\(dq");
		else
			str_add_char(out, word[i]);
	if (has_lone_bracket(word, n))
		str_add(out, "\\&");
}

static void add_keys(struct str *out, const struct binding *b)
{
	const struct binding *other;
	bool is_first = true;

	for (size_t i = 0; (other = commands_binding_at(i)); i++) {
		if (other->on != b->on || strcmp(other->command, b->command))
			continue;
		str_add(out, is_first ? ".It Ic " : " , Ic ");
		add_word(out, other->keys, strlen(other->keys));
		is_first = false;
	}
	str_add(out, "\n");
}

static bool is_first_key(size_t at)
{
	const struct binding *b = commands_binding_at(at);

	for (size_t i = 0; i < at; i++) {
		const struct binding *other = commands_binding_at(i);

		if (other->on == b->on && !strcmp(other->command, b->command))
			return false;
	}
	return true;
}

static void add_text(struct str *out, const char *text)
{
	if (strchr(".'", text[0]))
		str_add(out, "\\&");
	str_printf(out, "%s\n", text);
}

/* What the command does, and its words where it has any. */
static void add_meaning(struct str *out, const struct binding *b)
{
	size_t name = strcspn(b->command, " ");
	const struct command *c = commands_find(b->command, name);
	const char *args = b->command + name + strspn(b->command + name, " ");

	add_text(out, c ? c->help : b->command);
	if (*args) {
		str_add(out, ".Pq Ic ");
		add_word(out, b->command, name);
		str_add_char(out, ' ');
		add_word(out, args, strlen(args));
		str_add(out, "\n");
	}
}

static void add_editing(struct str *out, const struct edit_key *k)
{
	for (; k && k->keys; k++) {
		for (const char *key = k->keys; *key; key += strspn(key, " ")) {
			str_add(out, key == k->keys ? ".It Ic " : " , Ic ");
			add_word(out, key, strcspn(key, " "));
			key += strcspn(key, " ");
		}
		str_add(out, "\n");
		add_text(out, k->help);
	}
}

/* Those of one screen, or of all. */
static void add_screen(
	struct str *out, const char *title, unsigned on, const struct edit_key *editing)
{
	const struct binding *b;
	bool any = false;

	for (size_t i = 0; (b = commands_binding_at(i)); i++) {
		if (!(b->on & on) || !is_first_key(i))
			continue;
		if (!any)
			str_printf(out, "%s%s:\n.Bl -tag -width \"Space\" -compact\n",
				on == ON_ANY ? "" : ".Pp\n", title);
		any = true;
		add_keys(out, b);
		add_meaning(out, b);
	}
	add_editing(out, editing);
	if (any)
		str_add(out, ".El\n");
}

static void add_commands(struct str *out)
{
	const struct command *c;

	str_add(out, ".Ss Commands of the workstation\n"
		     ".Bl -tag -width Ds -compact\n");
	for (size_t i = 0; (c = commands_at(i)); i++) {
		str_add(out, ".It Ic ");
		add_word(out, c->name, strlen(c->name));
		if (*c->args) {
			str_add(out, " Ar ");
			add_word(out, c->args, strlen(c->args));
		}
		str_add(out, "\n");
		add_text(out, c->help);
	}
	str_add(out, ".El\n");
}

static void add_settings(struct str *out)
{
	const struct setting *s;

	str_add(out, ".Ss Settings of the workstation\n"
		     ".Bl -tag -width Ds -compact\n");
	for (size_t i = 0; (s = settings_at(i)); i++) {
		struct str bounds = {0};

		settings_bounds(s, &bounds);
		str_printf(out, ".It Cm %s\n%s\n.Pq %s; initially %s\n", s->name, s->help,
			str_get(&bounds), s->initial);
		str_done(&bounds);
	}
	str_add(out, ".El\n");
}

int main(void)
{
	struct str out = {0};

	str_add(&out, ".Ss Keys of the workstation\n");
	add_screen(&out, "On every screen", ON_ANY, NULL);
	for (int i = 0; i < N_SCREENS; i++) {
		char title[64];

		snprintf(title, sizeof(title), "On the screen %s", views[i]->name);
		add_screen(&out, title, 1u << i, views[i]->editing);
	}
	add_commands(&out);
	add_settings(&out);
	fputs(str_get(&out), stdout);
	str_done(&out);
	return 0;
}
