/* A library of many takes: how long a list takes to come, as it is typed.
 *
 *	bench_library [TAKES [FOLDER]]
 *
 * Makes a library of 100 000 takes in FOLDER (or a temporary one that is removed
 * afterwards), then opens it cold (a new connection) and asks for the first page
 * and the number of what matches, as a screen does after each key. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/takes.h"

enum { PAGE = 60 };

static const int64_t NOW = 1795694400000;

static const char *const words[] = {"slow", "fast", "lofi", "piano", "guitar", "ambient", "techno",
	"rain", "night", "warm", "dark", "bright", "drums", "choir", "strings", "vinyl", "bass",
	"dreamy", "retro", "epic", "jazz", "house", "dub", "folk", "rock", "marimba", "bossa",
	"chiptune", "orchestral", "flute", "brass", "bells"};

static struct err e;

static void must(int rc)
{
	if (!rc)
		return;
	fprintf(stderr, "bench_library: %s\n", e.text);
	exit(1);
}

static uint32_t draw(uint32_t n)
{
	static uint64_t s = 1;

	s = s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s >> 33) % n;
}

static void fill(const char *folder, int64_t n)
{
	const size_t n_words = sizeof(words) / sizeof(*words);
	struct db *db;

	must(db_open(folder, &db, &e));
	must(db_begin(db, &e));
	for (int64_t i = 0; i < n; i++) {
		char prompt[200] = "", file[64];
		struct take t = {.model = i % 3 ? "starter" : "musicgen-large",
			.model_hash =
				"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			.seed = (uint64_t)i * 7919,
			.frames = 320000 + draw(640000),
			.rate = 32000,
			.channels = 1,
			.guidance = 3,
			.file = file,
			.recipe = "{\"program\":\"woodshed\",\"temperature\":1,\"top_k\":250,\"top_"
				  "p\":0,"
				  "\"precision\":\"bf16\",\"device\":\"cpu\"}",
			.lufs = -10.0 - draw(200) / 10.0,
			.peak = -1,
			.score = NAN,
			.created = NOW - (n - i) * 60000};

		for (int k = 0; k < 7; k++)
			snprintf(prompt + strlen(prompt), sizeof(prompt) - strlen(prompt), "%s ",
				words[draw((uint32_t)n_words)]);
		snprintf(prompt + strlen(prompt), sizeof(prompt) - strlen(prompt), "%u bpm",
			60 + draw(120));
		snprintf(file, sizeof(file), "takes/2026/11/20261126-120000-%08llx.wav",
			(long long)i);
		/* Four takes of a prompt. */
		if (i % 4 == 0 || i == 0)
			must(prompts_add(db, prompt, NULL, 0, NULL, t.created, &t.prompt_id, &e));
		else
			t.prompt_id = i / 4 + 1;
		int64_t id;
		must(takes_add(db, &t, &id, &e));
		if (i % 20 == 0)
			must(db_run(db, &e,
				"UPDATE takes SET favourite = 1, rating = 4 WHERE id = ?1", "i",
				id));
		if (i % 50 == 0)
			must(db_run(db, &e, "INSERT INTO tags VALUES (?1, 'keep')", "i", id));
	}
	must(db_commit(db, &e));
	db_close(db);
}

static double page(struct db *db, const char *filter, enum takes_order order, int64_t *ret_count)
{
	const struct takes_query q = {
		.filter = filter, .order = order, .limit = PAGE, .now_ms = NOW};
	const double began = clock_now();
	struct arena a = {0};
	struct take *takes;
	size_t n;

	must(takes_list(db, &q, &a, &takes, &n, &e));
	must(takes_count(db, &q, ret_count, &e));
	arena_done(&a);
	return (clock_now() - began) * 1000;
}

