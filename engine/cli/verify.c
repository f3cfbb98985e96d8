/* woodshed recipe --verify: a file is made again from its recipe and compared
 * bit for bit.
 *
 * Bits can be expected to agree where model, precision and class of device are
 * the same; with others the comparison is made all the same and says so.  A
 * file of integers is compared with what its writer would make of the new
 * samples. */
#include "engine/cli/verbs.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/print.h"
#include "engine/cli/session.h"
#include "engine/cli/stop.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/globals.h"
#include "library/recipe.h"

struct verify_options {
	struct render_options render; /* filled from the recipe */
	bool verify;
};

#define FIELD(f) offsetof(struct verify_options, f)

static const struct option_spec verify_specs[] = {
	{"verify", 0, OPTION_FLAG, NULL, "make the file again and compare the samples",
		FIELD(verify), 0, 0},
	{"model", 'm', OPTION_TEXT, "NAME|DIR", "where the model is (default: by its name)",
		FIELD(render.model), 0, 0},
	{"continue", 0, OPTION_TEXT, "FILE",
		"where the audio is that the take continues (default: beside it)",
		FIELD(render.continued), 0, 0},
	{"init", 0, OPTION_TEXT, "FILE", "where the audio is that the take began with",
		FIELD(render.init), 0, 0},
	{"noise", 0, OPTION_TEXT, "FILE", "where the take's random draws are", FIELD(render.noise),
		0, 0},
	{"device", 0, OPTION_CHOICE, "auto|cpu|cuda", "another device (default: the recipe's)",
		FIELD(render.device), 0, 0},
	{"precision", 0, OPTION_CHOICE, "auto|f32|bf16|int8",
		"another precision (default: the recipe's)", FIELD(render.precision), 0, 0},
	{"threads", 0, OPTION_WHOLE, "N", "processor threads (default: all)", FIELD(render.threads),
		1, 256},
	{"json", 0, OPTION_FLAG, NULL, "progress and the result as one JSON object a line",
		FIELD(render.json), 0, 0},
	{0},
};

struct verify {
	struct session s;
	const char *path;
	struct recipe recipe;
	struct audio original;
	size_t at; /* samples compared so far */
	bool differs;
	size_t first;   /* sample that differs */
	double largest; /* difference */
};

/* ---- before anything is rendered ---------------------------------------- */

static int read_original(struct verify *v, struct err *e)
{
	int rc = audio_read(&(struct audio_read_desc){.path = v->path}, &v->original, e);

	if (!rc)
		rc = recipe_read(v->path, &v->s.arena, &v->recipe, NULL, e);
	if (!rc && v->recipe.exported)
		rc = err_set(e, ERR_UNSUPPORTED,
			"'%s' was changed when it was exported (%s), so its samples are not the "
			"model's; verify the take that it came from",
			v->path, v->recipe.exported);
	return rc;
}

static int check_model(const struct verify *v, struct err *e)
{
	const struct recipe *r = &v->recipe;
	const struct engine_info *here = v->s.info;
	const bool by_weights =
		r->weights_sha256 && strcmp(r->weights_sha256, here->weights_sha256);

	if (session_is_model(&v->s, r->model_hash, r->weights_sha256))
		return 0;
	return err_set(e, ERR_FORMAT,
		"the model '%s' here (%s %.12s) is not the one that made '%s' (%.12s); give the "
		"right one with --model DIR",
		v->s.model.name, by_weights ? "weights" : "hash",
		by_weights ? here->weights_sha256 : here->model_hash, v->path,
		by_weights ? r->weights_sha256 : r->model_hash);
}

static int check_shape(const struct verify *v, struct err *e)
{
	const struct engine_info *info = v->s.info;
	int64_t n = v->s.n_frames * info->frame_samples;

	if (v->original.rate_hz == info->rate && v->original.channels == info->channels &&
		(int64_t)v->original.n_frames == n)
		return 0;
	return err_set(e, ERR_FORMAT,
		"'%s' has %zu frames of %d channels at %d Hz, but its recipe makes %" PRId64
		" of %d at %d; some other program changed it",
		v->path, v->original.n_frames, v->original.channels, v->original.rate_hz, n,
		info->channels, info->rate);
}

