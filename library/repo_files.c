/* What lies in a repository, and which of it a model needs. */
#include "library/repo_files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

enum {
	FILES_MAX = 2000, /* the server gives 1000 a page, and one page is asked for */
	PATH_BYTES_MAX = 300,
	FOLDER_BYTES_MAX = 64,
	SHARDS_MAX = 999,
};

static const uint64_t FILE_BYTES_MAX = 1ull << 40;

/* ---- the server's list -------------------------------------------------- */

static bool is_hex(const char *s, size_t n)
{
	return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static int parse_entry(const json_t *entry, struct arena *a, struct repo_file *ret, struct err *e)
{
	/* Of a file in git's large file storage, the entry's own hash is that of
	 * the pointer that stands for it. */
	const json_t *lfs = json_object_get(entry, "lfs"),
		     *told = json_is_object(lfs) ? lfs : entry;
	const char *path = json_string_value(json_object_get(entry, "path"));
	const char *hash = json_string_value(json_object_get(told, "oid"));
	const json_t *size = json_object_get(told, "size");

	if (!path || strlen(path) > PATH_BYTES_MAX)
		return err_set(e, ERR_FORMAT, "the server's list has an entry without a path");
	if (!json_is_integer(size) || json_integer_value(size) < 0 ||
		(uint64_t)json_integer_value(size) > FILE_BYTES_MAX)
		return err_set(
			e, ERR_FORMAT, "the server's list gives '%.200s' a senseless size", path);
	if (!is_hex(hash, told == lfs ? 64 : 40))
		return err_set(
			e, ERR_FORMAT, "the server's list has no checksum for '%.200s'", path);
	*ret = (struct repo_file){
		.path = arena_strdup(a, path),
		.bytes = (uint64_t)json_integer_value(size),
		.is_lfs = told == lfs,
		.hash = arena_strdup(a, hash),
	};
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct repo_file *)a)->path, ((const struct repo_file *)b)->path);
}

/* Sorted, each path once. */
static int sort(struct repo_files *files, struct err *e)
{
	qsort(files->at, files->n, sizeof(*files->at), by_path);
	for (size_t i = 1; i < files->n; i++)
		if (!by_path(&files->at[i - 1], &files->at[i]))
			return err_set(e, ERR_FORMAT, "the server's list has '%.200s' twice",
				files->at[i].path);
	return 0;
}

int repo_files_parse(
	const char *text, size_t n, struct arena *a, struct repo_files *ret, struct err *e)
{
	json_error_t why;
	json_t *list = NULL, *entry;
	size_t i;
	int rc = 0;

	*ret = (struct repo_files){0};
	if (n <= REPO_LIST_BYTES_MAX)
		list = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_array(list) || json_array_size(list) > FILES_MAX) {
		json_decref(list);
		return err_set(e, ERR_FORMAT,
			"the server's list of files is none: HF_ENDPOINT must name a Hugging Face "
			"server");
	}
	ret->at = ARENA_ARRAY(a, struct repo_file, json_array_size(list) + 1);
	json_array_foreach(list, i, entry)
	{
		const char *type = json_string_value(json_object_get(entry, "type"));

		if (type && strcmp(type, "file"))
			continue;
		rc = parse_entry(entry, a, &ret->at[ret->n], e);
		if (rc)
			break;
		ret->bytes += ret->at[ret->n++].bytes;
	}
	json_decref(list);
	return rc ? rc : sort(ret, e);
}

/* ---- a folder's --------------------------------------------------------- */

