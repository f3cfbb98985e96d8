/* The command line of `render`. */
#include "engine/cli/render_options.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/recipe.h"

enum {
	COUNT_MAX = 256,
	THREADS_MAX = 256,
	/* As JSON, with the negative prompt.  Leaves room for the parameters in the recipe of 32
	 * KB; the text encoders read about a tenth of it. */
	PROMPT_MAX = 24000,
};

#define FIELD(f) offsetof(struct render_options, f)

const struct option_spec render_option_specs[] = {
	{"model", 'm', OPTION_TEXT, "NAME|DIR",
		"an installed model, or a folder in Hugging Face layout", FIELD(model), 0, 0},
	{"seconds", 's', OPTION_TEXT, "S",
		"length, a continued prompt included (default: the model's)", FIELD(seconds), 0, 0},
	{"count", 'n', OPTION_WHOLE, "N", "takes, with seeds SEED, SEED+1, ... (default 1)",
		FIELD(count), 1, COUNT_MAX},
	{"seed", 0, OPTION_WHOLE, "N", "64 bits (default: random, printed and stored)", FIELD(seed),
		0, 0},
	{"cfg", 0, OPTION_NUMBER, "X", "guidance scale; up to 1 is none (default: the model's)",
		FIELD(cfg), 0, 1000},
	{"greedy", 0, OPTION_FLAG, NULL, "always the likeliest token instead of sampling",
		FIELD(greedy), 0, 0},
	{"temperature", 0, OPTION_NUMBER, "X", "of sampling (default 1)", FIELD(temperature), 0.001,
		1000},
	{"top-k", 0, OPTION_WHOLE, "N", "sample among the N likeliest; 0 is off (default 250)",
		FIELD(top_k), 0, 1000000},
	{"top-p", 0, OPTION_NUMBER, "X",
		"sample among the likeliest that make up this share; 0 is off (default)",
		FIELD(top_p), 0, 1},
	{"continue", 0, OPTION_TEXT, "FILE", "audio to continue", FIELD(continued), 0, 0},
	{"recipe", 0, OPTION_TEXT, "FILE",
		"as that file was made (WAV, FLAC, or a recipe alone), but for the options given",
		FIELD(recipe), 0, 0},
	{"negative", 0, OPTION_TEXT, "TEXT", "negative prompt (diffusion engines)", FIELD(negative),
		0, 0},
	{"steps", 0, OPTION_WHOLE, "N", "denoising steps (diffusion engines)", FIELD(steps), 1,
		10000},
	{"sampler", 0, OPTION_TEXT, "NAME",
		"diffusion sampler; woodshed(1) lists them (diffusion engines)", FIELD(sampler), 0,
		0},
	{"noise", 0, OPTION_TEXT, "FILE",
		"random draws from a .safetensors file (diffusion engines)", FIELD(noise), 0, 0},
	{"sigma-min", 0, OPTION_NUMBER, "X",
		"noise at which the sampler ends (Stable Audio; default: the model's)",
		FIELD(sigma_min), 1e-4, 1e4},
	{"sigma-max", 0, OPTION_NUMBER, "X", "noise with which it begins", FIELD(sigma_max), 1e-4,
		1e4},
	{"init", 0, OPTION_TEXT, "FILE", "audio to begin with (Stable Audio)", FIELD(init), 0, 0},
	{"strength", 0, OPTION_NUMBER, "X", "noise on --init: 1 leaves nothing of it (default 0.5)",
		FIELD(strength), 0.001, 1},
	{"redo", 0, OPTION_TEXT, "A-B", "make these seconds of --init anew, keep the rest",
		FIELD(redo), 0, 0},
	{"rank", 0, OPTION_FLAG, NULL,
		"score takes by how well they fit the prompt; render shows the best first "
		"(AudioLDM 2)",
		FIELD(rank), 0, 0},
	{"preview", 0, OPTION_WHOLE, "N",
		"every N steps, write what --out would be now to FILE-preview.wav", FIELD(preview),
		0, 10000},
	{"device", 0, OPTION_CHOICE, "auto|cpu|cuda", "where it runs (default auto)", FIELD(device),
		0, 0},
	{"precision", 0, OPTION_CHOICE, "auto|f32|bf16|int8",
		"arithmetic of the large matrices (default auto)", FIELD(precision), 0, 0},
	{"threads", 0, OPTION_WHOLE, "N",
		"processor threads (default: all); the samples do not depend on it", FIELD(threads),
		1, THREADS_MAX},
	{"no-graphs", 0, OPTION_FLAG, NULL,
		"on a GPU, run each step op by op, to look for a fault; the samples do not depend "
		"on it",
		FIELD(no_graphs), 0, 0},
	{"out", 'o', OPTION_TEXT, "FILE.wav",
		"write this file instead of a take in the library; with --count, FILE-1.wav, ...",
		FIELD(out), 0, 0},
	{"format", 0, OPTION_CHOICE, "float|pcm24|pcm16", "sample format of --out (default float)",
		FIELD(format), 0, 0},
	{"json", 0, OPTION_FLAG, NULL, "progress and results on stdout, one JSON object a line",
		FIELD(json), 0, 0},
	{0},
};

