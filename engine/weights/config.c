/* config.json: values by path, with bounds. */
#include "engine/weights/config.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/jsonread.h"
#include "library/base/arena.h"
#include "library/base/err.h"

struct config {
	char *name; /* for messages; owned */
	json_t *root;
	struct err failure; /* the first */
};

int config_open(const char *path, struct config **ret, struct err *e)
{
	const char *slash = strrchr(path, '/');
	json_t *root;

	*ret = NULL;
	int rc = jsonread_file(path, slash ? slash + 1 : path, &root, e);
	if (rc)
		return rc;
	struct config *c = xcalloc(1, sizeof(*c));
	c->name = xstrdup(slash ? slash + 1 : path);
	c->root = root;
	*ret = c;
	return 0;
}

void config_close(struct config *c)
{
	if (!c)
		return;
	json_decref(c->root);
	free(c->name);
	free(c);
}

/* The value at "a.b.c" ("a.0": the first of a list), or NULL when it is absent or null. */
static const json_t *find(const struct config *c, const char *path)
{
	const json_t *v = c->root;
	char key[128];

	for (;;) {
		size_t n = strcspn(path, ".");
		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		v = json_is_array(v) ? json_array_get(v, strtoul(key, NULL, 10))
				     : json_object_get(v, key);
		if (!path[n])
			break;
		path += n + 1;
	}
	return json_is_null(v) ? NULL : v;
}

/* The value as the file has it, shortened. */
static const char *show(const json_t *v, char out[64])
{
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

	snprintf(out, 64, "%.40s%s", text ? text : "?", text && strlen(text) > 40 ? "..." : "");
	free(text);
	return out;
}

static void fail(struct config *c, const char *path, const json_t *v, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void fail(struct config *c, const char *path, const json_t *v, const char *fmt, ...)
{
	char expected[200], value[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(expected, sizeof(expected), fmt, ap);
	va_end(ap);
	if (v)
		err_set(&c->failure, ERR_FORMAT,
			"'%s': %s is %s, expected %s: the file is damaged or of a model that is "
			"not known here",
			c->name, path, show(v, value), expected);
	else
		err_set(&c->failure, ERR_FORMAT,
			"'%s': %s is missing, expected %s: the file is damaged or of a model that "
			"is not known here",
			c->name, path, expected);
}

int64_t config_int(struct config *c, const char *path, int64_t fallback, int64_t lo, int64_t hi)
{
	const bool is_required = fallback == CONFIG_REQUIRED;
	const json_t *v = find(c, path);

	if (!v && !is_required)
		return fallback;
	if (v && json_is_integer(v) && json_integer_value(v) >= lo && json_integer_value(v) <= hi)
		return json_integer_value(v);
	fail(c, path, v, "a whole number from %lld to %lld", (long long)lo, (long long)hi);
	return is_required ? lo : fallback;
}

double config_num(struct config *c, const char *path, double fallback, double lo, double hi)
{
	const bool is_required = isnan(fallback);
	const json_t *v = find(c, path);

	if (!v && !is_required)
		return fallback;
	if (v && json_is_number(v) && json_number_value(v) >= lo && json_number_value(v) <= hi)
		return json_number_value(v);
	fail(c, path, v, "a number from %g to %g", lo, hi);
	return is_required ? lo : fallback;
}

bool config_bool(struct config *c, const char *path, bool fallback)
{
	const json_t *v = find(c, path);

	if (v && json_is_boolean(v))
		return json_is_true(v);
	if (v)
		fail(c, path, v, "true or false");
	return fallback;
}

const char *config_str(struct config *c, const char *path, const char *fallback)
{
	const json_t *v = find(c, path);

	if (v && json_is_string(v))
		return json_string_value(v);
	if (v || !fallback)
		fail(c, path, v, "a text");
	return fallback ? fallback : "";
}

int config_ints(struct config *c, const char *path, bool required, int64_t *ret, int max,
	int64_t lo, int64_t hi)
{
	const json_t *v = find(c, path), *item;
	const size_t n = json_array_size(v);
	size_t i;

	if (!v && !required)
		return 0;
	if (!json_is_array(v) || n > (size_t)max)
		goto bad;
	json_array_foreach(v, i, item)
	{
		const json_int_t value = json_integer_value(item);
		if (!json_is_integer(item) || value < lo || value > hi)
			goto bad;
	}
	json_array_foreach(v, i, item) ret[i] = json_integer_value(item);
	return (int)n;
bad:
	fail(c, path, v, "a list of at most %d whole numbers from %lld to %lld", max, (long long)lo,
		(long long)hi);
	return 0;
}

int config_length(struct config *c, const char *path)
{
	const json_t *v = find(c, path);

	return json_is_array(v) && json_array_size(v) <= INT_MAX ? (int)json_array_size(v) : -1;
}

bool config_has(struct config *c, const char *path)
{
	return find(c, path);
}

void config_require(struct config *c, bool ok, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (ok)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&c->failure, ERR_FORMAT,
		"'%s': %s: the file is damaged or of a model that is not known here", c->name,
		text);
}

int config_check(struct config *c, struct err *e)
{
	if (!c->failure.code)
		return 0;
	return err_set(e, c->failure.code, "%s", c->failure.text);
}
