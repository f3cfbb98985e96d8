/* Recipes: one table of fields, walked by the reader and by the writer. */
#include "library/recipe.h"

#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"

enum {
	PROMPT_IN_COMMENT = 1500,
	WORD_BYTES = 63,
	NAME_BYTES = 255,
	HASH_BYTES = 64,
	DAY_S = 24 * 3600,
	INT64_DIGITS = 19, /* whole numbers with fewer fit into 64 bits, signed */
};

enum kind { TEXT, NAME, HASH, WHOLE, NUMBER, FLAG };

enum {
	REQUIRED = 1,
	ALWAYS = 2,   /* a whole number that is written also when it is 0 */
	SAMPLING = 4, /* of tokens: means something unless greedy, and is then always written */
	ASKED = 8,    /* an option of the job, by the same name */
};

/* In the order in which they are written. */
static const struct field {
	const char *key;
	enum kind kind;
	int flags;
	size_t offset;
	double lo, hi; /* numbers: bounds; texts: hi is the most bytes */
} fields[] = {
#define FIELD(f) offsetof(struct recipe, f)
	{"program", TEXT, 0, FIELD(program), 0, WORD_BYTES},
	{"version", TEXT, 0, FIELD(version), 0, WORD_BYTES},
	{"engine", TEXT, 0, FIELD(engine), 0, WORD_BYTES},
	{"model", NAME, REQUIRED, FIELD(model), 0, NAME_BYTES},
	{"model_hash", HASH, 0, FIELD(model_hash), 0, HASH_BYTES},
	{"weights_sha256", HASH, 0, FIELD(weights_sha256), 0, HASH_BYTES},
	{"prompt", TEXT, REQUIRED, FIELD(prompt), 0, AUDIO_RECIPE_MAX},
	{"negative", TEXT, 0, FIELD(negative), 0, AUDIO_RECIPE_MAX},
	{"seed", WHOLE, REQUIRED | ALWAYS, FIELD(seed), 0, 0x1p64},
	{"seconds", NUMBER, 0, FIELD(seconds), 0, DAY_S},
	{"frames", WHOLE, 0, FIELD(frames), 1, (double)DAY_S *AUDIO_RATE_MAX},
	{"rate", WHOLE, 0, FIELD(rate_hz), AUDIO_RATE_MIN, AUDIO_RATE_MAX},
	{"channels", WHOLE, 0, FIELD(channels), 1, AUDIO_CHANNELS_MAX},
	{"cfg", NUMBER, ASKED, FIELD(guidance), 0, 1000},
	{"steps", WHOLE, ASKED, FIELD(steps), 1, 10000},
	{"sampler", TEXT, ASKED, FIELD(sampler), 0, WORD_BYTES},
	{"sigma_min", NUMBER, ASKED, FIELD(sigma_min), 0, 1e4},
	{"sigma_max", NUMBER, ASKED, FIELD(sigma_max), 0, 1e4},
	{"init", NAME, ASKED, FIELD(init), 0, NAME_BYTES},
	{"init_sha256", HASH, 0, FIELD(init_sha256), 0, HASH_BYTES},
	{"strength", NUMBER, ASKED, FIELD(strength), 0, 1},
	{"redo", TEXT, ASKED, FIELD(redo), 0, WORD_BYTES},
	{"noise", NAME, ASKED, FIELD(noise), 0, NAME_BYTES},
	{"noise_sha256", HASH, 0, FIELD(noise_sha256), 0, HASH_BYTES},
	{"greedy", FLAG, ASKED, FIELD(greedy), 0, 0},
	{"temperature", NUMBER, SAMPLING | ASKED, FIELD(temperature), 0.001, 1000},
	{"top_k", WHOLE, SAMPLING | ASKED, FIELD(top_k), 0, 1000000},
	{"top_p", NUMBER, SAMPLING | ASKED, FIELD(top_p), 0, 1},
	{"continue", NAME, ASKED, FIELD(continued), 0, NAME_BYTES},
	{"continue_sha256", HASH, 0, FIELD(continued_sha256), 0, HASH_BYTES},
	{"precision", TEXT, ASKED, FIELD(precision), 0, WORD_BYTES},
	{"device", TEXT, 0, FIELD(device), 0, WORD_BYTES},
	{"gpu", TEXT, 0, FIELD(gpu), 0, NAME_BYTES},
	{"batch", WHOLE, 0, FIELD(batch), 1, 10000},
	{"export", TEXT, 0, FIELD(exported), 0, 1000},
#undef FIELD
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

/* ---- read --------------------------------------------------------------- */

/* jansson's integers are signed, a seed is not: whole numbers that may not fit
 * are put in quotes before it reads the text. */
static void quote_long_numbers(const char *text, struct str *out)
{
	bool in_string = false;

	while (*text) {
		size_t n = in_string ? 0 : strspn(text, "0123456789+-.eE");
		bool is_long = n >= INT64_DIGITS && strspn(text, "0123456789") == n;

		if (in_string && text[0] == '\\' && text[1])
			n = 2;
		else if (!n && *text == '"')
			in_string = !in_string;
		n = n ? n : 1;
		str_add(out, is_long ? "\"" : "");
		str_add_n(out, text, n);
		str_add(out, is_long ? "\"" : "");
		text += n;
	}
}

static int wrong(const struct field *f, const char *what, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"the recipe is damaged: \"%s\" is no %s; use an undamaged copy", f->key, what);
}

