/* Takes: lists, filters, edits and how they are taken back, files and rows. */
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/filter.h"
#include "library/queue.h"
#include "library/repair.h"
#include "library/takes.h"
#include "library/undo.h"

/* 2026-11-26 12:00 UTC */
static const int64_t NOW = 1795694400000;
static const int64_t DAY = 86400000;

static struct db *db;
static struct arena arena;

static int open_library(void **state)
{
	struct err e = {0};

	setenv("TZ", "UTC", 1);
	tzset();
	if (scratch_open(state))
		return -1;
	return db_open(*state, &db, &e);
}

static int close_library(void **state)
{
	db_close(db);
	arena_done(&arena);
	return scratch_close(state);
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err e = {0};                                                                \
		if (call)                                                                          \
			fail_msg("%s: %s", #call, e.text);                                         \
	} while (0)

static int64_t add(const char *prompt, const char *model, uint64_t seed, double seconds,
	int64_t created, const char *file)
{
	struct take t = {
		.model = model,
		.seed = seed,
		.frames = (int64_t)(seconds * 32000),
		.rate = 32000,
		.channels = 1,
		.guidance = 3,
		.file = file,
		.lufs = -16,
		.peak = NAN,
		.score = NAN,
		.created = created,
	};
	int64_t id = 0;

	OK(prompts_add(db, prompt, NULL, 0, NULL, created, &t.prompt_id, &e));
	OK(takes_add(db, &t, &id, &e));
	return id;
}

/* The ids that a filter leaves, newest first, as text. */
static const char *found(const char *filter)
{
	const struct takes_query q = {.filter = filter, .now_ms = NOW};
	static char out[256];
	struct take *takes;
	int64_t count;
	size_t n;

	OK(takes_list(db, &q, &arena, &takes, &n, &e));
	OK(takes_count(db, &q, &count, &e));
	assert_int_equal(count, n);
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%lld", i ? " " : "",
			(long long)takes[i].id);
	return out;
}

static void edit(int64_t id, const char *field, const char *value)
{
	OK(takes_edit(db, &id, 1, field, value, "an edit", NULL, &e));
}

static void five(void)
{
	add("slow piano, rain on a roof", "starter", 7, 10, NOW - 40 * DAY, "takes/1.wav");
	add("fast piano and drums", "starter", 8, 31, NOW - 2 * DAY, "takes/2.wav");
	add("Ambient drone, no drums", "musicgen-small", 18446744073709551615u, 30, NOW - DAY,
		"takes/3.wav");
	add("caf\xc3\xa9 guitar, don't \"stop\"", "musicgen-large", 7, 5, NOW - 3600000,
		"takes/4.wav");
	add("rainy caf\xc3\xa9", "musicgen-small", 1, 60, NOW, "takes/5.wav");
}

/* takes_find() gives what takes_list() gives, and the prompts; all of it in every
 * order, both ways. */
static void finds_the_same(const char *filter, struct takes_prompts *all)
{
	OK(takes_prompts_update(db, all, &e));
	for (int i = 0; i < 2 * (TAKES_SCORE + 1); i++) {
		const struct takes_query q = {.filter = filter,
			.order = (enum takes_order)(i / 2),
			.reversed = i % 2,
			.now_ms = NOW};
		struct takes_found found;
		struct take *takes;
		size_t n;

		OK(takes_list(db, &q, &arena, &takes, &n, &e));
		OK(takes_find(db, &q, all, &found, &e));
		assert_int_equal(found.n, n);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(found.ids[k], takes[k].id);
			assert_int_equal(found.prompts[k], takes[k].prompt_id);
		}
		takes_found_done(&found);
	}
}

static uint64_t stamp(void)
{
	uint64_t s;

	OK(takes_stamp(db, &s, &e));
	return s;
}

