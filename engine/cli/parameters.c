/* What each engine can be told, written into the library.
 *
 * Kind, range and choices are those of the options of render.  A new engine adds
 * its rows; the form that shows them knows no engine. */
#include "engine/cli/parameters.h"

#include <math.h>
#include <string.h>

#include "engine/cli/render_options.h"
#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/globals.h"

static const char MUSICGEN[] = "musicgen", STABLE_AUDIO[] = "stable-audio",
		  AUDIOLDM2[] = "audioldm2", DIFFUSION[] = "stable-audio audioldm2", ANY[] = "";

static const struct row {
	const char *engines; /* separated by blanks; ANY: each */
	const char *option;
	const char *label, *unit, *otherwise;
	enum parameter_kind text; /* what a text is */
	const char *help;
} rows[] = {
	{DIFFUSION, "negative", "Negative", "", "", PARAMETER_PROMPT,
		"what you do not want to hear"},
	{DIFFUSION, "steps", "Steps", "", "", 0,
		"more take longer and sound cleaner, up to a point"},
	{ANY, "cfg", "Guidance", "", "", 0,
		"how closely it keeps to the prompt; up to 1 is not at all"},
	{DIFFUSION, "sampler", "Sampler", "", "", PARAMETER_TEXT,
		"how the noise is taken away; man woodshed lists them"},
	{STABLE_AUDIO, "sigma-min", "Sigma min", "", "", 0, "the least noise, where it ends"},
	{STABLE_AUDIO, "sigma-max", "Sigma max", "", "", 0, "the most noise, where it begins"},
	{STABLE_AUDIO, "init", "Begin with", "", "", PARAMETER_FILE,
		"audio to begin with, by its whole path"},
	{STABLE_AUDIO, "strength", "Strength", "", "0.5", 0,
		"noise on the audio it begins with: 1 leaves nothing of it"},
	{STABLE_AUDIO, "redo", "Redo", "s", "", PARAMETER_TEXT,
		"seconds of the audio it begins with that are made anew, such as 3-5.5"},
	{DIFFUSION, "noise", "Noise", "", "", PARAMETER_FILE,
		"draws to use instead of the seed's, a safetensors file by its whole path"},
	{AUDIOLDM2, "rank", "Rank", "", "no", 0,
		"scores each take by how well it fits the prompt; score>0.2 finds them"},
	{MUSICGEN, "temperature", "Temperature", "", "1", 0, "lower is tamer, higher is wilder"},
	{MUSICGEN, "top-k", "Top k", "", "250", 0,
		"draws among so many of the likeliest; 0 is all of them"},
	{MUSICGEN, "top-p", "Top p", "", "0", 0,
		"draws among the likeliest that make up this share; 0 is all of them"},
	{MUSICGEN, "greedy", "Greedy", "", "no", 0, "always the likeliest: no chance in it"},
	{ANY, "device", "Device", "", "auto", 0, "where it is rendered"},
	{ANY, "precision", "Precision", "", "auto", 0,
		"arithmetic of the large matrices; f32 is exact and slow"},
	{MUSICGEN, "continue", "Continue", "", "", PARAMETER_FILE,
		"audio to go on from, by its whole path; the length counts it in"},
};

enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

/* Engines that make a take of any length, window after window. */
static const char *const endless[] = {MUSICGEN};

static bool has_word(const char *words, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static enum parameter_kind kind_of(const struct option_spec *s, const struct row *r)
{
	switch (s->kind) {
	case OPTION_FLAG:
		return PARAMETER_FLAG;
	case OPTION_CHOICE:
		return PARAMETER_CHOICE;
	case OPTION_WHOLE:
		return PARAMETER_WHOLE;
	case OPTION_NUMBER:
		return PARAMETER_NUMBER;
	default:
		return r->text;
	}
}

static struct parameter parameter(const struct row *r, struct arena *a)
{
	const struct option_spec *s = render_option_specs;
	char *name = arena_strdup(a, r->option);

	while (strcmp(s->name, r->option))
		s++;
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return (struct parameter){.name = name,
		.label = r->label,
		.unit = r->unit,
		.kind = kind_of(s, r),
		.low = s->lo,
		.high = s->hi,
		.otherwise = r->otherwise,
		.choices = s->kind == OPTION_CHOICE ? s->value : "",
		.help = r->help};
}

static struct engine_parameters parameters_of(const char *engine, struct arena *a)
{
	struct parameter *list = ARENA_ARRAY(a, struct parameter, N_ROWS);
	struct engine_parameters ret = {.engine = engine, .list = list};

	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].engines == ANY || has_word(rows[i].engines, engine))
			list[ret.n++] = parameter(&rows[i], a);
	for (size_t i = 0; i < sizeof(endless) / sizeof(*endless); i++)
		ret.is_endless |= !strcmp(endless[i], engine);
	return ret;
}

/* One engine may have several entries: layouts of its checkpoints. */
static bool is_listed(const struct engine_parameters *list, size_t n, const char *engine)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].engine, engine))
			return true;
	return false;
}

size_t parameters_list(struct arena *a, struct engine_parameters **ret)
{
	size_t max = 0, n = 0;

	while (engine_name(max))
		max++;
	*ret = ARENA_ARRAY(a, struct engine_parameters, max);
	for (size_t i = 0; i < max; i++)
		if (!is_listed(*ret, n, engine_name(i)))
			(*ret)[n++] = parameters_of(engine_name(i), a);
	return n;
}

/* The version of the program, and a digest: while one works on it, the version
 * stays and the rows change. */
static const char *version_of(const struct engine_parameters *list, size_t n, struct arena *a)
{
	struct sha256 sha;
	char hex[65];

	sha256_init(&sha);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < list[i].n; k++) {
			const struct parameter *p = &list[i].list[k];
			const char *row = arena_printf(a,
				"%s\t%d\t%s\t%s\t%s\t%d\t%a\t%a\t%s\t%s\t%s\n", list[i].engine,
				list[i].is_endless, p->name, p->label, p->unit, (int)p->kind,
				p->low, p->high, p->otherwise, p->choices, p->help);

			sha256_add(&sha, row, strlen(row));
		}
	sha256_hex(&sha, hex);
	return arena_printf(a, "%s %s", woodshed_version, hex);
}

int parameters_publish(struct db *db, struct err *e)
{
	struct arena a = {0};
	struct engine_parameters *list;
	size_t n = parameters_list(&a, &list);
	const char *version = version_of(list, n, &a);
	bool is_current;
	int rc = parameters_are_current(db, version, &is_current, e);

	if (!rc && !is_current)
		rc = parameters_write(db, version, list, n, e);
	arena_done(&a);
	return rc;
}