static int outside(const struct field *f, struct err *e)
{
	return err_set(e, ERR_FORMAT,
		"the recipe is damaged or comes from another version: \"%s\" is not between %g and "
		"%g",
		f->key, f->lo, f->hi);
}

static bool is_name(const char *s)
{
	return *s && strcmp(s, ".") && strcmp(s, "..") && !strchr(s, '/');
}

static bool is_hash(const char *s)
{
	return strlen(s) == HASH_BYTES && strspn(s, "0123456789abcdef") == HASH_BYTES;
}

static int read_text(
	const struct field *f, const json_t *v, struct arena *a, void *at, struct err *e)
{
	const char *s = json_string_value(v);

	if (!s)
		return wrong(f, "text", e);
	if (strlen(s) > (size_t)f->hi)
		return wrong(f, "text of an allowed length", e);
	if (f->kind == NAME && !is_name(s))
		return wrong(f, "plain name", e);
	if (f->kind == HASH && !is_hash(s))
		return wrong(f, "SHA-256", e);
	*(const char **)at = arena_strdup(a, s);
	return 0;
}

static int read_whole(const struct field *f, const json_t *v, void *at, struct err *e)
{
	json_int_t n = json_integer_value(v);
	uint64_t whole = (uint64_t)n;

	if (json_is_string(v) ? !parse_u64(json_string_value(v), &whole)
			      : !json_is_integer(v) || n < 0)
		return wrong(f, "whole number of 64 bits", e);
	if ((double)whole < f->lo || (double)whole > f->hi)
		return outside(f, e);
	*(uint64_t *)at = whole;
	return 0;
}

static int read_number(const struct field *f, const json_t *v, void *at, struct err *e)
{
	double x = json_number_value(v);

	if (!json_is_number(v))
		return wrong(f, "number", e);
	if (!(x >= f->lo && x <= f->hi))
		return outside(f, e);
	*(double *)at = x == 0 ? 0 : x; /* without the sign of -0, which no text keeps */
	return 0;
}

static int read_field(
	const struct field *f, const json_t *v, struct arena *a, struct recipe *r, struct err *e)
{
	void *at = (char *)r + f->offset;

	switch (f->kind) {
	case TEXT:
	case NAME:
	case HASH:
		return read_text(f, v, a, at, e);
	case WHOLE:
		return read_whole(f, v, at, e);
	case NUMBER:
		return read_number(f, v, at, e);
	case FLAG:
		if (!json_is_boolean(v))
			return wrong(f, "true or false", e);
		*(bool *)at = json_is_true(v);
		return 0;
	}
	return err_set(e, ERR_BUG, "a field of the recipe has no kind");
}

static int read_fields(const json_t *json, struct arena *a, struct recipe *r, struct err *e)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		const json_t *v = json_object_get(json, f->key);
		int rc = 0;

		if (v && !json_is_null(v))
			rc = read_field(f, v, a, r, e);
		else if (f->flags & REQUIRED)
			rc = err_set(e, ERR_FORMAT,
				"the recipe is incomplete: it lacks \"%s\"; use an undamaged copy",
				f->key);
		if (rc)
			return rc;
	}
	if (!(r->seconds > 0) && !r->frames)
		return err_set(e, ERR_FORMAT,
			"the recipe is incomplete: it lacks \"seconds\"; use an undamaged copy");
	return 0;
}

