/* The command line of render, the names of its files, its progress line. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <string.h>

#include <jansson.h>

#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/render_options.h"
#include "engine/cli/session.h"
#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/recipe.h"

enum { WORDS_MAX = 20 };

static struct render_options r;
static struct globals g;
static struct err e;
static struct arena words_arena; /* what a recipe's strings live in */

/* words ends with NULL; the strings outlive r. */
static int parse(const char *const *words)
{
	char *argv[WORDS_MAX + 1];
	int n = 0;

	for (; words[n]; n++)
		argv[n] = (char *)words[n];
	g = (struct globals){0};
	e = (struct err){0};
	return render_options_parse(&r, &g, n, argv, &words_arena, &e);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void defaults(void **state)
{
	assert_int_equal(PARSE("slow piano"), 0);
	assert_string_equal(r.prompt, "slow piano");
	assert_int_equal(r.count, 1);
	assert_false(r.has_seed);
	assert_true(isnan(r.cfg));
	assert_true(r.temperature == 1);
	assert_int_equal(r.top_k, 250);
	assert_true(r.top_p == 0);
	assert_string_equal(r.device, "auto");
	assert_string_equal(r.precision, "auto");
	assert_string_equal(r.format, "float");
	assert_null(r.diffusion_only);
	assert_null(r.seconds);
	assert_int_equal(r.threads, 0);
}

static void everything(void **state)
{
	assert_int_equal(PARSE("-m", "small", "-s", "1.1", "-n", "3", "--seed",
				 "18446744073709551613", "--cfg=4.5", "--top-p=0.9", "--json",
				 "--quiet", "-o", "x.wav", "--format", "pcm16", "p"),
		0);
	assert_string_equal(r.model, "small");
	assert_string_equal(r.seconds, "1.1");
	assert_int_equal(r.count, 3);
	assert_true(r.has_seed && r.seed == UINT64_MAX - 2);
	assert_true(r.cfg == 4.5 && r.top_p == 0.9);
	assert_true(r.json && g.quiet);
	assert_string_equal(r.out, "x.wav");
	assert_int_equal(output_format(r.format), AUDIO_PCM16);
}

static void options_of_other_engines_are_noted(void **state)
{
	assert_int_equal(PARSE("--steps", "10", "--negative", "", "p"), 0);
	assert_string_equal(r.diffusion_only, "negative");
	assert_string_equal(r.negative, "");
	assert_int_equal(PARSE("--sampler", "dpm", "p"), 0);
	assert_string_equal(r.diffusion_only, "sampler");
	assert_int_equal(PARSE("--noise", "x.safetensors", "p"), 0);
	assert_string_equal(r.diffusion_only, "noise");
	assert_null(r.stable_audio_only);
	assert_int_equal(PARSE("--sigma-max", "80", "--rank", "p"), 0);
	assert_string_equal(r.stable_audio_only, "sigma-max");
	assert_true(r.rank);
}

static void help_needs_no_prompt(void **state)
{
	assert_int_equal(PARSE("--help"), 0);
	assert_true(g.help);
}

static void wrong_words(void **state)
{
	static const struct {
		const char *words[6], *part;
	} cases[] = {
		{{"--greedy"}, "render needs a prompt"},
		{{"slow", "piano"}, "got also 'piano'; put the prompt in quotes"},
		{{"--seconds", "0", "p"}, "--seconds"},
		{{"--seconds", "-1", "p"}, "--seconds"},
		{{"--seconds", "1e3", "p"}, "--seconds"},
		{{"--seconds", "", "p"}, "--seconds"},
		{{"--seconds", "99999999999999999999999999", "p"}, "--seconds"},
		{{"--count", "0", "p"}, "from 1 to 256"},
		{{"--count", "257", "p"}, "from 1 to 256"},
		{{"--seed", "-1", "p"}, "not '-1'"},
		{{"--seed", "18446744073709551615", "--count", "2", "p"}, "leaves 64 bits"},
		{{"--temperature", "0", "p"}, "from 0.001 to 1000"},
		{{"--top-p", "1.1", "p"}, "from 0 to 1"},
		{{"--cfg", "-1", "p"}, "from 0 to 1000"},
		{{"--threads", "0", "p"}, "from 1 to 256"},
		{{"--device", "gpu", "p"}, "takes auto|cpu|cuda"},
		{{"--precision", "f16", "p"}, "takes auto|f32|bf16|int8"},
		{{"--format", "pcm8", "p"}, "takes float|pcm24|pcm16"},
		{{"--format", "pcm16", "p"}, "--format belongs to --out"},
		{{"--out", "", "p"}, "--out needs a file name"},
		{{"--out", "dir.d/x.MP3", "p"}, "name it 'dir.d/x.wav'"},
		{{"--tmeperature", "1", "p"}, "did you mean --temperature?"},
		{{"\xff\xfe"}, "not valid UTF-8"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(parse(cases[i].words), ERR_ARG);
		assert_error(e, ERR_ARG, cases[i].part);
	}
}

/* The recipe must hold the prompt, whatever it is made of. */
static void long_prompts(void **state)
{
	static char prompt[30000];

	memset(prompt, 'a', sizeof(prompt) - 1);
	assert_int_equal(PARSE(prompt), ERR_ARG);
	assert_error(e, ERR_ARG, "6001 too many");
	prompt[23998] = 0;
	assert_int_equal(PARSE(prompt), 0);
	memset(prompt, '\001', 5000);
	prompt[5000] = 0;
	assert_int_equal(PARSE(prompt), ERR_ARG);
}

/* It must hold the other one, too. */
static void negative_prompts(void **state)
{
	static char half[12001];

	memset(half, 'a', sizeof(half) - 1);
	assert_int_equal(PARSE("--negative", half, half), ERR_ARG);
	assert_error(e, ERR_ARG, "the prompt and the negative prompt take 24004 bytes");
	half[11998] = 0;
	assert_int_equal(PARSE("--negative", half, half), 0);
	assert_int_equal(PARSE("--negative", "\xff\xfe", "p"), ERR_ARG);
	assert_error(e, ERR_ARG, "the negative prompt is not valid UTF-8");
}

static void file_names(void **state)
{
	struct arena a = {0};

	assert_string_equal(output_name("x.wav", 0, 1, &a), "x.wav");
	assert_string_equal(output_name("d.e/x.wav", 0, 2, &a), "d.e/x-1.wav");
	assert_string_equal(output_name("x.WAV", 11, 12, &a), "x-12.WAV");
	assert_string_equal(output_name("x", 1, 2, &a), "x-2");
	assert_string_equal(output_name("d/.wav", 1, 2, &a), "d/.wav-2");
	assert_string_equal(output_name(".wav", 1, 2, &a), ".wav-2");
	arena_done(&a);
}

static void targets(void **state)
{
	const char *file = scratch_path(state, "x.wav");
	const struct environment env = {0};

	g = (struct globals){0};
	e = (struct err){0};
	assert_int_equal(output_check(&g, &env, file, 1000, &e), 0);
	assert_int_equal(scratch_count(*state), 0);
	assert_int_equal(output_check(&g, &env, file, UINT64_MAX / 2, &e), ERR_IO);
	assert_error(e, ERR_IO, "free some or choose another folder");
	e = (struct err){0};
	assert_int_equal(output_check(&g, &env, *state, 0, &e), ERR_IO);
	e = (struct err){0};
	assert_int_equal(output_check(&g, &env, scratch_path(state, "none/x.wav"), 0, &e), ERR_IO);
	e = (struct err){0};
	assert_int_equal(output_check(&g, &env, "/dev/null", 0, &e), ERR_IO);
	assert_int_equal(scratch_count(*state), 0);
}

static const struct engine_info info = {
	.engine = "musicgen",
	.precision = "f32",
	.device = "cpu",
	.model_hash = "abc",
	.rate = 32000,
	.channels = 2,
	.frame_samples = 640,
	.default_guidance = 3,
};

static struct session some_session(void)
{
	return (struct session){.o = r, .info = &info, .model = {.name = "small"}, .n_frames = 55};
}

static void recipes(void **state)
{
	static float samples[2];
	struct session session;
	struct recipe recipe;
	struct str json = {0};
	json_t *o;

	assert_int_equal(PARSE("--top-k", "0", "--continue", "dir/in.wav", "a \"b\""), 0);
	session = some_session();
	session_recipe(&session, UINT64_MAX, &recipe);
	recipe_json(&recipe, &json);
	assert_non_null(strstr(json.s, "\"seed\": 18446744073709551615"));
	o = json_loads(json.s, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "prompt")), "a \"b\"");
	assert_true(json_real_value(json_object_get(o, "seconds")) == 1.1);
	assert_true(json_real_value(json_object_get(o, "frames")) == 55);
	assert_true(json_real_value(json_object_get(o, "top_k")) == 0);
	assert_true(json_real_value(json_object_get(o, "cfg")) == 3);
	assert_null(json_object_get(o, "continue"));
	json_decref(o);
	str_clear(&json);

	session.continued = (struct audio){.samples = samples, .n_frames = 1, .channels = 2};
	strcpy(session.continued_sha256, "af55");
	session_recipe(&session, 1, &recipe);
	recipe_json(&recipe, &json);
	o = json_loads(json.s, JSON_DECODE_INT_AS_REAL, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "continue")), "in.wav");
	assert_string_equal(json_string_value(json_object_get(o, "continue_sha256")), "af55");
	json_decref(o);
	str_done(&json);
}

