/* What was composed before.
 *
 * LIBRARY/drafts/compose is the first workstation's; one that is started beside it has
 * compose-2, and so on.  Whose a file is a lock tells, so each has one writer, and a draft
 * never takes the place of another's.  The first takes in what others left when they
 * ended. */
#include "tui/compose_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/expand.h"
#include "library/json_file.h"
#include "tui/draft_file.h"

enum { FILE_BYTES_MAX = 4 << 20, SEATS_MAX = 32 };

/* ---- the file ----------------------------------------------------------- */

static void write_all(const struct compose_history *h, const struct compose *c, struct str *out)
{
	str_add(out, "{\"now\":");
	compose_write(c, out);
	str_add(out, ",\"aside\":[");
	for (size_t i = 0; i < h->aside.n; i++)
		str_printf(out, "%s%s", i ? "," : "", h->aside.at[i]);
	str_add(out, "]}");
}

static void keep(struct compose_history *h, const struct compose *c)
{
	struct str out = {0};

	if (!h->file)
		return;
	write_all(h, c, &out);
	draft_file_put(h->file, str_get(&out));
	str_done(&out);
}

static void add_aside(struct compose_history *h, const char *json)
{
	if (h->aside.n == COMPOSE_ASIDE_MAX) {
		free(h->aside.at[0]);
		memmove(h->aside.at, h->aside.at + 1, --h->aside.n * sizeof(*h->aside.at));
	}
	*VEC_PUSH(&h->aside) = xstrdup(json);
}

static int take_all(struct compose_history *h, const json_t *file, struct compose *c, struct err *e)
{
	const json_t *list = json_object_get(file, "aside");
	char *text = json_dumps(json_object_get(file, "now"), JSON_COMPACT);
	int rc = text ? compose_read(c, text, e) : err_set(e, ERR_FORMAT, "it holds no draft");

	free(text);
	for (size_t i = 0; i < json_array_size(list) && i < COMPOSE_ASIDE_MAX; i++) {
		text = json_dumps(json_array_get(list, i), JSON_COMPACT);
		if (text)
			add_aside(h, text);
		free(text);
	}
	return rc;
}

static const char *seat_path(const char *folder, int seat, struct arena *a)
{
	return seat ? arena_printf(a, "%s/compose-%d", folder, seat + 1)
		    : arena_printf(a, "%s/compose", folder);
}

static int read_file(struct compose_history *h, const char *path, struct compose *c, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	json_t *file;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "cannot read '%s'", path);
	file = json_file_read(fd, FILE_BYTES_MAX);
	close(fd);
	if (file)
		rc = take_all(h, file, c, e);
	else
		rc = err_set(e, ERR_FORMAT, "it is no file of drafts");
	json_decref(file);
	return rc;
}

/* One that cannot be read is an error once, and put aside under another name. */
static int read_own(struct compose_history *h, const char *path, struct compose *c, struct err *e)
{
	const int rc = read_file(h, path, c, e);
	struct arena a = {0};

	if (rc == ERR_FORMAT)
		rename(path, arena_printf(&a, "%s.damaged", path));
	arena_done(&a);
	return rc ? err_wrap(e, rc, "'%s' is kept as %s.damaged", path, strrchr(path, '/') + 1) : 0;
}

/* ---- several workstations ----------------------------------------------- */

/* One byte of the lock's file for each seat; 0, or an errno. */
static int lock_seat(const struct compose_history *h, int seat, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = seat, .l_len = 1};

	return fcntl(h->lock_fd, F_OFD_SETLK, &lock) ? errno : 0;
}

/* The first that nobody has; where there are no locks, the first of all. */
static int take_seat(struct compose_history *h)
{
	int seat = 0, why = 0;

	while (seat < SEATS_MAX) {
		why = lock_seat(h, seat, F_WRLCK);
		if (why != EAGAIN && why != EACCES)
			return seat;
		seat++;
	}
	return -1;
}

/* Settings like those of the first, which has the prompt. */
static void begin_beside(const char *folder, struct compose *c)
{
	struct compose_history first = {0};
	struct arena a = {0};

	if (!read_file(&first, seat_path(folder, 0, &a), c, NULL))
		compose_clear(c);
	compose_history_close(&first);
	arena_done(&a);
}

static bool has_aside(const struct compose_history *h, const char *json)
{
	for (size_t i = 0; i < h->aside.n; i++)
		if (!strcmp(h->aside.at[i], json))
			return true;
	return false;
}

/* The drafts of one that ended; their file goes once ours holds them. */
static int take_in(struct compose_history *h, const char *path, const char *own,
	const struct compose *now, struct err *e)
{
	struct compose_history left = {0};
	struct str all = {0};
	struct compose c;
	int rc;

	compose_init(&c);
	rc = read_own(&left, path, &c, e);
	compose_history_put_aside(&left, &c);
	for (size_t i = 0; i < left.aside.n && !rc; i++)
		if (!has_aside(h, left.aside.at[i])) {
			add_aside(h, left.aside.at[i]);
			h->n_found++;
		}
	write_all(h, now, &all);
	if (!rc)
		rc = line_write(own, str_get(&all), e);
	if (!rc)
		unlink(path);
	str_done(&all);
	compose_history_close(&left);
	compose_done(&c);
	return rc;
}

static int take_in_all(
	struct compose_history *h, const char *folder, const struct compose *now, struct err *e)
{
	int rc = 0;