int recipe_parse(const char *text, struct arena *a, struct recipe *ret, struct err *e)
{
	struct str quoted = {0};
	json_t *json;
	int rc;

	*ret = (struct recipe){.guidance = NAN,
		.sigma_min = NAN,
		.sigma_max = NAN,
		.strength = NAN,
		.temperature = 1,
		.top_k = 250};
	if (strlen(text) > AUDIO_RECIPE_MAX)
		return err_set(e, ERR_FORMAT, "the recipe is longer than %d bytes; no recipe is",
			AUDIO_RECIPE_MAX);
	quote_long_numbers(text, &quoted);
	json = json_loadb(str_get(&quoted), quoted.n, JSON_REJECT_DUPLICATES, NULL);
	str_done(&quoted);
	if (json_is_object(json))
		rc = read_fields(json, a, ret, e);
	else
		rc = err_set(e, ERR_FORMAT,
			"the recipe is damaged: it is no JSON object; use an undamaged copy");
	json_decref(json);
	return rc;
}

/* The text of a file that begins like JSON; NULL otherwise. */
static char *read_plain(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0 &&
		st.st_size <= AUDIO_RECIPE_MAX + 1) { /* and a newline */
		text = xcalloc((size_t)st.st_size + 1, 1);
		n = read(fd, text, (size_t)st.st_size);
		if (n != st.st_size || text[0] != '{' || strlen(text) != (size_t)n) {
			free(text);
			text = NULL;
		} else if (text[n - 1] == '\n') {
			text[n - 1] = '\0';
		}
	}
	if (fd >= 0)
		close(fd);
	return text;
}

int recipe_read(
	const char *path, struct arena *a, struct recipe *ret, const char **ret_text, struct err *e)
{
	char *text = read_plain(path);
	int rc = text ? 0 : audio_read_recipe(path, &text, e);

	if (rc)
		return rc;
	rc = recipe_parse(text, a, ret, e);
	if (rc)
		rc = err_wrap(e, rc, "'%s'", path);
	else if (ret_text)
		*ret_text = arena_strdup(a, text);
	free(text);
	return rc;
}

/* ---- write -------------------------------------------------------------- */

static void write_field(const struct field *f, const struct recipe *r, struct str *out)
{
	const void *at = (const char *)r + f->offset;
	bool always = f->flags & (ALWAYS | SAMPLING);

	switch (f->kind) {
	case TEXT:
	case NAME:
	case HASH:
		if (*(const char *const *)at)
			jsonw_text(out, f->key, *(const char *const *)at);
		return;
	case WHOLE:
		if (always || *(const uint64_t *)at)
			jsonw_u64(out, f->key, *(const uint64_t *)at);
		return;
	case NUMBER:
		if (isfinite(*(const double *)at))
			jsonw_num(out, f->key, *(const double *)at);
		return;
	case FLAG:
		jsonw_bool(out, f->key, *(const bool *)at);
		return;
	}
}

static void write_fields(const struct recipe *r, int flags, struct str *out)
{
	jsonw_begin(out);
	for (size_t i = 0; i < N_FIELDS; i++)
		if ((fields[i].flags & flags) == flags &&
			(!(fields[i].flags & SAMPLING) || !(r->greedy || r->steps)))
			write_field(&fields[i], r, out);
	jsonw_end(out);
}

void recipe_json(const struct recipe *r, struct str *out)
{
	write_fields(r, 0, out);
}

int recipe_options(const struct recipe *r, struct str *out, struct err *e)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		const void *at = (const char *)r + f->offset;

		if (f->kind == NAME && f->flags & ASKED && *(const char *const *)at)
			return err_set(e, ERR_UNSUPPORTED,
				"it was made of '%.80s', and where that lies is not known; name it "
				"with woodshed queue --recipe ... --%s",
				*(const char *const *)at, f->key);
	}
	write_fields(r, ASKED, out);
	return 0;
}

void recipe_comment(const struct recipe *r, struct str *out)
{
	const char *prompt = r->prompt ? r->prompt : "";
	size_t n = strlen(prompt);

	if (n > PROMPT_IN_COMMENT) {
		n = PROMPT_IN_COMMENT;
		while (((unsigned char)prompt[n] & 0xc0) == 0x80) /* whole characters */
			n--;
	}
	str_printf(out, "woodshed %s, %.100s, seed %llu: %.*s", r->version ? r->version : "",
		r->model ? r->model : "", (unsigned long long)r->seed, (int)n, prompt);
	str_sanitize(out->s);
}
