/* make-library DIR WHAT: the library of the golden screens, the same on every machine
 * and every day: fixed times and seeds, no worker's work to do.
 *
 *	empty	nothing
 *	full	takes and jobs in every state
 *	wide	texts that are long, wide, combined, or hostile
 *	sound	four takes that can be heard, and a race of five models
 *	heard	the same, of texts that are long or wide
 *	made	what the engines made, prompts that came from one another, a trash
 *	many	800 takes, eight of "rare"
 *	busy	as full, and the queue is not paused
 *	worker	is one: claims a job of it, does nothing, and lives until it is killed
 *	verify	is one, and whole: nothing is made
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/filters.h"
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
		takes_edit(db, &id, 1, "favourite", "1", "favourite", NULL, &e);
	if (!e.code && i % 5 == 2)
		takes_edit(db, &id, 1, "rating", "4", "rated 4", NULL, &e);
	if (!e.code && i % 6 == 3)
		takes_edit(db, &id, 1, "tag", "keep", "tagged", NULL, &e);
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

static void fill_many(struct db *db)
{
	enum { N_TAKES = 800, N_RARE = 8 };
	char prompt[64], file[64];
	struct take t = {.model = "small",
		.frames = 320000,
		.rate = 32000,
		.channels = 1,
		.guidance = 3,
		.file = file,
		.lufs = -14,
		.peak = -1,
		.score = NAN};
	int64_t id;

	db_begin(db, &e);
	for (int i = 0; i < N_TAKES && !e.code; i++) {
		snprintf(prompt, sizeof(prompt), "%s piano, take %d after another",
			i % (N_TAKES / N_RARE) ? "slow" : "rare", i);
		snprintf(file, sizeof(file), "takes/2020/02/%05d.wav", i);
		t.seed = (uint64_t)i;
		t.created = THEN + i * MINUTE;
		if (!prompts_add(db, prompt, NULL, 0, NULL, t.created, &t.prompt_id, &e))
			takes_add(db, &t, &id, &e);
	}
	db_end(db, e.code, &e);
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

/* ---- what was made ------------------------------------------------------- */

static const char *const wide_prompts[] = {
	"\u65e5\u672c\u8a9e\u306e\u6b4c \u30c6\u30b9\u30c8, \u7434\u3068\u5c3a\u516b",
	"a prompt that goes on, with strings, brass, woodwinds, two drummers, hand claps, bells "
	"from the village and rain on the roof",
};

struct made {
	const char *prompt, *negative;
	int parent; /* which of these, from 1; 0: none */
	const char *changed, *model, *seconds, *options;
};

/* One take of each engine, a prompt that was edited twice, and one to be deleted. */
static const struct made made[] = {
	{"slow jazz trio, brushed drums", NULL, 0, NULL, "musicgen-small", "30",
		"{\"cfg\":4,\"temperature\":0.9}"},
	{"slow jazz trio, brushed drums, upright bass", "voices", 1, "edited",
		"stable-audio-open-1.0", "47", "{\"steps\":80}"},
	{"slow jazz quartet, brushed drums, upright bass", "voices", 2, "edited", "audioldm2", "10",
		"{\"steps\":150}"},
	{"choir in a cathedral", NULL, 0, NULL, "starter", "8", "{}"},
	{"techno 140 bpm, acid", NULL, 0, NULL, "musicgen-small", "12", "{}"},
};

enum { N_MADE = sizeof(made) / sizeof(*made) };

/* Adds a job and claims it; NULL: that failed. */
static struct job *begin(struct db *db, struct worker *w, const struct job_new *wanted,
	int64_t then, struct arena *a)
{
	struct job *j;
	size_t n = 0;

	if (jobs_add(db, wanted, 1, then, NULL, &e) || jobs_claim(w, NULL, 1, then, a, &j, &n, &e))
		return NULL;
	return n ? j : NULL;
}

static int add_made(struct db *db, struct worker *w, int i, const int64_t prompts[])
{
	const struct made *m = &made[i];
	const struct job_new wanted = {.prompt = m->prompt,
		.negative = m->negative,
		.parent_prompt = m->parent ? prompts[m->parent - 1] : 0,
		.changed = m->changed,
		.model = m->model,
		.seed = (uint64_t)(8812 + i),
		.seconds = m->seconds,
		.options = m->options};
	const int64_t then = THEN + i * MINUTE;
	struct arena a = {0};
	struct job *j = begin(db, w, &wanted, then, &a);
	char file[64];
	int64_t id;

	snprintf(file, sizeof(file), "takes/2020/02/made-%d.wav", i);
	if (j) {
		struct take t = {.prompt_id = j->prompt_id,
			.job = j->id,
			.model = j->model,
			.seed = j->seed,
			.frames = 32000 * (8 + 5 * i),
			.rate = 32000,
			.channels = 1 + i % 2,
			.guidance = 3,
			.lufs = -14.2 - i,
			.peak = -1,
			.score = NAN,
			.file = file,
			.created = then};

		if (!jobs_start(w, j->id, file, then, &e))
			jobs_done(w, j->id, &t, then + 20000, &id, &e);
	}
	arena_done(&a);
	return e.code;
}

