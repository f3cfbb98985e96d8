/* A model from Hugging Face into the library: the folder, the list, the order.
 *
 *	lock	one pull of a model at a time
 *	list	what there is, what of it is needed, whether the disk has room
 *	fetch	one file after the other, the description first: pull_file.c
 *	install	all of it gets its name by one rename */
#include "library/pull_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/models.h"

enum {
	WAIT_MAX_S = 60,
	RETRY_AFTER_MAX_S = 300, /* a server that wants more is left alone */
	TOKEN_BYTES_MAX = 1024,
	LOCK_TRIES = 100,
	DEPTH_MAX = 2, /* of folders that are swept */
};

static const uint64_t SPARE_BYTES = 16 << 20; /* that are left on the disk */
static const double METER_S = 0.5, METER_MEMORY_S = 5;
static const char TOKENS[] = "https://huggingface.co/settings/tokens";

/* ---- what is told on the way -------------------------------------------- */

void pull_meter(struct pull *p, size_t bytes)
{
	double now = clock_now(), dt = now - p->metered;

	if (!p->metered) { /* an answer has just begun */
		p->metered = now;
		p->unmetered = bytes;
		return;
	}
	p->unmetered += bytes;
	if (dt < METER_S)
		return;
	p->rate += ((double)p->unmetered / dt - p->rate) *
		   (p->rate > 0 ? dt / (dt + METER_MEMORY_S) : 1);
	p->metered = now;
	p->unmetered = 0;
}

void pull_report(const struct pull *p)
{
	struct pull_state s = {
		.file = p->file,
		.done = p->have,
		.total = p->files.bytes,
		.rate = p->rate,
		.eta_s = NAN,
		.is_checking = p->is_checking,
	};

	if (!p->q->progress || !p->file)
		return;
	if (p->rate > 0)
		s.eta_s = (double)(s.total - s.done) / p->rate;
	p->q->progress(p->q->ud, &s);
}

void pull_note(const struct pull *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->q->note)
		p->q->note(p->q->ud, text);
}

bool pull_is_stopped(struct pull *p)
{
	if (p->metered && clock_now() - p->metered >= METER_S) {
		pull_meter(p, 0);
		pull_report(p);
	}
	return p->q->stop && p->q->stop(p->q->ud);
}

/* ---- answers that are none ---------------------------------------------- */

bool pull_may_pass(const struct http_reply *r)
{
	/* A signed address of the storage behind the server runs out. */
	return r->status == 408 || r->status == 425 || r->status == 429 || r->status >= 500 ||
	       (r->status >= 300 && r->status < 400) ||
	       (r->is_elsewhere && (r->status == 401 || r->status == 403));
}

static int sleep_for(struct pull *p, double s, struct err *e)
{
	double until = clock_now() + s, left;

	while ((left = until - clock_now()) > 0) {
		const struct timespec nap = {.tv_nsec = (long)(fmin(left, 0.1) * 1e9)};

		if (pull_is_stopped(p))
			return err_set(e, ERR_CANCELLED, "cancelled");
		nanosleep(&nap, NULL); /* a signal cuts it short, which is as well */
	}
	return 0;
}

int pull_again(struct pull *p, struct pull_tries *t, const struct http_reply *r, struct err *e)
{
	double wait = fmin(ldexp(p->q->wait_s, (int)(t->n < 16 ? t->n : 16)), WAIT_MAX_S);

	if (!e->code)
		err_set(e, ERR_IO, "the server answers %ld: try again later", r->status);
	if (r->retry_s > RETRY_AFTER_MAX_S)
		return err_wrap(e, ERR_IO, "the server wants to be left alone for %lld minutes",
			(long long)(r->retry_s + 59) / 60);
	if (++t->n >= p->q->tries)
		return err_wrap(e, ERR_IO, "gave up after %u %s, what is here is kept", t->n,
			t->n == 1 ? "try" : "tries");
	if (r->retry_s > 0)
		wait = fmax(wait, (double)r->retry_s);
	pull_note(p, "%s; trying again in %.0f s", e->text, wait);
	err_clear(e);
	p->metered = 0;
	return sleep_for(p, wait, e);
}

static int refuse_gated(const struct pull *p, struct err *e)
{
	const char *file = p->q->token_file ? p->q->token_file : "$HF_HOME/token";

	if (p->q->token)
		return err_set(e, ERR_IO,
			"'%s' is for those who accepted its licence, and the owner of this token "
			"has not: log in and accept it at %s, then pull again (a fine-grained "
			"token must also allow gated repositories)",
			p->q->repo, p->q->page);
	return err_set(e, ERR_IO,
		"'%s' is for those who accepted its licence: accept it at %s, make a token at %s, "
		"and put it into HF_TOKEN or the file '%s'",
		p->q->repo, p->q->page, TOKENS, file);
}