static void lists_by_number(void **state)
{
	struct takes_prompts all = {0};
	struct take t;
	int64_t id, kept, trashed;
	uint64_t seen;
	struct purged purged;
	struct arena a = {0};
	struct undone done;

	finds_the_same("", &all);
	five();
	add("rainy caf\xc3\xa9", "starter", 2, 3, NOW, "takes/6.wav");
	finds_the_same("", &all);
	finds_the_same("rain", &all);
	finds_the_same("dur>20 -drone", &all);
	finds_the_same("-", &all); /* of a word that is typed yet */
	OK(takes_number(db, 6, &id, &e));
	assert_int_equal(id, 2);
	OK(takes_get(db, 6, &arena, &t, &e));
	OK(prompts_count(db, t.prompt_id, &id, &e));
	assert_int_equal(id, 2);
	OK(takes_number(db, 5, &id, &e));
	assert_int_equal(id, 1);
	OK(takes_last_before(db, NOW - 1, &id, &e));
	assert_int_equal(id, 4);
	OK(takes_last_before(db, NOW - 90 * DAY, &id, &e));
	assert_int_equal(id, 0);

	/* Each change gives another stamp, nothing gives the same. */
	seen = stamp();
	assert_true(stamp() == seen);
	edit(3, "trashed", "5");
	assert_true(stamp() != seen);
	finds_the_same("", &all);
	finds_the_same("trash", &all);
	OK(takes_totals(db, &kept, &trashed, &e));
	assert_true(kept == 5 && trashed == 1);
	seen = stamp();
	edit(2, "rating", "3");
	assert_true(stamp() != seen);
	seen = stamp();
	OK(undo_back(db, &a, &done, &e));
	assert_true(stamp() != seen);
	arena_done(&a);
	seen = stamp();
	id = 3;
	OK(takes_purge(db, &id, 1, &purged, &e));
	assert_true(stamp() != seen);
	finds_the_same("", &all);
	assert_int_equal(all.n, 5);
	takes_prompts_done(&all);
}