/* Every prefix of what is typed, then every one while it is deleted. */
static void type(struct db *db, const char *text, double *worst)
{
	char so_far[128];
	int64_t count = 0;
	double most = 0;
	size_t n = strlen(text);

	for (size_t i = 1; i < 2 * n; i++) {
		const size_t len = i <= n ? i : 2 * n - i;
		double ms;

		snprintf(so_far, sizeof(so_far), "%.*s", (int)len, text);
		/* Half a term is not a filter yet; a screen keeps the last list then. */
		struct err why = {0};
		struct arena a = {0};
		struct take *takes;
		size_t found;
		if (takes_list(db,
			    &(struct takes_query){.filter = so_far, .limit = 1, .now_ms = NOW}, &a,
			    &takes, &found, &why)) {
			arena_done(&a);
			continue;
		}
		arena_done(&a);
		ms = page(db, so_far, TAKES_NEWEST, &count);
		most = ms > most ? ms : most;
	}
	page(db, text, TAKES_NEWEST, &count);
	printf("typing and deleting \"%s\": at most %.1f ms a key, %lld takes\n", text, most,
		(long long)count);
	*worst = most > *worst ? most : *worst;
}

/* All that is found, as numbers: what the workstation asks for after each key. */
static void find(
	struct db *db, const char *filter, enum takes_order order, struct takes_prompts *all)
{
	const struct takes_query q = {.filter = filter, .order = order, .now_ms = NOW};
	const clock_t began = clock();
	struct takes_found found;

	must(takes_find(db, &q, all, &found, &e));
	printf("all of \"%s\", order %d: %.1f ms of a processor, %zu takes\n", filter, (int)order,
		(double)(clock() - began) * 1e3 / CLOCKS_PER_SEC, found.n);
	takes_found_done(&found);
}

static void find_all(struct db *db)
{
	static const char *const filters[] = {
		"", "s", "-drums", "piano", "dur>25", "fav", "#keep dark"};
	struct takes_prompts all = {0};
	const clock_t began = clock();

	must(takes_prompts_update(db, &all, &e));
	printf("prompts of all: %.1f ms of a processor\n",
		(double)(clock() - began) * 1e3 / CLOCKS_PER_SEC);
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++)
		find(db, filters[i], TAKES_NEWEST, &all);
	for (int order = TAKES_OLDEST; order <= TAKES_LOUDEST; order++)
		find(db, "", (enum takes_order)order, &all);
	find(db, "s", TAKES_LOUDEST, &all);
	takes_prompts_done(&all);
}

int main(int argc, char **argv)
{
	static const char *const typed[] = {"piano", "lofi rain night", "-drums", "fav",
		"#keep dark", "dur>25 model:musicgen", "seed:7919", "created:week",
		"\"warm piano\"", "rating>=3 -rain", "s", "zzzz"};
	const int64_t n = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
	char folder[] = "/tmp/woodshed-bench.XXXXXX", path[4096];
	const char *dir = argc > 2 ? argv[2] : mkdtemp(folder);
	double began = clock_now(), worst = 0;
	struct stat st;
	struct db *db;
	int64_t count;

	if (!dir)
		return 1;
	snprintf(path, sizeof(path), "%s/library.db", dir);
	if (stat(path, &st)) {
		fill(dir, n);
		printf("made %lld takes in %.1f s\n", (long long)n, clock_now() - began);
	}
	began = clock_now();
	must(db_open(dir, &db, &e));
	const double opened = (clock_now() - began) * 1000;
	const double first = page(db, NULL, TAKES_NEWEST, &count);
	printf("open %.1f ms, first page of %lld and their number %.1f ms\n", opened,
		(long long)count, first);
	for (size_t i = 0; i < sizeof(typed) / sizeof(*typed); i++)
		type(db, typed[i], &worst);
	printf("worst key: %.1f ms\n", worst);
	for (int order = TAKES_OLDEST; order <= TAKES_LOUDEST; order++)
		printf("order %d: %.1f ms\n", order,
			page(db, NULL, (enum takes_order)order, &count));
	find_all(db);
	db_close(db);
	if (!stat(path, &st))
		printf("database: %.1f MB\n", (double)st.st_size / 1e6);
	if (argc <= 2) {
		unlink(path);
		rmdir(dir);
	}
	return 0;
}
