/* Which models there are, and which is meant when nobody names one. */
#include "library/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/str.h"
#include "library/catalogue.h"
#include "library/json_file.h"
#include "library/repo_files.h"

enum {
	JSON_BYTES_MAX = 1 << 20,
	DEPTH_MAX = 3, /* model_index.json's components are one level down */
	MODELS_MAX = 1000,
};

/* A small JSON object, or NULL. */
static json_t *load(const char *dir, const char *name)
{
	char path[PATH_MAX];
	json_t *json;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	json = json_file_read(fd, JSON_BYTES_MAX);
	close(fd);
	return json;
}

static const char *text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* 0 unless it is a whole number in 1..max. */
static int number(const json_t *object, const char *key, int max)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n >= 1 && n <= max ? (int)n : 0;
}

static int number_or(const json_t *object, const char *key, int max, int if_left_out)
{
	return json_object_get(object, key) ? number(object, key, max) : if_left_out;
}

/* Samples of one latent frame: the product of a list of strides; 0: not told. */
static double product(const json_t *list)
{
	double n = json_array_size(list) ? 1 : 0;
	size_t i;
	json_t *value;

	json_array_foreach(list, i, value) n *= json_number_value(value);
	return n;
}

/* As engine/musicgen.c has it: 30 s, or as long as there are places for, of which the
 * delayed codebooks take some. */
static double musicgen_window(const json_t *config, const struct model *m)
{
	const json_t *decoder = json_object_get(config, "decoder");
	const double hop = product(
		json_object_get(json_object_get(config, "audio_encoder"), "upsampling_ratios"));
	const int places = number_or(decoder, "max_position_embeddings", 1 << 20, 2048),
		  delays = number_or(decoder, "num_codebooks", 1 << 10, 4) / m->channels;

	if (!m->rate_hz || !(hop >= 1) || !isfinite(hop) || places <= delays)
		return 0;
	return fmin(30, (places - delays + 1) * hop / m->rate_hz);
}

static void describe_musicgen(const json_t *config, struct model *m)
{
	m->engine = "musicgen";
	m->rate_hz = number(json_object_get(config, "audio_encoder"), "sampling_rate", 1000000);
	m->channels = number(json_object_get(config, "decoder"), "audio_channels", 64);
	if (!m->channels) /* left out where it is the default */
		m->channels = 1;
	m->window_s = musicgen_window(config, m);
}

/* A pipeline: rate and channels are in the description of one of its parts. */
static void describe_part(const char *part, const char *engine, const char *rate,
	const char *channels, struct model *m)
{
	json_t *config = load(part, "config.json");

	m->engine = engine;
	m->rate_hz = number(config, rate, 1000000);
	m->channels = number(config, channels, 64);
	json_decref(config);
}

/* The window of `part` in latent frames, times the samples of each, is what a model that
 * makes all at once can make. */
static void set_longest(
	const char *dir, const char *part, double samples, struct arena *a, struct model *m)
{
	json_t *config = load(arena_printf(a, "%s/%s", dir, part), "config.json");
	const double window = json_number_value(json_object_get(config, "sample_size"));

	if (m->rate_hz && window > 0 && samples > 0 && isfinite(window * samples))
		m->window_s = m->longest_s = window * samples / m->rate_hz;
	json_decref(config);
}

static void describe_stable_audio(const char *dir, struct arena *a, struct model *m)
{
	const char *vae = arena_printf(a, "%s/vae", dir);
	json_t *config = load(vae, "config.json");

	describe_part(vae, "stable-audio", "sampling_rate", "audio_channels", m);
	set_longest(
		dir, "transformer", product(json_object_get(config, "downsampling_ratios")), a, m);
	json_decref(config);
}

/* The VAE halves the mel spectrogram at each level but the last. */
static void describe_audioldm2(const char *dir, struct arena *a, struct model *m)
{
	const char *vocoder = arena_printf(a, "%s/vocoder", dir);
	json_t *hops = load(vocoder, "config.json"),
	       *vae = load(arena_printf(a, "%s/vae", dir), "config.json");
	const size_t levels = json_array_size(json_object_get(vae, "block_out_channels"));

	describe_part(vocoder, "audioldm2", "sampling_rate", "", m);
	m->channels = 1;
	set_longest(dir, "unet",
		ldexp(product(json_object_get(hops, "upsample_rates")),
			levels && levels < 16 ? (int)levels - 1 : 0),
		a, m);
	json_decref(hops);
	json_decref(vae);
}

/* The single file of stable-audio-tools. */
static void describe_tools(const json_t *config, struct model *m)
{
	m->engine = "stable-audio";
	m->rate_hz = number(config, "sample_rate", 1000000);
	m->channels = number(config, "audio_channels", 64);
	if (m->rate_hz)
		m->window_s = m->longest_s =
			(double)number(config, "sample_size", INT_MAX) / m->rate_hz;
}