/* The longest prompt in the longest spelling still makes a valid recipe. */
static void recipe_limits(void **state)
{
	static char prompt[24000];
	struct str json = {0}, comment = {0};
	struct session session;
	struct recipe recipe;

	memset(prompt, '\302', sizeof(prompt));
	for (size_t i = 1; i < sizeof(prompt); i += 2)
		prompt[i] = '\251';
	prompt[23998] = 0;
	assert_int_equal(PARSE(prompt), 0);
	session = some_session();
	session_recipe(&session, UINT64_MAX, &recipe);
	recipe_json(&recipe, &json);
	assert_true(json.n <= AUDIO_RECIPE_MAX);
	recipe_comment(&recipe, &comment);
	assert_true(comment.n <= AUDIO_COMMENT_MAX);
	assert_true(is_utf8(comment.s, comment.n));
	str_done(&json);
	str_done(&comment);
}

/* Columns of text without its colours. */
static int columns(const struct str *s)
{
	int n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->s[i] == '\033')
			i += strcspn(s->s + i, "m");
		else
			n += ((unsigned char)s->s[i] & 0xc0) != 0x80;
	}
	return n;
}

static void progress_lines(void **state)
{
	const struct progress_view v = {
		.stage = "render", .done = 25, .total = 100, .per_s = 12.34, .left_s = 83};
	struct str s = {0};

	progress_format(&s, &v, 60, false, false);
	assert_string_equal(s.s, "render ######................  25 %  12.3 steps/s  1:23 left");
	str_clear(&s);
	progress_format(
		&s, &(struct progress_view){.stage = "load", .left_s = NAN}, 60, false, false);
	assert_string_equal(s.s, "load ");
	str_clear(&s);
	progress_format(&s,
		&(struct progress_view){.stage = "decode", .done = 9, .total = 3, .left_s = 3723},
		80, true, true);
	assert_non_null(strstr(s.s, " 100 %  1:02:03 left"));
	for (int width = 1; width < 120; width++) {
		for (int i = 0; i < 4; i++) {
			str_clear(&s);
			progress_format(&s, &v, width, i & 1, i & 2);
			assert_true(columns(&s) <= width);
		}
	}
	str_done(&s);
}

