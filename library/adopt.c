/* Files without rows: what a crash, a restored backup or a copied folder leaves. */
#include "library/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <sndfile.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/takes.h"

enum { TEXT_MAX = 1 << 16, DEPTH_MAX = 3 };

/* ---- one file ----------------------------------------------------------- */

static const char *text(const json_t *o, const char *key, const char *otherwise, struct arena *a)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && strlen(s) <= TEXT_MAX ? arena_strdup(a, s) : otherwise;
}

/* Seeds go beyond what jansson's integers hold. */
static uint64_t seed_of(const char *recipe)
{
	const char *at = recipe ? strstr(recipe, "\"seed\"") : NULL;
	char digits[24] = "";
	uint64_t seed;

	if (at && sscanf(at + 6, " : %20[0-9]", digits) == 1 && parse_u64(digits, &seed))
		return seed;
	return 0;
}

static void read_recipe(const char *path, struct arena *a, struct take *t)
{
	char *recipe = NULL;
	json_t *json = NULL;
	json_error_t error;

	if (!audio_read_recipe(path, &recipe, NULL))
		json = json_loads(recipe, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
	if (!json_is_object(json)) {
		json_decref(json);
		json = NULL;
	}
	t->prompt = text(json, "prompt", "", a);
	t->negative = text(json, "negative", NULL, a);
	t->model = text(json, "model", "unknown", a);
	t->model_hash = text(json, "model_hash", "", a);
	t->recipe = json ? arena_strdup(a, recipe) : "{}";
	t->seed = json ? seed_of(recipe) : 0;
	t->guidance = json_is_number(json_object_get(json, "cfg"))
			      ? json_number_value(json_object_get(json, "cfg"))
			      : (double)NAN;
	json_decref(json);
	free(recipe);
}

/* As paths_new_take() writes it; 0: it did not.  The file's own time may be that of a copy. */
static int64_t time_in_name(const char *file)
{
	const char *slash = strrchr(file, '/');
	struct tm tm = {0};
	int n = 0;

	if (sscanf(slash ? slash + 1 : file, "%4d%2d%2d-%2d%2d%2d-%n", &tm.tm_year, &tm.tm_mon,
		    &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6 ||
		n != 16)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000;
}

/* Neither a FIFO nor a link is followed: what lies in takes/ may have come from
 * anywhere. */
int adopt_describe(struct db *db, const char *file, int64_t now_ms, struct arena *a,
	struct take *ret, struct err *e)
{
	const char *path = arena_printf(a, "%s/%s", db_library(db), file);
	SF_INFO info = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	SNDFILE *f = NULL;

	*ret = (struct take){.file = arena_strdup(a, file), .lufs = NAN, .peak = NAN, .score = NAN};
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		f = sf_open_fd(fd, SFM_READ, &info, 0);
	if (f)
		sf_close(f);
	if (fd >= 0)
		close(fd);
	if (!f || info.frames <= 0 || info.samplerate <= 0 || info.channels <= 0)
		return err_set(e, ERR_FORMAT, "'%s' is no audio file", path);
	ret->frames = info.frames;
	ret->rate = info.samplerate;
	ret->channels = info.channels;
	ret->created = time_in_name(file);
	if (!ret->created)
		ret->created = (int64_t)st.st_mtime * 1000;
	if (ret->created <= 0 || ret->created > now_ms)
		ret->created = now_ms;
	read_recipe(path, a, ret);
	return 0;
}

int adopt_file(struct db *db, const char *file, int64_t job, int64_t now_ms, int64_t *ret_take,
	struct err *e)
{
	struct arena a = {0};
	struct take t;
	int rc = adopt_describe(db, file, now_ms, &a, &t, e);

	if (!rc)
		rc = prompts_add(db, t.prompt, t.negative, 0, NULL, now_ms, &t.prompt_id, e);
	t.job = job;
	if (!rc)
		rc = takes_add(db, &t, ret_take, e);
	arena_done(&a);
	return rc;
}

int adopt_for_job(struct db *db, const char *file, int64_t job, int64_t now_ms, int64_t *ret_take,
	struct err *e)
{
	struct err why = {0};
	int rc = query_number(
		db_query(db, "SELECT take FROM files WHERE name = ?1", "t", file), ret_take, e);

	if (rc || *ret_take)
		return rc;
	rc = adopt_file(db, file, job, now_ms, ret_take, &why);
	if (rc == ERR_FORMAT)
		return 0; /* not there, or nothing that was ever committed */
	return rc ? err_set(e, rc, "%s", why.text) : 0;
}

/* ---- all files ---------------------------------------------------------- */

struct sweeper {
	struct db *db; /* NULL: takes are left alone */
	int64_t now_ms;
	struct sweep *ret;
	struct err *e;
	size_t root; /* length of "LIBRARY/" */
};

static int sweep_file(struct sweeper *s, const char *path)
{
	const char *file = path + s->root;
	struct query q = db_query(s->db, "SELECT 1 FROM files WHERE name = ?1", "t", file);
	bool known = query_next(&q);
	struct err why = {0};
	int64_t take;
	int rc = query_done(&q, s->e);

	if (rc || known)
		return rc;
	/* A job at work may be about to make its row. */
	q = db_query(s->db,
		"SELECT 1 FROM jobs WHERE file = ?1 AND state IN ('claimed', 'rendering')", "t",
		file);
	known = query_next(&q);
	rc = query_done(&q, s->e);
	if (rc || known)
		return rc;
	rc = adopt_file(s->db, file, 0, s->now_ms, &take, &why);
	if (!rc)
		s->ret->adopted++;
	else if (rc == ERR_FORMAT)
		s->ret->unreadable++;
	else
		return err_set(s->e, rc, "%s", why.text);
	return 0;
}

static int sweep_folder(struct sweeper *s, const char *folder, int depth);

static int sweep_entry(struct sweeper *s, int folder_fd, const char *path, int depth)
{
	const char *name = strrchr(path, '/') + 1;
	struct stat st;

	if (*name == '.') {
		s->ret->removed += (size_t)audio_remove_abandoned(folder_fd, name);
		return 0;
	}
	if (lstat(path, &st))
		return 0;
	if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		return sweep_folder(s, path, depth + 1);
	return s->db && S_ISREG(st.st_mode) && has_suffix(path, ".wav") ? sweep_file(s, path) : 0;
}

/* In the order of their names, which begin with when they were made: so the numbers that
 * takes get rise with time. */
static int sweep_folder(struct sweeper *s, const char *folder, int depth)
{
	const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	struct arena a = {0};
	int rc = 0, n = fd < 0 ? -1 : scandirat(fd, ".", &names, NULL, alphasort);

	if (n < 0 && errno != ENOENT)
		rc = err_errno(s->e, errno, "cannot read '%s'", folder);
	for (int i = 0; i < n; i++) {
		if (!rc)
			rc = sweep_entry(
				s, fd, arena_printf(&a, "%s/%s", folder, names[i]->d_name), depth);
		free(names[i]);
	}
	free(names);
	if (fd >= 0)
		close(fd);
	arena_done(&a);
	return rc;
}

static int mark_missing(struct sweeper *s)
{
	struct query q = db_query(s->db,
		"SELECT t.id, f.name, t.missing FROM takes t JOIN files f ON f.take = t.id", "");
	struct arena a = {0};
	struct str gone = {0}, back = {0};
	int rc;

	while (query_next(&q)) {
		const struct arena_mark mark = arena_mark(&a);
		const char *path = arena_printf(&a, "%s/%s", db_library(s->db), query_text(&q, 1));
		const bool missing = access(path, F_OK) != 0;

		if (missing != (query_int(&q, 2) != 0)) {
			struct str *list = missing ? &gone : &back;

			str_printf(list, "%s%lld", list->n ? "," : "", (long long)query_int(&q, 0));
			++*(missing ? &s->ret->missing : &s->ret->found_again);
		}
		arena_release(&a, mark);
	}
	rc = query_done(&q, s->e);
	/* As JSON, so that no list is ever pasted into SQL. */
	for (int i = 0; i < 2 && !rc; i++) {
		const struct str *list = i ? &back : &gone;
		struct str json = {0};

		if (!list->n)
			continue;
		str_printf(&json, "[%s]", list->s);
		rc = db_run(s->db, s->e,
			"UPDATE takes SET missing = ?2 WHERE id IN (SELECT value FROM "
			"json_each(?1))",
			"ti", json.s, (int64_t)!i);
		str_done(&json);
	}
	str_done(&gone);
	str_done(&back);
	arena_done(&a);
	return rc;
}

int takes_look(struct db *db, struct err *e)
{
	struct sweep seen = {0};

	return mark_missing(&(struct sweeper){.db = db, .ret = &seen, .e = e});
}

int takes_sweep(struct db *db, int64_t now_ms, struct sweep *ret, struct err *e)
{
	struct sweeper s = {
		.db = db, .now_ms = now_ms, .ret = ret, .e = e, .root = strlen(db_library(db)) + 1};
	struct str folder = {0};
	int rc = db_begin(db, e);

	*ret = (struct sweep){0};
	if (rc)
		return rc;
	str_printf(&folder, "%s/takes", db_library(db));
	rc = sweep_folder(&s, folder.s, 0);
	str_done(&folder);
	if (!rc)
		rc = mark_missing(&s);
	return db_end(db, rc, e);
}

int takes_tidy(const char *library, size_t *ret_removed, struct err *e)
{
	struct sweep swept = {0};
	struct sweeper s = {.ret = &swept, .e = e};
	struct str folder = {0};
	int rc;

	str_printf(&folder, "%s/takes", library);
	rc = sweep_folder(&s, folder.s, 0);
	str_done(&folder);
	*ret_removed = swept.removed;
	return rc;
}