static uint64_t folder_bytes(int fd, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	uint64_t bytes = 0;

	if (!d) {
		close(fd);
		return 0;
	}
	while ((entry = readdir(d))) {
		struct stat st;
		int sub;

		if (entry->d_name[0] == '.' || fstatat(dirfd(d), entry->d_name, &st, 0))
			continue;
		if (S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
		if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
			continue;
		sub = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub >= 0)
			bytes += folder_bytes(sub, depth + 1);
	}
	closedir(d);
	return bytes;
}

/* "." and "a/.." have no name of their own: the real path has one. */
static const char *last_part(const char *dir, struct arena *a)
{
	char real[PATH_MAX];

	if (!realpath(dir, real))
		return arena_strdup(a, dir);
	return arena_strdup(a, real[1] ? strrchr(real, '/') + 1 : real);
}

static const char REPO[] = ".woodshed-repo"; /* one line: OWNER/NAME */

static void find_origin(struct model *m, struct arena *a)
{
	const struct known_model *known;
	const char *repo;

	if (!line_read(arena_printf(a, "%s/%s", m->dir, REPO), a, &repo) && is_repo(repo)) {
		m->repo = repo;
		m->known = catalogue_by_repo(repo);
		return;
	}
	known = catalogue_by_name(m->name);
	if (known && m->engine && !strcmp(m->engine, known->engine)) {
		m->repo = known->repo;
		m->known = known;
	}
}

void model_describe(const char *dir, struct arena *a, struct model *ret)
{
	json_t *config = load(dir, "config.json"), *index = load(dir, "model_index.json"),
	       *tools = load(dir, "model_config.json");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = (struct model){.name = last_part(dir, a), .dir = arena_strdup(a, dir)};
	if (!strcmp(text(config, "model_type"), "musicgen"))
		describe_musicgen(config, ret);
	else if (!strcmp(text(index, "_class_name"), "StableAudioPipeline"))
		describe_stable_audio(dir, a, ret);
	else if (!strcmp(text(index, "_class_name"), "AudioLDM2Pipeline"))
		describe_audioldm2(dir, a, ret);
	else if (!index && !config && !strcmp(text(tools, "model_type"), "diffusion_cond"))
		describe_tools(tools, ret);
	if (fd >= 0)
		ret->bytes = folder_bytes(fd, 1);
	find_origin(ret, a);
	json_decref(config);
	json_decref(index);
	json_decref(tools);
}

static int is_model(const struct dirent *d)
{
	return d->d_name[0] != '.' &&
	       (d->d_type == DT_DIR || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN);
}

/* ---- the default -------------------------------------------------------- */

static const char PICKED[] = "default-model"; /* one line: a name */

/* Leaves *ret NULL when nothing was picked.  A file that holds no name is taken
 * for a pick that is gone, not for none. */
static int read_pick(const char *library, struct arena *a, const char **ret, struct err *e)
{
	const char *path = arena_printf(a, "%s/%s", library, PICKED);
	int why = line_read(path, a, ret);

	return !why || why == ENOENT || why == ENOTDIR
		       ? 0
		       : err_errno(e, why, "cannot read '%s'", path);
}

bool models_has(const struct models *m, const struct known_model *known)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->list[i].known == known)
			return true;
	return false;
}

int models_pick(const char *library, const char *name, struct err *e)
{
	struct arena a = {0};
	const char *path = arena_printf(&a, "%s/%s", library, PICKED);
	int rc = 0;

	if (name)
		rc = line_write(path, name, e);
	else if (unlink(path) && errno != ENOENT)
		rc = err_errno(e, errno, "cannot remove '%s'", path);
	arena_done(&a);
	return rc;
}

int model_set_repo(const char *dir, const char *repo, struct err *e)
{
	struct arena a = {0};
	int rc = line_write(arena_printf(&a, "%s/%s", dir, REPO), repo, e);

	arena_done(&a);
	return rc;
}

/* ---- the list ----------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

const struct model *models_find(const struct models *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->list[i].name, name))
			return &m->list[i];
	return NULL;
}

static void choose(struct models *m, const char *own)
{
	if (m->picked)
		m->chosen = models_find(m, m->picked);
	for (size_t i = 0; i < m->n && own && !m->picked && !m->chosen; i++)
		if (m->list[i].dir == own)
			m->chosen = &m->list[i];
	if (!m->picked && !m->chosen && m->n == 1)
		m->chosen = m->list;
}

/* *ret holds room for one more. */
static int list_folder(const char *folder, struct arena *a, struct models *ret, struct err *e)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, is_model, NULL), rc = 0;

	if (n < 0 && errno != ENOENT)
		return err_errno(e, errno, "cannot read '%s'", folder);
	if (n > MODELS_MAX)
		rc = err_set(e, ERR_FORMAT, "'%s' holds %d folders; keep at most %d models there",
			folder, n, MODELS_MAX);
	ret->list = ARENA_ARRAY(a, struct model, (size_t)(n > 0 ? n : 0) + 1);
	for (int i = 0; i < n && !rc; i++) {
		const char *dir = arena_printf(a, "%s/%s", folder, names[i]->d_name);
		struct stat st;

		if (!stat(dir, &st) && S_ISDIR(st.st_mode)) {
			struct model *m = &ret->list[ret->n++];

			model_describe(dir, a, m);
			m->name = arena_strdup(a, names[i]->d_name);
			find_origin(m, a); /* a link has another name than what it leads to */
		}
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return rc;
}