static const char *const diffusion_options[] = {"negative", "steps", "sampler", "noise",
	"sigma-min", "sigma-max", "init", "strength", "redo", "preview", "rank", NULL};
static const char *const stable_audio_options[] = {
	"sigma-min", "sigma-max", "init", "strength", "redo", NULL};
static const char *const token_options[] = {
	"greedy", "temperature", "top-k", "top-p", "continue", NULL};

static int check_text(const char *what, const char *text, size_t *ret_bytes, struct err *e)
{
	struct str json = {0};

	if (!is_utf8(text, strlen(text)))
		return err_set(e, ERR_ARG,
			"the %s is not valid UTF-8; retype it in a UTF-8 terminal or convert it",
			what);
	jsonw_string(&json, text);
	*ret_bytes = json.n;
	str_done(&json);
	return 0;
}

int render_options_check_prompt(const char *prompt, const char *negative, struct err *e)
{
	size_t n = 0, n_negative = 0;
	int rc = check_text("prompt", prompt, &n, e);

	if (!rc && negative)
		rc = check_text("negative prompt", negative, &n_negative, e);
	n += n_negative;
	if (rc || n <= PROMPT_MAX)
		return rc;
	return err_set(e, ERR_ARG,
		"the prompt%s %zu bytes of at most %d, %zu too many; shorten it: a model reads the "
		"first few hundred words",
		negative ? " and the negative prompt take" : " takes", n, PROMPT_MAX,
		n - PROMPT_MAX);
}

static int check_out(
	const struct render_options *r, const struct option_group *given, struct err *e)
{
	static const char *const other[] = {
		".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff", ".m4a"};
	const char *dot = r->out ? strrchr(r->out, '.') : NULL;

	if (r->out && !*r->out)
		return err_set(e, ERR_ARG, "--out needs a file name");
	if (!r->out && options_given(given, "format"))
		return err_set(e, ERR_ARG,
			"--format belongs to --out; takes in the library are always float");
	for (size_t i = 0; dot && i < sizeof(other) / sizeof(*other); i++)
		if (!strcasecmp(dot, other[i]))
			return err_set(e, ERR_ARG, "--out writes WAV files; name it '%.*s.wav'",
				(int)(dot - r->out), r->out);
	return 0;
}

int render_options_parse_redo(struct render_options *r, struct err *e)
{
	if (!r->redo)
		return 0;
	if (parse_span(r->redo, &r->redo_from, &r->redo_to) && r->redo_to <= 24 * 3600)
		return 0;
	return err_set(e, ERR_ARG,
		"--redo '%.40s' is no part of a file; give its first and last second, such as "
		"4.5-6",
		r->redo);
}

static int check_diffusion(struct render_options *r, struct err *e)
{
	int rc = render_options_parse_redo(r, e);

	if (rc)
		return rc;
	if (!r->init && (r->redo || r->strength > 0))
		return err_set(e, ERR_ARG, "--%s belongs to --init: name the audio with it",
			r->redo ? "redo" : "strength");
	if (r->redo && r->strength > 0)
		return err_set(e, ERR_ARG,
			"--redo makes its part from nothing, so --strength has no meaning; leave "
			"one out");
	if (r->preview && !r->out)
		return err_set(e, ERR_ARG, "--preview belongs to --out: it is written beside it");
	if (r->noise && r->count > 1)
		return err_set(e, ERR_ARG, "--noise makes one take; leave out --count");
	return 0;
}

/* What needs more than one option to judge, or more than its number. */
static int check(struct render_options *r, const struct option_group *given, struct err *e)
{
	/* Any model's answer does: only the text matters here. */
	const struct engine_info any = {.rate = 32000, .frame_samples = 640};
	int64_t frames;
	int rc = 0;

	if (r->seconds)
		rc = engine_frames(&any, r->seconds, &frames, e);
	if (rc)
		return err_wrap(e, rc, "--seconds");
	if (r->has_seed && r->seed > UINT64_MAX - (r->count - 1))
		return err_set(e, ERR_ARG,
			"--seed %llu with --count %llu leaves 64 bits; use a smaller seed",
			(unsigned long long)r->seed, (unsigned long long)r->count);
	rc = check_out(r, given, e);
	if (!rc)
		rc = check_diffusion(r, e);
	if (rc)
		return rc;
	return render_options_check_prompt(r->prompt, r->negative, e);
}

