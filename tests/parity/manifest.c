#include "tests/parity/manifest.h"

#include <string.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "library/base/str.h"

double number(const json_t *o, const char *key, double otherwise)
{
	const json_t *v = json_object_get(o, key);

	return json_is_number(v) ? json_number_value(v) : otherwise;
}

const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

int manifest_open(const char *base, json_t **ret, struct ckpt **ret_tensors, struct err *e)
{
	struct str path = {0};
	json_error_t why;

	str_printf(&path, "%s.json", base);
	*ret = json_load_file(str_get(&path), JSON_REJECT_DUPLICATES, &why);
	str_clear(&path);
	str_printf(&path, "%s.safetensors", base);
	int rc = *ret ? ckpt_open_file(str_get(&path), ret_tensors, e)
		      : err_set(e, ERR_FORMAT, "%s: %s", base, why.text);
	str_done(&path);
	return rc;
}

const json_t *manifest_run(const json_t *manifest, const char *name)
{
	const json_t *run;
	size_t i;

	json_array_foreach(json_object_get(manifest, "runs"), i, run)
	{
		if (!strcmp(text(run, "name"), name))
			return run;
	}
	return NULL;
}