/* "models--facebook--musicgen-small": facebook/musicgen-small, or NULL. */
static const char *cached_repo(const char *folder, struct arena *a)
{
	static const char prefix[] = "models--";
	const char *cut = has_prefix(folder, prefix) ? strstr(folder + strlen(prefix), "--") : NULL;
	const char *repo;

	if (!cut)
		return NULL;
	folder += strlen(prefix);
	repo = arena_printf(a, "%.*s/%s", (int)(cut - folder), folder, cut + 2);
	return is_repo(repo) ? repo : NULL;
}

static int is_cached_repo(const struct dirent *d)
{
	return !strncmp(d->d_name, "models--", 8);
}

/* The folder of links to the files of `main`, or NULL. */
static const char *cached_snapshot(const char *hub, const char *folder, struct arena *a)
{
	const char *revision;

	if (line_read(arena_printf(a, "%s/%s/refs/main", hub, folder), a, &revision) ||
		!*revision || strspn(revision, "0123456789abcdef") != strlen(revision))
		return NULL;
	return arena_printf(a, "%s/%s/snapshots/%s", hub, folder, revision);
}

/* Programs fetch single files, and are cut. */
static bool is_complete(const char *dir, struct arena *a)
{
	struct repo_files all, needed;

	repo_files_read(dir, a, &all);
	return !repo_files_choose(&all, a, &needed, NULL);
}

static void add_cached(
	struct models *m, const char *hub, const char *folder, struct arena *a, size_t n_above)
{
	const char *repo = cached_repo(folder, a), *dir, *name;
	struct model *one = &m->list[m->n];

	dir = repo ? cached_snapshot(hub, folder, a) : NULL;
	if (!dir)
		return;
	model_describe(dir, a, one);
	if (!one->engine || !is_complete(dir, a))
		return;
	name = repo_model_name(repo, a);
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->list[i].name, name))
			continue;
		if (i < n_above)
			return;
		name = folder + strlen("models--");
	}
	one->name = arena_strdup(a, name);
	one->repo = repo;
	one->known = catalogue_by_repo(repo);
	one->is_shared = true;
	m->n++;
}

/* Behind those that are listed already. */
static void list_hub(const char *hub, struct arena *a, struct models *m)
{
	size_t n_above = m->n;
	struct dirent **names = NULL;
	int n = scandir(hub, &names, is_cached_repo, alphasort);
	struct model *longer;

	if (n < 0)
		return;
	longer = ARENA_ARRAY(a, struct model, m->n + (size_t)n + 1);
	memcpy(longer, m->list, m->n * sizeof(*longer));
	m->list = longer;
	for (int i = 0; i < n; i++) {
		if (i < MODELS_MAX)
			add_cached(m, hub, names[i]->d_name, a, n_above);
		free(names[i]);
	}
	free(names);
}

int models_list(
	const char *library, const char *own, struct arena *a, struct models *ret, struct err *e)
{
	return models_list_shared(library, own, NULL, a, ret, e);
}

int models_list_shared(const char *library, const char *own, const char *hub, struct arena *a,
	struct models *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct models){0};
	if (library)
		rc = list_folder(arena_printf(a, "%s/models", library), a, ret, e);
	else
		ret->list = ARENA_ARRAY(a, struct model, 1);
	if (!rc && own) {
		struct model *m = &ret->list[ret->n];

		model_describe(own, a, m);
		m->dir = own;
		if (!models_find(ret, m->name))
			ret->n++;
	}
	if (!rc && hub)
		list_hub(hub, a, ret);
	if (ret->n)
		qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
	if (!rc && library)
		rc = read_pick(library, a, &ret->picked, e);
	if (!rc)
		choose(ret, own);
	return rc;
}

/* ---- converted weights -------------------------------------------------- */

/* What cache_write() makes, finished or not, and ckpt_sha256(). */
static bool is_cached(const char *name)
{
	return strstr(name, ".weights") || strstr(name, ".sha256");
}

int models_cache(const char *library, bool drop, uint64_t *ret_bytes, struct err *e)
{
	struct arena a = {0};
	const char *folder = arena_printf(&a, "%s/cache", library);
	DIR *d = opendir(folder);
	struct dirent *entry;
	int rc = 0;

	*ret_bytes = 0;
	if (!d && errno != ENOENT)
		rc = err_errno(e, errno, "cannot read '%s'", folder);
	while (d && !rc && (entry = readdir(d))) {
		struct stat st;

		if (!is_cached(entry->d_name) ||
			fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (drop && unlinkat(dirfd(d), entry->d_name, 0))
			rc = err_errno(e, errno, "cannot remove '%s/%s'", folder, entry->d_name);
		else
			*ret_bytes += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
	arena_done(&a);
	return rc;
}
