/* The front of the engines: which one a folder is for; what they share is in pipeline.c.
 *
 * Another engine is one more line in `engines`. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/pipeline.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/base/str.h"

enum { PATH_BYTES = 4096, MAX_HOURS = 24 };

static const struct engine_ops *const engines[] = {
	&musicgen_ops,
	&stable_audio_ops,
	&stable_audio_tools_ops,
	&audioldm2_ops,
};

/* Model types that people will try, and what to say. */
static const struct {
	const char *type, *what;
} not_yet[] = {
	{"musicgen_melody", "a MusicGen melody model"},
	{"StableAudio3Pipeline", "a Stable Audio 3 model"},
};

/* ---- opening ------------------------------------------------------------ */

static int path_in(char out[PATH_BYTES], const char *dir, const char *file, struct err *e)
{
	if (snprintf(out, PATH_BYTES, "%s/%s", dir, file) >= PATH_BYTES)
		return err_set(
			e, ERR_ARG, "the path of the model is longer than %d bytes", PATH_BYTES);
	return 0;
}

static bool is_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode);
}

static int unsupported(const char *dir, const char *type, struct err *e)
{
	for (size_t i = 0; i < sizeof(not_yet) / sizeof(*not_yet); i++)
		if (!strcmp(type, not_yet[i].type))
			return err_set(e, ERR_UNSUPPORTED,
				"'%s' holds %s, which this version does not render; 'woodshed "
				"models' lists those it does",
				dir, not_yet[i].what);
	return err_set(e, ERR_UNSUPPORTED,
		"'%s' holds a model of type '%s', which this version does not render; 'woodshed "
		"models' lists those it does",
		dir, type);
}

/* The files that tell what a folder holds, by the word at `key`. */
static const struct description {
	const char *file, *key;
	size_t type; /* of engine_ops */
} descriptions[] = {
	{"model_index.json", "_class_name", offsetof(struct engine_ops, pipeline)},
	{"config.json", "model_type", offsetof(struct engine_ops, model_type)},
	{"model_config.json", "model_type", offsetof(struct engine_ops, tools_type)},
};
enum { N_DESCRIPTIONS = sizeof(descriptions) / sizeof(*descriptions) };

static int match_engine(const char *dir, const char *path, const struct description *d,
	const struct engine_ops **ret_ops, struct config **ret_config, struct err *e)
{
	int rc = config_open(path, ret_config, e);

	if (rc)
		return rc;
	const char *type = config_str(*ret_config, d->key, NULL);
	rc = config_check(*ret_config, e);
	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines) && !rc; i++) {
		const char *own = *(const char *const *)((const char *)engines[i] + d->type);
		*ret_ops = engines[i];
		if (own && !strcmp(type, own))
			return 0;
	}
	return rc ? rc : unsupported(dir, type, e);
}

/* Finds the engine and opens its description. */
static int find_engine(const char *dir, const struct engine_ops **ret_ops,
	struct config **ret_config, struct err *e)
{
	char path[PATH_BYTES];
	struct stat st;

	if (stat(dir, &st))
		return err_errno(e, errno,
			"cannot open the model '%s' (check the name and permissions)", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_FORMAT,
			"'%s' is not a folder; give the folder that holds config.json", dir);
	for (int i = 0; i < N_DESCRIPTIONS; i++) {
		int rc = path_in(path, dir, descriptions[i].file, e);
		if (rc)
			return rc;
		if (is_file(path))
			return match_engine(dir, path, &descriptions[i], ret_ops, ret_config, e);
	}
	return err_set(e, ERR_FORMAT,
		"'%s' holds no known model: there is no config.json in it, nor a model_index.json "
		"or model_config.json; give the folder that holds one",
		dir);
}

int pipeline_config(
	const char *dir, const char *path, const char *class, struct config **ret, struct err *e)
{
	char whole[PATH_BYTES];
	int rc = path_in(whole, dir, path, e);

	*ret = NULL;
	if (!rc)
		rc = config_open(whole, ret, e);
	if (rc || !class)
		return rc;
	const char *own = config_str(*ret, "_class_name", NULL);
	config_require(*ret, !*own || !strcmp(own, class),
		"a part of class '%.60s' is not supported here, only %s is", own, class);
	return 0;
}

static int check_part(
	const char *dir, const char *part, const struct engine_ops *ops, struct err *e)
{
	char path[PATH_BYTES];
	struct stat st;
	int rc = path_in(path, dir, part, e);

	if (rc)
		return rc;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_FORMAT, "'%s' lacks the folder '%s' of its model: %s", dir,
			part, ops->lacking ? ops->lacking : "download it again");
	return 0;
}

/* The folders of a pipeline: of weights, and of nothing but a description. */
static int check_parts(const char *dir, const struct engine_ops *ops, struct err *e)
{
	int rc = 0;

	for (const char *const *parts = ops->parts; *parts && !rc; parts++)
		rc = check_part(dir, *parts, ops, e);
	for (const char *const *file = ops->configs; *file && !rc; file++) {
		char part[PATH_BYTES];
		const char *slash = strchr(*file, '/');
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - *file) : 0, *file);
		rc = check_part(dir, part, ops, e);
	}
	return rc;
}

