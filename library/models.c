/* Which models are installed, told from their descriptions alone. */
#include "library/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	JSON_BYTES_MAX = 1 << 20,
	DEPTH_MAX = 3, /* model_index.json's components are one level down */
	MODELS_MAX = 1000,
};

/* A small JSON object, or NULL. */
static json_t *load(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	json_t *json = NULL;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= JSON_BYTES_MAX)
		json = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
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

static void describe_musicgen(const json_t *config, struct model *m)
{
	m->engine = "musicgen";
	m->rate_hz = number(json_object_get(config, "audio_encoder"), "sampling_rate", 1000000);
	m->channels = number(json_object_get(config, "decoder"), "audio_channels", 64);
	if (!m->channels) /* left out where it is the default */
		m->channels = 1;
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

void model_describe(const char *dir, struct arena *a, struct model *ret)
{
	json_t *config = load(dir, "config.json"), *index = load(dir, "model_index.json");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = (struct model){.name = last_part(dir, a), .dir = arena_strdup(a, dir)};
	if (!strcmp(text(config, "model_type"), "musicgen"))
		describe_musicgen(config, ret);
	else if (!strcmp(text(index, "_class_name"), "StableAudioPipeline"))
		ret->engine = "stable-audio";
	else if (!strcmp(text(index, "_class_name"), "AudioLDM2Pipeline"))
		ret->engine = "audioldm2";
	if (fd >= 0)
		ret->bytes = folder_bytes(fd, 1);
	json_decref(config);
	json_decref(index);
}

static int is_model(const struct dirent *d)
{
	return d->d_name[0] != '.' &&
	       (d->d_type == DT_DIR || d->d_type == DT_LNK || d->d_type == DT_UNKNOWN);
}

int models_list(
	const char *library, struct arena *a, struct model **ret, size_t *ret_n, struct err *e)
{
	const char *folder = arena_printf(a, "%s/models", library);
	struct dirent **names = NULL;
	int n = scandir(folder, &names, is_model, alphasort), rc = 0;

	*ret = NULL;
	*ret_n = 0;
	if (n < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "cannot read '%s'", folder);
	if (n > MODELS_MAX) {
		rc = err_set(e, ERR_FORMAT, "'%s' holds %d folders; keep at most %d models there",
			folder, n, MODELS_MAX);
		goto out;
	}
	*ret = ARENA_ARRAY(a, struct model, (size_t)n);
	for (int i = 0; i < n; i++) {
		const char *dir = arena_printf(a, "%s/%s", folder, names[i]->d_name);
		struct stat st;

		if (!stat(dir, &st) && S_ISDIR(st.st_mode)) {
			model_describe(dir, a, &(*ret)[*ret_n]);
			(*ret)[*ret_n].name = arena_strdup(a, names[i]->d_name);
			++*ret_n;
		}
	}
out:
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return rc;
}

/* What cache_write() makes, finished or not. */
static bool is_cached(const char *name)
{
	return strstr(name, ".weights") != NULL;
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
