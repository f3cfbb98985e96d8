/* The models that woodshed knows by name. */
#include "library/catalogue.h"

#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/options.h"

enum { PART_MAX = 96 }; /* of either half of OWNER/NAME */

#define PAGE(repo) "https://huggingface.co/" repo

#define MUSICGEN(size, bytes, n)                                                                   \
	{                                                                                          \
		.name = "musicgen-" size, .repo = "facebook/musicgen-" size, .engine = "musicgen", \
		.licence = "CC-BY-NC-4.0", .page = PAGE("facebook/musicgen-" size),                \
		.about_bytes = (bytes), .rate_hz = 32000, .channels = (n), .longest_s = 30,        \
	}

#define AUDIOLDM2(id, bytes)                                                                       \
	{                                                                                          \
		.name = id, .repo = "cvssp/" id, .engine = "audioldm2",                            \
		.licence = "CC-BY-NC-SA-4.0", .page = PAGE("cvssp/" id), .about_bytes = (bytes),   \
		.rate_hz = 16000, .channels = 1, .longest_s = 10.24,                               \
	}

const struct known_model catalogue[] = {
	MUSICGEN("small", 2370000000, 1),
	MUSICGEN("medium", 8040000000, 1),
	MUSICGEN("large", 13700000000, 1),
	MUSICGEN("stereo-small", 1220000000, 2),
	MUSICGEN("stereo-medium", 4070000000, 2),
	MUSICGEN("stereo-large", 6920000000, 2),
	{
		.name = "stable-audio-open-1.0",
		.repo = "stabilityai/stable-audio-open-1.0",
		.engine = "stable-audio",
		.licence = "Stability AI Community License",
		.commercial = COMMERCIAL_LIMITED,
		.page = PAGE("stabilityai/stable-audio-open-1.0"),
		.about_bytes = 5300000000,
		.rate_hz = 44100,
		.channels = 2,
		.longest_s = 47.5,
		.gated = true,
	},
	AUDIOLDM2("audioldm2-music", 4480000000),
	AUDIOLDM2("audioldm2", 4480000000),
	AUDIOLDM2("audioldm2-large", 5970000000),
	{0},
};

const struct known_model *catalogue_by_name(const char *name)
{
	for (const struct known_model *m = catalogue; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

const struct known_model *catalogue_by_repo(const char *repo)
{
	for (const struct known_model *m = catalogue; m->name; m++)
		if (!strcmp(m->repo, repo))
			return m;
	return NULL;
}

const char *commercial_name(enum commercial c)
{
	static const char *const names[] = {"no", "limited", "yes"};

	return names[c];
}

static bool is_part(const char *s, size_t n)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";

	if (!n || n > PART_MAX || strspn(s, allowed) < n || *s == '.' || *s == '-')
		return false;
	/* Hugging Face gives out neither: ".." is a folder, and "--" stands for
	 * the slash in its cache, and here. */
	for (size_t i = 1; i < n; i++)
		if (s[i] == s[i - 1] && (s[i] == '.' || s[i] == '-'))
			return false;
	return true;
}

bool is_repo(const char *s)
{
	const char *slash = strchr(s, '/');

	return slash && is_part(s, (size_t)(slash - s)) && is_part(slash + 1, strlen(slash + 1));
}

const char *repo_model_name(const char *repo, struct arena *a)
{
	const char *slash = strchr(repo, '/');
	const struct known_model *known = catalogue_by_name(slash + 1);

	if (!known || !strcmp(known->repo, repo))
		return arena_strdup(a, slash + 1);
	return arena_printf(a, "%.*s--%s", (int)(slash - repo), repo, slash + 1);
}

int catalogue_resolve(const char *word, const struct known_model **ret_known, const char **ret_repo,
	struct err *e)
{
	const char *nearest = NULL;
	size_t best = 4; /* three slips apart is another name */

	*ret_known = strchr(word, '/') ? catalogue_by_repo(word) : catalogue_by_name(word);
	*ret_repo = *ret_known ? (*ret_known)->repo : word;
	if (*ret_known || is_repo(word))
		return 0;
	if (strchr(word, '/'))
		return err_set(e, ERR_ARG,
			"'%.200s' is no repository; those of Hugging Face are OWNER/NAME", word);
	for (const struct known_model *m = catalogue; m->name; m++) {
		size_t d = edit_distance(word, m->name);

		if (d < best) {
			best = d;
			nearest = m->name;
		}
	}
	if (nearest)
		return err_set(
			e, ERR_ARG, "no model '%.200s' is known; did you mean %s?", word, nearest);
	return err_set(e, ERR_ARG,
		"no model '%.200s' is known; woodshed models lists those that are, and any other "
		"is named by its repository, OWNER/NAME",
		word);
}