int pull_refuse(const struct pull *p, const struct http_reply *r, const char *what, struct err *e)
{
	const struct pull_request *q = p->q;
	bool is_gated = !strcmp(r->error_code, "GatedRepo") || q->is_gated;
	bool is_unknown = !strcmp(r->error_code, "RepoNotFound");

	if ((r->status == 401 || r->status == 403) && !is_unknown) {
		/* A server that knows the token's owner answers 403. */
		if (is_gated && (!q->token || r->status == 403 || r->error_code[0]))
			return refuse_gated(p, e);
		if (q->token)
			return err_set(e, ERR_IO,
				"%s refuses the token (status %ld): make another at %s, and put it "
				"into HF_TOKEN or the file '%s'",
				q->endpoint, r->status, TOKENS,
				q->token_file ? q->token_file : "$HF_HOME/token");
	}
	if (r->status == 404 && what && !is_unknown)
		return err_set(e, ERR_IO,
			"%s has no '%s' of '%s' any more (status 404): pull again later",
			q->endpoint, what, q->repo);
	if (r->status == 401 || r->status == 403 || r->status == 404)
		return err_set(e, ERR_IO,
			"there is no model '%s' at %s (status %ld), or it is private: check its "
			"name, and for a private one the token in HF_TOKEN",
			q->repo, q->endpoint, r->status);
	return err_set(e, ERR_IO, "%s answers %ld when it is asked for '%s': try again later",
		q->endpoint, r->status, what ? what : q->repo);
}

/* ---- the list ----------------------------------------------------------- */

struct listing {
	struct pull *pull;
	struct str text;
};

static int list_begins(void *ud, const struct http_reply *r, struct err *e)
{
	struct listing *l = ud;

	str_clear(&l->text);
	if (r->has_more)
		return err_set(e, ERR_UNSUPPORTED,
			"the repository holds more than 1000 files, which no model does");
	return 0;
}

static int list_grows(void *ud, const void *data, size_t n, struct err *e)
{
	struct listing *l = ud;

	if (n > REPO_LIST_BYTES_MAX - l->text.n)
		return err_set(e, ERR_FORMAT,
			"the server's list of files does not end: HF_ENDPOINT must name a "
			"Hugging Face server");
	str_add_n(&l->text, data, n);
	return 0;
}

static bool list_is_stopped(void *ud)
{
	return pull_is_stopped(((struct listing *)ud)->pull);
}

static int ask_list(struct listing *l, struct err *e)
{
	const struct pull *p = l->pull;
	const struct http_request q = {
		.url = arena_printf(p->a, "%s/api/models/%s/tree/main?recursive=true",
			p->q->endpoint, p->q->repo),
		.token = p->q->token,
		.begin = list_begins,
		.sink = list_grows,
		.stop = list_is_stopped,
		.ud = l,
	};
	struct pull_tries tries = {0};

	for (;;) {
		struct http_reply r;
		int rc = http_get(p->http, &q, &r, e);

		if (!rc && (r.status == 200 || r.status == 206))
			return 0;
		if (rc && !r.is_cut)
			return rc;
		if (!rc && !pull_may_pass(&r))
			return pull_refuse(p, &r, NULL, e);
		rc = pull_again(l->pull, &tries, &r, e);
		if (rc)
			return rc;
	}
}

/* The files that are needed, into p->files. */
static int list(struct pull *p, struct err *e)
{
	struct listing l = {.pull = p};
	struct repo_files all;
	int rc = ask_list(&l, e);

	if (!rc)
		rc = repo_files_parse(str_get(&l.text), l.text.n, p->a, &all, e);
	str_done(&l.text);
	if (rc)
		return rc;
	rc = repo_files_choose(&all, p->a, &p->files, e);
	if (rc)
		return err_wrap(e, rc, "'%s' is no model that woodshed can run", p->q->repo);
	return 0;
}

/* ---- the folder --------------------------------------------------------- */

static int make_folder(const char *path, struct err *e)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_errno(e, errno,
			"cannot make the folder '%s' (choose a library with --library)", path);
	return 0;
}