/* ---- hashes ------------------------------------------------------------- */

static int add_file(struct sha256 *sha, int fd, const char *path, struct err *e)
{
	char buf[4096];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, errno, "cannot read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FORMAT, "'%s' is not a file", path);
	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			sha256_add(sha, buf, (size_t)n);
	return n < 0 ? err_errno(e, errno, "cannot read '%s'", path) : 0;
}

/* O_NONBLOCK: a pipe in the file's place would be waited for without end. */
static int hash_file(struct sha256 *sha, const char *dir, const char *file, struct err *e)
{
	char path[PATH_BYTES];
	int rc = path_in(path, dir, file, e);

	if (rc)
		return rc;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	rc = add_file(sha, fd, path, e);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Over what describes the model and what tells the weight files apart. */
static int hash_model(struct engine *en, const char *dir, const struct ckpt *ckpt, struct err *e)
{
	const char *identity = ckpt_identity(ckpt);
	struct sha256 sha;
	int rc = 0;

	sha256_init(&sha);
	for (const char *const *file = en->ops->configs; *file && !rc; file++)
		rc = hash_file(&sha, dir, *file, e);
	sha256_add(&sha, identity, strlen(identity));
	sha256_hex(&sha, en->model_hash);
	en->info.model_hash = en->model_hash;
	return rc;
}

static int stop_asked(void *ud)
{
	return watch_progress(ud, ENGINE_STAGE_LOAD, 1, 1, NULL);
}

static int hash_weights(struct engine *en, const struct ckpt *ckpt, const char *cache,
	const struct engine_watch *watch, struct err *e)
{
	struct engine_watch w = watch ? *watch : (struct engine_watch){0};
	struct arena a = {0};
	const char *memory = cache ? arena_printf(&a, "%s.sha256", cache) : NULL;
	int rc = ckpt_sha256(ckpt, memory, stop_asked, &w, en->weights_sha256, e);

	en->info.weights_sha256 = en->weights_sha256;
	arena_done(&a);
	return rc;
}

int engine_open(const char *dir, const struct engine_options *options,
	const struct engine_watch *watch, struct engine **ret, struct err *e)
{
	const struct engine_options defaults = {0};
	struct engine_source src = {.dir = dir};
	struct engine *en = xcalloc(1, sizeof(*en));
	int rc;

	*ret = NULL;
	if (!options)
		options = &defaults;
	const struct engine_ops *ops = NULL;
	rc = find_engine(dir, &ops, &src.config, e);
	if (rc)
		goto out;
	rc = check_parts(dir, ops, e);
	if (!rc)
		rc = ckpt_open_parts(dir, ops->parts, &src.ckpt, e);
	if (rc)
		goto out;
	en->ops = ops;
	rc = hash_model(en, dir, src.ckpt, e);
	if (rc)
		goto out;
	rc = gpu_open(options->device ? options->device : "auto", options->n_threads, &en->gpu, e);
	if (rc)
		goto out;
	gpu_set_replay(en->gpu, !options->no_replay);
	en->info.engine = ops->name;
	en->info.device = gpu_device(en->gpu);
	en->info.gpu = gpu_name(en->gpu);
	const struct ckpt *ckpt = src.ckpt;
	rc = ops->open(en, &src, options, watch, e);
	if (!rc)
		rc = hash_weights(en, ckpt, options->cache, watch, e);
	src.config = NULL;
	src.ckpt = NULL;
out:
	config_close(src.config);
	ckpt_close(src.ckpt);
	if (rc)
		engine_close(en);
	else
		*ret = en;
	return rc;
}

int engine_describe(const char *dir, struct engine_info *ret, struct err *e)
{
	const struct engine_ops *ops = NULL;
	struct config *config = NULL;
	int rc = find_engine(dir, &ops, &config, e);

	*ret = (struct engine_info){0};
	if (!rc)
		rc = ops->describe(dir, config, ret, e);
	if (!rc)
		ret->engine = ops->name;
	ret->precision = NULL;
	config_close(config);
	return rc;
}

int engine_needs(const char *dir, struct gpu *g, struct engine_needs *ret, struct err *e)
{
	struct engine_source src = {.dir = dir};
	struct engine en = {.gpu = g};
	int rc = find_engine(dir, &en.ops, &src.config, e);

	*ret = (struct engine_needs){0};
	if (!rc)
		rc = check_parts(dir, en.ops, e);
	if (!rc)
		rc = ckpt_open_parts(dir, en.ops->parts, &src.ckpt, e);
	if (rc) {
		config_close(src.config);
		return rc;
	}
	rc = en.ops->needs(&en, &src, ret, e);
	en.ops->close(&en);
	return rc;
}

void engine_close(struct engine *en)
{
	if (!en)
		return;
	if (en->ops)
		en->ops->close(en);
	gpu_close(en->gpu);
	free(en);
}

const struct engine_info *engine_info(const struct engine *en)
{
	return &en->info;
}

struct gpu *engine_gpu(struct engine *en)
{
	return en->gpu;
}

int engine_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e)
{
	return en->ops->render(en, r, watch, sink, e);
}

