/* make-library DIR WHAT: the library of the golden screens, the same on every machine
 * and every day: fixed times and seeds, no worker's work to do.
 *
 *	empty	nothing
 *	full	takes and jobs in every state
 *	wide	texts that are long, wide, combined, or hostile
 *	verify	is one, and whole: nothing is made
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/takes.h"

/* 2020-02-03 10:42 UTC: older than what is told as today or by the month. */
static const int64_t THEN = 1580726520000;
static const int64_t MINUTE = 60000;

static struct err e;

static void add_take(struct db *db, const char *prompt, const char *model, int i)
{
	char file[64];
	struct take t = {
		.model = model,
		.seed = (uint64_t)(8800 + i),
		.frames = 32000 * (10 + i * 7 % 50),
		.rate = 32000,
		.channels = 1 + i % 2,
		.guidance = 3,
		.file = file,
		.lufs = -14.2 - i % 5,
		.peak = -1,
		.score = NAN,
		.created = THEN + i * 17 * MINUTE,
	};
	int64_t id;

	snprintf(file, sizeof(file), "takes/2020/02/%04d.wav", i);
	if (!prompts_add(db, prompt, NULL, 0, NULL, t.created, &t.prompt_id, &e))
		takes_add(db, &t, &id, &e);
	if (!e.code && i % 4 == 1)
		takes_edit(db, &id, 1, "favourite", "1", "favourite", t.created, &e);
	if (!e.code && i % 5 == 2)
		takes_edit(db, &id, 1, "rating", "4", "rated 4", t.created, &e);
	if (!e.code && i % 6 == 3)
		takes_edit(db, &id, 1, "tag", "keep", "tagged", t.created, &e);
}

static void add_job(struct db *db, const char *prompt, int i)
{
	const struct job_new job = {
		.prompt = prompt, .model = "small", .seed = (uint64_t)i, .seconds = "30"};
	int64_t id;
	bool at_work;

	jobs_add(db, &job, 1, THEN + i * MINUTE, &id, &e);
	if (!e.code && i % 3 == 2)
		jobs_cancel(db, id, THEN + i * MINUTE, &at_work, &e);
	if (!e.code && i % 3 == 1)
		jobs_hold(db, id, true, &e);
}

static void fill(struct db *db)
{
	static const char *const prompts[] = {
		"rainy lofi, dusty upright piano, vinyl crackle, 72 bpm",
		"slow jazz trio, brushed drums",
		"techno 140 bpm, acid",
		"choir in a cathedral, slow, wide reverb",
		"solo cello, close microphone",
	};
	enum { N_PROMPTS = sizeof(prompts) / sizeof(*prompts), N_TAKES = 60, N_JOBS = 9 };

	for (int i = 0; i < N_TAKES && !e.code; i++)
		add_take(db, prompts[i * 7 % N_PROMPTS], i % 3 ? "small" : "large", i);
	for (int i = 0; i < N_JOBS && !e.code; i++)
		add_job(db, prompts[i % N_PROMPTS], i);
}

static void fill_wide(struct db *db)
{
	static const char *const prompts[] = {
		"\u65e5\u672c\u8a9e\u306e\u6b4c \u30c6\u30b9\u30c8, \u7434\u3068\u5c3a\u516b",
		"cafe\u0301 acoustic, a\u0308o\u0308u\u0308",
		"emoji \U0001f3b9\U0001f3bb and \U0001f468\u200d\U0001f3a4 joined",
		"\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd, right to left",
		"hostile \033[31mred\033[0m \007bell\ttab \u202ereversed",
		"a very long prompt that goes on and on, with strings, brass, woodwinds, two "
		"drummers, a choir of forty, hand claps, bells from the village, rain on the "
		"roof, an old radio that nobody tuned, and at the end silence",
	};
	enum { N_PROMPTS = sizeof(prompts) / sizeof(*prompts) };

	for (int i = 0; i < N_PROMPTS && !e.code; i++) {
		add_take(db, prompts[i], "a-model-with-a-name-that-is-too-long", i);
		if (!e.code)
			add_job(db, prompts[i], i);
	}
}

int main(int argc, char **argv)
{
	struct db *db = NULL;

	if (argc != 3)
		return 2;
	mkdir(argv[1], 0700);
	if (!db_open(argv[1], &db, &e) && !queue_pause(db, true, &e)) {
		if (!strcmp(argv[2], "verify"))
			db_verify(db, &e);
		else if (!strcmp(argv[2], "full"))
			fill(db);
		else if (!strcmp(argv[2], "wide"))
			fill_wide(db);
	}
	db_close(db);
	if (e.code)
		fprintf(stderr, "make-library: %s\n", e.text);
	return e.code != 0;
}