/* One that failed after a while, with more to say than fits a line. */
static int add_failed(struct db *db, struct worker *w)
{
	const struct job_new wanted = {.prompt = "a choir of forty, close, dry",
		.model = "musicgen-large",
		.seed = 7,
		.seconds = "120"};
	const int64_t then = THEN + 60 * MINUTE;
	struct arena a = {0};
	struct job *j = begin(db, w, &wanted, then, &a);

	if (j)
		jobs_failed(w, j->id,
			"not enough memory: 9.1 GB are needed and 6.3 GB are free; end other "
			"programs, choose a smaller model such as musicgen-small, or fewer seconds",
			then + 90000, &e);
	arena_done(&a);
	return e.code;
}

static void fill_made(struct db *db)
{
	static const char *const note = "the hook comes late; \u30c6\u30b9\u30c8 again with less "
					"reverb, and let the bass begin alone";
	const int64_t ids[] = {1, 2, 3, 4, 5};
	int64_t prompts[N_MADE];
	struct worker *w = NULL;
	struct arena a = {0};
	struct job j;

	if (queue_pause(db, false, &e) || worker_open(db, THEN, &w, &e))
		return;
	for (int i = 0; i < N_MADE && !e.code; i++)
		if (!add_made(db, w, i, prompts) && !jobs_get(db, i + 1, &a, &j, &e))
			prompts[i] = j.prompt_id;
	if (!e.code && !add_failed(db, w) &&
		!takes_edit(db, ids, 1, "note", note, "note", NULL, &e) &&
		!takes_edit(db, ids, 1, "tag", "late-night", "tag", NULL, &e) &&
		!takes_edit(db, ids + 1, 2, "tag", "jazz", "tag", NULL, &e) &&
		!takes_edit(db, ids + 3, 2, "trashed", "1580730000000", "trash", NULL, &e) &&
		!filters_save(db, "best", "rating>=4", THEN, &e))
		filters_save(db, "late", "#late-night dur>20", THEN, &e);
	worker_close(w);
	arena_done(&a);
	if (!e.code)
		queue_pause(db, true, &e);
}

/* ---- sound -------------------------------------------------------------- */

enum { RATE = 32000, SECONDS = 12, NOTE = RATE * 3 / 8, SECTION = 8 * NOTE };

/* Notes that die away, softer in the second of three parts.  Sums and products alone: the
 * same bits everywhere; the first sample is the peak, wherever one pauses. */
static float sample(int i, int c, int kind)
{
	const int at = i % NOTE, hz = 110 * (2 + (i / NOTE * 3 + kind) % 5) + 70 * c;
	const double left = 1 - (double)at / NOTE;
	const double saw = 2 * (double)((int64_t)at * hz % RATE) / RATE - 1;
	const uint32_t noise = (uint32_t)at * 2654435761u * (uint32_t)(at + kind);
	const double hiss = (double)(noise >> 8) / (1 << 24) - 0.5;
	double level = left * left * left * (i / SECTION == 1 ? 0.1 : 0.4);

	if (!at)
		return i ? 0.5f : 0.9f;
	for (int k = 0; k < kind; k++)
		level *= left;
	return (float)(level * saw + left * left * 0.1 * hiss);
}

static void write_sound(const char *folder, const struct take *t, int kind)
{
	struct str path = {0};
	struct audio_writer_desc d = {
		.channels = t->channels, .rate_hz = RATE, .format = AUDIO_PCM16};
	struct audio_writer *w = NULL;
	float frame[2];

	str_printf(&path, "%s/%s", folder, t->file);
	d.path = str_get(&path);
	if (!audio_writer_open(&d, &w, &e)) {
		for (int i = 0; i < t->frames && !e.code; i++) {
			for (int c = 0; c < t->channels; c++)
				frame[c] = sample(i, c, kind);
			audio_writer_add(w, frame, 1, &e);
		}
		if (!e.code)
			audio_writer_commit(w, &e);
	}
	audio_writer_close(w);
	str_done(&path);
}

static void make_folders(const char *folder)
{
	static const char *const parts[] = {"takes", "takes/2020", "takes/2020/02"};
	struct str path = {0};

	for (int i = 0; i < 3; i++) {
		str_clear(&path);
		str_printf(&path, "%s/%s", folder, parts[i]);
		mkdir(str_get(&path), 0700);
	}
	str_done(&path);
}

