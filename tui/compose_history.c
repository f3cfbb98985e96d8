/* What was composed before. */
#include "tui/compose_history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/expand.h"
#include "library/json_file.h"
#include "tui/draft_file.h"

enum { FILE_BYTES_MAX = 4 << 20 };

/* ---- the file ----------------------------------------------------------- */

static void keep(struct compose_history *h, const struct compose *c)
{
	struct str out = {0};

	if (!h->file)
		return;
	str_add(&out, "{\"now\":");
	compose_write(c, &out);
	str_add(&out, ",\"aside\":[");
	for (size_t i = 0; i < h->aside.n; i++)
		str_printf(&out, "%s%s", i ? "," : "", h->aside.at[i]);
	str_add(&out, "]}");
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
	return rc ? err_wrap(e, rc, "'%s' is kept as %s.damaged", path, "compose") : 0;
}

int compose_history_open(
	struct compose_history *h, const char *library, struct compose *c, struct err *e)
{
	struct arena a = {0};
	const char *folder = arena_printf(&a, "%s/drafts", library),
		   *path = arena_printf(&a, "%s/compose", folder);
	struct err other = {0};
	int rc;

	mkdir(folder, 0700);
	rc = read_file(h, path, c, e);
	if (rc == ERR_FORMAT)
		rename(path, arena_printf(&a, "%s.damaged", path));
	if (draft_file_open(path, &h->file, rc ? &other : e) && !rc)
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
