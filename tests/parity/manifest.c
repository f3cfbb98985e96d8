#include "tests/parity/manifest.h"

double number(const json_t *o, const char *key, double otherwise)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}