/* ---- compare ------------------------------------------------------------ */

/* What the writer of the file would have made of a sample. */
static float as_stored(float x, int bits)
{
	return bits ? (float)ldexp(audio_round(x, bits), 1 - bits) : x;
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct verify *v = ud;
	size_t n = (size_t)chunk->frames * (size_t)chunk->channels;

	if (n > v->original.n_frames * (size_t)v->original.channels - v->at)
		return err_set(e, ERR_BUG, "the engine makes more than it said");
	for (size_t i = 0; i < n; i++, v->at++) {
		float old = v->original.samples[v->at];
		float fresh = as_stored(chunk->samples[i], v->original.bits);

		if (!memcmp(&old, &fresh, sizeof(old)))
			continue;
		if (!v->differs)
			v->first = v->at;
		v->differs = true;
		v->largest = fmax(v->largest, fabs((double)old - (double)fresh));
	}
	return 0;
}

static int render(struct verify *v, struct err *e)
{
	const struct engine_sink sink = {.audio = on_audio, .ud = v};
	int rc = session_choose(&v->s, e);

	if (!rc)
		rc = session_open(&v->s, e);
	if (!rc)
		rc = check_model(v, e);
	if (!rc)
		rc = check_shape(v, e);
	if (!rc)
		rc = session_render(&v->s, 1, v->s.o.seed, &sink, e);
	progress_clear(&v->s.progress);
	return rc;
}

/* ---- tell --------------------------------------------------------------- */

static bool is_same(const char *recorded, const char *used)
{
	return !recorded || !strcmp(recorded, used);
}

/* GPUs choose the order of sums by what they are, and by how many takes are made at once. */
static bool is_same_gpu(const struct verify *v)
{
	const char *gpu = v->s.info->gpu;

	return !gpu || (v->recipe.gpu && !strcmp(v->recipe.gpu, gpu) && v->recipe.batch <= 1);
}

/* Whether bits can be expected to agree. */
static bool is_comparable(const struct verify *v)
{
	return is_same(v->recipe.precision, v->s.info->precision) &&
	       is_same(v->recipe.device, v->s.info->device) && is_same_gpu(v);
}

/* "bf16 on cuda (NVIDIA H200, 5 takes at once)" */
static void tell_where(
	struct str *out, const char *precision, const char *device, const char *gpu, uint64_t batch)
{
	str_printf(out, "%s on %s", precision, device);
	if (gpu)
		str_printf(out, " (%s", gpu);
	if (gpu && batch > 1)
		str_printf(out, ", %llu takes at once", (unsigned long long)batch);
	str_add(out, gpu ? ")" : "");
}

static void tell_json(const struct verify *v, struct str *out)
{
	size_t channels = (size_t)v->original.channels;

	jsonw_begin(out);
	jsonw_text(out, "type", "verify");
	jsonw_text(out, "file", v->path);
	jsonw_bool(out, "identical", !v->differs);
	jsonw_bool(out, "comparable", is_comparable(v));
	if (v->differs) {
		jsonw_u64(out, "first_frame", v->first / channels);
		jsonw_u64(out, "first_channel", v->first % channels);
		jsonw_num(out, "first_s", (double)(v->first / channels) / v->original.rate_hz);
		jsonw_num(out, "largest", v->largest);
	}
	jsonw_u64(out, "frames", v->original.n_frames);
	jsonw_text(out, "precision", v->s.info->precision);
	jsonw_text(out, "device", v->s.info->device);
	jsonw_text(out, "made_precision", v->recipe.precision);
	jsonw_text(out, "made_device", v->recipe.device);
	jsonw_text(out, "gpu", v->s.info->gpu);
	jsonw_text(out, "made_gpu", v->recipe.gpu);
	jsonw_text(out, "made_version", v->recipe.version);
	jsonw_end(out);
}