/* Files of one level down. */
static int make_folders(struct pull *p, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < p->files.n && !rc; i++) {
		const char *path = p->files.at[i].path, *slash = strchr(path, '/');

		if (slash)
			rc = make_folder(arena_printf(p->a, "%s/%.*s", p->staging,
						 (int)(slash - path), path),
				e);
	}
	return rc;
}

/* The folder may be renamed or removed by who held the lock before: then the file
 * that we locked is not the one that is there now. */
static int lock(struct pull *p, struct err *e)
{
	const char *path = arena_printf(p->a, "%s/.lock", p->staging);

	for (int i = 0; i < LOCK_TRIES; i++) {
		struct stat ours, there;
		int rc = make_folder(p->staging, e);

		if (rc)
			return rc;
		p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (p->lock < 0 && errno == ENOENT)
			continue;
		if (p->lock < 0)
			return err_errno(
				e, errno, "cannot write '%s' (check its permissions)", path);
		if (flock(p->lock, LOCK_EX | LOCK_NB)) {
			close(p->lock);
			p->lock = -1;
			return err_set(e, ERR_BUSY,
				"'%s' is being pulled by another woodshed: wait until that is done",
				p->q->name);
		}
		if (!fstat(p->lock, &ours) && !stat(path, &there) && ours.st_ino == there.st_ino &&
			ours.st_dev == there.st_dev)
			return 0;
		close(p->lock);
		p->lock = -1;
	}
	return err_set(e, ERR_BUSY, "'%s' comes and goes: wait until nobody else pulls", path);
}

static void unlock(struct pull *p)
{
	if (p->lock < 0)
		return;
	/* Gone when it was installed; else it goes when nothing else is in it. */
	unlink(arena_printf(p->a, "%s/.lock", p->staging));
	rmdir(p->staging);
	close(p->lock);
}

static bool is_ours(const struct pull *p, const char *path)
{
	for (size_t i = 0; i < p->files.n; i++)
		if (!strcmp(path, pull_path(p, &p->files.at[i])) ||
			!strcmp(path, pull_part_path(p, &p->files.at[i])))
			return true;
	return false;
}

/* Removes what does not belong to the list: parts of older versions. */
static void sweep(struct pull *p, const char *dir, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		const char *path = arena_printf(p->a, "%s/%s", dir, entry->d_name);
		struct stat st;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
			(depth == 1 && !strcmp(entry->d_name, ".lock")) || lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode)) {
			if (depth < DEPTH_MAX)
				sweep(p, path, depth + 1);
			rmdir(path);
		} else if (!is_ours(p, path)) {
			unlink(path);
		}
	}
	if (d)
		closedir(d);
}

static uint64_t bytes_here(const struct pull *p, const struct repo_file *f)
{
	struct stat st;

	if (stat(pull_path(p, f), &st) && stat(pull_part_path(p, f), &st))
		return 0;
	return (uint64_t)st.st_size < f->bytes ? (uint64_t)st.st_size : f->bytes;
}

static int check_room(struct pull *p, struct err *e)
{
	char need_text[16], room_text[16];
	uint64_t need = p->files.bytes, room;
	struct statvfs fs;

	for (size_t i = 0; i < p->files.n; i++)
		need -= bytes_here(p, &p->files.at[i]);
	if (!need || statvfs(p->staging, &fs))
		return 0;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (need + SPARE_BYTES <= room)
		return 0;
	return err_set(e, ERR_IO,
		"'%s' needs %s more, and the disk of '%s' has %s: make room, or choose another "
		"with --library",
		p->q->name, format_bytes(need, need_text), p->q->library,
		format_bytes(room, room_text));
}

/* ---- fetch -------------------------------------------------------------- */

/* Told from the first file, before gigabytes follow. */
static int check_kind(struct pull *p, struct err *e)
{
	struct model m;

	model_describe(p->staging, p->a, &m);
	if (m.engine)
		return 0;
	p->files = (struct repo_files){0}; /* nothing of it is worth keeping */
	sweep(p, p->staging, 1);
	return err_set(e, ERR_UNSUPPORTED,
		"'%s' is a model of another kind: woodshed knows MusicGen (without melody), Stable "
		"Audio Open and AudioLDM 2",
		p->q->repo);
}

static int fetch_all(struct pull *p, struct err *e)
{
	int rc;

	p->have = 0;
	p->is_stale = false;
	rc = list(p, e);
	if (rc)
		return rc;
	sweep(p, p->staging, 1);
	rc = make_folders(p, e);
	if (!rc)
		rc = check_room(p, e);
	for (size_t i = 0; i < p->files.n && !rc; i++) {
		rc = pull_file(p, &p->files.at[i], e);
		if (!rc && !i)
			rc = check_kind(p, e);
	}
	return rc;
}