	for (int seat = 1; seat < SEATS_MAX && !rc; seat++) {
		struct arena a = {0};
		const char *path = seat_path(folder, seat, &a);

		if (!access(path, F_OK) && !lock_seat(h, seat, F_WRLCK)) {
			rc = take_in(h, path, seat_path(folder, 0, &a), now, e);
			lock_seat(h, seat, F_UNLCK);
		}
		arena_done(&a);
	}
	return rc;
}

/* Which of them is this one's; what it holds, and where that is from. */
static int read_all(struct compose_history *h, const char *folder, struct compose *c,
	struct arena *a, const char **ret_path, struct err *e)
{
	const int seat = take_seat(h);
	int rc = 0;

	if (seat < 0)
		return err_set(e, ERR_BUSY,
			"%d workstations have this library open; drafts of more are not kept",
			SEATS_MAX);
	*ret_path = seat_path(folder, seat, a);
	if (seat && access(*ret_path, F_OK))
		begin_beside(folder, c);
	else
		rc = read_own(h, *ret_path, c, e);
	return rc || seat ? rc : take_in_all(h, folder, c, e);
}

int compose_history_open(
	struct compose_history *h, const char *library, struct compose *c, struct err *e)
{
	struct arena a = {0};
	const char *folder = arena_printf(&a, "%s/drafts", library), *path = NULL;
	struct err other = {0};
	int rc;

	mkdir(folder, 0700);
	h->lock_fd = open(arena_printf(&a, "%s/lock", folder), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	rc = read_all(h, folder, c, &a, &path, e);
	if (path && draft_file_open(path, &h->file, rc ? &other : e) && !rc)
		rc = e->code;
	arena_done(&a);
	return rc;
}

void compose_history_close(struct compose_history *h)
{
	draft_file_close(h->file);
	for (size_t i = 0; i < h->aside.n; i++)
		free(h->aside.at[i]);
	VEC_DONE(&h->aside);
	str_done(&h->present);
	if (h->lock_fd > 0)
		close(h->lock_fd);
}

/* ---- the present -------------------------------------------------------- */

static bool is_worth_keeping(const struct compose *c)
{
	const char *text = text_edit_get(&c->prompt);

	return !c->is_queued && text[strspn(text, " \n")];
}

static bool is_json_worth_keeping(const char *json)
{
	struct compose c;
	bool ret;

	compose_init(&c);
	ret = !compose_read(&c, json, NULL) && is_worth_keeping(&c);
	compose_done(&c);
	return ret;
}

static void end_walk(struct compose_history *h)
{
	h->steps = 0;
	h->prompt = 0;
	str_clear(&h->present);
}

void compose_history_typed(struct compose_history *h, const struct compose *c)
{
	if (h->steps && is_json_worth_keeping(str_get(&h->present)))
		add_aside(h, str_get(&h->present));
	end_walk(h);
	keep(h, c);
}

void compose_history_put_aside(struct compose_history *h, const struct compose *c)
{
	struct str json = {0};

	if (h->steps) {
		if (is_json_worth_keeping(str_get(&h->present)))
			add_aside(h, str_get(&h->present));
	} else if (is_worth_keeping(c)) {
		compose_write(c, &json);
		add_aside(h, str_get(&json));
	}
	end_walk(h);
	str_done(&json);
}

/* ---- the past ----------------------------------------------------------- */

/* The next older (or newer) prompt of the library that is not the one shown. */
static int library_prompt(struct compose_history *h, struct db *db, int by, struct compose *c,
	bool *ret, struct err *e)
{
	static const char older[] = "SELECT id, text FROM prompts WHERE (?1 = 0 OR id < ?1)"
				    " AND text <> ?2 ORDER BY id DESC LIMIT 1",
			  newer[] = "SELECT id, text FROM prompts WHERE id > ?1 AND text <> ?2"
				    " ORDER BY id LIMIT 1";
	struct str text = {0};
	struct query q =
		db_query(db, by > 0 ? older : newer, "it", h->prompt, text_edit_get(&c->prompt));
	int rc;

	*ret = query_next(&q);
	if (*ret) {
		h->prompt = query_int(&q, 0);
		expand_escape(query_text(&q, 1), &text);
	}
	rc = query_done(&q, e);
	if (!rc && *ret) {
		text_edit_set(&c->prompt, str_get(&text));
		c->is_queued = true; /* it is in the library */
	}
	str_done(&text);
	return rc;
}

int compose_history_step(struct compose_history *h, struct db *db, int by, struct compose *c,
	bool *ret, struct err *e)
{
	const size_t n = h->aside.n;
	int rc = 0;

	*ret = false;
	if (by < 0 && !h->steps)
		return 0;
	if (by > 0 && !h->steps) {
		str_clear(&h->present);
		compose_write(c, &h->present);
	}
	if (by > 0 && h->steps < n) {
		rc = compose_read(c, h->aside.at[n - 1 - h->steps], e);
		*ret = true;
	} else if (by > 0 || h->steps > n + 1) {
		rc = library_prompt(h, db, by, c, ret, e);
		if (!rc && !*ret && by < 0) { /* it was the newest */
			h->steps = n + 1;
			return compose_history_step(h, db, by, c, ret, e);
		}
	} else if (h->steps > 1) { /* back among those put aside */
		rc = compose_read(c, h->aside.at[n + 1 - h->steps], e);
		h->prompt = 0;
		*ret = true;
	} else {
		rc = compose_read(c, str_get(&h->present), e);
		h->prompt = 0;
		*ret = true;
	}
	if (!rc && *ret)
		h->steps += by > 0 ? 1 : (size_t)-1;
	if (!h->steps)
		str_clear(&h->present);
	return rc;
}
