/* What the models of a race are told. */
#include "tui/race.h"

#include <string.h>

#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/parameters.h"
#include "tests/unit/scratch.h"

static const struct parameter tokens[] = {
	{"cfg", "Guidance", "", PARAMETER_NUMBER, 0, 100, "", "", ""},
	{"temperature", "Temperature", "", PARAMETER_NUMBER, 0, 10, "1", "", ""},
	{"greedy", "Greedy", "", PARAMETER_FLAG, 0, 0, "no", "", ""},
	{"top_p", "Top p", "", PARAMETER_NUMBER, 0, 1, "0 (off)", "", ""},
};
static const struct parameter steps[] = {
	{"negative", "Negative", "", PARAMETER_PROMPT, 0, 0, "", "", ""},
	{"steps", "Steps", "", PARAMETER_WHOLE, 1, 1000, "", "", ""},
	{"cfg", "Guidance", "", PARAMETER_NUMBER, 0, 100, "", "", ""},
	{"sampler", "Sampler", "", PARAMETER_TEXT, 0, 0, "", "", ""},
	{"init", "Begin with", "", PARAMETER_FILE, 0, 0, "", "", ""},
};
static const struct engine_parameters token_engine = {"tokens", true, true, tokens, 4},
				      step_engine = {"steps", true, false, steps, 5},
				      other_engine = {"others", true, false, steps, 5},
				      no_engine = {"", false, true, NULL, 0};

static void is(const char *options, const struct engine_parameters *from,
	const struct engine_parameters *to, const char *want)
{
	struct arena a = {0};

	assert_string_equal(race_options(options, from, to, &a), want);
	arena_done(&a);
}

static void options(void **state)
{
	const char *set = "{\"steps\":8,\"cfg\":5.5,\"sampler\":\"ddim\",\"init\":\"/a.wav\","
			  "\"threads\":2,\"model_hash\":\"x\"}";

	is(set, &step_engine, &step_engine,
		"{\"cfg\":5.5,\"init\":\"/a.wav\",\"sampler\":\"ddim\",\"steps\":8}");
	is(set, &step_engine, &other_engine, "{\"cfg\":5.5,\"steps\":8}");
	is(set, &step_engine, &token_engine, "{\"cfg\":5.5}");
	is(set, &no_engine, &step_engine, "{}"); /* nobody knows what they mean */
	/* What is so by itself was not set. */
	is("{\"greedy\":false,\"temperature\":1.0,\"cfg\":2}", &token_engine, &token_engine,
		"{\"cfg\":2}");
	is("{\"top_p\":0}", &token_engine, &token_engine, "{}");
	is("{\"top_p\":0.5}", &token_engine, &token_engine, "{\"top_p\":0.5}");
	is("[1]", &step_engine, &step_engine, "{}");
	is(NULL, &step_engine, &step_engine, "{}");
}

static void told(void **state)
{
	const struct race_told lanes[] = {{"{\"cfg\":5.5,\"steps\":8,\"top_k\":9}", "noise"},
		{"{\"cfg\":5.5}", NULL}, {"{}", ""}};
	struct str text = {0};

	race_settings(lanes, 3, &text);
	assert_non_null(strstr(str_get(&text), "cfg 5.5"));
	assert_non_null(strstr(str_get(&text), "top k 9"));
	assert_null(strstr(str_get(&text), "negative"));
	str_clear(&text);
	race_lacks(lanes, 3, 0, &text);
	assert_string_equal(str_get(&text), "");
	race_lacks(lanes, 2, 1, &text);
	assert_non_null(strstr(str_get(&text), "steps"));
	assert_non_null(strstr(str_get(&text), "top k"));
	assert_non_null(strstr(str_get(&text), "negative"));
	assert_null(strstr(str_get(&text), "cfg"));
	str_clear(&text);
	race_lacks(lanes, 3, 2, &text); /* an empty one is one */
	assert_null(strstr(str_get(&text), "negative"));
	str_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(told),
	};

	return RUN_TAP(tests);
}