/* A repository that changes while it is being pulled gets one new list. */
static int fetch(struct pull *p, struct err *e)
{
	int rc = fetch_all(p, e);

	if (!rc || !p->is_stale)
		return rc;
	pull_note(p, "%s; its list is fetched anew", e->text);
	err_clear(e);
	return fetch_all(p, e);
}

/* ---- install ------------------------------------------------------------ */

static int sync_folder(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	/* Some filesystems cannot sync a folder, and say EINVAL. */
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		rc = err_errno(e, errno, "cannot write the folder '%s'", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int install(struct pull *p, struct err *e)
{
	int rc = model_set_repo(p->staging, p->q->repo, e);

	for (size_t i = 0; i < p->files.n && !rc; i++) {
		char *folder = arena_strdup(p->a, pull_path(p, &p->files.at[i]));

		*strrchr(folder, '/') = 0;
		if (!i || strcmp(folder, p->staging))
			rc = sync_folder(folder, e);
	}
	if (rc)
		return rc;
	unlink(arena_printf(p->a, "%s/.lock", p->staging));
	if (rename(p->staging, p->final))
		return err_errno(e, errno, "cannot give '%s' its name", p->final);
	close(p->lock); /* a lock of that name is somebody else's from now on */
	p->lock = -1;
	return sync_folder(arena_printf(p->a, "%s/models", p->q->library), e);
}

/* Whether there is nothing to do; negative when something else has the name. */
static int is_there(const struct pull *p, struct pull_result *ret, struct err *e)
{
	struct model m;
	struct stat st;

	if (lstat(p->final, &st))
		return 0;
	model_describe(p->final, p->a, &m);
	if (!m.repo || strcmp(m.repo, p->q->repo))
		return err_set(e, ERR_BUSY,
			"'%s' is there, but not from '%s': rename it, then pull again", p->final,
			p->q->repo);
	*ret = (struct pull_result){.dir = p->final, .bytes = m.bytes};
	return 1;
}

int pull_model(
	const struct pull_request *q, struct arena *a, struct pull_result *ret, struct err *e)
{
	const char *models = arena_printf(a, "%s/models", q->library);
	struct pull p = {
		.q = q,
		.a = a,
		.staging = arena_printf(a, "%s/.%s.part", models, q->name),
		.final = arena_printf(a, "%s/%s", models, q->name),
		.lock = -1,
	};
	struct err own = {0};
	int rc;

	e = e ? e : &own; /* its text goes into notes */
	rc = make_folder(models, e);
	if (!rc)
		rc = is_there(&p, ret, e);
	if (!rc)
		rc = lock(&p, e);
	if (!rc) /* who held the lock before may have brought it */
		rc = is_there(&p, ret, e);
	if (rc)
		goto out;
	rc = http_open(q->timeout_s, &p.http, e);
	if (!rc)
		rc = fetch(&p, e);
	if (!rc)
		rc = install(&p, e);
	if (!rc)
		*ret = (struct pull_result){
			.dir = p.final, .bytes = p.files.bytes, .fetched = p.fetched};
out:
	http_close(p.http);
	unlock(&p);
	return rc > 0 ? 0 : rc;
}

/* ---- the token ---------------------------------------------------------- */

int pull_token(
	const char *given, const char *file, struct arena *a, const char **ret, struct err *e)
{
	char text[TOKEN_BYTES_MAX + 1];
	const char *from = "HF_TOKEN", *token = given;
	ssize_t n;
	int fd;

	*ret = NULL;
	if (!given || !*given) {
		fd = file ? open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
		if (fd < 0)
			return 0; /* not there, or not for us: go on without */
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		token = text;
		from = file;
	}
	token += strspn(token, " \t\r\n");
	n = (ssize_t)strcspn(token, " \t\r\n");
	if (!n)
		return 0;
	if (token[n + (ssize_t)strspn(token + n, " \t\r\n")] || n >= TOKEN_BYTES_MAX)
		return err_set(e, ERR_FORMAT,
			"'%s' does not hold a token, which is one word: make one at %s", from,
			TOKENS);
	for (ssize_t i = 0; i < n; i++)
		if (token[i] < '!' || token[i] > '~')
			return err_set(e, ERR_FORMAT,
				"'%s' holds a token with strange letters: make one at %s", from,
				TOKENS);
	*ret = arena_strndup(a, token, (size_t)n);
	return 0;
}