/* ---- the recipe --------------------------------------------------------- */

static bool is_choice(const char *choices, const char *word)
{
	size_t n = strlen(word);
	const char *at = choices;

	for (; at; at = strchr(at, '|')) {
		at += *at == '|';
		if (n && !strncmp(at, word, n) && (!at[n] || at[n] == '|'))
			return true;
	}
	return false;
}

/* *field becomes the recipe's word for the option, which must be one of its choices. */
static int take_choice(const char **field, const char *name, const char *word, struct err *e)
{
	const struct option_spec *spec = render_option_specs;

	while (strcmp(spec->name, name))
		spec++;
	if (!word)
		return 0;
	if (!is_choice(spec->value, word))
		return err_set(e, ERR_UNSUPPORTED,
			"the recipe wants the %s '%.40s', which this version does not have; give "
			"--%s %s",
			name, word, name, spec->value);
	*field = word;
	return 0;
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* The recipe knows the name of a file, not its place: beside the recipe, or here.  Whether
 * it is needed is known with the engine. */
static void find_file(
	struct render_options *r, const char *name, const char **field, bool *lost, struct arena *a)
{
	const char *slash = strrchr(r->recipe, '/');

	if (!name)
		return;
	if (slash)
		*field = arena_printf(a, "%.*s/%s", (int)(slash - r->recipe), r->recipe, name);
	if (!slash || !exists(*field))
		*field = name;
	*lost = !exists(*field);
}

/* How tokens are drawn; an option for it ends a recipe's --greedy. */
static void take_sampling(
	struct render_options *r, const struct option_group *given, const struct recipe *recipe)
{
	bool temperature = options_given(given, "temperature"),
	     top_k = options_given(given, "top-k"), top_p = options_given(given, "top-p");

	if (!options_given(given, "greedy"))
		r->greedy = recipe->greedy && !temperature && !top_k && !top_p;
	if (!temperature)
		r->temperature = recipe->temperature;
	if (!top_k)
		r->top_k = recipe->top_k;
	if (!top_p)
		r->top_p = recipe->top_p;
}

/* What a recipe does not tell is 0 among options. */
static double or_none(double x)
{
	return isnan(x) ? 0 : x;
}

static void take_diffusion(struct render_options *r, const struct option_group *given,
	const struct recipe *recipe, struct arena *a)
{
	const bool other_model = options_given(given, "model");

	if (!options_given(given, "negative"))
		r->negative = recipe->negative;
	if (!options_given(given, "steps"))
		r->steps = recipe->steps;
	r->recipe_sampler = !options_given(given, "sampler");
	if (r->recipe_sampler)
		r->sampler = recipe->sampler;
	if (!options_given(given, "sigma-min"))
		r->sigma_min = or_none(recipe->sigma_min);
	if (!options_given(given, "sigma-max"))
		r->sigma_max = or_none(recipe->sigma_max);
	if (!options_given(given, "strength") && !options_given(given, "redo")) {
		r->strength = or_none(recipe->strength);
		r->redo = recipe->redo;
	}
	if (!options_given(given, "init")) {
		r->init_sha256 = other_model ? NULL : recipe->init_sha256;
		find_file(r, recipe->init, &r->init, &r->init_lost, a);
	}
	r->recipe_noise = !options_given(given, "noise");
	if (r->recipe_noise) {
		r->noise_sha256 = recipe->noise_sha256;
		find_file(r, recipe->noise, &r->noise, &r->noise_lost, a);
	}
}

int render_options_recipe(
	struct render_options *r, const struct option_group *given, struct arena *a, struct err *e)
{
	struct recipe recipe;
	int rc = recipe_read(r->recipe, a, &recipe, NULL, e);

	if (rc)
		return rc;
	r->recipe_engine = recipe.engine;
	if (!r->prompt)
		r->prompt = recipe.prompt;
	if (!options_given(given, "model")) {
		r->model = recipe.model;
		r->model_hash = recipe.model_hash;
		r->weights_sha256 = recipe.weights_sha256;
	}
	if (!options_given(given, "seconds")) {
		r->length_s = recipe.seconds;
		r->frames = recipe.frames;
	}
	if (!options_given(given, "seed")) {
		r->seed = recipe.seed;
		r->has_seed = true;
	}
	if (!options_given(given, "cfg"))
		r->cfg = recipe.guidance;
	take_sampling(r, given, &recipe);
	take_diffusion(r, given, &recipe, a);
	if (!options_given(given, "continue")) {
		/* at another model's rate it has other samples */
		r->continued_sha256 =
			options_given(given, "model") ? NULL : recipe.continued_sha256;
		find_file(r, recipe.continued, &r->continued, &r->continued_lost, a);
	}
	if (!options_given(given, "precision"))
		rc = take_choice(&r->precision, "precision", recipe.precision, e);
	if (!rc && !options_given(given, "device"))
		rc = take_choice(&r->device, "device", recipe.device, e);
	return rc;
}

/* ---- the engine --------------------------------------------------------- */

static void drop_tokens(struct render_options *r)
{
	struct render_options defaults;

	render_options_init(&defaults);
	r->greedy = false;
	r->temperature = defaults.temperature;
	r->top_k = defaults.top_k;
	r->top_p = defaults.top_p;
	r->continued = r->continued_sha256 = NULL;
	r->continued_lost = false;
}

static void drop_noise(struct render_options *r)
{
	r->noise = r->noise_sha256 = NULL;
	r->noise_lost = false;
}

static void drop_stable_audio(struct render_options *r)
{
	r->sigma_min = r->sigma_max = r->strength = r->redo_from = r->redo_to = 0;
	r->init = r->init_sha256 = r->redo = NULL;
	r->init_lost = false;
}

static void drop_diffusion(struct render_options *r)
{
	r->negative = r->sampler = NULL;
	r->steps = 0;
	drop_noise(r);
	drop_stable_audio(r);
}

static int check_found(const struct render_options *r, bool lost, const char *option,
	const char *name, struct err *e)
{
	if (!lost)
		return 0;
	return err_set(e, ERR_IO,
		"the recipe takes '%.200s', which is neither beside '%.200s' nor here; name it "
		"with --%s",
		name, r->recipe, option);
}

int render_options_fit(struct render_options *r, const char *engine, struct err *e)
{
	const bool is_other = r->recipe_engine && strcmp(r->recipe_engine, engine) != 0;
	int rc;

	if (is_other && r->recipe_sampler)
		r->sampler = NULL;
	if (is_other && r->recipe_noise)
		drop_noise(r);
	if (!strcmp(engine, "musicgen"))
		drop_diffusion(r);
	else
		drop_tokens(r);
	if (strcmp(engine, "stable-audio") != 0)
		drop_stable_audio(r);
	rc = check_found(r, r->continued_lost, "continue", r->continued, e);
	if (!rc)
		rc = check_found(r, r->init_lost, "init", r->init, e);
	return rc ? rc : check_found(r, r->noise_lost, "noise", r->noise, e);
}

/* ---- the words ---------------------------------------------------------- */

int render_options_draw_seed(struct render_options *r, struct err *e)
{
	if (r->has_seed)
		return 0;
	if (getrandom(&r->seed, sizeof(r->seed), 0) != sizeof(r->seed))
		return err_errno(e, errno, "cannot draw a random seed; give one with --seed");
	r->seed >>= 11;
	if (r->seed > r->count)
		r->seed -= r->count;
	return 0;
}

void render_options_init(struct render_options *r)
{
	*r = (struct render_options){.count = 1,
		.cfg = NAN,
		.temperature = 1,
		.top_k = 250,
		.device = "auto",
		.precision = "auto",
		.format = "float"};
}

static const char *first_given(const struct option_group *given, const char *const *names)
{
	while (*names && !options_given(given, *names))
		names++;
	return *names;
}

int render_options_finish(
	struct render_options *r, const struct option_group *given, struct arena *a, struct err *e)
{
	int rc = 0;

	r->has_seed = options_given(given, "seed");
	if (!r->diffusion_only)
		r->diffusion_only = first_given(given, diffusion_options);
	r->stable_audio_only = first_given(given, stable_audio_options);
	r->tokens_only = first_given(given, token_options);
	if (r->recipe)
		rc = render_options_recipe(r, given, a, e);
	return rc ? rc : check(r, given, e);
}

int render_options_parse(struct render_options *r, struct globals *globals, int argc, char **argv,
	struct arena *a, struct err *e)
{
	struct options o = {
		.group = {{.specs = render_option_specs, .values = r},
			{.specs = globals_options, .values = globals}},
		.argc = argc,
		.argv = argv,
	};
	int rc;

	render_options_init(r);
	rc = options_parse(&o, e);
	if (rc || globals->help || globals->version)
		return rc;
	if (o.argc < 1 && !r->recipe)
		return err_set(e, ERR_ARG, "render needs a prompt: woodshed render \"slow piano\"");
	if (o.argc > 1)
		return err_set(e, ERR_ARG,
			"render takes one prompt, but got also '%.80s'; put the prompt in quotes",
			o.argv[1]);
	r->prompt = o.argc ? o.argv[0] : NULL;
	return render_options_finish(r, &o.group[0], a, e);
}