static void add_sound(struct db *db, const char *folder, struct take *t, struct worker *w, int kind)
{
	char file[64];
	int64_t id;

	snprintf(file, sizeof(file), "takes/2020/02/sound-%d.wav", kind);
	t->file = file;
	t->frames = RATE * SECONDS;
	t->rate = RATE;
	t->channels = 1 + kind % 2;
	t->guidance = 3;
	t->lufs = -15.5 - 3 * kind;
	t->peak = -1;
	t->score = NAN;
	t->created = THEN + kind * MINUTE;
	write_sound(folder, t, kind);
	if (!e.code && w)
		jobs_start(w, t->job, file, t->created, &e);
	if (!e.code && w)
		jobs_done(w, t->job, t, t->created, &id, &e);
	else if (!e.code)
		takes_add(db, t, &id, &e);
	if (!e.code && kind == 1)
		takes_edit(db, &id, 1, "favourite", "1", "favourite", NULL, &e);
	if (!e.code && kind == 1)
		takes_edit(db, &id, 1, "rating", "4", "rated 4", NULL, &e);
}

/* Two were made, one failed, one is rendered, one waits and was not told all. */
static void add_race(struct db *db, const char *folder, const char *prompt)
{
	static const char *const models[] = {"small", "large", "open", "wide", "tokens"};
	enum { N = sizeof(models) / sizeof(*models) };
	struct job_new race[N];
	struct arena a = {0};
	struct worker *w = NULL;

	for (int i = 0; i < N; i++)
		race[i] = (struct job_new){.prompt = prompt,
			.model = models[i],
			.seed = 8813,
			.seconds = "12",
			.options = i == N - 1 ? "{\"cfg\":5}" : "{\"cfg\":5,\"steps\":40}"};
	if (jobs_add(db, race, N, THEN, NULL, &e) || worker_open(db, THEN, &w, &e))
		return;
	for (int i = 0; i < 4 && !e.code; i++) {
		struct job *j;
		size_t n = 0;

		if (jobs_claim(w, NULL, 1, THEN, &a, &j, &n, &e) || !n)
			break;
		struct take t = {.prompt_id = j->prompt_id,
			.job = j->id,
			.model = j->model,
			.seed = j->seed};

		if (i < 2)
			add_sound(db, folder, &t, w, i);
		else if (i == 2)
			jobs_failed(w, j->id, "not enough memory: 9.1 GB are needed", THEN, &e);
	}
	worker_close(w);
	arena_done(&a);
}

static void fill_sound(struct db *db, const char *folder, const char *race, const char *other)
{
	struct take t = {.model = "small", .seed = 99};

	make_folders(folder);
	queue_pause(db, false, &e);
	add_race(db, folder, race);
	if (!e.code && !prompts_add(db, other, NULL, 0, NULL, THEN, &t.prompt_id, &e))
		add_sound(db, folder, &t, NULL, 2);
	if (!e.code)
		t.seed = 100, add_sound(db, folder, &t, NULL, 3);
	if (!e.code)
		queue_pause(db, true, &e);
}

/* Tells of itself from far in the future: it is heard of as long as it lives. */
static void work(struct db *db, const char *folder)
{
	struct worker *w = NULL;
	struct str path = {0};
	struct arena a = {0};
	struct job *j;
	size_t n = 0;

	if (!worker_open(db, THEN, &w, &e) && !jobs_claim(w, NULL, 1, THEN, &a, &j, &n, &e) && n &&
		!worker_tell(w, "small", "cpu", 1200000000, 2 * THEN, &e) &&
		!jobs_progress(w, j->id, "steps", 20, 50, 2 * THEN, &e)) {
		str_printf(&path, "%s/at-work", folder);
		if (!mkdir(str_get(&path), 0700))
			pause();
	}
	worker_close(w);
	str_done(&path);
	arena_done(&a);
}

int main(int argc, char **argv)
{
	struct db *db = NULL;
	const char *what = argc == 3 ? argv[2] : "";

	if (argc != 3)
		return 2;
	mkdir(argv[1], 0700);
	if (!db_open(argv[1], &db, &e) &&
		(!strcmp(what, "worker") || !queue_pause(db, strcmp(what, "busy"), &e))) {
		if (!strcmp(what, "verify"))
			db_verify(db, &e);
		else if (!strcmp(what, "worker"))
			work(db, argv[1]);
		else if (!strcmp(what, "full") || !strcmp(what, "busy"))
			fill(db);
		else if (!strcmp(what, "many"))
			fill_many(db);
		else if (!strcmp(what, "wide"))
			fill_wide(db);
		else if (!strcmp(what, "sound"))
			fill_sound(db, argv[1], "slow jazz trio, brushed drums",
				"rainy lofi, dusty upright piano, vinyl crackle, 72 bpm");
		else if (!strcmp(what, "heard"))
			fill_sound(db, argv[1], wide_prompts[0], wide_prompts[1]);
		else if (!strcmp(what, "made"))
			fill_made(db);
	}
	db_close(db);
	if (e.code)
		fprintf(stderr, "make-library: %s\n", e.text);
	return e.code != 0;
}