static void tell_reason(const struct verify *v, struct str *out)
{
	const struct engine_info *info = v->s.info;
	const struct recipe *made = &v->recipe;

	if (!is_comparable(v)) {
		str_add(out, "; it was made in ");
		tell_where(out, made->precision ? made->precision : info->precision,
			made->device ? made->device : info->device, made->gpu, made->batch);
		str_add(out, ", this in ");
		tell_where(out, info->precision, info->device, info->gpu, 1);
		str_add(out, ", so equal bits cannot be expected");
	} else if (made->version && strcmp(made->version, woodshed_version)) {
		str_printf(out, "; it was made by woodshed %s, this is %s", made->version,
			woodshed_version);
	} else {
		str_add(out, "; the file or the model was changed");
	}
}

static void tell_text(const struct verify *v, struct str *out)
{
	size_t frame = v->first / (size_t)v->original.channels;

	if (!v->differs) {
		str_printf(out, "%s: identical, all %zu frames", v->path, v->original.n_frames);
	} else {
		str_printf(out,
			"%s: differs from %.3f s on (frame %zu, channel %zu); largest difference "
			"%.2g",
			v->path, (double)frame / v->original.rate_hz, frame,
			v->first % (size_t)v->original.channels + 1, v->largest);
		tell_reason(v, out);
	}
	str_sanitize(out->s);
}

static void tell(const struct verify *v)
{
	struct str line = {0};

	(v->s.o.json ? tell_json : tell_text)(v, &line);
	print_line(str_get(&line));
	str_done(&line);
}

/* ---- the verb ----------------------------------------------------------- */

static int parse(struct verify *v, struct options *o, struct verify_options *own, struct err *e)
{
	int rc = options_parse(o, e);
	struct globals *g = o->group[1].values;

	if (rc || g->help || g->version)
		return rc;
	if (!own->verify)
		return err_set(e, ERR_ARG,
			"woodshed recipe shows a recipe; this program verifies: "
			"add --verify");
	if (o->argc != 1)
		return err_set(e, ERR_ARG,
			"recipe --verify takes one file: woodshed recipe --verify FILE");
	v->path = o->argv[0];
	return 0;
}

static int run(struct verify *v, struct verify_options *own, const struct option_group *given,
	struct err *e)
{
	int rc = read_original(v, e);

	own->render.recipe = v->path;
	if (!rc)
		rc = render_options_recipe(&own->render, given, &v->s.arena, e);
	if (rc)
		return rc;
	v->s.o = own->render;
	v->s.o.continued_sha256 = v->recipe.continued_sha256;
	v->s.o.init_sha256 = v->recipe.init_sha256;
	v->s.o.noise_sha256 = v->recipe.noise_sha256;
	rc = render_options_parse_redo(&v->s.o, e);
	if (rc)
		return rc;
	session_progress(&v->s);
	rc = stop_watch(audio_writer_unlink_all, e);
	if (!rc)
		rc = render(v, e);
	if (rc)
		return rc;
	stop_finish();
	tell(v);
	return print_check(e);
}

int verb_recipe(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct verify v = {.s = {.globals = g, .env = env}};
	struct verify_options own = {0};
	struct options o = {
		.group = {{.specs = verify_specs, .values = &own},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc;

	render_options_init(&own.render);
	rc = parse(&v, &o, &own, &e);
	if (!rc && g->help)
		print_help("usage: woodshed recipe --verify [OPTION]... FILE\n\n"
			   "Makes a file again from its recipe and compares the samples.\n\n",
			verify_specs);
	else if (!rc && g->version)
		print_version();
	else if (!rc)
		rc = run(&v, &own, &o.group[0], &e);
	if (rc)
		print_error(e.text);
	audio_done(&v.original);
	session_done(&v.s);
	return rc ? (rc == ERR_ARG ? 2 : 1) : v.differs;
}