const char *engine_stage_name(enum engine_stage s)
{
	static const char *const names[] = {
		[ENGINE_STAGE_LOAD] = "load",
		[ENGINE_STAGE_TEXT] = "text",
		[ENGINE_STAGE_RENDER] = "render",
		[ENGINE_STAGE_DECODE] = "decode",
	};
	return names[s];
}

/* ---- lengths ------------------------------------------------------------ */

__extension__ typedef unsigned __int128 uint128;

/* "1.1" is 11 / 10: digits without the point, and 10 to the number of those
 * behind it.  What does not fit 128 bits after the rate is multiplied in is
 * refused. */
static int parse_seconds(const char *text, uint128 *ret_n, uint128 *ret_d, struct err *e)
{
	const int max_digits = 27;
	uint128 n = 0, d = 1;
	int n_whole = 0, n_fraction = 0;
	const char *p = text, *end = text + strlen(text);
	const char *point = strchr(text, '.');

	while (point && end > point + 2 && end[-1] == '0')
		end--; /* zeros behind the last digit say nothing */
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (unsigned)(*p - '0');
		if (n > MAX_HOURS * 3600)
			return err_set(e, ERR_ARG, "the length %.40s is more than %d hours", text,
				MAX_HOURS);
		n_whole++;
	}
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++) {
			if (++n_fraction > max_digits)
				return err_set(e, ERR_ARG,
					"the length %.40s has more than %d decimals", text,
					max_digits);
			n = n * 10 + (unsigned)(*p - '0');
			d *= 10;
		}
	if (p < end || n_whole + n_fraction == 0)
		return err_set(e, ERR_ARG,
			"'%.40s' is not a length in seconds; give a decimal number such as 10 or "
			"2.5",
			text);
	if (n == 0)
		return err_set(e, ERR_ARG, "the length must be more than 0 seconds");
	if (n > d * MAX_HOURS * 3600)
		return err_set(
			e, ERR_ARG, "the length %.40s is more than %d hours", text, MAX_HOURS);
	*ret_n = n;
	*ret_d = d;
	return 0;
}

int engine_frames(
	const struct engine_info *info, const char *seconds, int64_t *ret_frames, struct err *e)
{
	uint128 n = 0, d = 1;
	int rc = parse_seconds(seconds, &n, &d, e);

	if (rc)
		return rc;
	n *= (unsigned)info->rate;
	d *= (uint128)info->frame_samples;
	*ret_frames = (int64_t)((info->frame_samples > 1 ? n + d - 1 : n + d / 2) / d);
	if (*ret_frames < 1)
		return err_set(
			e, ERR_ARG, "%.40s s are less than one sample; ask for more", seconds);
	if (!info->longest_frames || *ret_frames <= info->longest_frames)
		return 0;
	return err_set(e, ERR_ARG,
		"%.40s s are longer than the %.4g s that this model makes at once; ask for less",
		seconds,
		floor((double)(info->longest_frames * info->frame_samples) / info->rate * 100) /
			100);
}

/* ---- texts -------------------------------------------------------------- */

struct engine_text {
	const struct engine_ops *ops;
	void *own;
};

int engine_check_sampler(const char *engine, const char *sampler, struct err *e)
{
	const struct engine_ops *ops = engines[0];
	struct str names = {0};
	const char *name;
	bool is_there = false;

	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++)
		if (!strcmp(engines[i]->name, engine))
			ops = engines[i];
	for (int kind = 0; kind < 2 && ops->samplers[kind]; kind++)
		for (size_t i = 0; (name = ops->samplers[kind](i)); i++) {
			is_there |= !strcmp(name, sampler);
			str_printf(&names, "%s%s", names.n ? ", " : "", name);
		}
	if (!is_there)
		err_set(e, ERR_ARG, "there is no sampler '%.40s'; choose one of these: %s", sampler,
			str_get(&names));
	str_done(&names);
	return is_there ? 0 : ERR_ARG;
}

const char *engine_name(size_t i)
{
	return i < sizeof(engines) / sizeof(*engines) ? engines[i]->name : NULL;
}

int engine_text_open(const char *engine, const char *dir, struct engine_text **ret, struct err *e)
{
	const struct engine_ops *ops = NULL;
	void *own = NULL;
	int rc;

	*ret = NULL;
	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++)
		if (!strcmp(engines[i]->name, engine))
			ops = engines[i];
	if (!ops || !ops->text_open)
		return err_set(e, ERR_UNSUPPORTED,
			"the engine %s does not count the tokens of a text", engine);
	rc = ops->text_open(dir, &own, e);
	if (rc)
		return rc;
	*ret = xcalloc(1, sizeof(**ret));
	**ret = (struct engine_text){ops, own};
	return 0;
}

int engine_text_count(
	struct engine_text *t, const char *text, size_t *ret_n, size_t *ret_max, struct err *e)
{
	return t->ops->text_count(t->own, text, ret_n, ret_max, e);
}

void engine_text_close(struct engine_text *t)
{
	if (!t)
		return;
	t->ops->text_close(t->own);
	free(t);
}