static uint32_t draw(uint32_t n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* Every field that may be unknown is, of some; some are gone. */
static void any(int n)
{
	static const char *const words[] = {"rain", "rainy", "piano", "drums", "dark"};
	static const char *const edits[][2] = {{"favourite", "1"}, {"rating", "2"}, {"rating", "4"},
		{"verdict", "kept"}, {"verdict", "rejected"}, {"tag", "keep"}, {"tag", "drums"},
		{"trashed", "5"}, {"note", "rain"}};
	struct purged purged;

	OK(db_begin(db, &e));
	for (int i = 0; i < n; i++) {
		char prompt[64], file[32];
		struct take t = {.model = draw(2) ? "starter" : "musicgen-small",
			.seed = draw(9),
			.frames = 32000 * (int64_t)(1 + draw(5)),
			.rate = 32000,
			.channels = 1,
			.file = file,
			.job = draw(4),
			.guidance = draw(2) ? NAN : draw(3),
			.lufs = draw(2) ? NAN : -1.0 * draw(3),
			.peak = draw(2) ? NAN : -1.0 * draw(3),
			.score = draw(2) ? NAN : draw(3),
			.created = NOW - (int64_t)draw(4) * DAY};
		int64_t id = 0;

		snprintf(prompt, sizeof(prompt), "%s %s", words[draw(5)], words[draw(5)]);
		snprintf(file, sizeof(file), "takes/%d.wav", i);
		OK(prompts_add(db, prompt, NULL, 0, NULL, NOW, &t.prompt_id, &e));
		OK(takes_add(db, &t, &id, &e));
	}
	OK(db_run(db, &e, "UPDATE takes SET missing = 1 WHERE id % 7 = 0", ""));
	OK(db_commit(db, &e));
	for (int64_t id = 1; id <= n; id++)
		for (uint32_t k = draw(4); k; k--) {
			const char *const *x = edits[draw(sizeof(edits) / sizeof(*edits))];

			edit(id, x[0], x[1]);
		}
	for (int64_t id = 1; id <= n; id += 1 + draw(9)) {
		edit(id, "trashed", "5");
		OK(takes_purge(db, &id, 1, &purged, &e));
	}
}

/* Sometimes one is purged. */
static void change_any(struct db *by, const struct takes_prompts *all)
{
	const int64_t id = all->ids[draw((uint32_t)all->n)];
	struct purged purged;

	OK(takes_edit(by, &id, 1, draw(2) ? "tag" : "untag", "keep", "an edit", NULL, &e));
	OK(takes_edit(by, &id, 1, "rating", draw(2) ? "1" : "5", "an edit", NULL, &e));
	OK(takes_edit(by, &id, 1, "trashed", draw(2) ? "5" : NULL, "an edit", NULL, &e));
	if (!draw(4)) {
		OK(takes_edit(by, &id, 1, "trashed", "5", "an edit", NULL, &e));
		OK(takes_purge(by, &id, 1, &purged, &e));
	}
}

/* Terms by chance: takes_find() evaluates them one by one and keeps what it found until
 * somebody writes, takes_ids() asks for all in one query. */
static void finds_what_sql_says(void **state)
{
	static const char *const terms[] = {"rain", "piano", "d", "\"rain dark\"", "zz", ".", "fav",
		"missing", "trash", "kept", "rejected", "rated", "heard", "tagged", "#keep",
		"#none", "dur>2", "dur=3", "rating>=2", "lufs<-1", "peak>=-1", "score=1", "cfg<2",
		"seed:7", "id:12", "job:2", "model:s", "model:x", "created:today",
		"created>yesterday"};
	struct takes_prompts all = {0};
	struct db *other;

	any(200);
	OK(db_open(*state, &other, &e));
	OK(takes_prompts_update(db, &all, &e));
	for (int i = 0; i < 2000; i++) {
		char filter[256] = "";
		struct takes_query q = {.filter = filter,
			.order = (enum takes_order)draw(TAKES_SCORE + 1),
			.reversed = draw(2),
			.limit = draw(2) ? 0 : draw(50),
			.offset = draw(2) ? 0 : draw(20),
			.now_ms = NOW};
		struct takes_ids ids = {0};
		struct takes_found found;

		if (!draw(30))
			change_any(draw(2) ? db : other, &all);
		OK(takes_prompts_update(db, &all, &e));
		for (uint32_t k = 1 + draw(3); k; k--)
			snprintf(filter + strlen(filter), sizeof(filter) - strlen(filter), "%s%s ",
				draw(2) ? "-" : "", terms[draw(sizeof(terms) / sizeof(*terms))]);
		OK(takes_ids(db, &q, &ids, &e));
		OK(takes_find(db, &q, &all, &found, &e));
		if (found.n != ids.n ||
			(ids.n && memcmp(found.ids, ids.at, ids.n * sizeof(*ids.at)) != 0))
			fail_msg("'%s': %zu takes, not %zu, or others", filter, found.n, ids.n);
		takes_found_done(&found);
		VEC_DONE(&ids);
	}
	assert_in_range(all.n, 20, 199);
	takes_prompts_done(&all);
	db_close(other);
}

static void signs_are(int64_t prompt, bool favourite, bool unheard)
{
	bool is_favourite, is_unheard;

	OK(prompts_signs(db, prompt, &is_favourite, &is_unheard, &e));
	assert_int_equal(is_favourite, favourite);
	assert_int_equal(is_unheard, unheard);
}

static void signs_of_prompts(void **state)
{
	struct take t;
	bool is_new;

	five();
	add("fast piano and drums", "starter", 9, 31, NOW, "takes/6.wav"); /* another of 2's */
	OK(takes_get(db, 2, &arena, &t, &e));
	signs_are(t.prompt_id, false, true);
	edit(2, "favourite", "1");
	signs_are(t.prompt_id, true, true);
	OK(takes_hear(db, 6, true, &is_new, &e));
	assert_true(is_new);
	signs_are(t.prompt_id, true, true); /* one of two */
	OK(takes_hear(db, 2, true, NULL, &e));
	signs_are(t.prompt_id, true, false);
	OK(takes_hear(db, 2, true, &is_new, &e));
	assert_false(is_new);
	OK(takes_hear(db, 2, false, NULL, &e));
	signs_are(t.prompt_id, true, true);
	OK(takes_hear(db, 2, true, NULL, &e));
	edit(2, "trashed", "5");
	signs_are(t.prompt_id, false, false);
}

static void filters(void **state)
{
	five();
	assert_string_equal(found(NULL), "5 4 3 2 1");
	assert_string_equal(found(""), "5 4 3 2 1");
	assert_string_equal(found("piano"), "2 1");
	assert_string_equal(found("pia"), "2 1");
	assert_string_equal(found("PIANO drums"), "2");
	assert_string_equal(found("rain"), "5 1");
	assert_string_equal(found("\"rain on\""), "1");
	assert_string_equal(found("\"on rain\""), "");
	assert_string_equal(found("cafe"), "5 4");
	assert_string_equal(found("-piano"), "5 4 3");
	assert_string_equal(found("drums -piano"), "3");
	assert_string_equal(found("-\"no drums\" -rain"), "4 2");
	assert_string_equal(found("don't"), "4");
	assert_string_equal(found("model:musicgen"), "5 4 3");
	assert_string_equal(found("model:MusicGen-small"), "5 3");
	assert_string_equal(found("-model:starter dur>30"), "5");
	assert_string_equal(found("dur>20 -piano"), "5 3");
	assert_string_equal(found("-drone dur>20 -piano"), "5");
	assert_string_equal(found("dur>=30"), "5 3 2");
	assert_string_equal(found("dur<10"), "4");
	assert_string_equal(found("dur:10"), "1");
	assert_string_equal(found("seed:7"), "4 1");
	assert_string_equal(found("seed:18446744073709551615"), "3");
	assert_string_equal(found("id:3"), "3");
	assert_string_equal(found("created:today"), "5 4");
	assert_string_equal(found("created:yesterday"), "3");
	assert_string_equal(found("created:week"), "5 4 3 2");
	assert_string_equal(found("created:2026-11"), "5 4 3 2");
	assert_string_equal(found("created<2026-11"), "1");
	assert_string_equal(found("created>2026-11-24"), "5 4 3");
	assert_string_equal(found("created>=2026-11-24"), "5 4 3 2");
	assert_string_equal(found("created<=2026-11-24"), "2 1");
	assert_string_equal(found("lufs<-10 cfg=3"), "5 4 3 2 1");
	assert_string_equal(found("peak<0"), "");
	assert_string_equal(found(":piano"), "2 1"); /* no field before it: a word */
	/* Nothing but signs: no words yet. */
	assert_string_equal(found("- \" ... *"), "5 4 3 2 1");
	assert_string_equal(found("\u2014 \U0001f3b9"), "5 4 3 2 1");
	assert_string_equal(found("-\u2014"), "5 4 3 2 1");
	assert_string_equal(found("PIANO \u2014 drums"), "2");
	assert_string_equal(found("\u2014 drums -\U0001f3b9 -piano"), "3");
	assert_string_equal(found("\u00e9tude"), "");
}

static void marks(void **state)
{
	five();
	edit(1, "favourite", "1");
	edit(2, "rating", "4");
	edit(2, "tag", "keep");
	edit(3, "tag", "keep");
	edit(3, "tag", "for-later");
	edit(4, "verdict", "rejected");
	edit(5, "note", "the hook comes late");
	edit(5, "trashed", "1");
	assert_string_equal(found("fav"), "1");
	assert_string_equal(found("-fav"), "4 3 2");
	assert_string_equal(found("rating>=3"), "2");
	assert_string_equal(found("rated"), "2");
	assert_string_equal(found("#keep"), "3 2");
	assert_string_equal(found("#KEEP -#for-later"), "2");
	assert_string_equal(found("tagged"), "3 2");
	assert_string_equal(found("rejected"), "4");
	assert_string_equal(found("-rejected -rated"), "3 1");
	assert_string_equal(found("trash"), "5");
	assert_string_equal(found("hook"), "");
	assert_string_equal(found("hook trash"), "5");
	assert_string_equal(found("keep"), "3 2"); /* tags are words, too */
	edit(3, "untag", "keep");
	assert_string_equal(found("#keep"), "2");
	assert_string_equal(found("keep"), "2");
	edit(5, "trashed", NULL);
	assert_string_equal(found("hook"), "5");
}

static void wrong(const char *filter, const char *words)
{
	struct filter f;
	struct err e = {0};

	assert_int_equal(filter_parse(filter, NOW, &f, &e), ERR_ARG);
	assert_error(e, ERR_ARG, words);
}

static void wrong_filters(void **state)
{
	char many[1000] = "";

	wrong("dur>long", "dur takes a number");
	wrong("dur>", "dur takes a number");
	wrong("seed:x", "seed takes a whole number");
	wrong("seed>3", "seed takes a whole number");
	wrong("colour:red", "'colour' is none of dur rating");
	wrong("model:", "model takes a name");
	wrong("created:whenever", "created takes today");
	wrong("created:2026-13", "created takes today");
	wrong("created:2026-1x", "created takes today");
	wrong("#", "name a tag");
	wrong("a\xff", "UTF-8");
	for (int i = 0; i < 40; i++)
		strcpy(many + strlen(many), "word ");
	wrong(many, "at most");
	assert_int_equal(strlen(found("\"dur>long\"")), 0);
}

static const char *undo(bool redo)
{
	struct undone done;

	OK((redo ? undo_again : undo_back)(db, &arena, &done, &e));
	assert_int_equal(done.n_late, 0); /* nobody else changed them */
	return done.label;
}

static void edits_are_taken_back(void **state)
{
	const int64_t ids[] = {1, 2, 3};
	int64_t action;
	struct take t;

	five();
	assert_null(undo(false));
	OK(takes_edit(db, ids, 3, "trashed", "123", "trash 3 takes", NULL, &e));
	edit(4, "rating", "2");
	edit(4, "rating", "5");
	edit(4, "tag", "x");
	edit(4, "tag", "x"); /* nothing changes: no action */
	OK(takes_edit(db, ids, 2, "rating", "0", "x", &action, &e));
	assert_int_equal(action, 0);
	assert_string_equal(found(NULL), "5 4");
	assert_string_equal(undo(false), "an edit");
	OK(takes_get(db, 4, &arena, &t, &e));
	assert_string_equal(t.tags, "");
	assert_int_equal(t.rating, 5);
	undo(false);
	OK(takes_get(db, 4, &arena, &t, &e));
	assert_int_equal(t.rating, 2);
	undo(false);
	OK(takes_get(db, 4, &arena, &t, &e));
	assert_int_equal(t.rating, 0);
	assert_string_equal(undo(false), "trash 3 takes");
	assert_string_equal(found(NULL), "5 4 3 2 1");
	assert_null(undo(false));
	assert_string_equal(undo(true), "trash 3 takes");
	undo(true);
	OK(takes_get(db, 4, &arena, &t, &e));
	assert_int_equal(t.rating, 2);
	/* Something new: what was undone is gone. */
	edit(5, "favourite", "1");
	assert_null(undo(true));
	assert_string_equal(found("fav"), "5");
}

static void one_action_is_taken_back(void **state)
{
	const int64_t id = 2, job = 1;
	const struct job_new wanted = {.prompt = "p", .model = "starter", .seconds = "1"};
	int64_t action, adding;
	struct undone done;
	struct take t;
	uint64_t seen;

	five();
	OK(takes_edit(db, &id, 1, "verdict", "kept", "kept it", &action, &e));
	OK(jobs_add(db, &wanted, 1, NOW, NULL, &e));
	edit(3, "rating", "2");
	seen = stamp();
	OK(undo_back_one(db, action, (struct subject){.take = 2}, &arena, &done, &e));
	assert_string_equal(done.label, "kept it");
	assert_true(done.n == 1 && !done.n_late);
	assert_true(stamp() != seen);
	OK(takes_get(db, 2, &arena, &t, &e));
	assert_string_equal(t.verdict, "");
	/* Not twice, and not what is of another take. */
	OK(undo_back_one(db, action, (struct subject){.take = 2}, &arena, &done, &e));
	assert_null(done.label);
	OK(undo_adding(db, job, &adding, &e));
	assert_true(adding > action);
	OK(undo_back_one(db, adding, (struct subject){.take = 2}, &arena, &done, &e));
	assert_null(done.label);
	OK(undo_back_one(db, adding, (struct subject){.job = job}, &arena, &done, &e));
	assert_string_equal(done.label, "queued job 1");
	assert_string_equal(found("rated"), "3");
	/* All else goes on as before. */
	assert_string_equal(undo(false), "an edit");
	assert_null(undo(false));
	assert_string_equal(undo(true), "kept it");
	assert_string_equal(undo(true), "queued job 1");
	assert_string_equal(undo(true), "an edit");
	OK(db_verify(db, &e));
}

static void are_favourites(void **state)
{
	const int64_t ids[] = {1, 99, 2};
	bool are;

	five();
	OK(takes_are_favourites(db, ids, 3, &are, &e));
	assert_false(are);
	edit(1, "favourite", "1");
	OK(takes_are_favourites(db, ids, 3, &are, &e));
	assert_false(are);
	edit(2, "favourite", "1");
	OK(takes_are_favourites(db, ids, 3, &are, &e));
	assert_true(are);
	OK(takes_are_favourites(db, ids, 0, &are, &e));
	assert_true(are);
}

static void wrong_edits_change_nothing(void **state)
{
	const int64_t ids[] = {1, 99};
	struct err e = {0};

	five();
	assert_int_equal(takes_edit(db, ids, 2, "rating", "3", "x", NULL, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "no take 99");
	assert_string_equal(found("rated"), "");
	for (int i = 0; i < 7; i++) {
		static const char *const bad[][2] = {{"rating", "6"}, {"rating", "x"},
			{"favourite", "2"}, {"verdict", "perhaps"}, {"tag", "two words"},
			{"tag", ""}, {"note", "\xff"}};

		err_clear(&e);
		assert_int_equal(
			takes_edit(db, ids, 1, bad[i][0], bad[i][1], "x", NULL, &e), ERR_ARG);
	}
	err_clear(&e);
	assert_int_equal(takes_edit(db, ids, 1, "file", "x", "x", NULL, &e), ERR_BUG);
}

static void prompts_have_lineage(void **state)
{
	int64_t a, b, c, same;

	OK(prompts_add(db, "piano", NULL, 0, NULL, NOW, &a, &e));
	OK(prompts_add(db, "piano", NULL, 0, NULL, NOW, &same, &e));
	assert_int_equal(a, same);
	OK(prompts_add(db, "piano", "", 0, NULL, NOW, &b, &e)); /* an empty negative is one */
	assert_int_not_equal(a, b);
	OK(prompts_add(db, "slow piano", NULL, a, "slower", NOW, &c, &e));
	assert_int_not_equal(a, c);
}

static void orders(void **state)
{
	struct take *t;
	size_t n;

	five();
	edit(2, "rating", "3");
	OK(db_run(db, &e, "UPDATE takes SET score = 0.5 - id / 10.0 WHERE id IN (4, 5)", ""));
	for (int order = TAKES_NEWEST; order <= TAKES_SCORE; order++) {
		static const int64_t first[] = {5, 1, 2, 5, 5, 4};
		const struct takes_query q = {.order = order, .limit = 2, .now_ms = NOW};

		OK(takes_list(db, &q, &arena, &t, &n, &e));
		assert_int_equal(n, 2);
		assert_int_equal(t[0].id, first[order]);
	}
	OK(takes_list(db, &(struct takes_query){.limit = 2, .offset = 4, .now_ms = NOW}, &arena, &t,
		&n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(t[0].id, 1);
}

/* ---- files -------------------------------------------------------------- */

static void write_take(void **state, const char *name, const char *recipe)
{
	const float samples[64] = {0.5f};
	struct audio_writer *w;

	OK(audio_writer_open(&(struct audio_writer_desc){.path = scratch_path(state, name),
				     .channels = 1,
				     .rate_hz = 32000,
				     .recipe = recipe},
		&w, &e));
	OK(audio_writer_add(w, samples, 64, &e));
	OK(audio_writer_commit(w, &e));
	audio_writer_close(w);
}

static void sweeping(void **state)
{
	struct sweep s;
	struct take t;
	int fd;

	mkdir(scratch_path(state, "takes"), 0700);
	mkdir(scratch_path(state, "takes/2026"), 0700);
	mkdir(scratch_path(state, "takes/2026/11"), 0700);
	five(); /* rows without files */
	write_take(state, "takes/2026/11/a.wav",
		"{\"prompt\": \"an orphan\", \"model\": \"starter\", \"seed\": "
		"18446744073709551615,"
		" \"cfg\": 2.5, \"model_hash\": \"abc\"}");
	write_take(state, "takes/2026/11/b.wav", NULL);
	write_take(state, "takes/3.wav", NULL);
	scratch_write(scratch_path(state, "takes/noise.wav"), "not audio", 9);
	scratch_write(scratch_path(state, "takes/.x.wav.0000000000000001.tmp"), "half", 4);
	scratch_write(scratch_path(state, "takes/.syncthing.x.wav.tmp"), "theirs", 6);
	scratch_write(scratch_path(state, "takes/.live.wav.00000000000000ff.tmp"), "half", 4);
	fd = open(scratch_path(state, "takes/.live.wav.00000000000000ff.tmp"), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);

	OK(takes_sweep(db, NOW, &s, &e));
	assert_int_equal(s.adopted, 2);
	assert_int_equal(s.missing, 4);
	assert_int_equal(s.found_again, 0);
	assert_int_equal(s.removed, 1);
	assert_int_equal(s.unreadable, 1);
	assert_string_equal(found("missing"), "5 4 2 1");
	assert_int_equal(
		access(scratch_path(state, "takes/.x.wav.0000000000000001.tmp"), F_OK), -1);
	assert_int_equal(
		access(scratch_path(state, "takes/.live.wav.00000000000000ff.tmp"), F_OK), 0);
	assert_int_equal(access(scratch_path(state, "takes/.syncthing.x.wav.tmp"), F_OK), 0);
	assert_int_equal(access(scratch_path(state, "takes/noise.wav"), F_OK), 0);
	close(fd);

	assert_string_not_equal(found("orphan"), "");
	OK(takes_get(db, strtol(found("orphan"), NULL, 10), &arena, &t, &e));
	assert_string_equal(t.model, "starter");
	assert_string_equal(t.model_hash, "abc");
	assert_true(t.seed == 18446744073709551615u);
	assert_true(t.guidance == 2.5);
	assert_int_equal(t.frames, 64);
	assert_string_equal(t.file, "takes/2026/11/a.wav");

	write_take(state, "takes/5.wav", NULL);
	OK(takes_sweep(db, NOW, &s, &e));
	assert_int_equal(s.adopted, 0);
	assert_int_equal(s.missing, 0);
	assert_int_equal(s.found_again, 1);
	assert_string_equal(found("missing"), "4 2 1");
}

/* What killed renders have left, and nothing else; also where there is no takes/ yet. */
static void tidying(void **state)
{
	static const char left[] = "takes/2026/.x.wav.0000000000000001.tmp",
			  live[] = "takes/2026/.y.wav.00000000000000ff.tmp";
	size_t n;
	int fd;

	OK(takes_tidy(*state, &n, &e));
	assert_int_equal(n, 0);
	mkdir(scratch_path(state, "takes"), 0700);
	mkdir(scratch_path(state, "takes/2026"), 0700);
	five(); /* rows without files */
	write_take(state, "takes/2026/a.wav", NULL);
	scratch_write(scratch_path(state, left), "half", 4);
	scratch_write(scratch_path(state, live), "half", 4);
	fd = open(scratch_path(state, live), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	OK(takes_tidy(*state, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(access(scratch_path(state, left), F_OK), -1);
	assert_int_equal(access(scratch_path(state, live), F_OK), 0);
	assert_int_equal(access(scratch_path(state, "takes/2026/a.wav"), F_OK), 0);
	assert_string_equal(found("missing"), "");
	close(fd);
}

/* Numbers and times follow the names, whatever order a folder has and whenever its files
 * were copied there. */
static void sweeping_in_order(void **state)
{
	enum { N = 12 };
	const int64_t first = 1793534405000; /* 2026-11-01 12:00:05 UTC */
	struct sweep s;

	mkdir(scratch_path(state, "takes"), 0700);
	for (int i = 0; i < N; i++) {
		char name[64];

		snprintf(name, sizeof(name), "takes/20261101-12%02d05-%08x.wav", i * 5 % N,
			i * 0x1234567);
		write_take(state, name, NULL);
	}
	OK(takes_sweep(db, NOW, &s, &e));
	assert_int_equal(s.adopted, N);
	for (int i = 0; i < N; i++) {
		struct take t;

		OK(takes_get(db, i + 1, &arena, &t, &e));
		assert_int_equal(t.created, first + i * 60000);
	}
}

static size_t found_on_opening(void **state)
{
	struct db *other;
	size_t n;

	OK(library_open(*state, NOW, &other, &n, &e));
	db_close(other);
	return n;
}

/* The database may be there already: whoever made it was killed while it took them in. */
static void files_of_a_lost_library(void **state)
{
	const int64_t id = 1;
	struct purged purged;

	assert_int_equal(found_on_opening(state), 0);
	mkdir(scratch_path(state, "takes"), 0700);
	assert_int_equal(found_on_opening(state), 0);
	write_take(state, "takes/a.wav", NULL);
	assert_int_equal(found_on_opening(state), 1);
	assert_int_equal(found_on_opening(state), 0);
	edit(1, "trashed", "5");
	OK(takes_purge(db, &id, 1, &purged, &e));
	write_take(state, "takes/b.wav", NULL); /* somebody's, who copied it there */
	assert_int_equal(found_on_opening(state), 0);
}

static void purging(void **state)
{
	const int64_t ids[] = {2, 99, 3};
	struct purged purged;

	mkdir(scratch_path(state, "takes"), 0700);
	five();
	write_take(state, "takes/2.wav", NULL);
	write_take(state, "takes/3.wav", NULL);
	edit(3, "tag", "x");
	OK(takes_purge(db, ids, 3, &purged, &e)); /* none is in the trash, one is nowhere */
	assert_true(!purged.n && !purged.bytes);
	assert_string_equal(found(NULL), "5 4 3 2 1");
	edit(3, "trashed", "5");
	OK(takes_purge(db, ids, 3, &purged, &e));
	assert_int_equal(purged.n, 1);
	assert_true(purged.bytes > 256);
	assert_int_equal(access(scratch_path(state, "takes/2.wav"), F_OK), 0);
	assert_string_equal(found("trash"), "");
	assert_string_equal(found(NULL), "5 4 2 1");
	assert_int_equal(access(scratch_path(state, "takes/3.wav"), F_OK), -1);
	/* What undo knew of it went with it. */
	undo(false);
	OK(db_verify(db, &e));
}

/* Whoever made the database may have wanted more to be deleted than its takes. */
static void purging_stays_inside(void **state)
{
	const int64_t ids[] = {1, 2};
	struct purged done;

	mkdir(scratch_path(state, "takes"), 0700);
	five();
	OK(db_run(db, &e, "UPDATE files SET name = 'library.db' WHERE take = 1", ""));
	OK(db_run(db, &e, "UPDATE files SET name = 'takes/../mine' WHERE take = 2", ""));
	scratch_write(scratch_path(state, "mine"), "x", 1);
	edit(1, "trashed", "5");
	edit(2, "trashed", "5");
	OK(takes_purge(db, ids, 2, &done, &e));
	assert_int_equal(done.bytes, 0);
	assert_string_equal(found(NULL), "5 4 3");
	assert_string_equal(found("trash"), "");
	assert_int_equal(access(scratch_path(state, "library.db"), F_OK), 0);
	assert_int_equal(access(scratch_path(state, "mine"), F_OK), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_library, close_library)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_by_number),
		TEST(finds_what_sql_says),
		TEST(signs_of_prompts),
		TEST(filters),
		TEST(marks),
		TEST(wrong_filters),
		TEST(edits_are_taken_back),
		TEST(one_action_is_taken_back),
		TEST(are_favourites),
		TEST(wrong_edits_change_nothing),
		TEST(prompts_have_lineage),
		TEST(orders),
		TEST(sweeping),
		TEST(sweeping_in_order),
		TEST(tidying),
		TEST(files_of_a_lost_library),
		TEST(purging),
		TEST(purging_stays_inside),
	};
	return RUN_TAP(tests);
}