/* Steps of each take, in batches of 8, 8 and 4, and steps that a batch takes together. */
static void progress_of_batches(void **state)
{
	struct progress p = {.kind = PROGRESS_PLAIN, .n_takes = 20};
	uint64_t last[2] = {0, 0};

	p.stage[ENGINE_STAGE_RENDER].begun = p.stage[ENGINE_STAGE_DECODE].begun = true;
	for (uint64_t n; p.n_before < p.n_takes; p.n_before += n) {
		n = p.n_batch = p.n_takes - p.n_before < 8 ? p.n_takes - p.n_before : 8;
		for (uint64_t i = 0; i <= n * 15; i++) {
			progress_update(&p, ENGINE_STAGE_DECODE, i, n * 15);
			assert_int_equal(p.stage[ENGINE_STAGE_DECODE].total, 20 * 15);
			assert_int_equal(p.stage[ENGINE_STAGE_DECODE].done, p.n_before * 15 + i);
		}
		for (uint64_t i = 0; i <= 50; i++) {
			progress_update(&p, ENGINE_STAGE_RENDER, i, 50);
			assert_int_equal(p.stage[ENGINE_STAGE_RENDER].total, 125);
			last[0] = last[1];
			last[1] = p.stage[ENGINE_STAGE_RENDER].done;
			assert_true(last[1] >= last[0]);
		}
	}
	assert_int_equal(last[1], 125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(options_of_other_engines_are_noted),
		cmocka_unit_test(help_needs_no_prompt),
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(long_prompts),
		cmocka_unit_test(negative_prompts),
		cmocka_unit_test(file_names),
		cmocka_unit_test_setup_teardown(targets, scratch_open, scratch_close),
		cmocka_unit_test(recipes),
		cmocka_unit_test(recipe_limits),
		cmocka_unit_test(progress_lines),
		cmocka_unit_test(progress_of_batches),
	};
	return RUN_TAP(tests);
}