static void read_folder(const char *dir, const char *sub, struct arena *a, struct repo_files *ret)
{
	DIR *d = opendir(*sub ? arena_printf(a, "%s/%s", dir, sub) : dir);
	struct dirent *entry;

	while (d && ret->n < FILES_MAX && (entry = readdir(d))) {
		struct stat st;

		if (entry->d_name[0] == '.' || fstatat(dirfd(d), entry->d_name, &st, 0))
			continue;
		if (S_ISDIR(st.st_mode) && !*sub)
			read_folder(dir, entry->d_name, a, ret);
		if (!S_ISREG(st.st_mode) || ret->n >= FILES_MAX)
			continue;
		ret->at[ret->n++] = (struct repo_file){
			.path = arena_printf(a, "%s%s%s", sub, *sub ? "/" : "", entry->d_name),
			.bytes = (uint64_t)st.st_size,
		};
		ret->bytes += (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
}

void repo_files_read(const char *dir, struct arena *a, struct repo_files *ret)
{
	*ret = (struct repo_files){.at = ARENA_ARRAY(a, struct repo_file, FILES_MAX)};
	read_folder(dir, "", a, ret);
	sort(ret, NULL);
}

/* ---- what a model needs ------------------------------------------------- */

/* Descriptions and tokenizers, in any folder. */
static const char *const small_names[] = {
	"config.json",
	"generation_config.json",
	"preprocessor_config.json",
	"scheduler_config.json",
	"tokenizer_config.json",
	"special_tokens_map.json",
	"added_tokens.json",
	"tokenizer.json",
	"vocab.json",
	"merges.txt",
	"spiece.model",
};

/* What the folder itself may have besides: the licence comes along. */
static const char *const root_names[] = {
	"model_index.json",
	"README.md",
	"LICENSE",
	"LICENSE.md",
	"LICENSE.txt",
};

static const struct {
	const char *stem, *suffix;
} weights[] = {
	{"model", ".safetensors"},
	{"diffusion_pytorch_model", ".safetensors"},
	{"pytorch_model", ".bin"},
	{"diffusion_pytorch_model", ".bin"},
};

struct choice {
	const struct repo_files *all;
	struct repo_files *ret; /* room for all */
	struct arena *a;
};

static const struct repo_file *find(const struct repo_files *files, const char *path)
{
	const struct repo_file key = {.path = path};

	return files->n ? bsearch(&key, files->at, files->n, sizeof(*files->at), by_path) : NULL;
}

/* FOLDER is "" or "vae/". */
static const struct repo_file *find_in(struct choice *c, const char *folder, const char *name)
{
	return find(c->all, arena_printf(c->a, "%s%s", folder, name));
}

static void take(struct choice *c, const struct repo_file *f)
{
	c->ret->at[c->ret->n++] = *f;
	c->ret->bytes += f->bytes;
}

static void take_named(
	struct choice *c, const char *folder, const char *const *names, size_t n_names)
{
	for (size_t i = 0; i < n_names; i++) {
		const struct repo_file *f = find_in(c, folder, names[i]);

		if (f)
			take(c, f);
	}
}

/* The number of parts of STEM-00001-of-00003SUFFIX, or 0. */
static unsigned count_shards(struct choice *c, const char *folder, size_t kind)
{
	const char *prefix = arena_printf(c->a, "%s%s-00001-of-", folder, weights[kind].stem);

	for (size_t i = 0; i < c->all->n; i++) {
		const char *path = c->all->at[i].path;
		uint64_t n;

		if (has_prefix(path, prefix) && has_suffix(path, weights[kind].suffix) &&
			strlen(path) == strlen(prefix) + 5 + strlen(weights[kind].suffix) &&
			parse_u64(arena_strndup(c->a, path + strlen(prefix), 5), &n) && n &&
			n <= SHARDS_MAX)
			return (unsigned)n;
	}
	return 0;
}

static int take_shards(struct choice *c, const char *folder, size_t kind, struct err *e)
{
	unsigned n = count_shards(c, folder, kind);

	if (!n)
		return err_set(e, ERR_UNSUPPORTED, "there is '%s%s%s.index.json', but no part",
			folder, weights[kind].stem, weights[kind].suffix);
	for (unsigned i = 1; i <= n; i++) {
		const char *name = arena_printf(
			c->a, "%s-%05u-of-%05u%s", weights[kind].stem, i, n, weights[kind].suffix);
		const struct repo_file *f = find_in(c, folder, name);

		if (!f)
			return err_set(e, ERR_UNSUPPORTED, "'%s%s' is missing", folder, name);
		take(c, f);
	}
	return 0;
}

static int take_weights(struct choice *c, const char *folder, struct err *e)
{
	for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++) {
		const char *name = arena_printf(c->a, "%s%s", weights[i].stem, weights[i].suffix);
		const struct repo_file *f = find_in(c, folder, name);

		if (f) {
			take(c, f);
			return 0;
		}
		f = find_in(c, folder, arena_printf(c->a, "%s.index.json", name));
		if (f) {
			take(c, f);
			return take_shards(c, folder, i, e);
		}
	}
	return err_set(e, ERR_UNSUPPORTED, "there are no weights in '%s'", *folder ? folder : ".");
}

static int take_folder(struct choice *c, const char *folder, struct err *e)
{
	take_named(c, folder, small_names, sizeof(small_names) / sizeof(*small_names));
	/* A network has a config.json; schedulers and tokenizers have other names. */
	return find_in(c, folder, "config.json") ? take_weights(c, folder, e) : 0;
}

/* Every folder one level down, in order; its files are neighbours in the list. */
static int take_folders(struct choice *c, struct err *e)
{
	const char *last = "";
	int rc = 0;

	for (size_t i = 0; i < c->all->n && !rc; i++) {
		const char *path = c->all->at[i].path, *slash = strchr(path, '/'), *folder;
		size_t n = slash ? (size_t)(slash - path) : 0;

		if (!n || n > FOLDER_BYTES_MAX || !strncmp(last, path, n + 1) ||
			strspn(path, "abcdefghijklmnopqrstuvwxyz_0123456789") != n)
			continue;
		folder = arena_strndup(c->a, path, n + 1);
		rc = take_folder(c, folder, e);
		last = folder;
	}
	return rc;
}

/* What tells the kind of model comes first, so that a wrong one costs nothing. */
static int by_rank(const void *a, const void *b)
{
	const struct repo_file *x = a, *y = b;
	bool first = !strcmp(x->path, "model_index.json") || !strcmp(x->path, "config.json");
	bool second = !strcmp(y->path, "model_index.json") || !strcmp(y->path, "config.json");

	if (first != second)
		return first ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return by_path(a, b);
}

int repo_files_choose(
	const struct repo_files *all, struct arena *a, struct repo_files *ret, struct err *e)
{
	struct choice c = {.all = all, .ret = ret, .a = a};
	int rc = 0;

	*ret = (struct repo_files){.at = ARENA_ARRAY(a, struct repo_file, all->n + 1)};
	take_named(&c, "", root_names, sizeof(root_names) / sizeof(*root_names));
	if (find(all, "model_index.json"))
		rc = take_folders(&c, e);
	else if (find(all, "config.json"))
		rc = take_folder(&c, "", e);
	else
		rc = err_set(
			e, ERR_UNSUPPORTED, "there is neither config.json nor model_index.json");
	qsort(ret->at, ret->n, sizeof(*ret->at), by_rank);
	return rc;
}
